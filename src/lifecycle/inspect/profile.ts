// Profiles of a stranger's columns: how many values, how many missing, examples; what guesses are made from.
import { type Column, textAt } from "../../core/table.ts";
import type { DatasetDescription } from "../../ports/dataset.ts";

export interface Profile {
  readonly name: string;
  /** The name in lower case without anything but letters and digits. */
  readonly folded: string;
  readonly type: DatasetDescription["columns"][number]["type"];
  readonly column: Column;
  readonly missing: number;
  /** Different values, counted up to {@link DISTINCT_MAX}. */
  readonly distinct: number;
  /** Of columns of numbers and times; NaN of others. */
  readonly low: number;
  readonly high: number;
  readonly whole: boolean;
  readonly examples: readonly string[];
}

export const DISTINCT_MAX = 100_000;
const EXAMPLES_MAX = 3;
const EXAMPLE_LENGTH_MAX = 30;

export function profileOf(name: string, type: Profile["type"], column: Column): Profile {
  const about = column.kind === "text" ? ofTexts(column.codes) : ofNumbers(column.values);
  const folded = name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  return { name, folded, type, column, ...about, examples: examplesOf(column) };
}

function ofTexts(codes: Int32Array): Omit<Profile, "name" | "folded" | "type" | "column" | "examples"> {
  const seen = new Set<number>();
  let missing = 0;
  for (const code of codes) {
    if (code < 0) missing++;
    else if (seen.size < DISTINCT_MAX) seen.add(code);
  }
  return { missing, distinct: seen.size, low: Number.NaN, high: Number.NaN, whole: false };
}

function ofNumbers(values: Float64Array): Omit<Profile, "name" | "folded" | "type" | "column" | "examples"> {
  const seen = new Set<number>();
  let [missing, low, high, whole] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, true];
  for (const value of values) {
    if (Number.isNaN(value)) {
      missing++;
      continue;
    }
    if (value < low) low = value;
    if (value > high) high = value;
    whole &&= Number.isInteger(value);
    if (seen.size < DISTINCT_MAX) seen.add(value);
  }
  return { missing, distinct: seen.size, low, high, whole };
}

function examplesOf(column: Column): readonly string[] {
  const rows = column.kind === "text" ? column.codes.length : column.values.length;
  const found = new Set<string>();
  for (let row = 0; row < rows && found.size < EXAMPLES_MAX; row++) {
    const text = textAt(column, row);
    if (text !== null)
      found.add((column.kind === "time" ? new Date(Number(text)).toISOString() : text).slice(0, EXAMPLE_LENGTH_MAX));
  }
  return [...found];
}
