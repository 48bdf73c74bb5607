// The registry on a real MLflow server: the port's contract, then what only a server and a network can do to us.
import { existsSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import Database from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bundleHash } from "../../../src/core/bundle.ts";
import { nextEntry, verifyJournal } from "../../../src/core/journal.ts";
import { createMlflowRegistry } from "../../../src/drivers/registry/mlflow/driver.ts";
import type { AdoptedEntry, JournalEntry, Registry } from "../../../src/ports/registry.ts";
import { makeWorkspace, removeWorkspace, sentinel, sentinelJson } from "../../cli/sentinel.ts";
import { aRun, aVersion, bundle, codeOf, draft, NOW, registryContract } from "../../contracts/registry.ts";
import { runPython } from "../../python.ts";
import { type Fault, type FaultyProxy, startFaultyProxy } from "../faulty-proxy.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../mlflow-server.ts";

if (!mlflowInstalled) {
  console.warn("SKIPPED all tests against an MLflow server: no .cache/venv-mlflow; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("MLflow is installed", () => {
    expect(mlflowInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

/** Milliseconds; short, so that a server that hangs is soon given up. */
const IMPATIENT = { attempt: 300, call: 600, file: 600 };

describe.runIf(mlflowInstalled)("on a server", () => {
  let server: MlflowProcess;
  beforeAll(async () => {
    server = await borrowMlflow();
  });
  afterAll(() => server?.dispose());

  registryContract(
    "registry-mlflow",
    async () => {
      server.empty();
      return { open: async () => createMlflowRegistry({ server }), dispose: async () => {} };
    },
    async () => `MLflow ${await server.version()}`,
  );

  describe("registry-mlflow", () => {
    let proxy: FaultyProxy;
    let registry: Registry;
    beforeEach(async () => {
      server.empty();
      proxy = await startFaultyProxy(server.uri);
      registry = createMlflowRegistry({ server: proxy });
    });
    afterEach(() => proxy.close());

    const query = (text: string): Record<string, unknown>[] => {
      const database = new Database(path.join(server.dir, "mlflow.db"));
      try {
        return database.prepare(text).all() as Record<string, unknown>[];
      } finally {
        database.close();
      }
    };
    const execute = (text: string): void => {
      const database = new Database(path.join(server.dir, "mlflow.db"));
      database.exec(`PRAGMA busy_timeout = 5000; ${text}`);
      database.close();
    };
    /** The first request that matches suffers it, the others pass. */
    const once = (pattern: RegExp, fault: Fault): void => {
      let done = false;
      proxy.fault = (line) => {
        if (done || !pattern.test(line)) return null;
        done = true;
        return fault;
      };
    };
    const move = (from: string | null, to: string | null, changes: Parameters<typeof draft>[0] = {}) =>
      registry.moveAlias({ model: "card-fraud", alias: "champion", from, to, entry: draft(changes) });
    const storedAs = (name: string): string => {
      const [{ storage_location: location }] = query("SELECT storage_location FROM model_versions");
      return path.join(server.dir, "files", String(location).replace(/^mlflow-artifacts:\/+/, ""), name);
    };

    test("MLflow has the links between run, model and version, and Python loads the files", async () => {
      await aVersion(registry);
      await move(null, "1");
      const [model] = query("SELECT * FROM logged_models");
      const [version] = query("SELECT * FROM model_versions");
      expect(model).toMatchObject({ status: 2, name: "card-fraud", model_type: "sentinel" });
      expect(version).toMatchObject({
        source: `models:/${model.model_id}`,
        storage_location: model.artifact_location,
        run_id: model.source_run_id,
      });
      const script = [
        "import hashlib, mlflow, pathlib, sys",
        "mlflow.set_tracking_uri(sys.argv[1])",
        "root = pathlib.Path(mlflow.artifacts.download_artifacts('models:/card-fraud@champion'))",
        "names = [n for n in sys.argv[2].split(',')]",
        "lines = [hashlib.sha256((root / n).read_bytes()).hexdigest() + '  ' + n + '\\n' for n in sorted(names)]",
        "print(hashlib.sha256(''.join(lines).encode()).hexdigest())",
      ].join("\n");
      const { PATH, HOME } = process.env;
      const args = ["-c", script, server.uri, [...bundle().keys()].join(",")];
      const stdout = await runPython("venv-mlflow", args, { env: { PATH, HOME }, cwd: server.dir });
      expect(stdout.trim().split("\n").at(-1)).toBe(bundleHash(bundle()));
    });

    describe("when answers are lost", () => {
      test.each([
        ["experiments/create", /POST .*\/experiments\/create/],
        ["runs/create", /POST .*\/runs\/create/],
        ["logged-models", /POST .*\/logged-models$/],
        ["a file", /PUT .*gbdt\.bin/],
        ["finalize", /PATCH .*\/logged-models\//],
        ["registered-models/create", /POST .*\/registered-models\/create/],
        ["model-versions/create", /POST .*\/model-versions\/create/],
        ["the journal's entry", /POST .*\/runs\/log-parameter/],
        ["the alias", /POST .*\/registered-models\/alias/],
      ])("%s is made once", async (_, pattern) => {
        for (const fault of ["lose-answer", "lose-request"] as const) {
          server.empty();
          once(pattern, fault);
          expect(await aVersion(registry)).toBe("1");
          await move(null, "1");
          expect(proxy.seen.some(({ line }) => pattern.test(line))).toBe(true);
          expect(query("SELECT name FROM experiments WHERE name = 'card'")).toHaveLength(1);
          expect(
            query("SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = 'card'"),
          ).toHaveLength(1);
          expect(query("SELECT status FROM logged_models")).toEqual([{ status: 2 }]);
          expect(await registry.versions("card-fraud")).toHaveLength(1);
          expect(await registry.journal("card-fraud")).toHaveLength(1);
          expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
        }
      });

      test("a server that fails for a moment is asked again", async () => {
        await aVersion(registry);
        once(/registered-models\/get/, { status: 503, text: "starting" });
        expect(await registry.aliases("card-fraud")).toEqual({});
      });
    });

    describe("with a server that says no", () => {
      test.each([
        ["asks who we are", { status: 401, text: "You are not authenticated." }, "MLFLOW_TRACKING_USERNAME"],
        ["does not permit it", { status: 403, text: "Permission denied" }, "administrator"],
        ["sends us on", { status: 307, text: "", headers: { location: "https://elsewhere/" } }, "MLFLOW_TRACKING_URI"],
        ["is none of MLflow's", { status: 200, text: "<html>log in</html>" }, "login"],
        [
          "has no workspaces",
          { status: 500, text: '{"error_code":"FEATURE_DISABLED","message":"workspaces"}' },
          "MLFLOW_WORKSPACE",
        ],
      ])("because it %s", async (_, fault, hint) => {
        proxy.fault = () => fault;
        await expect(registry.aliases("m")).rejects.toMatchObject({
          code: "registry.unreachable",
          hint: expect.stringContaining(hint),
        });
        expect(proxy.seen).toHaveLength(1);
      });

      test("because of the name it is called by", async () => {
        proxy.host = "models.example.com";
        await expect(registry.aliases("m")).rejects.toMatchObject({
          code: "registry.unreachable",
          hint: expect.stringContaining("--allowed-hosts"),
        });
      });

      test("secrets go in the header, and in no message", async () => {
        const secret = { username: "ana", password: "correct horse", token: "t0ken", workspace: "team-a" };
        const asked = createMlflowRegistry({ server: { uri: proxy.uri, ...secret }, limits: IMPATIENT });
        proxy.fault = () => ({ status: 401, text: "no" });
        const error = await asked.aliases("m").catch((thrown: unknown) => thrown);
        const [{ headers }] = proxy.seen;
        expect(headers.authorization).toBe(`Basic ${Buffer.from("ana:correct horse").toString("base64")}`);
        expect(headers["x-mlflow-workspace"]).toBe("team-a");
        expect(`${(error as Error).stack}${JSON.stringify(error)}`).not.toMatch(/correct horse|t0ken/);
        const bearer = createMlflowRegistry({ server: { uri: proxy.uri, token: "t0ken" } });
        await bearer.aliases("m").catch(() => {});
        expect(proxy.seen[1].headers.authorization).toBe("Bearer t0ken");
        expect(proxy.seen[1].headers["x-mlflow-workspace"]).toBeUndefined();
      });
    });

    describe("with damaged files", () => {
      test.each([
        [
          "a changed byte",
          async (file: string) =>
            writeFile(
              file,
              (await readFile(file)).map((b, i) => (i === 99 ? b ^ 1 : b)),
            ),
        ],
        [
          "a longer file",
          async (file: string) => writeFile(file, Buffer.concat([await readFile(file), Buffer.from("x")])),
        ],
        ["a file that is gone", (file: string) => rm(file)],
      ])("%s is found and named", async (_, damage) => {
        await aVersion(registry);
        await damage(storedAs("models/gbdt.bin"));
        await expect(registry.load("card-fraud", "1")).rejects.toMatchObject({
          code: "registry.corrupt",
          message: expect.stringContaining("models/gbdt.bin"),
        });
      });

      test("a list of files that leads out is not followed", async () => {
        await aVersion(registry);
        const list = storedAs("sentinel-files.json");
        await writeFile(list, (await readFile(list, "utf8")).replace('"empty"', '"../empty"'));
        expect(await codeOf(registry.load("card-fraud", "1"))).toBe("registry.corrupt");
      });

      test.each([
        ["a file that was cut off on the way up", /PUT .*gbdt\.bin/, "cut-body" as const, "models/gbdt.bin"],
        [
          "a list that was cut off on the way up",
          /PUT .*sentinel-files\.json/,
          "cut-body" as const,
          "sentinel-files.json",
        ],
        ["a file that nobody stored", /PUT .*card\.md/, { status: 200, text: "{}" }, "card.md"],
        [
          "a list that something on the way changed",
          /GET .*artifacts\/.*sentinel-files\.json/,
          { status: 200, text: '{"files":[]}' },
          "sentinel-files.json",
        ],
      ])("%s is named, and never becomes a version", async (_, pattern, fault, named) => {
        const runId = await aRun(registry);
        proxy.fault = (line) => (pattern.test(line) ? fault : null);
        const input = { model: "m", runId, files: bundle(), description: "", tags: {}, at: NOW };
        await expect(registry.register(input)).rejects.toMatchObject({
          code: "registry.corrupt",
          message: expect.stringContaining(named),
        });
        expect(await registry.versions("m")).toEqual([]);
        expect(query("SELECT status FROM logged_models")).toEqual([{ status: 3 }]);
      });
    });

    describe("the journal", () => {
      test("cannot be changed through the server, and shows when the database was changed", async () => {
        await aVersion(registry);
        await move(null, "1");
        await move("1", null);
        const [{ run_uuid: runId }] = query("SELECT run_uuid FROM params");
        const answer = await fetch(`${server.uri}/api/2.0/mlflow/runs/log-parameter`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ run_id: runId, key: "entry.00000000", value: "{}" }),
        });
        expect(answer.status).toBe(400);
        expect(verifyJournal(await registry.journal("card-fraud")).ok).toBe(true);
        execute(
          `UPDATE params SET value = replace(value, '"actor":"ana"', '"actor":"eve"') WHERE "key" = 'entry.00000001'`,
        );
        expect(verifyJournal(await registry.journal("card-fraud"))).toMatchObject({ ok: false, badIndex: 1 });
        execute(`UPDATE params SET value = 'nothing' WHERE "key" = 'entry.00000000'`);
        expect(verifyJournal(await registry.journal("card-fraud"))).toMatchObject({ ok: false, badIndex: 0 });
      });

      test("has a copy as text, which catches up", async () => {
        const copyDir = path.join(server.dir, "copies", "of-the-journal");
        const copying = createMlflowRegistry({ server, copyDir });
        await aVersion(registry);
        await move(null, "1");
        await copying.moveAlias({ model: "card-fraud", alias: "champion", from: "1", to: null, entry: draft() });
        await copying.moveAlias({ model: "card-fraud", alias: "champion", from: null, to: "1", entry: draft() });
        const lines = (await readFile(path.join(copyDir, "journal.ndjson"), "utf8")).trim().split("\n");
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(await registry.journal("card-fraud"));
      });

      describe("of several volumes", () => {
        const BROUGHT = 1_098;
        const copyDir = () => path.join(server.dir, "copies", "volumes");
        const reading = () => createMlflowRegistry({ server: proxy, copyDir: copyDir() });
        const chain = (entries: readonly JournalEntry[]) => entries.map(({ hash }) => hash);
        /** Requests that a reading makes. */
        const asked = async <T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly lines: string[] }> => {
          const lines: string[] = [];
          proxy.fault = (line) => {
            lines.push(line);
            return null;
          };
          const result = await work();
          proxy.fault = () => null;
          return { result, lines };
        };
        /** As if the journal had only so many entries, and nobody had gone on after a run that is now the last. */
        const endAt = (length: number): void => {
          const place = String(length).padStart(8, "0");
          execute(`DELETE FROM params WHERE "key" LIKE 'entry.%' AND "key" >= 'entry.${place}'`);
          execute(
            `DELETE FROM params WHERE "key" = 'next' AND (run_uuid IN (SELECT run_uuid FROM params WHERE "key" = 'entry.${String(length - 1).padStart(8, "0")}') OR run_uuid NOT IN (SELECT run_uuid FROM params WHERE "key" LIKE 'entry.%'))`,
          );
          execute(
            `DELETE FROM experiment_tags WHERE "key" >= 'sentinel.journal.run.${place}' AND "key" < 'sentinel.journal.run.9'`,
          );
        };
        let restore: () => Promise<void>;
        beforeEach(() => restore());
        beforeAll(async () => {
          server.empty();
          for (const folder of ["files", "copies"])
            await rm(path.join(server.dir, folder), { recursive: true, force: true });
          registry = createMlflowRegistry({ server });
          await aVersion(registry);
          await aVersion(registry);
          const entries: AdoptedEntry[] = [];
          let last: JournalEntry | null = null;
          for (let turn = 0; turn < BROUGHT; turn++) {
            const [from, to] = turn === 0 ? [null, "1"] : turn % 2 === 1 ? ["1", "2"] : ["2", "1"];
            const fields = { model: "card-fraud", alias: "champion", from, to, ...draft({ reason: `turn ${turn}` }) };
            const original: JournalEntry = nextEntry(fields, last);
            const { index, previous, hash } = original;
            entries.push({ ...fields, origin: { index, from, to, previous, hash, document: "" } });
            last = original;
          }
          const input = { model: "card-fraud", entries, documents: new Map<string, string>(), actor: "ana", at: NOW };
          await createMlflowRegistry({ server, copyDir: copyDir() }).adopt({ ...input, progress: () => {} });
          restore = await server.keep();
        });

        test("is one chain, read from its end, the copy and the files alike; moves go on in the next volume", async () => {
          await move("2", "1");
          const full = await registry.journal("card-fraud", { asStored: true });
          expect(full.map(({ index }) => index)).toEqual(Array.from({ length: BROUGHT + 1 }, (_, index) => index));
          expect(verifyJournal(full).ok).toBe(true);
          expect(query("SELECT count(*) AS n FROM params WHERE key = 'next'")).toEqual([{ n: 2 }]);
          const byCopy = await asked(() => reading().journal("card-fraud"));
          expect(chain(byCopy.result)).toEqual(chain(full));
          expect(byCopy.lines).toHaveLength(2);
          await rm(copyDir(), { recursive: true });
          const byFiles = await asked(() => reading().journal("card-fraud"));
          expect(chain(byFiles.result)).toEqual(chain(full));
          expect(byFiles.lines.filter((line) => /runs\/get/.test(line))).toHaveLength(1);
          expect(byFiles.lines.filter((line) => /volumes/.test(line))).toHaveLength(2);
        });

        test("a copy or a file that was changed, cut or made up is not believed", async () => {
          const full = chain(await registry.journal("card-fraud", { asStored: true }));
          const copy = path.join(copyDir(), "journal.ndjson");
          const sound = await readFile(copy, "utf8");
          const [{ value: where }] = query("SELECT value FROM experiment_tags WHERE key = 'sentinel.journal.files'");
          const folder = String(where).replace(/^mlflow-artifacts:\/+/, "");
          const file = path.join(server.dir, "files", folder, "volumes", "00000500.ndjson");
          const told = async (): Promise<string> => {
            const words: string[] = [];
            expect(chain(await reading().journal("card-fraud", { doubt: (what) => words.push(what) }))).toEqual(full);
            return words.join("\n");
          };
          expect(await told()).toBe("");
          const [ofCopy, ofFiles] = [/journal's copy on this machine .*journal\.ndjson/, /files of its full runs/];
          for (const text of [
            sound.replace('"actor":"ana"', '"actor":"eve"'),
            sound.replace('"index":7,', '"index:7,'),
            sound.replaceAll('"reason":"turn 7"', '"reason":"turn 8"'),
          ]) {
            await writeFile(copy, text);
            const words = await told();
            expect(words).toMatch(ofCopy);
            expect(words).not.toMatch(ofFiles);
          }
          // Others have moved it since, or nobody on this machine ever did.
          for (const text of [sound.slice(0, sound.length / 3), "{}", ""]) {
            await writeFile(copy, text);
            expect(await told()).toBe("");
          }
          const stored = await readFile(file, "utf8");
          for (const text of [stored.replace('"actor":"ana"', '"actor":"eve"'), stored.slice(0, 5_000), "null\n", ""]) {
            await writeFile(file, text);
            const { result, lines } = await asked(() => reading().journal("card-fraud"));
            expect(chain(result)).toEqual(full);
            expect(lines.filter((line) => /runs\/get/.test(line)).length).toBeGreaterThan(1);
            const words = await told();
            if (text !== "") expect(words).toMatch(ofFiles);
            expect(words).not.toMatch(ofCopy);
          }
          await writeFile(copy, sound.replace('"actor":"ana"', '"actor":"eve"'));
          await writeFile(file, "null\n");
          expect(await told()).toMatch(new RegExp(`${ofCopy.source}.*${ofFiles.source}.*every entry`));
          // What is wrong on the server itself is no fault of the copy: the chain says it.
          execute(`UPDATE params SET value = replace(value, 'turn', 'burn') WHERE "key" = 'entry.00001090'`);
          const words: string[] = [];
          const broken = await reading().journal("card-fraud", { doubt: (what) => words.push(what) });
          expect(verifyJournal(broken)).toMatchObject({ ok: false, badIndex: 1_090 });
          expect(words).toEqual([]);
        });

        test("`registry history` says that the copy was not believed, in words and in JSON", async () => {
          const dir = makeWorkspace();
          try {
            const copies = path.join(dir, "models", "mlflow", new URL(server.uri).host.replace(":", "_"));
            await cp(copyDir(), copies, { recursive: true });
            const env = { MLFLOW_TRACKING_URI: server.uri };
            const sound = await sentinelJson(["registry", "history"], { cwd: dir, env });
            expect(sound).toMatchObject({ code: 0, json: { chain: { ok: true }, notes: [] } });
            const copy = path.join(copies, "journal.ndjson");
            const bytes = await readFile(copy);
            bytes[bytes.indexOf("turn 7") + 5] ^= 1;
            await writeFile(copy, bytes);
            for (const args of [[], ["--at", "2026-01-01"]]) {
              const told = await sentinelJson(["registry", "history", ...args], { cwd: dir, env });
              expect(told.code).toBe(0);
              expect(told.json.notes).toEqual([expect.stringMatching(/^not believed: .*journal\.ndjson/)]);
              const { stdout } = await sentinel(["registry", "history", ...args], { cwd: dir, env });
              expect(stdout.match(/^.*not believed: .*$/gm)).toHaveLength(1);
            }
          } finally {
            removeWorkspace(dir);
          }
        });

        test("a copy of more than the server has, and one that lags, do not change the answer", async () => {
          const copy = path.join(copyDir(), "journal.ndjson");
          const sound = await readFile(copy, "utf8");
          const before = await registry.journal("card-fraud", { asStored: true });
          const more = nextEntry({ ...before[BROUGHT - 1], to: "1", reason: "never happened" }, before[BROUGHT - 1]);
          await writeFile(copy, `${sound}${JSON.stringify(more)}\n`);
          expect(chain(await reading().journal("card-fraud"))).toEqual(chain(before));
          await writeFile(copy, sound);
          await move("2", "1");
          const after = await reading().journal("card-fraud");
          expect(after).toHaveLength(BROUGHT + 1);
          expect(verifyJournal(after).ok).toBe(true);
        });

        test("an entry changed in a full volume shows when every entry is read, one in the last volume at once", async () => {
          const change = (key: string): void =>
            execute(
              `UPDATE params SET value = replace(value, '"actor":"ana"', '"actor":"eve"') WHERE "key" = '${key}'`,
            );
          change("entry.00000700");
          const all = await registry.journal("card-fraud", { asStored: true });
          expect(verifyJournal(all)).toMatchObject({ ok: false, badIndex: 700 });
          expect(verifyJournal(await reading().journal("card-fraud")).ok).toBe(true);
          change("entry.00001001");
          expect(verifyJournal(await reading().journal("card-fraud"))).toMatchObject({ ok: false });
        });

        test("whatever died while a volume was turned, the next mover goes on, in one chain", async () => {
          execute(
            `DELETE FROM experiment_tags WHERE "key" LIKE 'sentinel.journal.%' AND "key" <> 'sentinel.journal.run'`,
          );
          execute(`DELETE FROM params WHERE "key" LIKE 'entry.00001%'`);
          // The third volume is there, without an entry; nothing but the second one's parameter names it.
          await move("2", "1");
          const after = await registry.journal("card-fraud", { asStored: true });
          expect(after).toHaveLength(1_001);
          expect(verifyJournal(after).ok).toBe(true);
          expect(query("SELECT count(*) AS n FROM params WHERE key = 'next'")).toEqual([{ n: 2 }]);
          expect(query("SELECT count(DISTINCT run_uuid) AS n FROM params WHERE key LIKE 'entry.%'")).toEqual([
            { n: 3 },
          ]);
        });

        test("a mover that dies before it names the next run leaves an empty one, which nobody follows", async () => {
          endAt(1_000);
          const runs = () =>
            query(
              "SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = 'sentinel.journal' AND runs.lifecycle_stage = 'active'",
            ).map(({ run_uuid: id }) => String(id));
          const before = runs();
          let begun = false;
          proxy.fault = (line) => {
            begun ||= /POST .*runs\/create/.test(line);
            return begun && /POST .*runs\/log-parameter/.test(line) ? "lose-request" : null;
          };
          expect(await codeOf(move("2", "1"))).toBe("registry.unreachable");
          proxy.fault = () => null;
          const left = runs().filter((id) => !before.includes(id));
          expect(left).toHaveLength(1);
          expect(await registry.journal("card-fraud", { asStored: true })).toHaveLength(1_000);
          expect(await registry.aliases("card-fraud")).toEqual({ champion: "2" });
          await move("2", "1");
          await move("1", "2");
          const after = await registry.journal("card-fraud", { asStored: true });
          expect(after).toHaveLength(1_002);
          expect(verifyJournal(after).ok).toBe(true);
          expect(query(`SELECT key FROM params WHERE run_uuid = '${left[0]}'`)).toEqual([]);
          expect(query(`SELECT key FROM params WHERE value = '${left[0]}'`)).toEqual([]);
          expect(await registry.aliases("card-fraud")).toEqual({ champion: "2" });
        });

        test.each([
          ["the last place of a run", 499, "champion"],
          ["the first place of the next", 500, "champion"],
          ["the last place of a run for two aliases: one has it, the other the next", 499, "candidate"],
        ])("two promoters at once want %s", async (_, place, alias) => {
          endAt(place);
          const [from, to] = place % 2 === 0 ? ["2", "1"] : ["1", "2"];
          execute(`UPDATE registered_model_aliases SET version = ${from}`);
          // Both have decided before either may write.
          let arrived = 0;
          let open = (): void => {};
          const both = new Promise<void>((resolve) => {
            open = resolve;
          });
          proxy.hold = async (line) => {
            if (!/POST .*runs\/log-parameter/.test(line)) return;
            if (++arrived === 2) open();
            await both;
          };
          const promoter = (actor: string, what: { readonly alias: string; readonly from: string | null }) =>
            createMlflowRegistry({ server: proxy }).moveAlias({
              ...what,
              model: "card-fraud",
              to,
              entry: draft({ actor }),
            });
          const same = alias === "champion";
          const results = await Promise.allSettled([
            promoter("ana", { alias: "champion", from }),
            promoter("ben", { alias, from: same ? from : null }),
          ]);
          const lost = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
          expect(lost).toMatchObject(same ? [{ code: "registry.conflict" }] : []);
          const after = await registry.journal("card-fraud", { asStored: true });
          expect(after.slice(place).map(({ index }) => index)).toEqual(same ? [place] : [place, place + 1]);
          expect(verifyJournal(after).ok).toBe(true);
          expect(await registry.aliases("card-fraud")).toEqual(same ? { champion: to } : { champion: to, [alias]: to });
          expect(query("SELECT count(*) AS n FROM params WHERE key = 'next'")).toEqual([
            { n: after.length > 500 ? 1 : 0 },
          ]);
        });

        test("of two who turn a full volume at once, one run counts, and one move wins", async () => {
          endAt(1_000);
          const results = await Promise.allSettled([
            move("2", "1", { reason: "this" }),
            move("2", null, { reason: "that" }),
          ]);
          expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
          const after = await registry.journal("card-fraud", { asStored: true });
          expect(after).toHaveLength(1_001);
          expect(verifyJournal(after).ok).toBe(true);
          const [{ run_uuid: third }] = query("SELECT run_uuid FROM params WHERE key = 'entry.00001000'");
          expect(query(`SELECT lifecycle_stage AS stage FROM runs WHERE run_uuid = '${String(third)}'`)).toEqual([
            { stage: "active" },
          ]);
        });
      });

      test("that was deleted in MLflow is not begun again", async () => {
        await aVersion(registry);
        await move(null, "1");
        execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN (SELECT run_uuid FROM params)");
        expect(await codeOf(registry.journal("card-fraud"))).toBe("registry.corrupt");
        expect(await codeOf(move("1", null))).toBe("registry.corrupt");
      });

      test("refuses an entry that MLflow would cut", async () => {
        await aVersion(registry);
        expect(await codeOf(move(null, "1", { reason: "x".repeat(6_000) }))).toBe("registry.invalid");
        expect(await registry.journal("card-fraud")).toEqual([]);
      });

      test("goes on after somebody moved the alias in MLflow itself", async () => {
        await aVersion(registry);
        await aVersion(registry);
        await move(null, "1");
        execute("UPDATE registered_model_aliases SET version = 2");
        expect(await codeOf(move("1", null))).toBe("registry.conflict");
        await move("2", "1");
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
        expect(verifyJournal(await registry.journal("card-fraud")).ok).toBe(true);
      });

      test("stays one chain when many move at once, and the alias is where it says", async () => {
        await aVersion(registry);
        await aVersion(registry);
        const mover = async (actor: string): Promise<void> => {
          const own = createMlflowRegistry({ server });
          for (let won = 0; won < 3; ) {
            const { champion = null } = await own.aliases("card-fraud");
            const to = champion === "1" ? "2" : "1";
            const entry = draft({ actor });
            const code = await own
              .moveAlias({ model: "card-fraud", alias: "champion", from: champion, to, entry })
              .then(
                () => null,
                (error: { readonly code?: string }) => error.code,
              );
            if (code === null) won++;
            else expect(code).toBe("registry.conflict");
          }
        };
        await Promise.all(["ana", "ben", "cem"].map(mover));
        const journal = await registry.journal("card-fraud");
        expect(journal).toHaveLength(9);
        expect(verifyJournal(journal).ok).toBe(true);
        for (const [at, entry] of journal.entries()) expect(entry.from).toBe(at === 0 ? null : journal[at - 1].to);
        expect(await registry.aliases("card-fraud")).toEqual({ champion: journal[8].to });
      });

      test("a move that was cut off after its entry is completed by the same move", async () => {
        await aVersion(registry);
        proxy.fault = (line) => (/POST .*registered-models\/alias/.test(line) ? "lose-request" : null);
        await expect(move(null, "1")).rejects.toMatchObject({
          code: "registry.unreachable",
          message: expect.stringContaining("entry 0"),
        });
        expect(await registry.aliases("card-fraud")).toEqual({});
        proxy.fault = () => null;
        const entry = await move(null, "1", { at: NOW + 1 });
        expect(await registry.journal("card-fraud")).toEqual([entry]);
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
      });

      test("or by the next one of somebody else, who is told", async () => {
        await aVersion(registry);
        await aVersion(registry);
        proxy.fault = (line) => (/POST .*registered-models\/alias/.test(line) ? "lose-request" : null);
        expect(await codeOf(move(null, "1"))).toBe("registry.unreachable");
        proxy.fault = () => null;
        expect(await codeOf(move(null, "2", { actor: "ben" }))).toBe("registry.conflict");
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
        await move("1", "2", { actor: "ben" });
        expect((await registry.journal("card-fraud")).map(({ to }) => to)).toEqual(["1", "2"]);
      });
    });

    describe("with a server that dies", () => {
      const files = new Map([
        ["a.bin", new Uint8Array(16_000_000).fill(7)],
        ["b.bin", new Uint8Array(16_000_000).fill(8)],
      ]);

      test("in the middle of an upload: no version, and the next registration works", async () => {
        const runId = await aRun(registry);
        const input = { model: "card-fraud", runId, files, description: "", tags: {}, at: NOW };
        const direct = createMlflowRegistry({ server });
        let killed = Promise.resolve();
        proxy.hold = async (line) => {
          if (!/PUT .*b\.bin/.test(line)) return;
          proxy.hold = async () => {};
          // 16 MB take longer on their way.
          setTimeout(() => {
            killed = server.kill();
          }, 1);
        };
        expect(await codeOf(registry.register(input))).toBe("registry.unreachable");
        await killed;
        await server.restart();
        expect(await direct.versions("card-fraud")).toEqual([]);
        expect((await direct.register(input)).version).toBe("1");
        expect(bundleHash(await direct.load("card-fraud", "1"))).toBe(bundleHash(files));
      });

      test.each([
        ["before the entry", /POST .*runs\/log-parameter/, { entries: 0, alias: null }],
        ["between the entry and the alias", /POST .*registered-models\/alias/, { entries: 1, alias: null }],
        ["after the alias", /POST .*runs\/set-tag/, { entries: 1, alias: "1" }],
      ])("in a promotion, %s: the same promotion completes it, and once", async (_, pattern, left) => {
        const direct = createMlflowRegistry({ server });
        const hurried = createMlflowRegistry({ server: proxy, limits: { attempt: 2_000, call: 3_000, file: 3_000 } });
        await aVersion(direct);
        proxy.hold = async (line) => {
          if (pattern.test(line)) await server.kill();
        };
        const input = { model: "card-fraud", alias: "champion", from: null, to: "1", entry: draft() };
        expect(await codeOf(hurried.moveAlias(input))).toBe("registry.unreachable");
        await server.restart();
        expect(await direct.journal("card-fraud")).toHaveLength(left.entries);
        expect((await direct.aliases("card-fraud")).champion ?? null).toBe(left.alias);
        const again = left.alias === null ? input : { ...input, from: left.alias, to: null };
        await direct.moveAlias(again);
        const journal = await direct.journal("card-fraud");
        expect(journal.map(({ to }) => to)).toEqual(left.alias === null ? ["1"] : ["1", null]);
        expect(verifyJournal(journal).ok).toBe(true);
        expect((await direct.aliases("card-fraud")).champion ?? null).toBe(again.to);
      });

      test("what it left is swept by a registration a day later, and nothing younger", async () => {
        const direct = createMlflowRegistry({ server });
        await aVersion(direct);
        const runId = await aRun(direct);
        const input = { model: "card-fraud", runId, files: bundle(2), description: "", tags: {}, at: Date.now() };
        proxy.fault = (line) => (/PUT .*card\.md/.test(line) ? { status: 403, text: "gone" } : null);
        expect(await codeOf(registry.register(input))).toBe("registry.unreachable");
        execute("UPDATE logged_models SET status = 1 WHERE status = 3");
        const folders = () => query("SELECT artifact_location FROM logged_models WHERE status = 1");
        const [{ artifact_location: left }] = folders();
        const at = path.join(server.dir, "files", String(left).replace(/^mlflow-artifacts:\/+/, ""));
        expect(existsSync(path.join(at, "models/gbdt.bin"))).toBe(true);
        await direct.register(input);
        expect(existsSync(at)).toBe(true);
        await direct.register({ ...input, at: Date.now() + 86_500_000 });
        expect(existsSync(path.join(at, "models/gbdt.bin"))).toBe(false);
        expect(query("SELECT lifecycle_stage FROM logged_models WHERE status = 1")).toEqual([
          { lifecycle_stage: "deleted" },
        ]);
        for (const { version } of await direct.versions("card-fraud"))
          expect(await direct.inspect("card-fraud", version)).toEqual([]);
      });

      test("while it is polled: unreachable, and found again", async () => {
        const direct = createMlflowRegistry({ server });
        await aVersion(direct);
        await server.kill();
        expect(await codeOf(direct.aliases("card-fraud"))).toBe("registry.unreachable");
        expect(await codeOf(direct.versions("card-fraud"))).toBe("registry.unreachable");
        await server.restart();
        expect(await direct.aliases("card-fraud")).toEqual({});
      });

      test("one that hangs is given up", async () => {
        const impatient = createMlflowRegistry({ server: proxy, limits: IMPATIENT });
        proxy.fault = () => "hang";
        expect(await codeOf(impatient.aliases("card-fraud"))).toBe("registry.unreachable");
        expect(await codeOf(impatient.load("card-fraud", "1"))).toBe("registry.unreachable");
      });
    });
  });
});
