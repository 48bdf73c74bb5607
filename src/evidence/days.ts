// Days of traffic: how long something was really watched, which one transaction with a wrong date must not lengthen.
import { DAY_MS } from "../core/duration.ts";

/** A day counts with at least this share of the rows of the day in which the median row lies: nights and holidays do, strays do not. */
const SHARE_MIN = 0.1;

export interface BusyDays {
  /** Days with enough traffic, and never more than the time between their first row and their last. */
  readonly days: number;
  /** Time of the last row of such a day; null without rows. */
  readonly until: number | null;
}

/** Days (UTC) with enough traffic among rows at these times; those that are no time are left out. */
export function busyDays(times: Float64Array): BusyDays {
  const rows = new Map<number, number>();
  for (const time of times) {
    const day = Math.floor(time / DAY_MS);
    if (Number.isFinite(day)) rows.set(day, (rows.get(day) ?? 0) + 1);
  }
  const enough = SHARE_MIN * medianRowsOf(rows);
  let busy = 0;
  for (const count of rows.values()) if (count >= enough) busy++;
  let from = Number.POSITIVE_INFINITY;
  let until = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    if ((rows.get(Math.floor(time / DAY_MS)) ?? 0) < enough || !Number.isFinite(time)) continue;
    from = Math.min(from, time);
    until = Math.max(until, time);
  }
  if (busy === 0) return { days: 0, until: null };
  return { days: Math.min(busy, (until - from) / DAY_MS), until };
}

/** Rows of the day in which the median row lies, days in order of their rows. */
function medianRowsOf(rows: ReadonlyMap<number, number>): number {
  const counts = [...rows.values()].sort((a, b) => a - b);
  const half = counts.reduce((sum, count) => sum + count, 0) / 2;
  let seen = 0;
  for (const count of counts) {
    seen += count;
    if (seen >= half) return count;
  }
  return 0;
}
