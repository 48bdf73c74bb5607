// Instants: a column of times, however it is written, as milliseconds since 1970 by the pipeline's rule.
import { SentinelError } from "../../core/errors.ts";
import type { Column, TextColumn, TimeColumn } from "../../core/table.ts";
import { isCount, readCount, readTime, TIME_MAX, TIME_MIN, type TimeRule, timeFault } from "../../core/time.ts";

/** A column in a file, for messages. */
export interface Place {
  readonly path: string;
  /** The column's own name. */
  readonly name: string;
  /** Its name and type. */
  readonly native: string;
  readonly format: string;
  /** The pipeline's time column, whose rule all times of a file follow. */
  readonly timeColumn: string;
  /** How many rows of the table stand before the first of these. */
  readonly rowsBefore: number;
}

/** The number of a row as people count, from 1, in the whole table. */
export function rowNumber({ rowsBefore }: Place, row: number): number {
  return rowsBefore + row + 1;
}

interface Given {
  readonly place: Place;
  readonly rule: TimeRule;
  /** Every row must have one; else a missing one stays missing. */
  readonly needed: boolean;
}

/** Errors: dataset.type-wrong, naming column, row, value and the unit or format that would fit. */
export function instants(column: Column, given: Given): TimeColumn {
  const made = column.kind === "text" ? ofTexts(column, given) : ofNumbers(column, given);
  if (!given.needed) return made;
  const missing = made.values.findIndex(Number.isNaN);
  if (missing < 0) return made;
  const hint = "every transaction needs its time: fill it in or remove the row";
  throw typeWrong(given.place, `has no time in data row ${rowNumber(given.place, missing)}`, hint);
}

export function typeWrong(place: Place, what: string, hint: string): SentinelError {
  return new SentinelError("dataset.type-wrong", `${place.path}: column ${place.native} ${what}`, { hint });
}

function ofNumbers(column: Exclude<Column, TextColumn>, given: Given): TimeColumn {
  const { rule } = given;
  const typed = column.kind === "time";
  const single = given.place.native.endsWith("(FLOAT)");
  // A file's own type of time is an instant already; a number is one by the rule.
  const timeOf = (value: number): number => {
    if (typed) return value >= TIME_MIN && value <= TIME_MAX ? value : Number.NaN;
    return rule.format === undefined ? readCount(value, rule) : readTime(value, rule);
  };
  const values = new Float64Array(column.values.length);
  for (let row = 0; row < values.length; row++) {
    const value = column.values[row];
    if (single && Math.abs(value) >= SINGLE_WHOLE_MAX) throw rounded(value, row, given.place);
    values[row] = timeOf(value);
    if (Number.isNaN(values[row]) && !Number.isNaN(value)) {
      throw fault(typed ? isoOrNumber(value) : value, row, given);
    }
  }
  return { kind: "time", values };
}

/** Whole numbers from here on are not told from their neighbours as a 32-bit float: milliseconds since 1970 are minutes off. */
const SINGLE_WHOLE_MAX = 2 ** 24;

function rounded(value: number, row: number, place: Place): SentinelError {
  return typeWrong(
    place,
    `in data row ${rowNumber(place, row)} is ${value}, a count beyond what a 32-bit float holds: it was rounded`,
    "write times as 64-bit integers, doubles or timestamps before anything makes 32-bit floats of them",
  );
}

/** A typed time as its text. */
function isoOrNumber(value: number): string | number {
  return Math.abs(value) <= 8.64e15 ? new Date(value).toISOString().replace("Z", "") : value;
}

function ofTexts(column: TextColumn, given: Given): TimeColumn {
  const { rule } = given;
  const read = column.dictionary.map((text) => (text.trim() === "" ? Number.NaN : readTime(text, rule)));
  const values = new Float64Array(column.codes.length).fill(Number.NaN);
  let counts: boolean | null = null;
  for (let row = 0; row < values.length; row++) {
    const code = column.codes[row];
    if (code < 0) continue;
    const text = column.dictionary[code];
    if (text.trim() === "") continue;
    values[row] = read[code];
    if (Number.isNaN(values[row])) throw fault(text, row, given);
    if (rule.format !== undefined) continue;
    counts ??= isCount(text);
    if (counts === isCount(text)) continue;
    throw typeWrong(
      given.place,
      `mixes numbers and dates: data row ${rowNumber(given.place, row)} holds ${JSON.stringify(text.slice(0, 40))}, the rows before it ${counts ? "numbers" : "dates"}`,
      "write every time of a column in one way",
    );
  }
  return { kind: "time", values };
}

function fault(value: string | number, row: number, { place, rule }: Given): SentinelError {
  const { what, hint } = timeFault(value, { column: place.timeColumn, rule });
  return typeWrong(place, `in data row ${rowNumber(place, row)} is ${what}`, hint);
}
