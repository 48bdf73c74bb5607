// Parts of a time, in UTC, as Spark SQL counts them: dayofweek is 1 on Sunday, weekday 0 on Monday.
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

export const TIME_FUNCTIONS: readonly (readonly [string, FunctionRule])[] = [
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
