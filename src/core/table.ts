// Tables: named columns as typed arrays, the one shape data has inside Sentinel.
import { Codes } from "./codes.ts";

/** Numbers; NaN is missing. */
export interface NumberColumn {
  readonly kind: "number";
  readonly values: Float64Array;
  /** The numbers stand for true (1) and false (0): as a text a cell is one of these words. */
  readonly boolean?: true;
}

/** Instants as milliseconds since 1970 UTC; NaN is missing. */
export interface TimeColumn {
  readonly kind: "time";
  readonly values: Float64Array;
}

/** Texts, dictionary-encoded, each once in the dictionary; code -1 is missing. */
export interface TextColumn {
  readonly kind: "text";
  readonly codes: Int32Array;
  readonly dictionary: readonly string[];
}

export type Column = NumberColumn | TimeColumn | TextColumn;

export interface Table {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
}

/** A column of texts, asked row by row: each different text stands once, numbered in the order in which it first comes. Null: nothing there. */
export function codedText(rows: number, of: (row: number) => string | null): TextColumn {
  const codes = new Int32Array(rows);
  const dictionary: string[] = [];
  const known = new Codes<string>();
  for (let row = 0; row < rows; row++) {
    const text = of(row);
    if (text === null) {
      codes[row] = -1;
      continue;
    }
    let code = known.get(text);
    if (code === undefined) {
      code = dictionary.push(text) - 1;
      known.set(text, code);
    }
    codes[row] = code;
  }
  return { kind: "text", codes, dictionary };
}

/** The text of a cell as a key or id is written: integers without a decimal point, truths as words, missing as null. */
export function textAt(column: Column, row: number): string | null {
  if (column.kind === "text") {
    const code = column.codes[row];
    return code < 0 ? null : column.dictionary[code];
  }
  const value = column.values[row];
  if (Number.isNaN(value)) return null;
  return isBoolean(column) ? String(value === 1) : String(value);
}

/** Whether a column's numbers stand for true and false. */
export function isBoolean(column: Column): boolean {
  return column.kind === "number" && column.boolean === true;
}

/** The number in a cell; NaN when missing or when the column holds text. */
export function numberAt(column: Column, row: number): number {
  return column.kind === "text" ? Number.NaN : column.values[row];
}

/** Whether no cell is missing and no two are the same. */
export function allDifferent(column: Column): boolean {
  if (column.kind === "text") {
    const seen = new Uint8Array(column.dictionary.length);
    for (const code of column.codes) {
      if (code < 0 || seen[code] === 1) return false;
      seen[code] = 1;
    }
    return true;
  }
  const { values } = column;
  let ascending = true;
  for (let i = 1; i < values.length && ascending; i++) ascending = values[i] > values[i - 1];
  if (ascending) return values.length === 0 || !Number.isNaN(values[0]);
  const sorted = values.slice().sort();
  for (let i = 1; i < sorted.length; i++) if (!(sorted[i] > sorted[i - 1])) return false;
  return true;
}

/** The rows named, in the order named, as a new table that shares dictionaries. */
export function takeRows(table: Table, rows: Int32Array): Table {
  const columns = new Map<string, Column>();
  for (const [name, column] of table.columns) columns.set(name, takeColumn(column, rows));
  return { rows: rows.length, columns };
}

function takeColumn(column: Column, rows: Int32Array): Column {
  if (column.kind === "text") {
    const codes = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) codes[i] = column.codes[rows[i]];
    return { kind: "text", codes, dictionary: column.dictionary };
  }
  const values = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) values[i] = column.values[rows[i]];
  return { ...column, values };
}

/** Row numbers sorted by a numeric column, ties in row order (missing last). */
export function orderBy(values: Float64Array): Int32Array {
  const order = new Int32Array(values.length);
  let sorted = true;
  for (let i = 0; i < order.length; i++) {
    order[i] = i;
    if (i > 0 && !(values[i] >= values[i - 1])) sorted = false;
  }
  if (sorted) return order;
  const rank = (value: number): number => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value);
  return order.sort((a, b) => {
    const left = rank(values[a]);
    const right = rank(values[b]);
    return left < right ? -1 : left > right ? 1 : a - b;
  });
}
