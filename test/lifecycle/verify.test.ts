// Verify on both registries: sound ones pass, and one flipped bit in a journal, its copy, a file or a document is found and named.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import Database from "libsql";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { nextEntry } from "../../src/core/journal.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../src/drivers/registry/mlflow/driver.ts";
import { type VerifyReport, verifyRegistry } from "../../src/lifecycle/verify.ts";
import type { AdoptedEntry, JournalEntry, Registry, RegistryTarget } from "../../src/ports/registry.ts";
import { aVersion, draft, NOW } from "../contracts/registry.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";

const MODEL = "card-fraud";
const MOVES = 12;
const quiet = { line: () => {}, progress: () => {} };

/** Two versions and an alias that goes back and forth, each time with a document of evidence. */
async function fill(registry: Registry): Promise<void> {
  await aVersion(registry);
  await aVersion(registry);
  for (let turn = 0; turn < MOVES; turn++) {
    const document = JSON.stringify({ verdict: "PROMOTE", turn, text: "größer ☃".repeat(3) });
    await registry.moveAlias({
      model: MODEL,
      alias: "champion",
      from: turn === 0 ? null : String(2 - (turn % 2)),
      to: String(1 + (turn % 2)),
      also: [{ alias: "previous", from: turn === 0 ? null : String(1 + (turn % 2)), to: String(2 - (turn % 2)) }],
      entry: draft({ at: NOW + turn, evidence: sha256(document), reason: `turn ${turn}: "größer" ☃` }),
      document,
    });
  }
}

const verify = (registry: Registry): Promise<VerifyReport> =>
  verifyRegistry(registry, { model: MODEL, files: true, report: quiet });

function flipInFile(file: string, where: number, bit: number): () => void {
  const before = readFileSync(file);
  const after = Buffer.from(before);
  after[Math.floor(where * before.length)] ^= 1 << bit;
  writeFileSync(file, after);
  return () => writeFileSync(file, before);
}

function filesUnder(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => pattern.test(file) && statSync(file).isFile() && statSync(file).size > 0)
    .sort();
}

/** A share of a length, never 1. */
const share = fc.double({ min: 0, max: 0.999_999, noNaN: true });
const bit = fc.integer({ min: 0, max: 7 });

function flipText(text: string, where: number, which: number): string {
  const bytes = Buffer.from(text);
  bytes[Math.floor(where * bytes.length)] ^= 1 << (which % 7);
  return bytes.toString("utf8");
}

