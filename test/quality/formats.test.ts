// Dates as Python reads them, against stored answers of CPython's strptime and of dateutil; JSON of a schema; hostile patterns.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isParseableDate } from "../../src/quality/dateutil.ts";
import { strptimeTest } from "../../src/quality/strptime.ts";
import { judge, numbers, table, texts } from "./tables.ts";

function stored<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`reference/${name}`, import.meta.url), "utf8")) as T;
}

test("strptime", () => {
  const { cases } = stored<{ cases: [string, string, boolean][] }>("strptime.json");
  const faults = cases.filter(([format, text, fits]) => (strptimeTest(format)?.(text) ?? false) !== fits);
  expect(faults).toEqual([]);
  expect(cases.filter(([, , fits]) => fits).length).toBeGreaterThan(80);
  expect(strptimeTest("%Q")).toBeNull();
  expect(strptimeTest("%d %d")).toBeNull();
  expect(strptimeTest("%Y %V")).toBeNull();
});

test("dateutil", () => {
  const { yes, no } = stored<{ yes: string[]; no: string[] }>("dates.json");
  expect(yes.filter((text) => !isParseableDate(text))).toEqual([]);
  expect(no.filter(isParseableDate)).toEqual([]);
  // What today's date would have to fill in counts as there: "31" is a date in May, and so it is one always.
  expect(isParseableDate("31")).toBe(true);
  expect(isParseableDate("1".repeat(600))).toBe(false);
});

test("JSON of a schema: what is no JSON is an error, and a hostile pattern ends", () => {
  const type = "expect_column_values_to_match_json_schema";
  const data = table({ s: texts('{"a": 1}', '{"a": "x"}', null) });
  const json_schema = { properties: { a: { type: "integer" } } };
  expect(judge(data, type, { column: "s", json_schema }).result.unexpected_count).toBe(1);
  expect(judge(table({ s: texts("{") }), type, { column: "s", json_schema }).meta.status).toBe("errored");
  expect(() => judge(data, type, { column: "s", json_schema: { type: "nothing" } })).toThrow(/json_schema/);
  const hostile = table({ s: texts(JSON.stringify(`${"a".repeat(30_000)}!`)) });
  const pattern = { type: "string", pattern: "^(a+)+$" };
  expect(judge(hostile, type, { column: "s", json_schema: pattern }).result.unexpected_count).toBe(1);
});

test("numbers are no texts to be read as dates", () => {
  const data = table({ n: numbers(1, 2) });
  for (const type of ["expect_column_values_to_be_dateutil_parseable"])
    expect(judge(data, type, { column: "n" }).meta.status).toBe("errored");
  expect(judge(data, "expect_column_values_to_be_json_parseable", { column: "n" }).result.unexpected_count).toBe(2);
});
