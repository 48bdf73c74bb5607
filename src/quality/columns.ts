// Loops over one column: which cells are missing, and which are not as a test expects them.
import type { Column } from "../core/table.ts";

/** 1 where a cell is missing. Several checks ask about one column, so the answer is kept with it and must not be changed. */
export function missingCells(column: Column): Uint8Array {
  return missingOf(column).cells;
}

/** How many cells are missing. */
export function missingCount(column: Column): number {
  return missingOf(column).count;
}

interface Missing {
  readonly cells: Uint8Array;
  readonly count: number;
}

const MISSING = new WeakMap<Column, Missing>();

function missingOf(column: Column): Missing {
  const known = MISSING.get(column);
  if (known !== undefined) return known;
  const cells = column.kind === "text" ? flagCodes(column.codes) : flagNaN(column.values);
  let count = 0;
  for (let row = 0; row < cells.length; row++) count += cells[row];
  MISSING.set(column, { cells, count });
  return { cells, count };
}

function flagNaN(values: Float64Array): Uint8Array {
  const missing = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++) if (Number.isNaN(values[row])) missing[row] = 1;
  return missing;
}

/** 1 where a cell is there and the test says no. */
export function flagNumbers(values: Float64Array, isExpected: (value: number) => boolean): Uint8Array {
  const faults = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (!Number.isNaN(value) && !isExpected(value)) faults[row] = 1;
  }
  return faults;
}

/** 1 where a text is there and the test says no; each different text is tested once. */
export function flagTexts(
  column: { readonly codes: Int32Array; readonly dictionary: readonly string[] },
  isExpected: (text: string) => boolean,
): Uint8Array {
  const { codes, dictionary } = column;
  const unknown = 2;
  const verdicts = new Uint8Array(dictionary.length).fill(unknown);
  const faults = new Uint8Array(codes.length);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row];
    if (code < 0) continue;
    if (verdicts[code] === unknown) verdicts[code] = isExpected(dictionary[code]) ? 0 : 1;
    faults[row] = verdicts[code];
  }
  return faults;
}

/** Whether any number is there. */
export function hasNumber(values: Float64Array): boolean {
  for (let row = 0; row < values.length; row++) if (!Number.isNaN(values[row])) return true;
  return false;
}

function flagCodes(codes: Int32Array): Uint8Array {
  const missing = new Uint8Array(codes.length);
  for (let row = 0; row < codes.length; row++) if (codes[row] < 0) missing[row] = 1;
  return missing;
}
