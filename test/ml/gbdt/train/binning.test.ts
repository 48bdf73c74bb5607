// Binning: comparing bins and comparing values always agree, ties stay together, and the tails are resolved.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { binOf, MISSING_BIN } from "../../../../src/ml/gbdt/train/bins.ts";
import { cell, matrixOf } from "../../arbitraries.ts";
import { binAt, spaceFor } from "./space.ts";

const column = fc.array(cell, { minLength: 1, maxLength: 400 }).map((values) => Float32Array.from(values));

/** The thresholds of a column with these values. */
function cutsOf(values: Float32Array, valueBins: number): Float32Array {
  const some = values.length === 0 ? Float32Array.of(Number.NaN) : values;
  return spaceFor(matrixOf(some.length, [some]), { binsMax: valueBins + 1 }).thresholds[0];
}

test("sorting keeps the values that are present and orders them", () => {
  fc.assert(
    fc.property(column, (values) => {
      const expected = values.filter((value) => !Number.isNaN(value)).sort();
      const { space } = spaceFor(matrixOf(values.length, [values]));
      const { kernels, own, views } = space;
      views.f32.set(values, own.values / 4);
      const count = kernels.sortPresent(own.values, values.length, own.keys, own.swap, own.counts);
      const sorted = views.f32.subarray(own.keys / 4, own.keys / 4 + count);
      expect([...sorted].map((value) => value + 0)).toEqual([...expected].map((value) => value + 0));
    }),
  );
});

test("a bin is up to b exactly when the value is below threshold b", () => {
  fc.assert(
    fc.property(column, fc.integer({ min: 3, max: 256 }), (values, binsMax) => {
      const { space, thresholds: all } = spaceFor(matrixOf(values.length, [values]), { binsMax });
      const [thresholds] = all;
      expect(thresholds.length).toBeLessThanOrEqual(binsMax - 2);
      for (let r = 0; r < values.length; r++) {
        const bin = space.views.u8[space.arena.training.columnMajor + r];
        expect(bin === MISSING_BIN).toBe(Number.isNaN(values[r]));
        if (bin === MISSING_BIN) continue;
        for (let b = 0; b < thresholds.length; b++) expect(bin <= b).toBe(values[r] < thresholds[b]);
      }
    }),
  );
});

test("thresholds rise, and every bin of the training values is filled", () => {
  fc.assert(
    fc.property(column, fc.integer({ min: 2, max: 40 }), (values, valueBins) => {
      const sorted = values.filter((value) => !Number.isNaN(value)).sort();
      const thresholds = cutsOf(sorted, valueBins);
      for (let b = 1; b < thresholds.length; b++) expect(thresholds[b]).toBeGreaterThan(thresholds[b - 1]);
      const bins = new Set([...sorted].map((value) => binOf(value, thresholds)));
      expect(bins.size).toBe(sorted.length === 0 ? 0 : thresholds.length + 1);
    }),
  );
});

test("few distinct values get a bin each, cut at midpoints", () => {
  expect([...cutsOf(Float32Array.of(1, 1, 2, 2, 2, 5), 255)]).toEqual([1.5, 3.5]);
  expect([...cutsOf(Float32Array.of(4, 4, 4), 255)]).toEqual([]);
  expect([...cutsOf(Float32Array.of(), 255)]).toEqual([]);
});

test("midpoints of neighbouring floats, and of the largest ones, still part them", () => {
  const one = Math.fround(1 + 2 ** -23);
  expect([...cutsOf(Float32Array.of(1, one), 255)]).toEqual([one]);
  const [cut] = cutsOf(Float32Array.of(-3.4e38, 3.4e38), 255);
  expect(cut).toBe(0);
});

test("the rarest values of a long tail are told apart, where plain quantiles put them into one bin", () => {
  const random = new Random(5);
  const values = Float32Array.from({ length: 60_000 }, () => Math.exp(random.normal())).sort();
  const thresholds = cutsOf(values, 255);
  expect(thresholds.length).toBeGreaterThan(240);
  const rowsOfBin = new Int32Array(256);
  for (const value of values) rowsOfBin[binOf(value, thresholds)]++;
  const last = thresholds.length;
  for (const end of [0, 1, 2, 3, last, last - 1, last - 2, last - 3]) expect(rowsOfBin[end]).toBeLessThanOrEqual(2);
  // Plain quantiles: 235 rows a bin. The 235 highest rows are in at least 20 bins here, no bin holds over 2 % of all.
  expect(binOf(values[59_999], thresholds) - binOf(values[59_765], thresholds)).toBeGreaterThan(20);
  expect(Math.max(...rowsOfBin)).toBeLessThan(1200);
});

test("row-major and column-major bins are the same table", () => {
  const random = new Random(1);
  const columns = [0, 1, 2].map(() => Float32Array.from({ length: 700 }, () => random.normal()));
  const { space } = spaceFor(matrixOf(700, columns), { binsMax: 16 });
  const { columnMajor } = space.arena.training;
  for (let r = 0; r < 700; r++) {
    for (let c = 0; c < 3; c++) expect(binAt(space, r, c)).toBe(space.views.u8[columnMajor + c * 700 + r]);
  }
});
