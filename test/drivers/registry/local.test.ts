// The embedded registry: the port's contract, then what only a folder can suffer.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { movesOf, verifyJournal } from "../../../src/core/journal.ts";
import { createLocalRegistry } from "../../../src/drivers/registry/local/driver.ts";
import type { Registry } from "../../../src/ports/registry.ts";
import { aRun, aVersion, bundle, codeOf, draft, NOW, registryContract } from "../../contracts/registry.ts";

const CHILD = fileURLToPath(new URL("./local-child.mjs", import.meta.url));

const temporary = () => mkdtemp(path.join(tmpdir(), "sentinel-registry-"));

registryContract(
  "registry-local",
  async () => {
    const dir = await temporary();
    return {
      open: async () => createLocalRegistry({ dir }),
      dispose: () => rm(dir, { recursive: true, force: true }),
    };
  },
  () => `libsql on Node ${process.version}`,
);

describe("registry-local", () => {
  let dir: string;
  let registry: Registry;
  beforeEach(async () => {
    dir = await temporary();
    registry = createLocalRegistry({ dir });
  });
  afterEach(async () => {
    await registry.close();
    await rm(dir, { recursive: true, force: true });
  });

  const child = async (task: string, count: number): Promise<unknown[]> => {
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, dir, task, String(count)]);
    return JSON.parse(stdout) as unknown[];
  };
  const query = (text: string): Record<string, unknown>[] => {
    const database = new Database(path.join(dir, "mlflow.db"));
    try {
      return database.prepare(text).all() as Record<string, unknown>[];
    } finally {
      database.close();
    }
  };
  const execute = (text: string): void => {
    const database = new Database(path.join(dir, "mlflow.db"));
    database.exec(text);
    database.close();
  };
  const artifactsOf = async (version: number): Promise<string> => {
    const [{ storage_location: location }] = query(`SELECT * FROM model_versions WHERE version = ${version}`);
    return path.join(dir, String(location));
  };

  test("reading makes no files", async () => {
    await registry.versions("m");
    await registry.aliases("m");
    expect(await readdir(dir)).toEqual([]);
  });

  test("writes are one file of SQLite, the artifacts and the journal's copy; no side files stay", async () => {
    await aVersion(registry);
    await registry.moveAlias({ model: "card-fraud", alias: "champion", from: null, to: "1", entry: draft() });
    await registry.close();
    expect((await readdir(dir)).sort()).toEqual(["artifacts", "journal.ndjson", "mlflow.db"]);
    expect(await readdir(path.join(dir, "artifacts", ".incoming"))).toEqual([]);
  });

  test("everything moves with the folder", async () => {
    await aVersion(registry);
    await registry.close();
    const elsewhere = `${dir}-moved`;
    await rename(dir, elsewhere);
    const moved = createLocalRegistry({ dir: elsewhere });
    expect((await moved.load("card-fraud", "1")).size).toBe(bundle().size);
    await moved.close();
    await rename(elsewhere, dir);
  });

  test("MLflow's tables hold the links between run, model and version", async () => {
    await aVersion(registry);
    const [model] = query("SELECT * FROM logged_models");
    const [version] = query("SELECT * FROM model_versions");
    expect(model).toMatchObject({ status: 2, lifecycle_stage: "active", name: "card-fraud" });
    expect(version).toMatchObject({
      source: `models:/${model.model_id}`,
      storage_location: model.artifact_location,
      status: "READY",
      current_stage: "None",
      run_id: model.source_run_id,
    });
    expect(model.artifact_location).toBe(`./artifacts/${model.experiment_id}/models/${model.model_id}/artifacts`);
    const tags = query("SELECT tag_key, tag_value FROM logged_model_tags ORDER BY tag_key");
    expect(tags[0]).toEqual({ tag_key: "mlflow.modelVersions", tag_value: '[{"name":"card-fraud","version":1}]' });
    expect(query("SELECT source_type, source_id, destination_type, destination_id FROM inputs")).toEqual([
      {
        source_type: "RUN_OUTPUT",
        source_id: version.run_id,
        destination_type: "MODEL_OUTPUT",
        destination_id: model.model_id,
      },
    ]);
  });

  describe("with other processes", () => {
    test("registrations get numbers of their own, moves come one after the other", async () => {
      const versions = await Promise.all([child("register", 3), child("register", 3), child("register", 3)]);
      expect(
        versions
          .flat()
          .map(Number)
          .sort((a, b) => a - b),
      ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      const moves = await Promise.all([child("move", 10), child("move", 10)]);
      expect(
        moves
          .flat()
          .map(Number)
          .sort((a, b) => a - b),
      ).toEqual(Array.from({ length: 20 }, (_, index) => index));
      const journal = await registry.journal("card-fraud");
      expect(verifyJournal(journal).ok).toBe(true);
      for (const [at, entry] of journal.entries()) expect(entry.from).toBe(at === 0 ? null : journal[at - 1].to);
      for (let version = 1; version <= 9; version++) await registry.load("card-fraud", String(version));
    });

    test("a killed registration leaves nothing visible, and is cleared by the next", async () => {
      for (const patience of [5, 40, 120, 260]) {
        const doomed = spawn(process.execPath, [CHILD, dir, "register-forever", "1000"]);
        await new Promise((resolve) => doomed.stdout.once("data", resolve));
        await sleep(patience);
        doomed.kill("SIGKILL");
        await new Promise((resolve) => doomed.once("exit", resolve));
      }
      for (const { version } of await registry.versions("card-fraud")) await registry.load("card-fraud", version);
      await aVersion(registry);
      expect(await readdir(path.join(dir, "artifacts", ".incoming"))).toEqual([]);
      expect(query("SELECT * FROM logged_models WHERE status = 1")).toEqual([]);
      const ready = query("SELECT model_id FROM logged_models WHERE status = 2").map(({ model_id: id }) => id);
      const folders = await readdir(path.join(dir, "artifacts", "1", "models"));
      expect(folders.sort()).toEqual(ready.sort());
      expect(await registry.versions("card-fraud")).toHaveLength(ready.length);
    });

    test("a registration that is still under way is left alone", async () => {
      await aVersion(registry);
      execute("UPDATE logged_models SET status = 1");
      const owner = JSON.stringify({ pid: process.pid, host: "elsewhere", started: "", since: Date.now() });
      execute(
        `UPDATE logged_model_tags SET tag_key = 'sentinel.owner', tag_value = '${owner}' WHERE tag_key = 'sentinel.bundle'`,
      );
      await aVersion(registry);
      expect(query("SELECT status FROM logged_models ORDER BY status")).toEqual([{ status: 1 }, { status: 2 }]);
    });

    test("a writer that holds the file is waited for", async () => {
      await aRun(registry);
      const holder = new Database(path.join(dir, "mlflow.db"));
      holder.exec("BEGIN IMMEDIATE");
      const waiting = aRun(registry);
      await sleep(150);
      holder.exec("COMMIT");
      holder.close();
      await waiting;
      expect(await registry.runs("card")).toHaveLength(2);
    });
  });

  describe("that cannot be written", () => {
    test("a folder under a file", async () => {
      await writeFile(path.join(dir, "file"), "");
      const nowhere = createLocalRegistry({ dir: path.join(dir, "file", "models") });
      expect(await codeOf(aRun(nowhere))).toBe("registry.unwritable");
      expect(await nowhere.versions("m")).toEqual([]);
    });

    test.runIf(existsSync("/proc/version"))("a folder of a file system that takes none", async () => {
      expect(await codeOf(aRun(createLocalRegistry({ dir: "/proc/sentinel" })))).toBe("registry.unwritable");
    });

    test("a folder in the place of the file", async () => {
      await mkdir(path.join(dir, "mlflow.db"));
      expect(await codeOf(aRun(registry))).toBe("registry.unwritable");
      expect(await codeOf(registry.versions("m"))).toBe("registry.unreachable");
    });

    test("artifacts that cannot be stored leave no version", async () => {
      const runId = await aRun(registry);
      await writeFile(path.join(dir, "artifacts"), "");
      const input = { model: "m", runId, files: bundle(), description: "", tags: {}, at: NOW };
      expect(await codeOf(registry.register(input))).toBe("registry.unwritable");
      expect(await registry.versions("m")).toEqual([]);
      expect(query("SELECT status FROM logged_models")).toEqual([{ status: 3 }]);
      await rm(path.join(dir, "artifacts"));
      expect((await registry.register(input)).version).toBe("1");
    });
  });

  describe("with foreign files", () => {
    test("no SQLite at all", async () => {
      await writeFile(path.join(dir, "mlflow.db"), "id,amount\n".repeat(200));
      expect(await codeOf(registry.versions("m"))).toBe("registry.corrupt");
      expect(await codeOf(aRun(registry))).toBe("registry.corrupt");
    });

    test("SQLite of something else is left as it is", async () => {
      execute("CREATE TABLE recipes(name TEXT)");
      expect(await codeOf(registry.aliases("m"))).toBe("registry.corrupt");
      expect(await codeOf(aRun(registry))).toBe("registry.corrupt");
      expect(query("SELECT name FROM sqlite_master")).toEqual([{ name: "recipes" }]);
    });

    test("an empty file is filled", async () => {
      await writeFile(path.join(dir, "mlflow.db"), "");
      expect(await registry.versions("m")).toEqual([]);
      expect(await aVersion(registry)).toBe("1");
    });

    test("a newer schema that lacks a column of ours", async () => {
      await aVersion(registry);
      execute("UPDATE alembic_version SET version_num = 'ffffffffffff'");
      execute("ALTER TABLE model_versions RENAME COLUMN storage_location TO place");
      expect(await codeOf(registry.versions("card-fraud"))).toBe("registry.corrupt");
    });

    test("a newer schema that demands a column we do not know", async () => {
      await aVersion(registry);
      execute("CREATE TABLE t AS SELECT * FROM registered_model_aliases; DROP TABLE registered_model_aliases");
      execute("CREATE TABLE registered_model_aliases(alias TEXT, version INTEGER, name TEXT, region TEXT NOT NULL)");
      execute("UPDATE alembic_version SET version_num = 'ffffffffffff'");
      expect(await codeOf(registry.versions("card-fraud"))).toBe("registry.corrupt");
    });

    test("a newer schema that still fits is used, also when it changes while open", async () => {
      await aVersion(registry);
      execute("UPDATE alembic_version SET version_num = 'ffffffffffff'");
      execute("ALTER TABLE model_versions ADD COLUMN workspace VARCHAR(63) NOT NULL DEFAULT 'default'");
      execute(`INSERT INTO model_versions(name, version, status, current_stage, workspace)
        VALUES ('card-fraud', 7, 'READY', 'None', 'other')`);
      expect(await aVersion(registry)).toBe("2");
      expect((await registry.versions("card-fraud")).map(({ version }) => version)).toEqual(["1", "2"]);
    });

    test("a version that MLflow deleted is gone, its number stays used", async () => {
      await aVersion(registry);
      await aVersion(registry);
      execute("UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE version = 2");
      expect(await codeOf(registry.version("card-fraud", "2"))).toBe("registry.version-unknown");
      expect(await aVersion(registry)).toBe("3");
    });

    test("a file that goes away is missed, and found again", async () => {
      await aVersion(registry);
      await registry.moveAlias({ model: "card-fraud", alias: "champion", from: null, to: "1", entry: draft() });
      await rename(path.join(dir, "mlflow.db"), path.join(dir, "away"));
      expect(await codeOf(registry.aliases("card-fraud"))).toBe("registry.missing");
      await rename(path.join(dir, "away"), path.join(dir, "mlflow.db"));
      expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
    });

    test("a file that was replaced is seen", async () => {
      await aVersion(registry);
      const other = await temporary();
      await cp(dir, other, { recursive: true });
      await aVersion(registry);
      await rename(path.join(other, "mlflow.db"), path.join(dir, "mlflow.db"));
      expect(await registry.versions("card-fraud")).toHaveLength(1);
      await rm(other, { recursive: true });
    });
  });

  describe("with damaged files", () => {
    test("one changed byte is found and the file named", async () => {
      await aVersion(registry);
      const file = path.join(await artifactsOf(1), "models", "gbdt.bin");
      const bytes = await readFile(file);
      bytes[1_234] ^= 1;
      await writeFile(file, bytes);
      await expect(registry.load("card-fraud", "1")).rejects.toMatchObject({
        code: "registry.corrupt",
        message: expect.stringContaining("models/gbdt.bin"),
      });
    });

    test.each([
      ["cut off", (file: string) => truncate(file, 9)],
      ["longer", (file: string) => appendFile(file, "x")],
      ["gone", (file: string) => rm(file)],
    ])("a file that is %s is named", async (_, damage) => {
      await aVersion(registry);
      await damage(path.join(await artifactsOf(1), "bundle.json"));
      await expect(registry.load("card-fraud", "1")).rejects.toMatchObject({
        code: "registry.corrupt",
        message: expect.stringContaining("bundle.json"),
      });
    });

    test.each([
      ["gone", () => null],
      ["no JSON", () => "{"],
      ["shortened", (text: string) => JSON.stringify({ files: JSON.parse(text).files.slice(1) })],
      ["leading out", (text: string) => text.replace('"empty"', '"../files.json"')],
    ])("a list of files that is %s is named", async (_, damage) => {
      await aVersion(registry);
      const list = path.join(path.dirname(await artifactsOf(1)), "files.json");
      const text = damage(await readFile(list, "utf8"));
      await (text === null ? rm(list) : writeFile(list, text));
      await expect(registry.load("card-fraud", "1")).rejects.toMatchObject({
        code: "registry.corrupt",
        message: expect.stringContaining("files.json"),
      });
    });

    test("a version that somebody else registered is not loaded", async () => {
      await aVersion(registry);
      execute("DELETE FROM model_version_tags");
      expect((await registry.version("card-fraud", "1")).bundle).toBe("");
      expect(await codeOf(registry.load("card-fraud", "1"))).toBe("registry.no-bundle");
    });

    test.each(["./artifacts/../../etc", "/etc", "s3://bucket/x"])("files at %s are not read", async (place) => {
      await aVersion(registry);
      execute(`UPDATE model_versions SET storage_location = '${place}'`);
      expect(await codeOf(registry.load("card-fraud", "1"))).toBe("registry.corrupt");
    });
  });

  describe("the journal", () => {
    const move = (from: string | null, to: string | null) =>
      registry.moveAlias({ model: "card-fraud", alias: "champion", from, to, entry: draft() });
    const copy = async () =>
      (await readFile(path.join(dir, "journal.ndjson"), "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);

    test("cannot be changed by a slip, and shows when it was changed on purpose", async () => {
      await aVersion(registry);
      await move(null, "1");
      await move("1", null);
      await move(null, "1");
      expect(() => execute("UPDATE sentinel_journal SET reason = 'x'")).toThrow(/append-only/);
      expect(() => execute("DELETE FROM sentinel_journal")).toThrow(/append-only/);
      execute("DROP TRIGGER sentinel_journal_keeps_fields");
      execute("UPDATE sentinel_journal SET actor = 'eve' WHERE position = 1");
      expect(verifyJournal(await registry.journal("card-fraud"))).toMatchObject({ ok: false, badIndex: 1 });
      execute("DROP TRIGGER sentinel_journal_keeps_entries");
      execute("DELETE FROM sentinel_journal WHERE position = 0");
      expect(verifyJournal(await registry.journal("card-fraud"))).toMatchObject({ ok: false, badIndex: 0 });
    });

    test("from before aliases moved together is read, verified and continued", async () => {
      await aVersion(registry);
      await aVersion(registry);
      await move(null, "1");
      execute("ALTER TABLE sentinel_journal DROP COLUMN also");
      const old = await createLocalRegistry({ dir }).journal("card-fraud");
      expect(old).toHaveLength(1);
      expect(verifyJournal(old).ok).toBe(true);
      // The one that has been open since before, and one that opens anew.
      expect(await registry.journal("card-fraud")).toEqual(old);
      const also = [{ alias: "previous", from: null, to: "1" }];
      const together = { model: "card-fraud", alias: "champion", from: "1", to: "2", also, entry: draft() };
      const written = await createLocalRegistry({ dir }).moveAlias(together);
      const journal = await registry.journal("card-fraud");
      expect(journal).toEqual([...old, written]);
      expect(verifyJournal(journal).ok).toBe(true);
      expect(await copy()).toEqual(journal);
    });

    test("shows a step whose other moves are no JSON, or others", async () => {
      await aVersion(registry);
      const also = [{ alias: "previous", from: null, to: "1" }];
      await registry.moveAlias({ model: "card-fraud", alias: "champion", from: null, to: "1", also, entry: draft() });
      execute("DROP TRIGGER sentinel_journal_keeps_fields");
      for (const text of ["", "null", "[null]", "[{}]", "{", '[{"alias":"previous","from":null,"to":"2"}]']) {
        execute(`UPDATE sentinel_journal SET also = '${text}'`);
        const journal = await registry.journal("card-fraud");
        expect(verifyJournal(journal), text).toMatchObject({ ok: false, badIndex: 0 });
        expect(movesOf(journal[0])[0]).toEqual({ alias: "champion", from: null, to: "1" });
      }
      execute("UPDATE sentinel_journal SET also = NULL");
      expect(verifyJournal(await registry.journal("card-fraud"))).toMatchObject({ ok: false, badIndex: 0 });
    });

    test("has a copy as text, which catches up", async () => {
      await aVersion(registry);
      await move(null, "1");
      await move("1", null);
      expect(await copy()).toEqual(await registry.journal("card-fraud"));
      const file = path.join(dir, "journal.ndjson");
      const [first] = (await readFile(file, "utf8")).split("\n");
      await writeFile(file, `${first}\n{"cut o`);
      await move(null, "1");
      const lines = (await readFile(file, "utf8")).trim().split("\n");
      expect(lines[1]).toBe('{"cut o');
      const whole = lines.filter((_, at) => at !== 1).map((line) => JSON.parse(line) as unknown);
      expect(whole).toEqual(await registry.journal("card-fraud"));
    });

    test("goes on when its copy cannot be written", async () => {
      await aVersion(registry);
      await mkdir(path.join(dir, "journal.ndjson"));
      await move(null, "1");
      expect(await registry.journal("card-fraud")).toHaveLength(1);
    });
  });
});
