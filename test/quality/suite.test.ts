// Suites: both spellings read, parameters filled, and what is wrong named by place.

import { describe, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import type { Column } from "../../src/core/table.ts";
import { evaluateSuite } from "../../src/quality/evaluate.ts";
import { parseSuite } from "../../src/quality/suite.ts";
import { suiteOf } from "./tables.ts";

function failure(run: () => unknown): SentinelError {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("the 0.x spelling reads like the 1.x one", () => {
  const old = parseSuite(
    JSON.stringify({
      expectation_suite_name: "s",
      expectations: [
        { expectation_type: "expect_column_to_exist", kwargs: { column: "a" }, meta: { notes: { content: ["why"] } } },
      ],
    }),
    { where: "f" },
  );
  expect(old.name).toBe("s");
  expect(old.expectations[0]).toMatchObject({ type: "expect_column_to_exist", severity: "critical", notes: "why" });
});

test("parameters are filled from the file, from the caller, and from beside the name", () => {
  const text = JSON.stringify({
    name: "s",
    suite_parameters: { low: 1, high: 5 },
    expectations: [
      {
        type: "expect_column_values_to_be_between",
        kwargs: { column: "a", min_value: { $PARAMETER: "low" }, max_value: { $PARAMETER: "high" } },
      },
      { type: "expect_table_row_count_to_equal", kwargs: { value: { $PARAMETER: "n", "$PARAMETER.n": 7 } } },
    ],
  });
  const { expectations } = parseSuite(text, { where: "f", parameters: { high: 9 } });
  expect(expectations[0].kwargs).toEqual({ column: "a", min_value: 1, max_value: 9 });
  expect(expectations[1].kwargs).toEqual({ value: 7 });
});

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ["an unknown argument", { type: "expect_column_to_exist", kwargs: { column: "a", colum: 1 } }, /no argument colum/],
  [
    "mostly above 1",
    { type: "expect_column_values_to_be_unique", kwargs: { column: "a", mostly: 1.5 } },
    /mostly is 1\.5/,
  ],
  [
    "a text as a limit",
    { type: "expect_column_min_to_be_between", kwargs: { column: "a", min_value: "a" } },
    /min_value is "a"/,
  ],
  ["no column", { type: "expect_column_values_to_not_be_null", kwargs: {} }, /column is absent/],
  [
    "a wrong severity",
    { type: "expect_column_to_exist", kwargs: { column: "a" }, severity: "fatal" },
    /severity is "fatal"/,
  ],
  [
    "a missing parameter",
    { type: "expect_column_to_exist", kwargs: { column: { $PARAMETER: "toString" } } },
    /suite parameter "toString"/,
  ],
  [
    "a broken pattern",
    { type: "expect_column_values_to_match_regex", kwargs: { column: "a", regex: "[" } },
    /regex is/,
  ],
  [
    "a wrong operator",
    {
      type: "expect_column_to_exist",
      kwargs: {
        column: "a",
        row_condition: { type: "comparison", column: { name: "a" }, operator: "=", parameter: 1 },
      },
    },
    /row_condition\.operator is "="/,
  ],
  ["no type", { kwargs: {} }, /has no type/],
];

for (const [what, expectation, pattern] of WRONG) {
  test(`${what} is named with its place`, () => {
    const error = failure(() => suiteOf({ type: "expect_column_to_exist", kwargs: { column: "a" } }, expectation));
    expect(error.code).toBe("quality.suite-invalid");
    expect(error.message).toMatch(pattern);
    expect(error.message).toContain("test.suite.json: expectation 2 of 2");
    expect(error.hint).not.toBe("");
  });
}

test("text that is no JSON, or no suite, is refused by name", () => {
  expect(failure(() => parseSuite("{", { where: "f.json" })).message).toMatch(/^f\.json is not JSON/);
  expect(failure(() => parseSuite("[]", { where: "f.json" })).message).toBe("f.json is not an object");
  expect(failure(() => parseSuite("{}", { where: "f.json" })).message).toContain('no list "expectations"');
  const twice = '{"name":"s","expectations":[{"type":"expect_column_to_exist","kwargs":{"column":"a","column":"b"}}]}';
  expect(failure(() => parseSuite(twice, { where: "f.json" })).message).toBe(
    'f.json has the key "column" twice in one object',
  );
});

test("more than 100 conditions are refused, nested ones counted", () => {
  const leaf = { type: "nullity", column: { name: "a" }, is_null: true };
  const row_condition = {
    type: "and",
    conditions: [...Array(60).fill(leaf), { type: "and", conditions: Array(60).fill(leaf) }],
  };
  const error = failure(() => suiteOf({ type: "expect_column_to_exist", kwargs: { column: "a", row_condition } }));
  expect(error.message).toContain("holds 120 conditions");
});

test("an unknown type is kept for the gate to fail on", () => {
  expect(suiteOf({ type: "expect_the_unexpected", kwargs: { x: 1 } }).expectations[0].type).toBe(
    "expect_the_unexpected",
  );
});

test("a member called __proto__ stays a member", () => {
  const text = '{"expectations":[{"type":"expect_x","kwargs":{"__proto__":{"polluted":1}}}]}';
  const [expectation] = parseSuite(text, { where: "f" }).expectations;
  expect(Object.keys(expectation.kwargs)).toEqual(["__proto__"]);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

describe("suites as Great Expectations really writes them", () => {
  const table = {
    rows: 4,
    columns: new Map<string, Column>([
      ["n", { kind: "number", values: Float64Array.of(1, 40, 300, 9000) }],
      ["flag", { kind: "number", values: Float64Array.of(0, 1, 1, 0), boolean: true }],
      ["gone", { kind: "text", codes: Int32Array.of(-1, -1, -1, -1), dictionary: [] }],
    ]),
  };
  const judge = (type: string, kwargs: object) => {
    const text = JSON.stringify({ expectations: [{ type, kwargs }] });
    const suite = parseSuite(text, { where: "s.json" });
    return evaluateSuite(table, suite, { now: null }).results[0];
  };

  test.each([
    ["n", "bool", false],
    ["n", "int8", false],
    ["n", "int16", true],
    ["n", "int64", true],
    ["flag", "bool", true],
    ["flag", "int64", false],
    ["gone", "float64", true],
    ["gone", "int64", false],
  ])("%s of type %s: %s", (column, type_, success) => {
    expect(judge("expect_column_values_to_be_of_type", { column, type_ }).success).toBe(success);
  });

  test("a type of another engine fails, and the reason says that it is not known", () => {
    const result = judge("expect_column_values_to_be_of_type", { column: "n", type_: "LongType" });
    expect(result.success).toBe(false);
    expect(result.meta.note).toMatch(/type LongType is not known to this gate/);
  });

  test("a column without one value is judged the same, whatever it was read as", () => {
    const between = { column: "gone", min_value: 0, max_value: 1 };
    expect(judge("expect_column_values_to_be_between", between).success).toBe(true);
    expect(
      judge("expect_column_values_to_be_between", { ...between, max_value: "2024-01-01", min_value: null }).success,
    ).toBe(true);
    expect(judge("expect_column_values_to_be_null", { column: "gone" }).success).toBe(true);
    expect(judge("expect_column_values_to_be_increasing", { column: "gone" }).success).toBe(true);
    const mean = judge("expect_column_mean_to_be_between", between);
    expect([mean.success, mean.exception_info.raised_exception]).toEqual([false, false]);
  });

  test("parameters beside their expression are computed; what is more than arithmetic is said, and stops that check alone", () => {
    const limits = (max: string) => ({
      column: "n",
      min_value: 0,
      max_value: { $PARAMETER: max, "$PARAMETER.usual": 1000 },
    });
    expect(judge("expect_column_max_to_be_between", limits("9 * usual")).success).toBe(true);
    expect(judge("expect_column_max_to_be_between", limits("(usual + usual / 2) * -1 + 10499")).success).toBe(false);
    expect(judge("expect_column_max_to_be_between", limits("2 * (usual + 3500)")).success).toBe(true);
    const foreign = judge("expect_column_max_to_be_between", limits("now() - timedelta(days=usual)"));
    expect(foreign.meta.status).toBe("unsupported");
    expect(foreign.exception_info.exception_message).toMatch(/\$PARAMETER expression .*now\(\).* is not supported/);
    expect(() => judge("expect_column_max_to_be_between", limits("2 * unusual"))).toThrow(/suite parameter "unusual"/);
  });

  test("what 0.x files carry beside is left alone, and null in a set is no value", () => {
    const old = { auto: true, profiler_config: null, parse_strings_as_datetimes: true };
    expect(judge("expect_column_values_to_be_between", { column: "n", min_value: 0, ...old }).success).toBe(true);
    const set = { column_set: ["n", "flag"] };
    expect(judge("expect_table_columns_to_match_set", { ...set, exact_match: null }).success).toBe(true);
    expect(judge("expect_table_columns_to_match_set", set).success).toBe(false);
    expect(judge("expect_column_values_to_be_in_set", { column: "flag", value_set: [0, 1, null] }).success).toBe(true);
    expect(
      judge("expect_column_distinct_values_to_be_in_set", { column: "flag", value_set: [0, 1, null] }).success,
    ).toBe(true);
    expect(
      judge("expect_column_distinct_values_to_equal_set", { column: "flag", value_set: [0, 1, null] }).success,
    ).toBe(false);
    expect(() => judge("expect_column_values_to_be_between", { column: "n", min_value: 0, max_valu: 9 })).toThrow(
      /no argument max_valu/,
    );
  });
});
