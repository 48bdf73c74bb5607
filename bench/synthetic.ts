// Synthetic tables for learners: thirty columns of several shapes, a rare label with interactions, missing values; as raw files.
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { Random } from "../src/core/random.ts";
import { type Matrix, sharedValues } from "../src/ml/matrix.ts";

export interface SyntheticOptions {
  readonly rows: number;
  readonly columns: number;
  /** Share of the cells without a value. */
  readonly missing: number;
  readonly seed: number;
}

/** A table on disk: Float32 once column by column (ours), once row by row (what the peers like best), labels as bytes. */
export interface RawTable {
  readonly rows: number;
  readonly columns: number;
  readonly byColumn: string;
  readonly byRow: string;
  readonly labels: string;
}

/** Columns that labels depend on; a narrower table lacks some of them. */
const LABEL_COLUMNS = 16;

/** Moves the share of frauds to about 0.5 %. */
const INTERCEPT = -7.2;

/** Rows drawn before they are written: a table of 20 million is larger than the memory beside what is measured. */
const BLOCK_ROWS = 65_536;

/** The same options give the same bytes. */
export function writeSynthetic(folder: string, name: string, options: SyntheticOptions): RawTable {
  const { rows, columns, missing, seed } = options;
  const random = new Random(seed);
  const block = Math.min(rows, BLOCK_ROWS);
  const byColumn = new Float32Array(block * columns);
  const byRow = new Float32Array(block * columns);
  const labels = new Uint8Array(rows);
  const row = new Float64Array(Math.max(columns, LABEL_COLUMNS));
  const file = (ending: string): string => path.join(folder, `${name}.${ending}`);
  const [columnFile, rowFile] = ["columns", "rows"].map((ending) => openSync(file(ending), "w"));
  for (let from = 0; from < rows; from += block) {
    const count = Math.min(block, rows - from);
    for (let r = 0; r < count; r++) {
      for (let c = 0; c < row.length; c++) row[c] = draw(random, c);
      labels[from + r] = random.next() < 1 / (1 + Math.exp(-marginOf(row))) ? 1 : 0;
      for (let c = 0; c < columns; c++) {
        const value = random.next() < missing ? Number.NaN : row[c];
        byColumn[c * block + r] = value;
        byRow[r * columns + c] = value;
      }
    }
    writeAt(rowFile, byRow.subarray(0, count * columns), from * columns);
    for (let c = 0; c < columns; c++)
      writeAt(columnFile, byColumn.subarray(c * block, c * block + count), c * rows + from);
  }
  closeSync(columnFile);
  closeSync(rowFile);
  writeFileSync(file("labels"), labels);
  return { rows, columns, byColumn: file("columns"), byRow: file("rows"), labels: file("labels") };
}

/** `at` counts numbers from the file's beginning. */
function writeAt(file: number, values: Float32Array, at: number): void {
  for (let done = 0; done < values.byteLength; )
    done += writeSync(file, values, done, values.byteLength - done, 4 * at + done);
}

/** Node reads less than 2 GiB at once. */
const READ_BYTES = 2 ** 30;

/** As training's matrices are: in shared memory. */
export function readMatrix({ rows, columns, byColumn }: RawTable): Matrix {
  const values = sharedValues(rows * columns);
  const file = openSync(byColumn, "r");
  let done = 0;
  while (done < values.byteLength) {
    const read = readSync(file, values, done, Math.min(values.byteLength - done, READ_BYTES), done);
    if (read === 0) break;
    done += read;
  }
  closeSync(file);
  return { rows, names: Array.from({ length: columns }, (_, c) => `column_${c}`), values };
}

export function readFloat32(file: string): Float32Array {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

export function readLabels({ labels }: RawTable): Uint8Array {
  return new Uint8Array(readFileSync(labels));
}

/** Amounts, counts, rates and bell curves, as a fraud table has them. */
function draw(random: Random, column: number): number {
  switch (column % 4) {
    case 0:
      return Math.exp(random.normal(3, 1));
    case 1:
      return Math.floor(-8 * Math.log(1 - random.next()));
    case 2:
      return random.next();
    default:
      return random.normal();
  }
}

/** Log-odds of fraud: steps, products and slopes over a third of the columns; the rest is noise. */
function marginOf(row: Float64Array): number {
  return (
    INTERCEPT +
    1.1 * (Math.log(row[0]) - 3) +
    (row[1] > 20 ? 1.8 : 0) +
    2.5 * Math.max(0, row[2] - 0.7) * row[1] * 0.2 +
    0.8 * row[3] * (row[6] > 0.5 ? 1 : -1) +
    (row[4] > 60 && row[7] > 0.5 ? 2.2 : 0) +
    0.5 * row[11] -
    0.6 * Math.abs(row[15]) +
    (row[5] < 2 && row[10] > 0.8 ? 1.5 : 0)
  );
}