describe("the embedded registry", () => {
  let dir: string;
  let registry: Registry;
  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), "sentinel-verify-"));
    registry = createLocalRegistry({ dir });
    await fill(registry);
  });
  afterAll(async () => {
    await registry.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const database = <T>(use: (open: InstanceType<typeof Database>) => T): T => {
    const open = new Database(path.join(dir, "mlflow.db"));
    try {
      return use(open);
    } finally {
      open.close();
    }
  };

  test("is sound as written", async () => {
    expect(await verify(registry)).toEqual({
      model: MODEL,
      where: dir,
      ok: true,
      faults: [],
      notes: [],
      checked: { entries: MOVES, versions: 2, evidence: MOVES },
    });
  });

  test("a flipped bit in a field of a journal row: entry and field are named", async () => {
    const columns = [
      "alias",
      "from_version",
      "to_version",
      "actor",
      "verb",
      "verdict",
      "evidence",
      "reason",
      "previous",
      "hash",
      "also",
    ];
    const names: Readonly<Record<string, string>> = { from_version: "from", to_version: "to" };
    database((open) => open.exec("DROP TRIGGER sentinel_journal_keeps_fields"));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(MOVES - 1),
        fc.constantFrom(...columns),
        share,
        bit,
        async (row, column, where, which) => {
          const [{ value }] = database((open) =>
            open.prepare(`SELECT ${column} AS value FROM sentinel_journal WHERE position = ?`).all(row),
          ) as { value: string | null }[];
          if (value === null || value === "") return;
          const write = (text: string): void =>
            database((open) => {
              open.prepare(`UPDATE sentinel_journal SET ${column} = ? WHERE position = ?`).run(text, row);
            });
          write(flipText(value, where, which));
          const { ok, faults } = await verify(registry);
          write(value);
          expect(ok).toBe(false);
          expect(faults).toContainEqual(
            expect.objectContaining({ what: "journal", entry: row, field: names[column] ?? column }),
          );
        },
      ),
      { numRuns: 60 },
    );
    expect((await verify(registry)).ok).toBe(true);
  });

  test("a journal that was cut off, or lost an entry, is found by its copy", async () => {
    database((open) =>
      open.exec("DROP TRIGGER sentinel_journal_keeps_entries; CREATE TABLE kept AS SELECT * FROM sentinel_journal"),
    );
    for (const lost of [MOVES - 1, 3]) {
      database((open) => open.exec(`DELETE FROM sentinel_journal WHERE position = ${lost}`));
      const { faults } = await verify(registry);
      expect(faults).toContainEqual(expect.objectContaining({ what: "journal", entry: lost }));
      database((open) => open.exec("DELETE FROM sentinel_journal; INSERT INTO sentinel_journal SELECT * FROM kept"));
    }
    database((open) => open.exec("DROP TABLE kept"));
    expect((await verify(registry)).ok).toBe(true);
  });

  test("a journal that was rewritten as a whole is found by its copy", async () => {
    const other = mkdtempSync(path.join(tmpdir(), "sentinel-verify-"));
    const forged = createLocalRegistry({ dir: other });
    await aVersion(forged);
    await forged.moveAlias({
      model: MODEL,
      alias: "champion",
      from: null,
      to: "1",
      entry: draft({ actor: "eve", evidence: "" }),
    });
    writeFileSync(path.join(other, "journal.ndjson"), readFileSync(path.join(dir, "journal.ndjson")));
    const { faults } = await verify(forged);
    expect(faults).toContainEqual(
      expect.objectContaining({ what: "journal", entry: 0, field: expect.stringContaining("actor") }),
    );
    await forged.close();
    rmSync(other, { recursive: true });
  });

  test("a flipped bit on disk, in the pages that hold the journal", async () => {
    const file = path.join(dir, "mlflow.db");
    const { hash } = (await registry.journal(MODEL))[5];
    const at = readFileSync(file).indexOf(hash);
    const { size } = statSync(file);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -200, max: 63 }), bit, async (offset, which) => {
        const mend = flipInFile(file, (at + offset + 0.5) / size, which);
        const opened = createLocalRegistry({ dir });
        const { ok } = await verify(opened);
        await opened.close();
        mend();
        expect(ok).toBe(false);
      }),
      { numRuns: 60 },
    );
    expect((await verify(registry)).ok).toBe(true);
  });

  test("a flipped bit in the journal's copy: the line is named", async () => {
    const file = path.join(dir, "journal.ndjson");
    await fc.assert(
      fc.asyncProperty(share, bit, async (where, which) => {
        const line = readFileSync(file)
          .subarray(0, Math.floor(where * statSync(file).size))
          .toString("latin1")
          .split("\n").length;
        const mend = flipInFile(file, where, which);
        const { faults } = await verify(registry);
        mend();
        expect(faults).toContainEqual(expect.objectContaining({ what: "copy", line, file }));
      }),
      { numRuns: 60 },
    );
  });

  test("a line that a kill cut off is no fault; a line that is missing is", async () => {
    const file = path.join(dir, "journal.ndjson");
    const text = readFileSync(file, "utf8");
    const lines = text.trim().split("\n");
    writeFileSync(
      file,
      `${lines.slice(0, 5).join("\n")}\n${lines[5].slice(0, 40)}\n${lines.slice(5).join("\n")}\n${lines[0].slice(0, 30)}`,
    );
    expect((await verify(registry)).faults).toEqual([]);
    writeFileSync(file, `${lines.filter((_, at) => at !== 5).join("\n")}\n`);
    expect((await verify(registry)).faults).toMatchObject([{ what: "copy", entry: 5 }]);
    writeFileSync(file, text);
  });

  test("a flipped bit in a file of a version or in the list of its files: version and file are named", async () => {
    const files = filesUnder(path.join(dir, "artifacts"), /./);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), share, bit, async (file, where, which) => {
        const mend = flipInFile(file, where, which);
        const { faults } = await verify(registry);
        mend();
        expect(faults.length).toBeGreaterThan(0);
        for (const fault of faults)
          expect(fault).toMatchObject({ what: "version", version: expect.stringMatching(/^[12]$/) });
        if (!file.endsWith("files.json"))
          expect(faults.map((fault) => fault.file)).toEqual([file.split("/artifacts/").at(-1)]);
      }),
      { numRuns: 60 },
    );
  });

  test("a flipped bit in evidence: the entry is named; so is a document that is gone", async () => {
    const files = filesUnder(path.join(dir, "evidence"), /\.json$/);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), share, bit, async (file, where, which) => {
        const mend = flipInFile(file, where, which);
        const { faults } = await verify(registry);
        mend();
        expect(faults).toMatchObject([{ what: "evidence", file: `evidence/${path.basename(file)}` }]);
      }),
      { numRuns: 30 },
    );
    const kept = readFileSync(files[0]);
    rmSync(files[0]);
    expect((await verify(registry)).faults).toMatchObject([
      { what: "evidence", message: expect.stringContaining("gone") },
    ]);
    writeFileSync(files[0], kept);
  });

  test("an alias that was moved past the journal, and one that Sentinel does not use", async () => {
    database((open) =>
      open.exec(
        "UPDATE registered_model_aliases SET version = 1; INSERT INTO registered_model_aliases VALUES ('mine', 1, 'card-fraud')",
      ),
    );
    const { faults, notes } = await verify(registry);
    expect(faults).toMatchObject([{ what: "alias", alias: "champion", entry: MOVES - 1 }]);
    expect(notes).toEqual([expect.stringContaining("mine")]);
    database((open) =>
      open.exec(
        "UPDATE registered_model_aliases SET version = 2 WHERE alias = 'champion'; DELETE FROM registered_model_aliases WHERE alias = 'mine'",
      ),
    );
    expect((await verify(registry)).ok).toBe(true);
  });
});

