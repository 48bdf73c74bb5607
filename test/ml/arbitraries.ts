// Random matrices and labels for property tests of learning.
import fc from "fast-check";
import { Random } from "../../src/core/random.ts";
import type { Matrix } from "../../src/ml/matrix.ts";

/** Float32 values with ties, extremes and NaN, but no infinity. */
export const cell = fc.oneof(
  fc.float({ noDefaultInfinity: true, noNaN: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constant(Number.NaN),
);

export function matrixOf(rows: number, columns: readonly ArrayLike<number>[]): Matrix {
  const values = new Float32Array(rows * columns.length);
  columns.forEach((column, c) => {
    values.set(Float32Array.from(column), c * rows);
  });
  return { rows, names: columns.map((_, c) => `c${c}`), values };
}

/** A noisy problem with missing values: frauds have a large c0 with a small c1, or miss c2. */
export function fraudProblem(rows: number, seed: number): { readonly x: Matrix; readonly y: Uint8Array } {
  const random = new Random(seed);
  const columns = [0, 1, 2, 3].map(() => new Float32Array(rows));
  const y = new Uint8Array(rows);
  for (let r = 0; r < rows; r++) {
    for (const column of columns) column[r] = random.normal();
    if (random.next() < 0.15) columns[2][r] = Number.NaN;
    const margin = -3 + (columns[0][r] > 1 && columns[1][r] < 0 ? 4 : 0) + (Number.isNaN(columns[2][r]) ? 1.5 : 0);
    y[r] = random.next() < 1 / (1 + Math.exp(-margin)) ? 1 : 0;
  }
  return { x: matrixOf(rows, columns), y };
}
