// Matrices: rows are taken, columns added and rows copied without mixing anything up.
import { expect, test } from "vitest";
import { copyRow, takeMatrixRows, withColumn } from "../../src/ml/matrix.ts";
import { matrixOf } from "./arbitraries.ts";

const matrix = matrixOf(3, [
  [1, 2, 3],
  [10, Number.NaN, 30],
]);

test("takes rows in the order named, again and again if asked", () => {
  const taken = takeMatrixRows(matrix, Int32Array.of(2, 0, 2, 1));
  expect(taken.rows).toBe(4);
  expect([...taken.values]).toEqual([3, 1, 3, 2, 30, 10, 30, Number.NaN]);
});

test("adds a column last and leaves the matrix as it was", () => {
  const wider = withColumn(matrix, "extra", Float32Array.of(7, 8, 9));
  expect(wider.names).toEqual(["c0", "c1", "extra"]);
  expect([...wider.values.slice(6)]).toEqual([7, 8, 9]);
  expect(matrix.names).toHaveLength(2);
  expect(() => withColumn(matrix, "c1", Float32Array.of(7, 8, 9))).toThrow("there already");
  expect(() => withColumn(matrix, "extra", Float32Array.of(7))).toThrow("1 values for 3 rows");
});

test("copies one row in column order", () => {
  const out = new Float32Array(2);
  copyRow(matrix, 2, out);
  expect([...out]).toEqual([3, 30]);
});
