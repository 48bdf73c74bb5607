// The data gate: severities, requirements, isolation, and reasons a person can act on.
import { expect, test } from "vitest";
import { isYes } from "../../src/core/verdict.ts";
import { dataGate, type Requirements } from "../../src/quality/gate.ts";
import { numbers, suiteOf, table, texts, times } from "./tables.ts";

const EMPTY = suiteOf();
const DAY = 86_400_000;

function gate(data: ReturnType<typeof table>, requirements: Requirements, suite = EMPTY) {
  return dataGate({ table: data, suite, requirements });
}

test("a critical failure fails the gate; a warning or info is named and does not", () => {
  const data = table({ a: numbers(1, -2) });
  const between = (severity: string) =>
    suiteOf({
      type: "expect_column_values_to_be_between",
      kwargs: { column: "a", min_value: 0 },
      severity,
      notes: "why",
    });
  for (const severity of ["warning", "info"]) {
    const { verdict, result } = gate(data, {}, between(severity));
    expect(verdict.verdict).toBe("pass");
    expect(verdict.reasons[0]).toContain("not critical");
    expect(verdict.reasons[1]).toMatch(
      new RegExp(`^${severity}: a: values to be between: 1 of 2 rows.*-2.*data row 2.*why`),
    );
    expect(result.success).toBe(false);
  }
  const { verdict } = gate(data, {}, between("critical"));
  expect(isYes(verdict)).toBe(false);
  expect(verdict.gate).toBe("data");
});

test("an unknown type, or a condition in another engine's language, fails at any severity", () => {
  const data = table({ a: numbers(1) });
  const unknown = suiteOf({ type: "expect_the_unexpected", kwargs: {}, severity: "info" });
  const foreign = suiteOf({
    type: "expect_column_values_to_be_unique",
    kwargs: { column: "a", row_condition: "a > b.shift()", condition_parser: "pandas" },
    severity: "info",
  });
  for (const suite of [unknown, foreign]) {
    const { verdict, result } = gate(data, {}, suite);
    expect(verdict.verdict).toBe("fail");
    expect(result.results.at(-1)!.meta.status).toBe("unsupported");
    expect(verdict.reasons.join()).toContain("unsupported");
  }
});

test("a check that throws leaves the others as they are", () => {
  const data = table({ a: numbers(1, 2), s: texts("x", "y") });
  const suite = suiteOf(
    { type: "expect_column_mean_to_be_between", kwargs: { column: "s" } },
    { type: "expect_column_mean_to_be_between", kwargs: { column: "a", max_value: 2 } },
    { type: "expect_column_mean_to_be_between", kwargs: { column: "gone" } },
  );
  const { result } = gate(data, {}, suite);
  expect(result.results.slice(1).map(({ meta }) => meta.status)).toEqual(["errored", "passed", "errored"]);
  expect(result.results[3].exception_info.exception_message).toContain('no column "gone"');
  expect(result.statistics).toEqual({
    evaluated_expectations: 4,
    successful_expectations: 2,
    unsuccessful_expectations: 2,
    success_percent: 50,
  });
});

test("a mean, a spread, a sum or a quantile of times is an error: held against numbers it would say what nobody asked", () => {
  const data = table({ t: times("2024-01-01T00:00:00", "2024-01-02T00:00:00", null), gone: times(null, null, null) });
  const between = (what: string, column = "t") => ({
    type: `expect_column_${what}_to_be_between`,
    kwargs: { column, min_value: 0 },
  });
  const quantile_ranges = { quantiles: [0.5], value_ranges: [[0, null]] };
  const quantiles = { type: "expect_column_quantile_values_to_be_between", kwargs: { column: "t", quantile_ranges } };
  const asked = [...["mean", "median", "stdev", "sum"].map((what) => between(what)), quantiles];
  const { result } = gate(data, {}, suiteOf(...asked));
  expect(result.results.slice(1).map(({ meta }) => meta.status)).toEqual(asked.map(() => "errored"));
  expect(result.results[1].exception_info.exception_message).toContain('column "t" holds times where numbers');
  const none = gate(data, {}, suiteOf(between("mean", "gone"))).result.results[1];
  expect([none.success, none.exception_info.raised_exception]).toEqual([false, false]);
});

