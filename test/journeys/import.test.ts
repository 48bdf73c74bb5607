// Foreign models live like our own: imported, served, shadowed, promoted, replayed and rolled back, with their library's scores.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { readManifest } from "../../src/online/bundle.ts";
import type { PredictionRecord, ShadowPair } from "../../src/ports/log.ts";
import { edit, makeWorkspace, removeWorkspace, sentinelJson, serve } from "../cli/sentinel.ts";
import { type Answered, livePayments, load, SMALL_WORLD, writeHistory } from "./traffic.ts";

const TOLERANCE = 1e-6;
const REQUESTS = 400;
const MODELS = fileURLToPath(new URL("../reference/foreign", import.meta.url));
const XGBOOST = path.join(MODELS, "card-xgboost.json");
const ONNX = path.join(MODELS, "card-logistic.onnx");
const FORCED = ["--force", "--reason", "a test of importing"];

let dir: string;
/** Names of the features, in the order of the vectors. */
let features: readonly string[] = [];
const { requests } = livePayments(20, SMALL_WORLD);
const run = (...args: string[]) => sentinelJson(args, { cwd: dir });

beforeAll(async () => {
  dir = makeWorkspace();
  // A loaded machine must not cost coverage.
  edit(dir, "pipelines/card.yaml", (text) => text.replace("timeout: 250ms", "timeout: 5s"));
  await writeHistory(dir, SMALL_WORLD);
});

afterAll(() => removeWorkspace(dir));

test("an XGBoost model becomes candidate through the gates, then champion", async () => {
  const imported = await run("import", XGBOOST, "--calibrate", "none", ...FORCED);
  expect(imported).toMatchObject({
    code: 0,
    json: {
      version: { version: "1" },
      imported: { format: "xgboost", title: "XGBoost 3.2.0", file: "card-xgboost.json" },
    },
  });
  expect(imported.json.verdicts.map(({ gate }: { gate: string }) => gate)).toEqual(["data", "training", "logic"]);
  expect((await run("registry", "list")).json.aliases).toEqual({ candidate: "1" });
  expect(await run("promote", ...FORCED)).toMatchObject({ code: 0, json: { moved: true, to: "1" } });
});

test("an ONNX model becomes candidate beside it, and the card says where it comes from", async () => {
  const imported = await run("import", ONNX, "--calibrate", "none", ...FORCED);
  expect(imported).toMatchObject({ code: 0, json: { version: { version: "2" }, imported: { format: "onnx" } } });
  expect(imported.json.imported.notes).toEqual([
    'The class "1" of "0", "1" counts as fraud.',
    "ONNX Runtime computes it.",
  ]);
  expect(imported.json.champion.version).toBe("1");
  const registry = createLocalRegistry({ dir: path.join(dir, "models") });
  try {
    for (const [version, engine] of [
      ["1", undefined],
      ["2", { kind: "onnx", margin: expect.any(String) }],
    ] as const) {
      const files = await registry.load("card-fraud", version);
      const { provenance, ...manifest } = readManifest(files);
      features = manifest.features.features.map(({ name }) => name);
      expect(manifest.engine).toEqual(engine);
      expect(files.has("trees.bin")).toBe(engine === undefined);
      expect(new TextDecoder().decode(files.get("card.md")!)).toContain(`sha256 \`${provenance.imported!.sha256}\``);
    }
    const last = (await registry.journal("card-fraud")).at(-1)!;
    expect(last).toMatchObject({ verb: "import", alias: "candidate", to: "2", reason: "a test of importing" });
  } finally {
    await registry.close();
  }
});

test("the champion answers as XGBoost would, the candidate shadows every answer as ONNX Runtime would", async () => {
  const server = await serve(dir);
  const answers: Answered[] = [];
  try {
    await load(server.url, requests.slice(0, REQUESTS), { clients: 2, answered: answers });
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    // A report is kept for a while: it is asked for when there is nothing to wait for any more.
    await expect.poll(() => scoredCount(server.url), { timeout: 20_000 }).toBe(REQUESTS);
    expect(await shadowed(server.url)).toMatchObject({ version: "2", scored: REQUESTS });
  } finally {
    expect(await server.stop("SIGTERM")).toMatchObject({ code: 0 });
  }
  const { records, pairs } = await logged("2");
  expect(records).toHaveLength(REQUESTS);
  expect(pairs).toHaveLength(REQUESTS);
  const theirs = await scoresOfOnnx(records);
  const xgboost = scorerOfXgboost();
  const byId = new Map(pairs.map((pair) => [pair.transactionId, pair]));
  records.forEach((record, i) => {
    expect(Math.abs(record.score - xgboost(record.vector))).toBeLessThanOrEqual(TOLERANCE);
    expect(Math.abs(byId.get(record.transactionId)!.candidate.score - theirs[i])).toBeLessThanOrEqual(TOLERANCE);
  });
  expect(new Set(records.map(({ score }) => score)).size).toBeGreaterThan(20);
});

