// Kernels: packed gradients, histograms, partition and split search against plain, slow arithmetic.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { BIN_SLOTS, binMatrix, MISSING_BIN } from "../../../src/ml/gbdt/binning.ts";
import { computeGradients, makeGradients, packGradients, weighGradients } from "../../../src/ml/gbdt/gradients.ts";
import { buildHistogram, makeGathered, subtractHistogram } from "../../../src/ml/gbdt/histogram.ts";
import { partitionRows } from "../../../src/ml/gbdt/partition.ts";
import { findSplit, gradientOf, hessianOf } from "../../../src/ml/gbdt/split.ts";
import { logLossOfMargins } from "../../../src/ml/gbdt/update.ts";
import { fraudProblem } from "../arbitraries.ts";

function someGradients(rows: number, seed: number) {
  const { x, y } = fraudProblem(rows, seed);
  const random = new Random(seed);
  const margins = Float64Array.from({ length: rows }, () => random.normal(-2, 2));
  const out = makeGradients(rows);
  const loss = computeGradients(margins, y, { scalePositive: 1, out });
  packGradients(out, seed);
  return { x, y, margins, gradients: out, loss };
}

test("the loss taken from products is the mean log-loss, with and without weights", () => {
  const { margins, y, gradients, loss } = someGradients(5000, 3);
  expect(loss).toBeCloseTo(logLossOfMargins(margins, y), 10);
  const weights = new Float32Array(5000).fill(2);
  expect(weighGradients(margins, y, { weights, out: gradients })).toBeCloseTo(loss, 10);
});

test("gradients are the derivatives of the log-loss", () => {
  const out = makeGradients(1);
  const step = 1e-4;
  for (const label of [0, 1]) {
    for (const margin of [-3, -0.5, 0, 2]) {
      const y = Uint8Array.of(label);
      const at = (m: number): number => logLossOfMargins(Float64Array.of(m), y);
      computeGradients(Float64Array.of(margin), y, { scalePositive: 1, out });
      expect(out.gradient[0]).toBeCloseTo((at(margin + step) - at(margin - step)) / (2 * step), 6);
      expect(out.hessian[0]).toBeCloseTo((at(margin + step) - 2 * at(margin) + at(margin - step)) / step ** 2, 5);
    }
  }
});

test("packed sums give back both sums, to a unit a row", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer(), (rows, seed) => {
      const { gradients } = someGradients(rows, seed);
      const total = gradients.packed.reduce((sum, value) => sum + value, 0);
      expect(Number.isSafeInteger(total)).toBe(true);
      const gradient = gradients.gradient.reduce((sum, value) => sum + value, 0);
      const hessian = gradients.hessian.reduce((sum, value) => sum + value, 0);
      expect(Math.abs(gradientOf(total) / gradients.gradientScale - gradient)).toBeLessThanOrEqual(
        rows / gradients.gradientScale,
      );
      expect(Math.abs(hessianOf(total) / gradients.hessianScale - hessian)).toBeLessThanOrEqual(
        rows / gradients.hessianScale,
      );
    }),
    { numRuns: 30 },
  );
});

test("a histogram holds each bin's sum whatever the order of the rows, and the sibling is what remains", () => {
  const { x, gradients } = someGradients(2000, 9);
  const binned = binMatrix(x, 32);
  const columns = x.names.length;
  const gathered = makeGathered(2000, binned.stride);
  const { packed } = gradients;
  const rows = Int32Array.from({ length: 2000 }, (_, r) => r);
  const build = (list: Int32Array, from: number, to: number): Float64Array => {
    const histogram = new Float64Array(columns * BIN_SLOTS).fill(1);
    buildHistogram(histogram, list, { from, to, binned, packed, gathered });
    return histogram;
  };
  const whole = build(rows, 0, 2000);
  const expected = new Float64Array(columns * BIN_SLOTS);
  for (let r = 0; r < 2000; r++) {
    for (let c = 0; c < columns; c++) expected[c * BIN_SLOTS + binned.columnMajor[c * 2000 + r]] += packed[r];
  }
  expect(whole).toEqual(expected);
  new Random(1).shuffle(rows);
  expect(build(rows, 0, 2000)).toEqual(whole);
  subtractHistogram(whole, build(rows, 0, 700));
  expect(whole).toEqual(build(rows, 700, 2000));
});

test("partition puts exactly the rows that go left first and keeps the order of both sides", () => {
  const task = fc.record({
    bins: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    splitBin: fc.integer({ min: 0, max: 254 }),
    missingLeft: fc.boolean(),
  });
  fc.assert(
    fc.property(task, ({ bins, splitBin, missingLeft }) => {
      const rows = Int32Array.from(bins, (_, r) => r);
      const scratch = new Int32Array(rows.length);
      const middle = partitionRows(rows, bins, { from: 0, to: rows.length, splitBin, missingLeft, scratch });
      const goesLeft = (r: number): boolean => (bins[r] === MISSING_BIN ? missingLeft : bins[r] <= splitBin);
      const all = Array.from(bins, (_, r) => r);
      expect([...rows]).toEqual([...all.filter(goesLeft), ...all.filter((r) => !goesLeft(r))]);
      expect(middle).toBe(all.filter(goesLeft).length);
    }),
  );
});

test("the split found has the largest gain of all, by a slow search over values", () => {
  const rules = { lambda: 0.5, alpha: 0.1, gamma: 0, minChildWeight: 0.5 };
  for (const seed of [1, 2, 3, 4, 5]) {
    const { x, gradients } = someGradients(300, seed);
    const binned = binMatrix(x, 12);
    const rows = Int32Array.from({ length: 300 }, (_, r) => r);
    const histogram = new Float64Array(4 * BIN_SLOTS);
    const gathered = makeGathered(300, binned.stride);
    buildHistogram(histogram, rows, { from: 0, to: 300, binned, packed: gradients.packed, gathered });
    const total = gradients.packed.reduce((sum, value) => sum + value, 0);
    const { gradientScale, hessianScale } = gradients;
    const split = findSplit(histogram, total, {
      columns: Int32Array.of(0, 1, 2, 3),
      thresholds: binned.thresholds,
      rules: { ...rules, gradientUnit: 1 / gradientScale, hessianUnit: 1 / hessianScale },
    });
    const gains: number[] = [];
    for (let c = 0; c < 4; c++) {
      for (const threshold of [...binned.thresholds[c], Number.POSITIVE_INFINITY]) {
        for (const missingLeft of [true, false]) gains.push(slowGain({ c, threshold, missingLeft }));
      }
    }
    expect(split!.gain).toBeCloseTo(Math.max(...gains), 3);
    expect(slowGain({ c: split!.column, threshold: split!.threshold, missingLeft: split!.missingLeft })).toBeCloseTo(
      split!.gain,
      3,
    );

    function slowGain(s: { c: number; threshold: number; missingLeft: boolean }): number {
      const sums = [0, 0, 0, 0];
      for (let r = 0; r < 300; r++) {
        const value = x.values[s.c * 300 + r];
        const side = (Number.isNaN(value) ? s.missingLeft : value < s.threshold) ? 0 : 2;
        sums[side] += gradients.gradient[r];
        sums[side + 1] += gradients.hessian[r];
      }
      if (sums[1] < rules.minChildWeight || sums[3] < rules.minChildWeight) return Number.NEGATIVE_INFINITY;
      const score = (g: number, h: number): number => Math.max(0, Math.abs(g) - rules.alpha) ** 2 / (h + rules.lambda);
      return score(sums[0], sums[1]) + score(sums[2], sums[3]) - score(sums[0] + sums[2], sums[1] + sums[3]);
    }
  }
});
