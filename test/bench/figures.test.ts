// The arithmetic behind benchmark figures: medians, quantiles, rank correlation, reproducible tables.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { median, quantileOf } from "../../bench/bench.ts";
import { rankCorrelation } from "../../bench/rank-correlation.ts";
import { readFloat32, readLabels, readMatrix, writeSynthetic } from "../../bench/synthetic.ts";
import { temporaryFolder } from "../../bench/workspace.ts";

test("the median is the middle, or the mean of the two middles, and leaves its input alone", () => {
  const values = [5, 1, 3];
  expect(median(values)).toBe(3);
  expect(values).toEqual([5, 1, 3]);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("quantiles are values that occurred", () => {
  const ascending = Float64Array.from({ length: 100 }, (_, i) => i);
  expect(quantileOf(ascending, 0.5)).toBe(50);
  expect(quantileOf(ascending, 0.99)).toBe(99);
  expect(quantileOf(ascending, 1)).toBe(99);
});

test("rank correlation with ties is scipy's", () => {
  // scipy.stats.spearmanr([1, 2, 2, 4, 5], [3, 1, 2, 5, 5]).statistic
  expect(rankCorrelation(Float32Array.of(1, 2, 2, 4, 5), Float32Array.of(3, 1, 2, 5, 5))).toBeCloseTo(
    0.6315789473684211,
    12,
  );
});

test("rank correlation is symmetric, 1 with itself however scaled, and turns its sign with one side", () => {
  const values = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(values, fc.infiniteStream(fc.integer({ min: 0, max: 5 })), (a, stream) => {
      const left = Float32Array.from(a);
      const other = Float32Array.from([0, 6, ...stream.take(a.length - 2)]);
      expect(
        rankCorrelation(
          left,
          left.map((value) => 3 * value + 7),
        ),
      ).toBeCloseTo(1, 10);
      expect(rankCorrelation(left, other)).toBeCloseTo(rankCorrelation(other, left), 10);
      expect(rankCorrelation(left, other)).toBeCloseTo(
        -rankCorrelation(
          left,
          other.map((value) => -value),
        ),
        10,
      );
    }),
  );
});

test("a synthetic table is the same bytes for the same seed, in both orders, with the asked share missing", () => {
  const folder = temporaryFolder();
  const options = { rows: 20_000, columns: 30, missing: 0.1, seed: 4 };
  const first = writeSynthetic(folder, "first", options);
  const again = writeSynthetic(folder, "again", options);
  const other = writeSynthetic(folder, "other", { ...options, seed: 5 });
  expect(readFileSync(first.byColumn).equals(readFileSync(again.byColumn))).toBe(true);
  expect(readFileSync(first.labels).equals(readFileSync(again.labels))).toBe(true);
  expect(readFileSync(first.byColumn).equals(readFileSync(other.byColumn))).toBe(false);
  const { values } = readMatrix(first);
  const byRow = readFloat32(first.byRow);
  for (const [row, column] of [
    [0, 0],
    [19_999, 29],
    [1234, 7],
  ]) {
    expect(byRow[row * 30 + column]).toBe(values[column * 20_000 + row]);
  }
  const missing = values.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0) / values.length;
  expect(missing).toBeCloseTo(0.1, 2);
  const frauds = readLabels(first).reduce((sum, y) => sum + y, 0) / options.rows;
  expect(frauds).toBeGreaterThan(0.002);
  expect(frauds).toBeLessThan(0.01);
});
