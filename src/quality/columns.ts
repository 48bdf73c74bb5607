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
  const missing = column.kind === "text" ? flagCodes(column.codes) : flagNaN(column);
  MISSING.set(column, missing);
  return missing;
}

function flagNaN(column: { readonly values: Float64Array }): Missing {
  const { values } = column;
  const count = values.length - figuresOf(values).count;
  if (count === 0) return { cells: noFlags(values.length), count };
  const cells = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row++) if (Number.isNaN(values[row])) cells[row] = 1;
  return { cells, count };
}

/** Of the numbers of one batch that are there: how many, the least and the greatest; NaN without any. */
export interface BatchFigures {
  readonly count: number;
  readonly min: number;
  readonly max: number;
}

const FIGURES = new WeakMap<Float64Array, BatchFigures>();

/** Kept with the numbers, about which many checks ask. */
export function figuresOf(values: Float64Array): BatchFigures {
  const known = FIGURES.get(values);
  if (known !== undefined) return known;
  const figures = lookAt(values);
  FIGURES.set(values, figures);
  return figures;
}

/** Two rows at a time: then no comparison waits for the one before it. −0 is 0. */
function lookAt(values: Float64Array): BatchFigures {
  let gaps = 0;
  let [lowA, lowB] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [highA, highB] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const pairs = values.length - (values.length % 2);
  for (let row = 0; row < pairs; row += 2) {
    const a = values[row];
    const b = values[row + 1];
    if (a < lowA) lowA = a;
    if (b < lowB) lowB = b;
    if (a > highA) highA = a;
    if (b > highB) highB = b;
    if (Number.isNaN(a)) gaps++;
    if (Number.isNaN(b)) gaps++;
  }
  if (pairs < values.length) {
    const last = values[pairs];
    if (last < lowA) lowA = last;
    if (last > highA) highA = last;
    if (Number.isNaN(last)) gaps++;
  }
  const count = values.length - gaps;
  if (count === 0) return { count, min: Number.NaN, max: Number.NaN };
  return { count, min: Math.min(lowA, lowB) + 0, max: Math.max(highA, highB) + 0 };
}

let NO_FLAGS = new Uint8Array();

/** Zeros that several may hold and nobody changes. */
export function noFlags(count: number): Uint8Array {
  if (NO_FLAGS.length < count) NO_FLAGS = new Uint8Array(count);
  return NO_FLAGS.subarray(0, count);
}

/** Whether these surely are zeros, without a look at them: those of {@link noFlags}. */
export function isNoFlags(flags: Uint8Array): boolean {
  return flags.buffer === NO_FLAGS.buffer;
}

/** 1 where a cell is there and the test says no. */
export function flagNumbers(values: Float64Array, isExpected: (value: number) => boolean): Uint8Array {
  let faults: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value) || isExpected(value)) continue;
    faults ??= new Uint8Array(values.length);
    faults[row] = 1;
  }
  return faults ?? noFlags(values.length);
}

/** The same where the test is a range: whoever holds the least and the greatest number holds all. */
export function flagOutside(values: Float64Array, isInside: (value: number) => boolean): Uint8Array {
  const { count, min, max } = figuresOf(values);
  if (count === 0 || (isInside(min) && isInside(max))) return noFlags(values.length);
  return flagNumbers(values, isInside);
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
  return figuresOf(values).count > 0;
}

function flagCodes(codes: Int32Array): Missing {
  const cells = new Uint8Array(codes.length);
  let count = 0;
  for (let row = 0; row < codes.length; row++) {
    if (codes[row] >= 0) continue;
    cells[row] = 1;
    count++;
  }
  return { cells, count };
}
