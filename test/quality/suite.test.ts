// Suites: both spellings read, parameters filled, and what is wrong named by place.
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
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
