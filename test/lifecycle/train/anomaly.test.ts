// The anomaly score as an input of the trees: compared only where it is asked for, and kept only beyond noise, whatever the seed.
import { expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Random } from "../../../src/core/random.ts";
import { declareColumns } from "../../../src/features/builder.ts";
import { anomalyAblation, fitModels } from "../../../src/lifecycle/train/fit.ts";
import { habitColumns } from "../../../src/lifecycle/train/kinds.ts";
import { NO_FEATURES } from "../../../src/lifecycle/train/policy.ts";
import type { Matrix } from "../../../src/ml/matrix.ts";
import { pipelineOf } from "../world.ts";

const ROWS = 1500;

/** Log-odds that know something of the frauds, and the same with noise or with knowledge added. */
function margins(seed: number, added: { readonly noise: number; readonly knowledge: number }) {
  const random = new Random(seed);
  const y = Uint8Array.from({ length: ROWS }, () => Number(random.next() < 0.04));
  const card = Int32Array.from({ length: ROWS }, (_, row) => row >> 2);
  const a = Float64Array.from(y, (label) => 1.5 * label + random.normal());
  const b = a.map((margin, row) => margin + added.noise * random.normal() + added.knowledge * y[row]);
  return { y, card, a, b, seed };
}

test("a gain by luck is left out with every seed, a true one is kept", () => {
  const lucky = Array.from({ length: 12 }, (_, seed) => anomalyAblation(margins(seed, { noise: 0.3, knowledge: 0 })));
  // Some draws gain more than an input is worth: the toss of a coin.
  expect(lucky.some((one) => one.with - one.without > 0.002)).toBe(true);
  expect(lucky.filter(({ kept }) => kept).length).toBeLessThanOrEqual(1);
  for (let seed = 0; seed < 3; seed++) {
    const { kept, gainLow, without, with: better } = anomalyAblation(margins(seed, { noise: 0, knowledge: 1.5 }));
    expect(kept).toBe(true);
    expect(gainLow).toBeGreaterThan(0);
    expect(gainLow).toBeLessThan(better - without);
  }
});

test("the forest looks at habits: no feature that a label has a part in, whatever it is computed of", () => {
  const f = declareColumns({ amount: "number", card: "key", shop: "key" });
  const usual = f.window("usual", { key: "card", over: "amount", aggregate: "mean", window: "7d" });
  const rate = f.window("rate", { key: "shop", over: "fraud-rate", window: "7d" });
  const amount = f.column("amount");
  const spec = f.spec({
    name: "s",
    version: 1,
    features: [
      rate,
      amount,
      usual,
      f.ratio("of_habits", amount, usual),
      f.ratio("of_labels", amount, rate),
      f.expression("also", "of_labels > 2"),
      f.expression("plain", "amount > 2"),
      f.elapsed("since_last", { key: "card", since: "last-transaction", within: "7d", unit: "days" }),
      f.elapsed("since_fraud", { key: "card", since: "last-fraud", within: "7d", unit: "days" }),
      f.neighbours("others", { key: "shop", column: "card", measure: "count", window: "7d" }),
      f.neighbours("bad_others", { key: "shop", column: "card", measure: "share", window: "7d" }),
      f.fraudRun("run", { key: "shop", measure: "count", within: "7d" }),
    ],
  });
  const names = Array.from(habitColumns(spec), (place) => spec.features[place].name);
  expect(names).toEqual(["amount", "usual", "of_habits", "plain", "since_last", "others"]);
  expect(habitColumns({ ...spec, features: [rate] })).toEqual(Int32Array.of(0));
});

test("the trees are trained without it, unless the pipeline asks for the comparison", async () => {
  const random = new Random(3);
  const values = Float32Array.from({ length: 2 * ROWS }, () => random.next());
  const x: Matrix = { rows: ROWS, names: ["a", "b"], values };
  const labels = Uint8Array.from({ length: ROWS }, (_, row) => Number(values[row] > 0.9 && random.next() < 0.8));
  const slice = (from: number, to: number) => ({
    from: from * DAY_MS,
    to: to * DAY_MS,
    rows: Int32Array.from({ length: to - from }, (_, at) => from + at),
    count: to - from,
    frauds: labels.subarray(from, to).reduce((sum, label) => sum + label, 0),
  });
  const split = { train: slice(0, 900), calibrate: slice(900, 1200), evaluate: slice(1200, ROWS) };
  const fitted = (keys: string) =>
    fitModels(x, labels, {
      kinds: ["number", "number"],
      habits: Int32Array.of(0, 1),
      split,
      amounts: new Float64Array(ROWS),
      cards: Int32Array.from(labels.keys()),
      features: NO_FEATURES,
      pipeline: pipelineOf(`model_parameters: { trees: 10, anomaly_trees: 3, anomaly_sample: 16${keys} }\n`),
      seed: 1,
      threads: 1,
      report: { line: () => {}, progress: () => {} },
    });
  const plain = await fitted("");
  expect(plain.ablation).toBeNull();
  expect(plain.anomalyAsFeature).toBe(false);
  // Nothing but noise here: asked for, it is compared and left out, and the trees are the same.
  const asked = await fitted(", anomaly_feature: choose");
  expect(asked.ablation).toMatchObject({ kept: false });
  expect(asked.anomalyAsFeature).toBe(false);
  expect(asked.model).toEqual(plain.model);
});