test("infinity is never acceptable, asked for or not", () => {
  const { verdict } = gate(table({ a: numbers(1, Number.NEGATIVE_INFINITY), b: numbers(null, 2) }), {});
  expect(verdict.verdict).toBe("fail");
  expect(verdict.reasons[0]).toContain("infinite values in a (1, first in data row 2)");
  expect(gate(table({ a: numbers(1, null), s: texts("Infinity", "x") }), {}).verdict.verdict).toBe("pass");
});

test("the schema names what is missing and what has the wrong type", () => {
  const data = table({ id: texts("a"), time: numbers(1) });
  const { verdict } = gate(data, { columns: { id: "key", time: "time", amount: "number" } });
  expect(verdict.reasons[0]).toContain("column amount is missing; column time holds number, not time");
  expect(gate(data, { columns: { id: "text", time: "any" } }).verdict.verdict).toBe("pass");
});

test("freshness: old data, future data, no data, no clock", () => {
  const data = table({ time: times("2026-01-01", "2026-01-03", null) });
  const now = Date.UTC(2026, 0, 5);
  const ask = (maxAge: string, at: number | undefined = now) =>
    gate(data, { now: at, freshness: { column: "time", maxAge } }).verdict;
  expect(ask("2d").verdict).toBe("pass");
  expect(ask("47h").reasons[0]).toContain("is 2.0d old, allowed are 47h");
  expect(ask("2d", now - 3 * DAY).reasons[0]).toContain("in the future: 1 times");
  expect(gate(data, { freshness: { column: "time", maxAge: "2d" } }).verdict.reasons[0]).toContain("what time it is");
  const empty = table({ time: times(null) });
  expect(gate(empty, { now, freshness: { column: "time", maxAge: "2d" } }).verdict.reasons[0]).toContain(
    "no time at all",
  );
});

/** Noon of each day, as often as its count says. */
function days(...counts: readonly number[]) {
  const all = counts.flatMap((count, day) => Array<number>(count).fill(Date.UTC(2026, 0, 1 + day, 12)));
  return table({ time: { kind: "time", values: Float64Array.from(all) } });
}

test("volume: an empty or a double day is found, first and last day do not count", () => {
  const volume = { column: "time" };
  expect(gate(days(1, 10, 11, 9, 10, 1), { volume }).verdict.verdict).toBe("pass");
  const gap = gate(days(10, 10, 0, 10, 10, 10), { volume }).verdict;
  expect(gap.reasons[0]).toContain("1 of 4 days are far from the median day of 10 rows: 2026-01-03 (0 rows)");
  expect(gate(days(10, 10, 21, 10, 10), { volume }).verdict.verdict).toBe("fail");
  expect(gate(days(10, 10, 21, 10, 10), { volume: { column: "time", maxRatio: 3 } }).verdict.verdict).toBe("pass");
  expect(gate(days(5, 1, 5), { volume }).verdict.verdict).toBe("pass");
  const wrongUnit = table({ time: { kind: "time", values: Float64Array.of(0, 1e15) } });
  expect(gate(wrongUnit, { volume }).verdict.reasons[0]).toContain("days");
});

test("label rate: no frauds, one class, strange labels, out of range", () => {
  const ask = (labels: readonly (number | null)[], max?: number) =>
    gate(table({ y: numbers(...labels) }), { labelRate: { column: "y", max } }).verdict;
  expect(ask([0, 1, null, 0]).verdict).toBe("pass");
  expect(ask([0, 0, null]).reasons[0]).toContain("no frauds at all among 2 labelled rows");
  expect(ask([1, 1]).reasons[0]).toContain("one class only");
  expect(ask([null]).reasons[0]).toContain("no row has a label");
  expect(ask([0, 1, 2]).reasons[0]).toContain("neither 0 nor 1");
  expect(ask([0, 1], 0.2).reasons[0]).toContain("50 % of the labelled rows are frauds, wanted are 0 % to 20 %");
});

test("time order: equal times are in order, gaps are skipped", () => {
  const ask = (...values: readonly (string | null)[]) =>
    gate(table({ t: times(...values) }), { timeOrder: { column: "t" } }).verdict;
  expect(ask("2026-01-01", null, "2026-01-01", "2026-01-02").verdict).toBe("pass");
  expect(ask("2026-01-02", null, "2026-01-01").reasons[0]).toContain("first in data row 3");
});
