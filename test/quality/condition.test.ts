// Row conditions written as text: what they leave, and what is refused instead of being misread.
import { expect, test } from "vitest";
import { conditionOfText } from "../../src/quality/condition-text.ts";
import { judge, numbers, table, texts, times } from "./tables.ts";

const DATA = table({
  n: numbers(1, 2, 3, null, 5),
  s: texts("a", "b", null, "b", "c"),
  t: times("2024-01-01", "2024-01-02", "2024-01-03", null, "2024-01-05"),
  "odd name": numbers(5, 4, 3, 2, 1),
});

/** How many rows a condition leaves. */
function left(row_condition: string, condition_parser = "pandas"): number {
  const kwargs = { value: 0, row_condition, condition_parser };
  const { result, exception_info } = judge(DATA, "expect_table_row_count_to_equal", kwargs);
  return exception_info.raised_exception ? -1 : Number(result.observed_value);
}

test("pandas' own text", () => {
  expect(left("n > 1")).toBe(3);
  expect(left("1 < n <= 3")).toBe(2);
  expect(left("n != 2")).toBe(4);
  expect(left("not n > 1")).toBe(2);
  expect(left("~(n > 1) & s == 'a'")).toBe(1);
  expect(left('s in ["b", "c"] or n == 1')).toBe(4);
  expect(left('s not in ("b",)')).toBe(3);
  expect(left("s.isin(['b']) and n.notnull()")).toBe(1);
  expect(left("n.isna()")).toBe(1);
  expect(left("`odd name` >= 4")).toBe(2);
  expect(left("t >= '2024-01-02'")).toBe(3);
  expect(left("n == -1 or n == +5")).toBe(1);
});

test("Great Expectations' own text compares as a database does", () => {
  const own = "great_expectations";
  expect(left('col("n") > 1', own)).toBe(3);
  expect(left('col("n") != 2', own)).toBe(3);
  expect(left('col("s").notNull()', own)).toBe(4);
  expect(left('col("t") > date("2024-01-02")', own)).toBe(2);
});

test("what says more is unsupported, never misread", () => {
  for (const text of [
    "n > odd",
    "n + 1 > 2",
    "s.str.len() > 1",
    "n > 1 and",
    "n >",
    "(n > 1",
    "n ** 2 > 1",
    "@x > n",
    "",
  ])
    expect(conditionOfText(text), text).toBeNull();
  const kwargs = { value: 0, row_condition: "n > 1", condition_parser: "spark" };
  expect(judge(DATA, "expect_table_row_count_to_equal", kwargs).meta.status).toBe("unsupported");
});
