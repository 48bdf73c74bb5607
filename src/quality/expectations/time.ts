// Sentinel's own checks on time: is the data fresh, is it in order, and did every day bring its share of rows.
import { DAY_MS, formatDuration, parseDuration } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { quantileSorted } from "../../core/stats.ts";
import { isoText } from "../cells.ts";
import { flagNumbers } from "../columns.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import { numericValues } from "../rows.ts";
import { countMissing } from "../summary.ts";
import { flagDisorder } from "./ranges.ts";

/** More days between first and last row than this (54 years) means that the unit of the time is wrong. */
const DAYS_MAX = 20_000;
/** Below this many whole days a median day says nothing. */
const DAYS_TO_JUDGE = 3;
const DAYS_SHOWN = 20;

export const TIME: readonly ExpectationDefinition[] = [
  {
    /** The newest time is at most `max_age` before now, and no time is more than `max_ahead` (clock skew) after it. */
    type: "sentinel_freshness",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const maxAge = duration(kwargs, "max_age", null);
      const maxAhead = duration(kwargs, "max_ahead", "1h");
      return (rows, { now }) => {
        if (now === null) noClock(kwargs.where);
        return judgeAge(numericValues(rows, name), { now, maxAge, maxAhead });
      };
    },
  },
  {
    /** Rows per UTC day, first and last day left out (they may be partial), against the median day. */
    type: "sentinel_volume",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const minRatio = kwargs.optionalNumber("min_ratio") ?? 0.5;
      const maxRatio = kwargs.optionalNumber("max_ratio") ?? 2;
      if (!(minRatio >= 0 && minRatio <= 1)) kwargs.wrong("min_ratio", "a number from 0 to 1");
      if (!(maxRatio >= 1)) kwargs.wrong("max_ratio", "a number of at least 1");
      return (rows) => judgeVolume(numericValues(rows, name), { minRatio, maxRatio });
    },
  },
  {
    /** Rows stand in ascending order of time; equal times are in order. */
    type: "sentinel_time_order",
    prepare(kwargs) {
      const name = kwargs.text("column");
      return (rows) => {
        const faults = flagDisorder(numericValues(rows, name));
        const count = countMissing(faults);
        const first = count === 0 ? 0 : rows.sourceRow(faults.indexOf(1));
        const details = { problem: `out of order: ${count} older than the row before, first in row ${first}` };
        return { success: count === 0, result: { observed_value: count, ...(count === 0 ? {} : { details }) } };
      };
    },
  },
];

function judgeAge(
  values: Float64Array,
  { now, maxAge, maxAhead }: { readonly now: number; readonly maxAge: number; readonly maxAhead: number },
): Outcome {
  let newest = Number.NaN;
  for (let row = 0; row < values.length; row++) if (!(values[row] <= newest)) newest = better(newest, values[row]);
  if (Number.isNaN(newest)) {
    return { success: false, result: { observed_value: null, details: { problem: "there is no time at all" } } };
  }
  const ahead = countMissing(flagNumbers(values, (value) => value <= now + maxAhead));
  const age = now - newest;
  const problem =
    ahead > 0
      ? `in the future: ${ahead} times, up to ${isoText(newest, "T")}`
      : `the newest time, ${isoText(newest, "T")}, is ${shortDuration(age)} old, allowed are ${formatDuration(maxAge)}`;
  const success = ahead === 0 && age <= maxAge;
  return { success, result: { observed_value: isoText(newest, "T"), ...(success ? {} : { details: { problem } }) } };
}

function better(newest: number, value: number): number {
  return Number.isNaN(value) ? newest : value;
}

function judgeVolume(
  values: Float64Array,
  { minRatio, maxRatio }: { readonly minRatio: number; readonly maxRatio: number },
): Outcome {
  const days = rowsByDay(values);
  const whole = days.counts.slice(1, -1);
  if (whole.length < DAYS_TO_JUDGE) {
    const note = `${whole.length} whole days; ${DAYS_TO_JUDGE} are needed to judge`;
    return { success: true, result: { observed_value: null, details: { note } } };
  }
  const median = quantileSorted(whole.slice().sort(), 0.5);
  const faults = [...whole]
    .map((rows, i) => ({ day: isoText((days.first + 1 + i) * DAY_MS, "T").slice(0, 10), rows }))
    .filter(({ rows }) => rows < minRatio * median || rows > maxRatio * median);
  const shown = faults.slice(0, DAYS_SHOWN);
  const list = shown.slice(0, 3).map(({ day, rows }) => `${day} (${rows} rows)`);
  const problem = `${faults.length} of ${whole.length} days are far from the median day of ${median} rows: ${list.join(", ")}`;
  const success = faults.length === 0;
  return { success, result: { observed_value: median, ...(success ? {} : { details: { problem, days: shown } }) } };
}

/** Rows of each UTC day from the first to the last, empty days included; `first` is days since 1970. */
function rowsByDay(values: Float64Array): { readonly first: number; readonly counts: Float64Array } {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < values.length; row++) {
    const day = Math.floor(values[row] / DAY_MS);
    if (day < first) first = day;
    if (day > last) last = day;
  }
  if (!(first <= last)) return { first: 0, counts: new Float64Array() };
  if (!(last - first < DAYS_MAX)) wrongUnit(last - first);
  const counts = new Float64Array(last - first + 1);
  for (let row = 0; row < values.length; row++) {
    if (!Number.isNaN(values[row])) counts[Math.floor(values[row] / DAY_MS) - first]++;
  }
  return { first, counts };
}

function duration(kwargs: Kwargs, name: string, otherwise: string | null): number {
  const text = kwargs.get(name) ?? otherwise;
  const ms = typeof text === "string" ? parseDuration(text) : Number.NaN;
  return Number.isNaN(ms) ? kwargs.wrong(name, 'a duration such as "36h" or "7d"') : ms;
}

/** "3.5d": one decimal of the unit that fits. */
function shortDuration(ms: number): string {
  if (ms >= DAY_MS) return `${(ms / DAY_MS).toFixed(1)}d`;
  return ms >= 3_600_000 ? `${(ms / 3_600_000).toFixed(1)}h` : `${(ms / 60_000).toFixed(1)}m`;
}

function noClock(where: string): never {
  throw new SentinelError("quality.suite-invalid", `${where} needs to know what time it is`, {
    hint: "give the gate `now`, or leave the freshness check out",
  });
}

function wrongUnit(days: number): never {
  throw new SentinelError("dataset.type-wrong", `the times span ${days} days`, {
    hint: "check the unit: times are milliseconds since 1970",
  });
}
