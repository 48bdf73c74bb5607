// Parts of a time, in UTC, as Spark SQL counts them: dayofweek is 1 on Sunday, weekday 0 on Monday.

import { parseIso } from "../core/time.ts";
import type { FunctionRule } from "./function-rule.ts";
import type { Step } from "./steps.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** 1970-01-01 was a Thursday. */
const THURSDAY_FROM_SUNDAY = 4;
const THURSDAY_FROM_MONDAY = 3;

function ofTime(step: (to: number, a: number) => Step): FunctionRule {
  return { takes: "time", least: 1, most: 1, gives: "number", step: (to, [a]) => step(to, a) };
}

/** How many whole units have passed since the last multiple of `of` of them. */
function within(unitMs: number, of: number): FunctionRule {
  return ofTime((to, a) => (n) => {
    const units = Math.floor(n[a] / unitMs);
    n[to] = units - Math.floor(units / of) * of;
  });
}

function dayRule(offset: number, first: number): FunctionRule {
  return ofTime((to, a) => (n) => {
    const day = Math.floor(n[a] / DAY_MS) + offset;
    n[to] = day - Math.floor(day / 7) * 7 + first;
  });
}

/** One date for all calls: setTime writes into it without allocating another. */
const date = new Date(0);

function ofDate(part: (date: Date) => number): FunctionRule {
  return ofTime((to, a) => (n) => {
    date.setTime(n[a]);
    n[to] = part(date);
  });
}

/** Two times to a number. */
function ofTimes(compute: (a: number, b: number) => number): FunctionRule {
  const step: FunctionRule["step"] =
    (to, [a, b]) =>
    (n) => {
      n[to] = Number.isNaN(n[a]) || Number.isNaN(n[b]) ? Number.NaN : compute(n[a], n[b]);
    };
  return { takes: "time", least: 2, most: 2, gives: "number", step };
}

/** Whole years from a birth to a time, by the calendar: who was born on February 29th is a year older on March 1st. NaN before the birth. */
function ageYears(at: number, birth: number): number {
  if (at < birth) return Number.NaN;
  const [now, then] = [new Date(at), new Date(birth)];
  const months = now.getUTCMonth() - then.getUTCMonth();
  const isBefore = months < 0 || (months === 0 && now.getUTCDate() < then.getUTCDate());
  return now.getUTCFullYear() - then.getUTCFullYear() - (isBefore ? 1 : 0);
}

/** A date or a time in ISO 8601, in UTC where it names no zone; any other text is missing. */
const TO_TIMESTAMP: FunctionRule = {
  takes: "text",
  least: 1,
  most: 1,
  gives: "time",
  step:
    (to, [a]) =>
    (n, t) => {
      const text = t[a];
      const value = text === null ? Number.NaN : parseIso(text);
      n[to] = Number.isFinite(value) ? value : Number.NaN;
    },
};

export const TIME_FUNCTIONS: readonly (readonly [string, FunctionRule])[] = [
  ["age_years", ofTimes(ageYears)],
  ["datediff", ofTimes((end, start) => Math.floor(end / DAY_MS) - Math.floor(start / DAY_MS))],
  ["to_timestamp", TO_TIMESTAMP],
  ["dayofmonth", ofDate((at) => at.getUTCDate())],
  ["dayofweek", dayRule(THURSDAY_FROM_SUNDAY, 1)],
  ["dayofyear", ofDate((at) => Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / DAY_MS) + 1)],
  ["hour", within(HOUR_MS, 24)],
  ["minute", within(MINUTE_MS, 60)],
  ["month", ofDate((at) => at.getUTCMonth() + 1)],
  ["quarter", ofDate((at) => Math.floor(at.getUTCMonth() / 3) + 1)],
  ["second", within(SECOND_MS, 60)],
  ["weekday", dayRule(THURSDAY_FROM_MONDAY, 0)],
  ["year", ofDate((at) => at.getUTCFullYear())],
];
