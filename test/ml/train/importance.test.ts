// Importance: columns that make frauds count, a column of noise does not.
import { expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { rocAuc } from "../../../src/metrics/metrics.ts";
import { scoreMatrix } from "../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../src/ml/gbdt/train/train.ts";
import { withColumn } from "../../../src/ml/matrix.ts";
import { permutationImportance, splitImportance } from "../../../src/ml/train/importance.ts";
import { fraudProblem } from "../arbitraries.ts";

const { x, y } = fraudProblem(4000, 1);
const random = new Random(2);
const wide = withColumn(
  x,
  "noise",
  Float32Array.from({ length: 4000 }, () => random.next()),
);
const { model } = trainGbdt({ x: wide, y, params: { ...defaultGbdtParams, trees: 15, depthMax: 3 }, seed: 1 });

test("split importance sums gain and cover over all inner nodes", () => {
  const importance = splitImportance(model);
  expect(importance.map(({ name }) => name)).toEqual(["c0", "c1", "c2", "c3", "noise"]);
  expect(importance.reduce((sum, { splits }) => sum + splits, 0)).toBe(model.feature.filter((c) => c >= 0).length);
  expect(importance[0].gain).toBeGreaterThan(importance[4].gain * 3);
  // The root sees every row: its cover is the whole of the second derivatives, p(1 − p) each at the start.
  expect(model.cover[0]).toBeCloseTo(4000 * 0.2 * 0.8, 2);
});

test("permutation importance drops where it matters and leaves the matrix as it was", () => {
  const before = wide.values.slice();
  const metric = (m: typeof wide): number => rocAuc(scoreMatrix(model, m), y);
  const importance = permutationImportance(wide, { metric, seed: 1 });
  expect(wide.values).toEqual(before);
  expect(importance[0].drop).toBeGreaterThan(0.1);
  expect(Math.abs(importance[4].drop)).toBeLessThan(0.02);
  expect(importance[0].low <= importance[0].drop && importance[0].drop <= importance[0].high).toBe(true);
  expect(permutationImportance(wide, { metric, seed: 1 })).toEqual(importance);
  expect(() => permutationImportance(wide, { metric, seed: 1, repeats: 0 })).toThrow("repeats is 0");
});

test("of columns that no tree reads the metric is not asked, and all figures are the same", () => {
  const stump = trainGbdt({ x: wide, y, params: { ...defaultGbdtParams, trees: 2, depthMax: 1 }, seed: 1 }).model;
  const splits = splitImportance(stump).map((part) => part.splits);
  const read = splits.filter((count) => count > 0).length;
  expect(read).toBeLessThan(splits.length);
  let asked = 0;
  const metric = (m: typeof wide): number => {
    asked++;
    return rocAuc(scoreMatrix(stump, m), y);
  };
  const all = permutationImportance(wide, { metric, seed: 1, repeats: 2 });
  asked = 0;
  expect(permutationImportance(wide, { metric, seed: 1, repeats: 2, reads: (c) => splits[c] > 0 })).toEqual(all);
  expect(asked).toBe(1 + 2 * read);
});
