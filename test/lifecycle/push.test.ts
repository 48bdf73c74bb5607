// Push on a real server: everything arrives once, in order and provable, whatever was there, and wherever it was cut off.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { journalHash, verifyJournal } from "../../src/core/journal.ts";
import { createFileSnapshots } from "../../src/drivers/files/snapshots.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../src/drivers/registry/mlflow/driver.ts";
import { type PushResult, push } from "../../src/lifecycle/push.ts";
import { verifyRegistry } from "../../src/lifecycle/verify.ts";
import type { JournalDraft, Registry, RegistrySource, RegistryTarget } from "../../src/ports/registry.ts";
import { aVersion, bundle, codeOf, draft, NOW } from "../contracts/registry.ts";
import { type FaultyProxy, startFaultyProxy } from "../drivers/faulty-proxy.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";

const quiet = { line: () => {}, progress: () => {} };
const MODEL = "card-fraud";

/** Three runs, one of them failed; two versions and one of another model; a journal with evidence. */
async function fill(registry: Registry): Promise<void> {
  for (const [turn, status] of (["FINISHED", "FAILED", "FINISHED"] as const).entries()) {
    const runId = await registry.startRun({
      experiment: turn === 2 ? "wire" : "card",
      name: `train ${turn}`,
      startedAt: NOW + turn * 1_000,
      user: "ana",
      tags: { "sentinel.seed": String(turn), note: "größer ☃" },
    });
    await registry.logRun(runId, {
      params: { rounds: "200", seed: String(turn) },
      metrics: [
        { key: "ap", value: 0.7 + turn / 100 },
        { key: "undefined", value: Number.NaN },
        { key: "limit", value: Number.POSITIVE_INFINITY },
        ...[0, 1, 2].map((step) => ({ key: "loss", value: 1 / (1 + step), step, at: NOW + step * 10 })),
      ],
      datasets: [
        { name: "tx", digest: "d".repeat(36), sourceType: "local", source: '{"uri":"tx"}', context: "training" },
      ],
      at: NOW,
    });
    await registry.endRun(runId, status, NOW + turn * 1_000 + 500);
    if (status === "FAILED") continue;
    const model = turn === 2 ? "wire-fraud" : MODEL;
    const tags = { "sentinel.gate.training": "pass" };
    const input = { model, runId, description: `of turn ${turn}`, tags };
    await registry.register({ ...input, files: bundle(turn + 1), at: NOW + turn });
    if (model === MODEL) await registry.register({ ...input, files: bundle(9), at: NOW + 9 });
  }
  await move(registry, null, "1", { at: NOW + 10, verb: "train" });
  await move(registry, "1", "2", { at: NOW + 20 });
}

async function move(
  registry: Registry,
  from: string | null,
  to: string | null,
  changes: Partial<JournalDraft> = {},
): Promise<void> {
  const document = JSON.stringify({ verdict: "PROMOTE", from, to });
  const entry = draft({ evidence: sha256(document), ...changes });
  await registry.moveAlias({ model: MODEL, alias: "champion", from, to, entry, document });
}

/** SENTINEL_PUSH_CUT_EVERY=1 cuts a push off at each of its requests, one after the other. */
const CUT_EVERY = Number(process.env.SENTINEL_PUSH_CUT_EVERY ?? 0);
const everyNth = (requests: number): number[] =>
  Array.from({ length: Math.floor(requests / CUT_EVERY) }, (_, turn) => turn * CUT_EVERY);

/** Of the requests that write, the last of each route: what stands before it is there, and what comes after it is not. */
function lastOfEachKind(seen: FaultyProxy["seen"]): number[] {
  const kinds = new Map<string, number>();
  for (const [at, { line }] of seen.entries()) {
    const [method, route] = line.replace(/\?.*/, "").split(" ");
    // Stored files have their names in the route.
    if (method !== "GET" && !route.endsWith("/search"))
      kinds.set(`${method} ${route.replace(/(artifacts)\/.*/, "$1")}`, at);
  }
  return [...kinds.values()];
}

if (!mlflowInstalled) console.warn("SKIPPED 12 tests of push: no .cache/venv-mlflow");

