// Columns of categories: the best of all partitions, one side for what training did not see, and codes that mean nothing.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { rocAuc } from "../../../../src/metrics/metrics.ts";
import { decodeGbdt, encodeGbdt } from "../../../../src/ml/gbdt/model.ts";
import { scoreMatrix, scoreRow } from "../../../../src/ml/gbdt/score.ts";
import { MISSING_BIN } from "../../../../src/ml/gbdt/train/bins.ts";
import { binCategories, frequentCategories } from "../../../../src/ml/gbdt/train/category-bins.ts";
import type { ColumnKind } from "../../../../src/ml/gbdt/train/kinds.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { splitImportance } from "../../../../src/ml/train/importance.ts";
import { asksForSet, CATEGORY_MAX, categoriesOf, treeFault } from "../../../../src/ml/trees.ts";
import { matrixOf } from "../../arbitraries.ts";

const exact: Partial<GbdtParams> = { categoryRowsMin: 1, categoryLambda: 0, categorySmoothing: 0, minChildWeight: 0 };
const params: GbdtParams = { ...defaultGbdtParams, trees: 10, depthMax: 4, learningRate: 0.3 };

/** One column of `count` categories whose fraud rates have no order, one of noise. */
function shopProblem(rows: number, options: { readonly count: number; readonly seed: number }) {
  const { count, seed } = options;
  const random = new Random(seed);
  const shop = Float32Array.from({ length: rows }, () => random.integer(count));
  const noise = Float32Array.from({ length: rows }, () => random.normal());
  const risky = (category: number): boolean => (category * 7919) % 11 < 4;
  const y = Uint8Array.from(shop, (category) => (random.next() < (risky(category) ? 0.4 : 0.05) ? 1 : 0));
  return { x: matrixOf(rows, [shop, noise]), y };
}

test("the first split is the best of all ways to part the categories, missing values on either side", () => {
  const task = fc.record({
    categories: fc.array(fc.option(fc.integer({ min: 0, max: 6 })), { minLength: 12, maxLength: 60 }),
    labels: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 60, maxLength: 60 }),
  });
  let splits = 0;
  fc.assert(
    fc.property(task, ({ categories, labels }) => {
      const rows = categories.length;
      const x = matrixOf(rows, [categories.map((category) => category ?? Number.NaN)]);
      const y = Uint8Array.from(labels.slice(0, rows), (label, r) => (r < 2 ? r : label));
      // With a penalty the order by means would only be nearly the best.
      const own = { ...params, ...exact, trees: 1, depthMax: 1, lambda: 0, startRate: 0.5 };
      const { model } = trainGbdt({ x, y, kinds: ["category"], params: own, seed: 1 });
      expect(treeFault(model)).toBe(null);
      const best = bestPartition(x.values, y);
      if (model.feature[0] < 0) expect(best).toBeLessThan(1e-4);
      else {
        splits++;
        expect(Math.abs(model.gain[0] - best)).toBeLessThan(1e-3 * Math.max(1, best));
      }
    }),
    { numRuns: 60 },
  );
  expect(splits).toBeGreaterThan(30);
});

/** The gain of the best partition of all categories and the missing, by trying them all, at even odds and no penalty. */
function bestPartition(values: Float32Array, y: Uint8Array): number {
  const keys = [...new Set(values)];
  const sums = keys.map((key) => {
    const rows = [...values.keys()].filter((r) => Object.is(values[r], key));
    return { g: rows.reduce((sum, r) => sum + (y[r] === 1 ? -0.5 : 0.5), 0), h: rows.length / 4 };
  });
  const score = (parts: typeof sums): number => {
    const g = parts.reduce((sum, part) => sum + part.g, 0);
    const h = parts.reduce((sum, part) => sum + part.h, 0);
    return h === 0 ? 0 : (g * g) / h;
  };
  let best = 0;
  for (let subset = 1; subset < 2 ** keys.length - 1; subset++) {
    const inside = sums.filter((_, i) => (subset >> i) & 1);
    const outside = sums.filter((_, i) => !((subset >> i) & 1));
    best = Math.max(best, score(inside) + score(outside) - score(sums));
  }
  return best;
}

test("learns rates without an order better in one tree than numbers do", () => {
  const train = shopProblem(6000, { count: 40, seed: 1 });
  const later = shopProblem(6000, { count: 40, seed: 2 });
  const auc = (kind: ColumnKind): number => {
    const few = { ...params, trees: 1, depthMax: 2 };
    const { model } = trainGbdt({ ...train, kinds: [kind, "number"], params: few, seed: 1 });
    return rocAuc(scoreMatrix(model, later.x), later.y);
  };
  expect(auc("category")).toBeGreaterThan(0.72);
  expect(auc("category")).toBeGreaterThan(auc("number") + 0.1);
});

