// Matrix: what learning sees, named columns of Float32 numbers in one block.
import { assert } from "../core/errors.ts";

/** Column-major: the value of row r, column c is `values[c * rows + r]`; NaN is missing. */
export interface Matrix {
  readonly rows: number;
  readonly names: readonly string[];
  readonly values: Float32Array;
}

/** Room for so many values that training threads see without a copy of their own. */
export function sharedValues(count: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * count));
}

/** The rows named, in the order named (a row may come twice). */
export function takeMatrixRows(matrix: Matrix, rows: Int32Array): Matrix {
  const values = sharedValues(rows.length * matrix.names.length);
  for (let c = 0; c < matrix.names.length; c++) {
    const from = c * matrix.rows;
    const to = c * rows.length;
    for (let i = 0; i < rows.length; i++) values[to + i] = matrix.values[from + rows[i]];
  }
  return { rows: rows.length, names: matrix.names, values };
}

/** The matrix with one column more, placed last. */
export function withColumn(matrix: Matrix, name: string, values: Float32Array): Matrix {
  assert(values.length === matrix.rows, `column ${name} has ${values.length} values for ${matrix.rows} rows`);
  assert(!matrix.names.includes(name), `column ${name} is there already`);
  const all = sharedValues(matrix.values.length + values.length);
  all.set(matrix.values);
  all.set(values, matrix.values.length);
  return { rows: matrix.rows, names: [...matrix.names, name], values: all };
}

/** Writes one row's values, in column order, into `out`; nothing is allocated. */
export function copyRow(matrix: Matrix, row: number, out: Float32Array): void {
  const { rows, values } = matrix;
  const columns = matrix.names.length;
  for (let c = 0, at = row; c < columns; c++, at += rows) out[c] = values[at];
}