// One of them pushes some forty times: minutes where others want the machine too.
describe.runIf(mlflowInstalled)("push", { timeout: 300_000 }, () => {
  let server: MlflowProcess;
  let proxy: FaultyProxy;
  let dir: string;
  let source: RegistrySource;
  let target: RegistryTarget;
  beforeAll(async () => {
    server = await borrowMlflow();
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    server.empty();
    dir = mkdtempSync(path.join(tmpdir(), "sentinel-push-"));
    proxy = await startFaultyProxy(server.uri);
    source = createLocalRegistry({ dir });
    target = createMlflowRegistry({ server: proxy, copyDir: path.join(dir, "mlflow", "server") });
    await fill(source);
  });
  afterEach(async () => {
    await source.close();
    await proxy.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const pushed = (model: string | null = null): Promise<PushResult> =>
    push(
      { source, target, mappings: createFileSnapshots({ dir: path.join(dir, "pushed") }), report: quiet },
      { model, actor: "ben", now: NOW + 1_000, mapping: "server.json" },
    );
  const query = (text: string): Record<string, unknown>[] => {
    const database = new Database(path.join(server.dir, "mlflow.db"));
    try {
      return database.prepare(text).all() as Record<string, unknown>[];
    } finally {
      database.close();
    }
  };
  const sound = async (): Promise<void> => {
    const report = await verifyRegistry(target, { model: MODEL, files: true, report: quiet });
    expect(report.faults).toEqual([]);
  };
  /** All that a registry says, without what must differ: ids of runs, what tells where things came from. */
  const told = async (registry: Registry) => {
    const runs = [...(await registry.runs("card")), ...(await registry.runs("wire"))];
    const own = (tags: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(tags).filter(([key]) => !/^sentinel\.(pushed|request)/.test(key)));
    const names = new Map(runs.map(({ runId, name }) => [runId, name]));
    const versions = [...(await registry.versions(MODEL)), ...(await registry.versions("wire-fraud"))];
    return {
      runs: runs.map(({ runId: _id, tags, ...run }) => ({ ...run, tags: own(tags) })),
      versions: versions.map(({ runId, tags, ...version }) => ({ ...version, tags: own(tags), run: names.get(runId) })),
      aliases: await registry.aliases(MODEL),
      journal: (await registry.journal(MODEL)).map(({ origin: _o, previous: _p, hash: _h, ...entry }) => entry),
    };
  };

  test("everything arrives, in order, and the originals of the journal can be proven", async () => {
    const result = await pushed();
    expect(result).toMatchObject({
      runs: { moved: 3, there: 0 },
      versions: { moved: 3, there: 0 },
      entries: { moved: 2, there: 0 },
      numbers: { [MODEL]: { 1: "1", 2: "2" }, "wire-fraud": { 1: "1" } },
      kept: [],
      notes: [],
    });
    expect(await told(target)).toEqual(await told(source));
    expect(
      query("SELECT step, timestamp, value FROM metrics WHERE \"key\" = 'loss' GROUP BY step ORDER BY step"),
    ).toEqual([0, 1, 2].map((step) => ({ step, timestamp: NOW + step * 10, value: 1 / (1 + step) })));
    expect(query("SELECT name, digest, dataset_source FROM datasets")).toContainEqual({
      name: "tx",
      digest: "d".repeat(36),
      dataset_source: '{"uri":"tx"}',
    });
    for (const version of ["1", "2"])
      expect(await target.load(MODEL, version)).toEqual(await source.load(MODEL, version));
    const there = await target.journal(MODEL);
    expect(verifyJournal(there).ok).toBe(true);
    const originals = there.map(({ origin, ...entry }) => {
      const { document: _none, ...was } = origin!;
      return { ...entry, ...was };
    });
    expect(originals).toEqual(await source.journal(MODEL));
    expect(originals.map(journalHash)).toEqual(originals.map(({ hash }) => hash));
    for (const { evidence } of there) expect(sha256((await target.evidence(MODEL, evidence))!)).toBe(evidence);
    await sound();
    const { runs } = JSON.parse(readFileSync(path.join(dir, "pushed", "server.json"), "utf8"));
    expect(Object.keys(runs).sort()).toEqual(
      [...(await source.runs("card")), ...(await source.runs("wire"))].map(({ runId }) => runId).sort(),
    );
  });

  test("notes on experiments arrive, also later ones; what somebody on the server wrote stays", async () => {
    const note = (key: string, value: string): void => {
      const database = new Database(path.join(dir, "mlflow.db"));
      database
        .prepare("INSERT INTO experiment_tags SELECT ?, ?, experiment_id FROM experiments WHERE name = 'card'")
        .run(key, value);
      database.close();
    };
    const notes = () =>
      query(
        `SELECT name, t."key", t.value FROM experiment_tags t JOIN experiments USING (experiment_id)
         WHERE name IN ('card', 'wire') ORDER BY name, t."key"`,
      );
    note("mlflow.note.content", "Käse: the cards' \u20ac");
    note("team", "fraud");
    await pushed();
    const first = [
      { name: "card", key: "mlflow.note.content", value: "Käse: the cards' \u20ac" },
      { name: "card", key: "team", value: "fraud" },
    ];
    expect(notes()).toEqual(first);
    const database = new Database(path.join(server.dir, "mlflow.db"));
    database.exec("PRAGMA busy_timeout = 5000; UPDATE experiment_tags SET value = 'risk' WHERE \"key\" = 'team'");
    database.close();
    note("zone", "eu");
    await pushed();
    expect(notes()).toEqual([
      first[0],
      { name: "card", key: "team", value: "risk" },
      { name: "card", key: "zone", value: "eu" },
    ]);
  });

  test("a second push does nothing, and one after new work moves that alone", async () => {
    await pushed();
    const before = proxy.seen.length;
    expect(await pushed()).toMatchObject({
      runs: { moved: 0, there: 3 },
      versions: { moved: 0, there: 3 },
      entries: { moved: 0, there: 2 },
    });
    expect(proxy.seen.slice(before).filter(({ line }) => !/^GET |\/search/.test(line))).toEqual([]);
    await aVersion(source);
    await move(source, "2", "3", { at: NOW + 30 });
    expect(await pushed()).toMatchObject({
      runs: { moved: 1, there: 3 },
      versions: { moved: 1, there: 3 },
      entries: { moved: 1, there: 2 },
    });
    expect(await target.aliases(MODEL)).toEqual({ champion: "3" });
    await sound();
  });

  test("one model alone comes with its runs alone", async () => {
    expect(await pushed("wire-fraud")).toMatchObject({
      runs: { moved: 1 },
      versions: { moved: 1 },
      entries: { moved: 0 },
    });
    expect(await target.versions(MODEL)).toEqual([]);
    expect(await target.runs("card")).toEqual([]);
    expect(await pushed("nothing")).toMatchObject({ runs: { moved: 0 }, notes: [expect.stringContaining("nothing")] });
  });

  test("cut off at a request of any kind, it goes on: nothing is there twice", async () => {
    await pushed();
    const whole = await told(target);
    for (const at of CUT_EVERY > 0 ? everyNth(proxy.seen.length) : lastOfEachKind(proxy.seen)) {
      server.empty();
      proxy.seen.length = 0;
      // From here on nobody answers: the driver gives up, as a process does that is killed.
      proxy.fault = () => (proxy.seen.length > at ? { status: 403, text: "cut off" } : null);
      await pushed().catch(() => {});
      proxy.fault = () => null;
      await pushed();
      expect(await told(target)).toEqual(whole);
      expect(query("SELECT count(*) AS n FROM runs WHERE name LIKE 'train %'")).toEqual([{ n: 3 }]);
    }
    expect(await pushed()).toMatchObject({ runs: { moved: 0 }, versions: { moved: 0 }, entries: { moved: 0 } });
    await sound();
  });

  test("versions that the server has already keep their numbers; the journal says which is which", async () => {
    await aVersion(target);
    expect((await pushed()).numbers[MODEL]).toEqual({ 1: "2", 2: "3" });
    const journal = await target.journal(MODEL);
    expect(journal.map(({ from, to, origin }) => [from, to, origin?.from, origin?.to])).toEqual([
      [null, "2", null, "1"],
      ["2", "3", "1", "2"],
    ]);
    expect(await target.aliases(MODEL)).toEqual({ champion: "3" });
    await sound();
    await pushed();
    expect(await target.journal(MODEL)).toHaveLength(2);
  });

  test("aliases that moved together arrive together, with their numbers there; the original can be proven", async () => {
    await aVersion(target);
    await source.moveAlias({
      model: MODEL,
      alias: "champion",
      from: "2",
      to: "1",
      also: [
        { alias: "previous", from: null, to: "2" },
        { alias: "candidate-b", from: null, to: "2" },
      ],
      entry: draft({ evidence: "", verb: "rollback" }),
    });
    await pushed();
    const journal = await target.journal(MODEL);
    expect(journal).toHaveLength(3);
    expect(journal[2]).toMatchObject({ alias: "champion", from: "3", to: "2" });
    expect(journal[2].also).toEqual([
      { alias: "previous", from: null, to: "3" },
      { alias: "candidate-b", from: null, to: "3" },
    ]);
    expect(journal[2].origin?.also).toEqual((await source.journal(MODEL))[2].also);
    expect(await target.aliases(MODEL)).toEqual({ champion: "2", previous: "3", "candidate-b": "3" });
    await sound();
    expect((await pushed()).entries).toEqual({ moved: 0, there: 3 });
    expect(await target.aliases(MODEL)).toEqual({ champion: "2", previous: "3", "candidate-b": "3" });
  });

  test("of aliases that moved together, one that the server has already stays", async () => {
    await aVersion(target);
    await target.moveAlias({ model: MODEL, alias: "previous", from: null, to: "1", entry: draft({ evidence: "" }) });
    const also = [{ alias: "previous", from: null, to: "2" }];
    const entry = draft({ evidence: "", verb: "rollback" });
    await source.moveAlias({ model: MODEL, alias: "champion", from: "2", to: "1", also, entry });
    for (let turn = 0; turn < 2; turn++) {
      expect((await pushed()).kept).toEqual([`previous of ${MODEL}`]);
      expect(await target.aliases(MODEL)).toEqual({ champion: "2", previous: "1" });
      const journal = await target.journal(MODEL);
      expect(journal).toHaveLength(5);
      // The history that was brought begins where the server's own ended.
      expect(journal[3].also).toEqual([{ alias: "previous", from: "1", to: "3" }]);
      expect(journal[4]).toMatchObject({ alias: "previous", from: "3", to: "1", verb: "push", verdict: "KEPT" });
      await sound();
    }
  });

  test("an alias that the server has already stays, and its journal says so; also after a second push", async () => {
    await aVersion(target);
    await target.moveAlias({ model: MODEL, alias: "champion", from: null, to: "1", entry: draft({ evidence: "" }) });
    for (let turn = 0; turn < 2; turn++) {
      expect((await pushed()).kept).toEqual([`champion of ${MODEL}`]);
      expect(await target.aliases(MODEL)).toEqual({ champion: "1" });
      const journal = await target.journal(MODEL);
      expect(journal.map(({ from, to, verb }) => [from, to, verb])).toEqual([
        [null, "1", "promote"],
        ["1", "2", "train"],
        ["2", "3", "promote"],
        ["3", "1", "push"],
      ]);
      await sound();
    }
    await target.moveAlias({ model: MODEL, alias: "champion", from: "1", to: "3", entry: draft({ evidence: "" }) });
    await sound();
  });

  test("a promotion on the server between two pushes stays, too", async () => {
    await pushed();
    await target.moveAlias({ model: MODEL, alias: "champion", from: "2", to: "1", entry: draft({ evidence: "" }) });
    await move(source, "2", null, { at: NOW + 30 });
    expect((await pushed()).kept).toEqual([`champion of ${MODEL}`]);
    expect(await target.aliases(MODEL)).toEqual({ champion: "1" });
    await sound();
  });

  test("an entry too long for MLflow is kept as a document, and proven by it", async () => {
    await move(source, "2", "1", { reason: "größer ".repeat(1_400), at: NOW + 40 });
    await pushed();
    const entry = (await target.journal(MODEL))[2];
    expect(entry.reason.length).toBeLessThan(500);
    expect(JSON.parse((await target.evidence(MODEL, entry.origin!.document))!)).toEqual(
      (await source.journal(MODEL))[2],
    );
    await sound();
    const [folder] = readdirSync(path.join(server.dir, "files"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(`${entry.origin!.document}.json`),
    );
    rmSync(path.join(server.dir, "files", folder));
    const { faults } = await verifyRegistry(target, { model: MODEL, files: false, report: quiet });
    expect(faults).toMatchObject([{ what: "origin", entry: 2 }]);
  });

  test("a journal of 300 entries goes over in batches", async () => {
    for (let turn = 0; turn < 300; turn++) {
      const [from, to] = turn % 2 === 0 ? ["2", "1"] : ["1", "2"];
      const entry = draft({ at: NOW + 50 + turn, evidence: "" });
      await source.moveAlias({ model: MODEL, alias: "champion", from, to, entry });
    }
    proxy.seen.length = 0;
    expect(await pushed()).toMatchObject({ entries: { moved: 302 } });
    expect(proxy.seen.length).toBeLessThan(120);
    await sound();
  });

  test("a broken journal, and a server that is not there, are told", async () => {
    const database = new Database(path.join(dir, "mlflow.db"));
    database.exec("DROP TRIGGER sentinel_journal_keeps_fields; UPDATE sentinel_journal SET actor = 'eve'");
    database.close();
    expect(await codeOf(pushed())).toBe("registry.corrupt");
    expect(await target.journal(MODEL)).toEqual([]);
    target = createMlflowRegistry({
      server: { uri: "http://127.0.0.1:9" },
      limits: { attempt: 300, call: 600, file: 600 },
    });
    expect(await codeOf(pushed())).toBe("registry.unreachable");
  });
});