test("which numbers stand for the categories is no matter", () => {
  const { x, y } = shopProblem(3000, { count: 30, seed: 3 });
  const renumbered = [...Array(30).keys()].map((category) => (category * 2_003 + 5) % CATEGORY_MAX);
  const other = { ...x, values: x.values.slice() };
  for (let r = 0; r < x.rows; r++) other.values[r] = renumbered[x.values[r]];
  const margins = (matrix: typeof x) => {
    const task = { x: matrix, y, kinds: ["category", "number"] as const, params, seed: 1 };
    return scoreMatrix(trainGbdt(task).model, matrix);
  };
  // Categories of equal frequency may change places, which moves nothing but the last digits of equal means.
  const [ours, theirs] = [margins(x), margins(other)];
  ours.forEach((margin, r) => {
    expect(margin).toBeCloseTo(theirs[r], 4);
  });
});

test("a category that training never saw, a rare one, a fraction and a missing value are all scored alike", () => {
  const { x, y } = shopProblem(3000, { count: 20, seed: 4 });
  const values = x.values.slice();
  values[17] = 50_000;
  values[18] = -4;
  values[19] = 2.5;
  for (let r = 20; r < 200; r++) values[r] = Number.NaN;
  const { model } = trainGbdt({ x: { ...x, values }, y, kinds: ["category", "number"], params, seed: 1 });
  const margin = (category: number): number => scoreRow(model, Float32Array.of(category, 0.1));
  const strange = [Number.NaN, 50_000, 333, -4, 2.5, CATEGORY_MAX, 1e30, Number.POSITIVE_INFINITY];
  expect(new Set(strange.map(margin)).size).toBe(1);
  expect(new Set([...Array(20).keys()].map(margin)).size).toBeGreaterThan(4);
});

test("the curve is the loss of the model, the model survives its bytes, and importance counts its splits", () => {
  const train = shopProblem(4000, { count: 300, seed: 5 });
  const later = shopProblem(2000, { count: 330, seed: 6 });
  const own = { ...params, categoryRowsMin: 8, leavesMax: 12 };
  const task = { ...train, validation: later, kinds: ["category", "number"] as const, params: own, seed: 1 };
  const { model, curve } = trainGbdt(task);
  const loss = (problem: typeof train): number => {
    const margins = scoreMatrix(model, problem.x);
    const losses = Array.from(margins, (m, r) => Math.log1p(Math.exp(problem.y[r] === 1 ? -m : m)));
    return losses.reduce((a, b) => a + b, 0) / losses.length;
  };
  expect(curve.train.at(-1)).toBeCloseTo(loss(train), 9);
  expect(curve.validation.at(-1)).toBeCloseTo(loss(later), 9);
  expect(decodeGbdt(encodeGbdt(model))).toEqual(model);
  const nodes = Array.from(model.feature.keys());
  const asked = nodes.filter((node) => asksForSet(model, node));
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.every((node) => model.feature[node] === 0 && categoriesOf(model, node).length > 0)).toBe(true);
  expect(nodes.filter((node) => model.feature[node] === 0)).toEqual(asked);
  expect(splitImportance(model)[0]).toMatchObject({ splits: asked.length });
  expect(splitImportance(model)[0].gain).toBeGreaterThan(splitImportance(model)[1].gain);
});

test("the most frequent categories get bins, ties by number; the others share the missing one", () => {
  const values = Float32Array.from([9, 9, 9, 4, 4, 7, 7, 1, -2, 0.5, Number.NaN, 70_000, CATEGORY_MAX]);
  expect([...frequentCategories(values, { binsMax: 256, rowsMin: 2 })]).toEqual([9, 4, 7]);
  expect([...frequentCategories(values, { binsMax: 3, rowsMin: 1 })]).toEqual([9, 4]);
  expect([...frequentCategories(values, { binsMax: 256, rowsMin: 1 })]).toEqual([9, 4, 7, 1, CATEGORY_MAX]);
  const out = new Uint8Array(values.length);
  binCategories(values, Float32Array.of(9, 4), out);
  expect([...out]).toEqual([0, 0, 0, 1, 1, ...Array.from({ length: 8 }, () => MISSING_BIN)]);
  const many = Float32Array.from({ length: 1000 }, (_, r) => r % 500);
  expect(frequentCategories(many, { binsMax: 256, rowsMin: 1 })).toHaveLength(254);
});

test("a column of nothing but rare categories is never split on", () => {
  const rows = 300;
  const y = Uint8Array.from({ length: rows }, (_, r) => r % 2);
  const x = matrixOf(rows, [Float32Array.from({ length: rows }, (_, r) => r)]);
  const { model } = trainGbdt({ x, y, kinds: ["category"], params: { ...params, trees: 2 }, seed: 1 });
  expect([...model.feature]).toEqual([-1, -1]);
});