if (!mlflowInstalled) console.warn("SKIPPED 4 tests of verify on an MLflow server: no .cache/venv-mlflow");

describe.runIf(mlflowInstalled)("the registry on a server", () => {
  let server: MlflowProcess;
  let registry: Registry;
  let copyDir: string;
  let restore: () => Promise<void>;
  beforeAll(async () => {
    server = await borrowMlflow();
    copyDir = path.join(server.dir, "copies");
    await fill(createMlflowRegistry({ server, copyDir }));
    restore = await server.keep();
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    await restore();
    registry = createMlflowRegistry({ server, copyDir });
  });
  const database = <T>(use: (open: InstanceType<typeof Database>) => T): T => {
    const open = new Database(path.join(server.dir, "mlflow.db"));
    try {
      open.exec("PRAGMA busy_timeout = 5000");
      return use(open);
    } finally {
      open.close();
    }
  };

  test("is sound as written", async () => {
    expect(await verify(registry)).toMatchObject({
      ok: true,
      faults: [],
      notes: [],
      checked: { entries: MOVES, versions: 2, evidence: MOVES },
    });
  });

  test("a flipped bit anywhere in an entry in the server's database is found and the entry named", async () => {
    const rows = database((open) =>
      open.prepare(`SELECT "key", value FROM params WHERE "key" LIKE 'entry.%'`).all(),
    ) as {
      key: string;
      value: string;
    }[];
    expect(rows).toHaveLength(MOVES);
    const next = inTurn(rows);
    await fc.assert(
      fc.asyncProperty(share, bit, async (where, which) => {
        const { key, value } = next();
        const write = (text: string): void =>
          database((open) => {
            open.prepare(`UPDATE params SET value = ? WHERE "key" = ?`).run(text, key);
          });
        write(flipText(value, where, which));
        const { faults } = await verify(registry);
        write(value);
        expect(faults).toContainEqual(expect.objectContaining({ what: "journal", entry: Number(key.slice(6)) }));
      }),
      { numRuns: rows.length },
    );
  });

  test("without the copy, too; and with the key of an entry changed, or its last entry gone", async () => {
    const alone = createMlflowRegistry({ server });
    expect((await verify(alone)).notes).toEqual([expect.stringContaining("no copy")]);
    database((open) =>
      open.exec(
        `UPDATE params SET value = replace(value, '"actor":"ana"', '"actor":"eve"') WHERE "key" = 'entry.00000004'`,
      ),
    );
    expect((await verify(alone)).faults).toMatchObject([{ what: "journal", entry: 4 }]);
    expect((await verify(registry)).faults).toMatchObject([
      { what: "journal", entry: 4, field: expect.stringContaining("actor") },
    ]);
    database((open) =>
      open.exec(
        `UPDATE params SET value = replace(value, '"actor":"eve"', '"actor":"ana"') WHERE "key" = 'entry.00000004'`,
      ),
    );
    database((open) => open.exec(`DELETE FROM params WHERE "key" = 'entry.000000${MOVES - 1}'`));
    expect((await verify(registry)).faults).toContainEqual(
      expect.objectContaining({ what: "journal", entry: MOVES - 1 }),
    );
    expect((await verify(alone)).faults).toMatchObject([
      { what: "alias", alias: "champion" },
      { what: "alias", alias: "previous" },
    ]);
  });

  /** Flips a bit in the copy, a stored file or a document, so many times, and looks whether it is named. */
  async function flipFiles(of: Registry, times: number): Promise<void> {
    const kinds = [/gbdt\.bin/, /card\.md/, /bundle\.json/, /sentinel-files/, /evidence/];
    const stored = kinds.map((kind) => filesUnder(path.join(server.dir, "files"), kind));
    for (const files of stored) expect(files.length).toBeGreaterThan(0);
    // Of each kind the first, and in the next turn the last.
    const turns = [0, -1].flatMap((at) => [
      path.join(copyDir, "journal.ndjson"),
      ...stored.map((files) => files.at(at)!),
    ]);
    const next = inTurn(turns);
    await fc.assert(
      fc.asyncProperty(share, bit, async (where, which) => {
        const file = next();
        const mend = flipInFile(file, where, which);
        const { faults } = await verify(of);
        mend();
        const what = file.endsWith("ndjson") ? "copy" : file.includes("evidence") ? "evidence" : "version";
        expect(faults.map((fault) => fault.what)).toContain(what);
        expect(faults.every(({ file: named }) => named !== undefined && file.endsWith(named))).toBe(true);
      }),
      { numRuns: (times * turns.length) / 2 },
    );
    expect((await verify(of)).ok).toBe(true);
  }

  test("a flipped bit in the copy, a stored file or a document", async () => {
    await flipFiles(registry, 2);
  });

  describe("with a journal of several runs", () => {
    const BROUGHT = 1_040;
    const document = JSON.stringify({ verdict: "PROMOTE", text: "größer ☃" });
    let target: RegistryTarget;
    let restoreLong: () => Promise<void>;
    beforeEach(async () => {
      await restoreLong();
      target = createMlflowRegistry({ server, copyDir });
    });
    beforeAll(async () => {
      server.empty();
      rmSync(copyDir, { recursive: true, force: true });
      rmSync(path.join(server.dir, "files"), { recursive: true, force: true });
      target = createMlflowRegistry({ server, copyDir });
      await aVersion(target);
      await aVersion(target);
      const entries: AdoptedEntry[] = [];
      let last: JournalEntry | null = null;
      for (let turn = 0; turn < BROUGHT; turn++) {
        const [from, to] = turn === 0 ? [null, "1"] : turn % 2 === 1 ? ["1", "2"] : ["2", "1"];
        const evidence = turn % 100 === 0 ? sha256(document) : "";
        const said = draft({ at: NOW + turn, evidence, reason: `turn ${turn}: "größer" ☃` });
        const original: JournalEntry = nextEntry({ model: MODEL, alias: "champion", from, to, ...said }, last);
        const { index, previous, hash } = original;
        const fields = { model: MODEL, alias: "champion", from, to, ...said };
        entries.push({ ...fields, origin: { index, from, to, previous, hash, document: "" } });
        last = original;
      }
      const documents = new Map([[sha256(document), document]]);
      await target.adopt({ model: MODEL, entries, documents, actor: "ana", at: NOW, progress: () => {} });
      restoreLong = await server.keep();
    });

    test("a flipped bit in a row of any run, in a run's file, the copy, a document or a stored file is found and named", async () => {
      expect(await verify(target)).toMatchObject({
        ok: true,
        faults: [],
        notes: [],
        checked: { entries: BROUGHT, versions: 2, evidence: 1 },
      });
      const rows = database((open) =>
        open.prepare(`SELECT "key", value FROM params WHERE "key" LIKE 'entry.%' ORDER BY "key"`).all(),
      ) as { key: string; value: string }[];
      expect(rows).toHaveLength(BROUGHT);
      // The first and the last entry of each of the three runs, and one in the middle.
      const next = inTurn([0, 250, 499, 500, 999, 1_000, BROUGHT - 1].map((entry) => rows[entry]));
      await fc.assert(
        fc.asyncProperty(share, bit, async (where, which) => {
          const { key, value } = next();
          const write = (text: string): void =>
            database((open) => {
              open.prepare(`UPDATE params SET value = ? WHERE "key" = ?`).run(text, key);
            });
          write(flipText(value, where, which));
          const { faults } = await verify(target);
          write(value);
          expect(faults).toContainEqual(expect.objectContaining({ what: "journal", entry: Number(key.slice(6)) }));
          expect(faults.map(({ what }) => what)).not.toContain("store");
        }),
        { numRuns: 7 },
      );
      const volumes = filesUnder(path.join(server.dir, "files"), /\.ndjson$/);
      expect(volumes.map((file) => path.basename(file))).toEqual(["00000000.ndjson", "00000500.ndjson"]);
      const nextVolume = inTurn(volumes);
      await fc.assert(
        fc.asyncProperty(share, bit, async (where, which) => {
          const file = nextVolume();
          const before = readFileSync(file).subarray(0, Math.floor(where * statSync(file).size));
          const entry = Number(path.basename(file, ".ndjson")) + before.toString("latin1").split("\n").length - 1;
          const mend = flipInFile(file, where, which);
          const { faults } = await verify(target);
          mend();
          expect(faults).toMatchObject([{ what: "store", file: `volumes/${path.basename(file)}`, entry }]);
        }),
        { numRuns: 6 },
      );
      await flipFiles(target, 1);
    });

    test("a run's file that is cut, longer or another's is named; one that is gone is missed by nobody", async () => {
      const [first, second] = filesUnder(path.join(server.dir, "files"), /\.ndjson$/);
      const sound = readFileSync(second);
      const cut = sound.indexOf("\n", sound.length / 2) + 1;
      const lines = sound.subarray(0, cut).toString("latin1").split("\n").length - 1;
      for (const [bytes, entry] of [
        [sound.subarray(0, cut), 500 + lines],
        [Buffer.concat([sound, Buffer.from("{}\n")]), 1_000],
        [readFileSync(first), 500],
        [Buffer.alloc(0), 500],
      ] as const) {
        writeFileSync(second, bytes);
        expect((await verify(target)).faults).toMatchObject([
          { what: "store", file: "volumes/00000500.ndjson", entry },
        ]);
      }
      rmSync(second);
      expect((await verify(target)).faults).toEqual([]);
      writeFileSync(second, sound);
      // The file has what the database lost: it is not at fault.
      for (const lost of [700, 999])
        database((open) => open.exec(`DELETE FROM params WHERE "key" = 'entry.00000${lost}'`));
      const { faults } = await verify(target);
      expect(faults).toContainEqual(expect.objectContaining({ what: "journal", entry: 700 }));
      expect(faults.map(({ what }) => what)).not.toContain("store");
    });
  });
});

/** Each of them, and again from the first. */
function inTurn<T>(all: readonly T[]): () => T {
  let at = 0;
  return () => all[at++ % all.length];
}
