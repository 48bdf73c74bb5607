// Loops over one column: which cells are missing, and which are not as a test expects them.
import type { Column } from "../core/table.ts";

/** 1 where a cell is missing. */
export function missingCells(column: Column): Uint8Array {
  if (column.kind === "text") return flagCodes(column.codes);
  const { values } = column;
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

/** The numbers that are there, in row order. */
export function presentNumbers(values: Float64Array): Float64Array {
  let count = 0;
  for (let row = 0; row < values.length; row++) if (!Number.isNaN(values[row])) count++;
  if (count === values.length) return values;
  const present = new Float64Array(count);
  for (let row = 0, next = 0; row < values.length; row++) {
    if (!Number.isNaN(values[row])) present[next++] = values[row];
  }
  return present;
}

/** How often each code of a dictionary occurs. */
export function codeCounts(column: { readonly codes: Int32Array; readonly dictionary: readonly string[] }): Int32Array {
  const counts = new Int32Array(column.dictionary.length);
  for (let row = 0; row < column.codes.length; row++) if (column.codes[row] >= 0) counts[column.codes[row]]++;
  return counts;
}

/** 1 where the cell's value occurs more than once in the column. */
export function flagRepeated(column: Column): Uint8Array {
  if (column.kind === "text") {
    const counts = codeCounts(column);
    const faults = new Uint8Array(column.codes.length);
    for (let row = 0; row < faults.length; row++) {
      const code = column.codes[row];
      if (code >= 0 && counts[code] > 1) faults[row] = 1;
    }
    return faults;
  }
  if (strictlyIncreasing(column.values)) return new Uint8Array(column.values.length);
  const repeated = repeatedNumbers(column.values);
  if (repeated.size === 0) return new Uint8Array(column.values.length);
  return flagNumbers(column.values, (value) => !repeated.has(value));
}

/** The different numbers of a column in ascending order. */
export function distinctNumbers(values: Float64Array): Float64Array {
  const sorted = presentNumbers(values).slice().sort();
  let count = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i];
  }
  return sorted.subarray(0, count);
}

function repeatedNumbers(values: Float64Array): ReadonlySet<number> {
  const sorted = presentNumbers(values).slice().sort();
  const repeated = new Set<number>();
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1] && (i === 1 || sorted[i] !== sorted[i - 2])) repeated.add(sorted[i]);
  }
  return repeated;
}

/** Ids mostly come in ascending order, and then nothing has to be sorted. */
function strictlyIncreasing(values: Float64Array): boolean {
  for (let row = 1; row < values.length; row++) if (!(values[row] > values[row - 1])) return false;
  return true;
}

function flagCodes(codes: Int32Array): Uint8Array {
  const missing = new Uint8Array(codes.length);
  for (let row = 0; row < codes.length; row++) if (codes[row] < 0) missing[row] = 1;
  return missing;
}
