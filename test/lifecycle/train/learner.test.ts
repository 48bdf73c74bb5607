// What the pipeline says about the learner reaches the bundle: categories, directions, one-side sampling, curves in the run.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import Database from "libsql";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BundleFiles } from "../../../src/core/bundle.ts";
import { Random } from "../../../src/core/random.ts";
import { type Column, numberAt, type Table } from "../../../src/core/table.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import type { TrainResult } from "../../../src/lifecycle/train/task.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { decodeGbdt } from "../../../src/ml/gbdt/model.ts";
import { asksForSet } from "../../../src/ml/trees.ts";
import { loadScorer } from "../../../src/online/score.ts";
import { parsePipeline } from "../../../src/pipeline/pipeline.ts";
import { emptyPlace, type Place } from "../world.ts";

const CHANNELS = ["app", "kiosk", "phone", "shop", "web"];
const SPEC = `// A spec for this test.
import { declareColumns } from "sentinel-fraud";
const f = declareColumns({ amount: "number", channel: "text", customer_id: "key" });
export const mine = f.spec({
  name: "mine",
  version: 1,
  features: [
    f.column("amount"),
    f.category("channel", ${JSON.stringify(CHANNELS.slice(0, 4))}),
    f.window("spend_7d", { key: "customer_id", over: "amount", aggregate: "sum", window: "7d" }),
  ],
});
`;

/** Frauds come by phone and kiosk, others by any channel. */
function withChannel(days: Iterable<Table>): Table[] {
  const random = new Random(1);
  return [...days].map((day) => {
    const label = [...day.columns].find(([name]) => name.endsWith("fraud"))![1];
    const codes = Int32Array.from({ length: day.rows }, (_, row) => {
      if (random.next() < 0.02) return -1;
      return numberAt(label, row) === 1 && random.next() < 0.8 ? 1 + random.integer(2) : random.integer(5);
    });
    const channel: Column = { kind: "text", codes, dictionary: CHANNELS };
    return { ...day, columns: new Map([...day.columns, ["channel", channel]]) };
  });
}

let place: Place;
let result: TrainResult;
let files: BundleFiles;

beforeAll(async () => {
  place = await emptyPlace();
  await place.write(
    "transactions.parquet",
    withChannel(simulateDays({ customers: 400, terminals: 600, seed: 5, days: 50 })),
  );
  writeFileSync(path.join(place.dir, "features", "mine.ts"), SPEC);
  const schema = JSON.parse(readFileSync(place.pipeline.schemaFile, "utf8"));
  schema.properties.channel = { type: ["string", "null"] };
  writeFileSync(place.pipeline.schemaFile, JSON.stringify(schema));
  const file = place.pipeline.file;
  const text = readFileSync(file, "utf8")
    .replace("features: card", "features: mine")
    .replace(/row_sample: .*/, "goss_top: 0.3\n  goss_rest: 0.2\n  monotone: { amount: increasing }");
  const pipeline = parsePipeline(text, { file, workspace: place.dir });
  const given = { pipeline, path: pipeline.source, actor: "tester", packageVersion: "0", verb: "train" } as const;
  result = await train(place.ports, { ...given, forced: "a test needs a model", threads: 2 });
  files = await (await place.ports.registry()).load("card-fraud", result.version!.version);
});
afterAll(() => place.close());

test("the bundle passes the logic gate, ONNX equality and feature parity among its checks", () => {
  const logic = result.verdicts.find(({ gate }) => gate === "logic")!;
  expect(logic.checks.filter(({ passed }) => !passed)).toEqual([]);
  expect(logic.checks.map(({ name }) => name)).toEqual(expect.arrayContaining(["ONNX equality", "feature parity"]));
});

test("the trees ask for sets of channels, and an amount never lowers the score", () => {
  const trees = decodeGbdt(files.get("trees.bin")!);
  const asked = Array.from(trees.feature.keys()).filter((node) => asksForSet(trees, node));
  expect(asked.length).toBeGreaterThan(0);
  expect(new Set(asked.map((node) => trees.names[trees.feature[node]]))).toEqual(new Set(["channel"]));
  const scorer = loadScorer(files, { model: "card-fraud", version: "1" });
  for (const channel of [0, 1, 2, 3, 4, Number.NaN]) {
    let before = 0;
    for (let amount = 0; amount < 500; amount += 7) {
      const { score } = scorer.score(Float32Array.of(amount, channel, 300));
      if (!scorer.manifest.anomalyAsFeature) expect(score).toBeGreaterThanOrEqual(before);
      before = score;
    }
  }
});

test("what each feature is worth stands in metrics.json, and the loss after each round in the run", async () => {
  const { importance, rounds } = JSON.parse(new TextDecoder().decode(files.get("metrics.json")!)) as {
    readonly rounds: number;
    readonly importance: readonly Readonly<Record<"gain" | "cover" | "permutation" | "splits", number>>[];
  };
  const sum = (of: "gain" | "cover") => importance.reduce((total, feature) => total + feature[of], 0);
  expect(sum("gain")).toBeCloseTo(1, 9);
  expect(sum("cover")).toBeCloseTo(1, 9);
  expect(importance[0].permutation).toBeGreaterThan(0.02);
  const database = new Database(path.join(place.dir, "models", "mlflow.db"));
  const losses = (key: string) =>
    database
      .prepare("SELECT step, value FROM metrics WHERE key = ? AND run_uuid = ? ORDER BY step")
      .all(key, result.runId) as { readonly step: number; readonly value: number }[];
  for (const key of ["train_log_loss", "validation_log_loss"]) {
    const curve = losses(key);
    expect(curve.map(({ step }) => step)).toEqual(curve.map((_, i) => i));
    expect(curve.length).toBeGreaterThanOrEqual(rounds);
    expect(curve[rounds - 1].value).toBeLessThan(curve[0].value);
  }
  database.close();
});

test("drift is measured by channel", () => {
  const reference = JSON.parse(new TextDecoder().decode(files.get("reference.json")!)) as {
    readonly features: readonly { readonly name: string; readonly kind: string }[];
  };
  expect(reference.features.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    "amount number",
    "channel category",
    "spend_7d number",
  ]);
});