test("promoted, the ONNX model answers, and a replay finds every vector and score again", async () => {
  expect(await run("promote", ...FORCED)).toMatchObject({ code: 0, json: { from: "1", to: "2" } });
  const server = await serve(dir);
  const answers: Answered[] = [];
  try {
    await load(server.url, requests.slice(REQUESTS, 2 * REQUESTS), { clients: 2, answered: answers });
    expect(answers.filter(({ status, body }) => status !== 200 || body.model.version !== "2")).toEqual([]);
    // Exact attribution needs trees: the answer stands and says so, a question for nothing else is refused by name.
    const why = await fetch(`${server.url}/predict?explain=true`, post({ id: "why", amount: 5 }));
    expect(why.status).toBe(200);
    expect(await why.json()).toMatchObject({
      score: expect.any(Number),
      reasons: null,
      reasons_absent: { code: "not-explainable", text: expect.stringMatching(/version 2 .* is an ONNX graph/) },
    });
    const explained = await fetch(`${server.url}/explain`, post({ transaction_id: "why" }));
    expect(explained.status).toBe(422);
    expect(explained.headers.get("content-type")).toBe("application/problem+json");
    expect(await explained.json()).toMatchObject({
      code: "ml.not-explainable",
      title: "This model cannot be explained",
      hint: expect.stringMatching(/XGBoost or LightGBM/),
    });
  } finally {
    await server.stop("SIGTERM");
  }
  expect(await run("explain", "why")).toMatchObject({
    code: 2,
    json: { error: { code: "ml.not-explainable", hint: expect.stringMatching(/--version/) } },
  });
  // By the version of trees the same transaction is explained.
  expect(await run("explain", "why", "--version", "1")).toMatchObject({ code: 0 });
  const { records } = await logged("1");
  const own = records.filter(({ version }) => version === "2");
  expect(own).toHaveLength(REQUESTS + 1);
  const theirs = await scoresOfOnnx(own);
  own.forEach((record, i) => {
    expect(record.degraded).toBe(false);
    expect(Math.abs(record.score - theirs[i])).toBeLessThanOrEqual(TOLERANCE);
  });
  expect(await run("replay")).toMatchObject({
    code: 0,
    json: { verdict: "pass", mismatchCount: 0, compared: 2 * REQUESTS + 1, scoresCompared: 2 * REQUESTS + 1 },
  });
});

test("a rollback puts the XGBoost model back", async () => {
  expect(await run("rollback", "--reason", "a test")).toMatchObject({ code: 0, json: { from: "2", to: "1" } });
  const { json } = await run("registry", "history");
  expect(json.chain.ok).toBe(true);
  expect(json.entries.map(({ verb }: { verb: string }) => verb)).toEqual(
    expect.arrayContaining(["import", "promote", "rollback"]),
  );
});

function post(body: object): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** How often the candidate has scored, by the server's metrics. */
async function scoredCount(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^sentinel_shadow_outcomes_total\{[^}]*outcome="scored"[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** The ledger of the only candidate. */
async function shadowed(url: string): Promise<unknown> {
  const { candidates } = (await (await fetch(`${url}/shadow/report`)).json()) as {
    readonly candidates: readonly { readonly version: string; readonly coverage: object | null }[];
  };
  expect(candidates).toHaveLength(1);
  return { version: candidates[0].version, ...candidates[0].coverage };
}

async function logged(candidate: string): Promise<{ records: PredictionRecord[]; pairs: ShadowPair[] }> {
  const log = createSqliteLog({ file: path.join(dir, "models", "state", "card-log.db") });
  try {
    const pairs: ShadowPair[] = [];
    for await (const pair of log.pairs(candidate)) pairs.push(pair);
    return { records: [...(await log.recent(10 * REQUESTS))], pairs };
  } finally {
    await log.close();
  }
}

interface Document {
  readonly learner: {
    readonly feature_names: readonly string[];
    readonly learner_model_param: { readonly base_score: string };
    readonly gradient_booster: { readonly model: { readonly trees: readonly XgboostTree[] } };
  };
}

interface XgboostTree {
  readonly left_children: readonly number[];
  readonly right_children: readonly number[];
  readonly split_indices: readonly number[];
  readonly split_conditions: readonly number[];
  readonly default_left: readonly number[];
}

/** XGBoost's prediction by its document alone: a second reading of the format, on the features of the pipeline. */
function scorerOfXgboost(): (vector: Float32Array) => number {
  const { learner } = JSON.parse(readFileSync(XGBOOST, "utf8")) as Document;
  const start = Number(learner.learner_model_param.base_score.replace(/[[\]]/g, ""));
  const places = placesOf(learner.feature_names);
  return (vector) => {
    let margin = Math.log(start / (1 - start));
    for (const tree of learner.gradient_booster.model.trees) {
      let node = 0;
      while (tree.left_children[node] >= 0) {
        const value = vector[places[tree.split_indices[node]]];
        const isLeft = Number.isNaN(value)
          ? tree.default_left[node] === 1
          : value < Math.fround(tree.split_conditions[node]);
        node = isLeft ? tree.left_children[node] : tree.right_children[node];
      }
      margin += tree.split_conditions[node];
    }
    return 1 / (1 + Math.exp(-margin));
  };
}

/** The file's own probabilities, by the public interface of ONNX Runtime. */
async function scoresOfOnnx(records: readonly PredictionRecord[]): Promise<number[]> {
  const session = await InferenceSession.create(ONNX);
  const { feature_names: names } = (JSON.parse(readFileSync(XGBOOST, "utf8")) as Document).learner;
  const places = placesOf(names);
  const data = Float32Array.from(records.flatMap(({ vector }) => places.map((place) => vector[place])));
  const input = new Tensor("float32", data, [records.length, places.length]);
  const output = await session.run({ [session.inputNames[0]]: input }, ["probabilities"]);
  return records.map((_, i) => Number(output.probabilities.data[2 * i + 1]));
}

/** Places of features in the vectors of both bundles, which have the pipeline's own spec. */
function placesOf(names: readonly string[]): number[] {
  return names.map((name) => features.indexOf(name));
}
