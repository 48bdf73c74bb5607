// What the first version left in a workspace: its bundle, journal, log and state are read, answer and replay to the same bits, and its training gives the same models.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { sha256 } from "../../src/core/hash.ts";
import { readHistory } from "../../src/lifecycle/data/history.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { train } from "../../src/lifecycle/train.ts";
import { verifyRegistry } from "../../src/lifecycle/verify.ts";
import { goldenVector, readGolden, readManifest } from "../../src/online/bundle.ts";
import { loadVersion } from "../../src/online/score.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { createServer } from "../../src/server/server.ts";
import { openPorts } from "../../src/wiring.ts";
import { silent } from "../server/world.ts";

/** scripts/reference/first-version.mjs makes it, by the version itself. */
const KEPT = path.join(import.meta.dirname, "first-version.br");
const quiet = { line: () => {}, progress: () => {} };

interface Answer {
  readonly transaction_id: string;
  readonly score: number;
  readonly anomaly_score: number;
  readonly decision: string;
  readonly model: { readonly bundle: string };
}

let dir: string;
let pipeline: Pipeline;
let ports: Ports;
let close: () => Promise<void>;
let answers: readonly Answer[];

/** A line of names and lengths, then the files one after the other. */
function unpack(to: string): void {
  const whole = brotliDecompressSync(readFileSync(KEPT));
  const end = whole.indexOf("\n");
  let at = end + 1;
  for (const [name, length] of JSON.parse(whole.subarray(0, end).toString()) as [string, number][]) {
    const file = path.join(to, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, whole.subarray(at, at + length));
    at += length;
  }
}

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-first-version-"));
  unpack(dir);
  pipeline = loadPipeline(dir, "card");
  answers = JSON.parse(readFileSync(path.join(dir, "answers.json"), "utf8")) as readonly Answer[];
  const clock = { now: () => Date.UTC(2026, 1, 24), elapsed: () => performance.now() };
  const config = loadConfig({ workspace: dir, environment: {} });
  ({ ports, close } = openPorts(config, { report: quiet, pipeline: "card", clock }));
});
afterAll(async () => {
  await close();
  rmSync(dir, { recursive: true, force: true });
});

/** The table lay elsewhere then: what is in the workspace is it by its hash. */
const replayed = () =>
  replay(ports, { pipeline, history: (origin, plan) => readHistory(ports, pipeline, { origin, plan }) });

test("registry and journal are whole, and the bundle scores what it scored, bit for bit", async () => {
  const registry = await ports.registry();
  const { faults } = await verifyRegistry(registry, { model: pipeline.model, files: true, report: quiet });
  expect(faults).toEqual([]);
  const scorer = await loadVersion(registry, { model: pipeline.model, version: "1" });
  const golden = readGolden(scorer.files);
  expect(golden.length).toBeGreaterThan(10);
  for (const row of golden) expect(scorer.score(goldenVector(row))).toMatchObject({ score: row.score });
  const found: unknown[] = [];
  for await (const entry of (await ports.log()).scan(0)) {
    if (entry.kind !== "prediction") continue;
    const { score, anomalyScore } = scorer.score(entry.record.vector);
    const { transactionId, decision } = entry.record;
    found.push([transactionId, score, anomalyScore, decision, scorer.bundle]);
  }
  const told = answers.map((one) => [one.transaction_id, one.score, one.anomaly_score, one.decision, one.model.bundle]);
  expect(found).toEqual(told);
  expect(new Set(answers.map(({ score }) => score)).size).toBeGreaterThan(10);
});

test("its log replays: every vector and every score", async () => {
  const report = await replayed();
  expect(report).toMatchObject({ verdict: "pass", compared: 60, scoresCompared: 60, mismatchCount: 0 });
});

test("a training on its table, by its files, gives the same trees, graph and features", async () => {
  const by = { pipeline, path: pipeline.source, actor: "ana", packageVersion: "0.1.0", forced: "as then" } as const;
  const { version } = await train(ports, { ...by, verb: "train" });
  const registry = await ports.registry();
  const [then, now] = await Promise.all(["1", version!.version].map((one) => registry.load(pipeline.model, one)));
  for (const name of ["trees.bin", "model.onnx", "MLmodel", "input_example.json", "requirements.txt"])
    expect(sha256(now.get(name)!), name).toBe(sha256(then.get(name)!));
  const [before, after] = [then, now].map(readManifest);
  // The only figures of the manifest that another rule decides today; the forest, too, is another: it cuts no columns made of labels.
  const { review, block } = after.thresholds;
  expect(review).toBeLessThanOrEqual(block);
  expect(after).toEqual({ ...before, thresholds: after.thresholds });
  const scores = [then, now].map((files) =>
    readGolden(files).map((row) => ({ ...row, decision: null, anomalyScore: null })),
  );
  expect(scores[1]).toEqual(scores[0]);
});

test("a server of today goes on with its state, and the log replays from end to end", async () => {
  const options = { logger: silent, announceMs: 0 };
  const schema = JSON.parse(readFileSync(pipeline.schemaFile, "utf8")) as object;
  const server = await createServer({ ports, pipeline, schema, options });
  const model = (await (await server.app.request("/model")).json()) as {
    readonly champion: { readonly version: string; readonly state: { readonly warm: boolean } };
  };
  expect(model.champion).toMatchObject({ version: "1", state: { warm: true } });
  const body = {
    transaction_id: "today",
    time: "2026-02-23T10:00:00Z",
    customer_id: "c3",
    terminal_id: "m2",
    amount: 180,
  };
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await server.app.request("/predict", init);
  expect(response.status, await response.clone().text()).toBe(200);
  await server.stop();
  expect(await replayed()).toMatchObject({ verdict: "pass", compared: 61, mismatchCount: 0 });
});
