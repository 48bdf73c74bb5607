// The window as stretches: from hourly tallies, or from the columns of a table.
import { HOUR_MS } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { Hours, type HoursOf } from "./hours.ts";
import type { DriftWindow } from "./monitor.ts";
import type { Values } from "./reference.ts";
import { type ColumnTally, columnOf, sumOf, type Tally } from "./tally.ts";

/** Days of a week, where the window is one: what lasts shows in several of them. */
const STRETCHES = 7;

/** Whole hours that end with the one of `until`: `hours` of them, in sevenths (fewer where there are fewer hours). */
export function windowOf(
  hours: Hours,
  { until, windowMs }: { readonly until: number; readonly windowMs: number },
): DriftWindow {
  const { first, last } = hoursOf({ until, windowMs });
  const count = last - first + 1;
  const parts = Math.min(STRETCHES, count);
  const stretches = Array.from({ length: parts }, (_, part) => {
    const from = first + Math.round((count * part) / parts);
    const to = first + Math.round((count * (part + 1)) / parts);
    const tallies: Tally[] = [];
    for (let hour = from; hour < to; hour++) {
      const tally = hours.tally(hour);
      if (tally !== undefined) tallies.push(tally);
    }
    return { from: from * HOUR_MS, to: to * HOUR_MS, tally: sumOf(hours.grids, tallies) };
  });
  return { grids: hours.grids, stretches };
}

/** One column over all stretches. */
export function totalOf({ grids, stretches }: DriftWindow, column: number): ColumnTally {
  const total = sumOf(
    grids,
    stretches.map(({ tally }) => tally),
  );
  return columnOf(total, grids, column);
}

/** First and last hour of a window. */
export function hoursOf({ until, windowMs }: { readonly until: number; readonly windowMs: number }): {
  readonly first: number;
  readonly last: number;
} {
  const last = Math.floor(until / HOUR_MS);
  return { first: last - Math.max(1, Math.round(windowMs / HOUR_MS)) + 1, last };
}

/** Rows as columns, in order of arrival. */
export interface Columns {
  readonly columns: readonly Values[];
  readonly scores: Values;
  /** Event times, epoch ms. */
  readonly times: ArrayLike<number>;
  readonly ids?: (row: number) => string;
}

/** Tallies of columns. Throws `drift.reference-missing` when they are not the reference's. */
export function tallyColumns(rows: Columns, given: HoursOf): Hours {
  const { columns, scores, times, ids = String } = rows;
  const { reference } = given;
  const matches = columns.length === reference.features.length;
  if (!matches || columns.some((column) => column.length !== scores.length)) {
    throw new SentinelError(
      "drift.reference-missing",
      `the drift reference has ${reference.features.length} features, the window ${columns.length} columns for ${scores.length} rows`,
      { hint: "compare with the reference of the bundle that made these vectors" },
    );
  }
  const hours = new Hours(given);
  const vector = new Float64Array(columns.length);
  for (let row = 0; row < scores.length; row++) {
    for (let c = 0; c < columns.length; c++) vector[c] = columns[c][row];
    hours.add({ id: ids(row), time: times[row], score: scores[row], vector });
  }
  return hours;
}
