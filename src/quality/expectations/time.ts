// Sentinel's own checks on time: is the data fresh, is it in order, and did every day bring its share of rows.
import { DAY_MS, formatDuration, parseDuration } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { quantileSorted } from "../../core/stats.ts";
import { isoText } from "../cells.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import { numericValues } from "../rows.ts";
import { FaultSample } from "../sample.ts";
import { Order } from "./ranges.ts";

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
      return (shape, { now }) => {
        if (now === null) noClock(kwargs.where);
        shape.column(name);
        const ages = { newest: Number.NaN, ahead: 0 };
        return {
          push: (rows) => lookAtAges(numericValues(rows, name), ages, now + maxAhead),
          finish: () => judgeAge(ages, { now, maxAge }),
        };
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
      return (shape) => {
        shape.column(name);
        const days = new DayCounts();
        return {
          push: (rows) => days.add(numericValues(rows, name)),
          finish: () => judgeVolume(days.inOrder(), { minRatio, maxRatio }),
        };
      };
    },
  },
  {
    /** Rows stand in ascending order of time; equal times are in order. */
    type: "sentinel_time_order",
    prepare(kwargs) {
      const name = kwargs.text("column");
      return (shape) => {
        shape.column(name);
        const order = new Order();
        const sample = new FaultSample();
        return {
          push(rows) {
            const faults = order.faultsOf(numericValues(rows, name));
            for (let row = 0; row < faults.length; row++) if (faults[row] === 1) sample.add(rows.sourceRow(row));
          },
          finish() {
            const { count, first } = sample.rows();
            const details = {
              problem: `out of order: ${count} older than the row before, first in data row ${first[0] + 1}`,
            };
            const result = { observed_value: count, ...(count === 0 ? {} : { details }) };
            return { success: count === 0, result, faults: sample.rows() };
          },
        };
      };
    },
  },
];

interface Ages {
  newest: number;
  /** Times beyond the clock skew that is allowed. */
  ahead: number;
}

function lookAtAges(values: Float64Array, ages: Ages, latest: number): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) continue;
    if (!(value <= ages.newest)) ages.newest = value;
    if (value > latest) ages.ahead++;
  }
}

function judgeAge(
  { newest, ahead }: Ages,
  { now, maxAge }: { readonly now: number; readonly maxAge: number },
): Outcome {
  if (Number.isNaN(newest)) {
    return { success: false, result: { observed_value: null, details: { problem: "there is no time at all" } } };
  }
  const age = now - newest;
  const problem =
    ahead > 0
      ? `in the future: ${ahead} times, up to ${isoText(newest, "T")}`
      : `the newest time, ${isoText(newest, "T")}, is ${shortDuration(age)} old, allowed are ${formatDuration(maxAge)}`;
  const success = ahead === 0 && age <= maxAge;
  return { success, result: { observed_value: isoText(newest, "T"), ...(success ? {} : { details: { problem } }) } };
}

function judgeVolume(
  days: { readonly first: number; readonly counts: Float64Array },
  { minRatio, maxRatio }: { readonly minRatio: number; readonly maxRatio: number },
): Outcome {
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

/** Rows of each UTC day. */
class DayCounts {
  private readonly rows = new Map<number, number>();
  private first = Number.POSITIVE_INFINITY;
  private last = Number.NEGATIVE_INFINITY;
  private lastDay = Number.NaN;
  private lastRows = 0;

  add(values: Float64Array): void {
    for (let row = 0; row < values.length; row++) {
      if (Number.isNaN(values[row])) continue;
      const day = Math.floor(values[row] / DAY_MS);
      if (day !== this.lastDay) this.turnTo(day);
      this.lastRows++;
    }
  }

  /** From the first day to the last, empty days included; `first` is days since 1970. */
  inOrder(): { readonly first: number; readonly counts: Float64Array } {
    this.turnTo(Number.NaN);
    const days = [...this.rows.keys()].sort((a, b) => a - b);
    if (days.length === 0) return { first: 0, counts: new Float64Array() };
    const [first] = days;
    const counts = new Float64Array(days[days.length - 1] - first + 1);
    for (const day of days) counts[day - first] = this.rows.get(day)!;
    return { first, counts };
  }

  /** Neighbouring rows mostly are of one day. */
  private turnTo(day: number): void {
    if (this.lastRows > 0) this.rows.set(this.lastDay, (this.rows.get(this.lastDay) ?? 0) + this.lastRows);
    this.lastDay = day;
    this.lastRows = 0;
    if (Number.isNaN(day)) return;
    this.first = Math.min(this.first, day);
    this.last = Math.max(this.last, day);
    if (!(this.last - this.first < DAYS_MAX)) wrongUnit(this.last - this.first);
  }
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
