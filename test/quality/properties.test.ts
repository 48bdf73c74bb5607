// Laws that hold whatever the data: bounds and their complements, counts that add up, order, selection, quantiles.
import fc from "fast-check";
import { expect, test } from "vitest";
import { quantileSorted } from "../../src/core/stats.ts";
import { parseInstant, pythonFloat } from "../../src/quality/cells.ts";
import { quantileBy } from "../../src/quality/expectations/quantiles.ts";
import { judge, numbers, table, texts } from "./tables.ts";

const CELLS = fc.array(fc.option(fc.integer({ min: -5, max: 5 })), { maxLength: 60 });
const LETTERS = fc.array(fc.option(fc.constantFrom("a", "b", "c")), { maxLength: 60 });

test("in_set and not_in_set divide the rows that are there", () => {
  fc.assert(
    fc.property(CELLS, fc.uniqueArray(fc.integer({ min: -5, max: 5 })), (cells, value_set) => {
      const data = table({ a: numbers(...cells) });
      const inside = judge(data, "expect_column_values_to_be_in_set", { column: "a", value_set }).result;
      const outside = judge(data, "expect_column_values_to_not_be_in_set", { column: "a", value_set }).result;
      const missing = cells.filter((cell) => cell === null).length;
      expect(inside.missing_count).toBe(missing);
      expect(Number(inside.unexpected_count) + Number(outside.unexpected_count)).toBe(cells.length - missing);
    }),
  );
});

test("mostly is the exact share: it passes there and fails above", () => {
  fc.assert(
    fc.property(CELLS, fc.integer({ min: -5, max: 5 }), (cells, min_value) => {
      const data = table({ a: numbers(...cells) });
      const present = cells.filter((cell) => cell !== null);
      const share = present.length === 0 ? 1 : present.filter((cell) => cell >= min_value).length / present.length;
      const ask = (mostly: number) =>
        judge(data, "expect_column_values_to_be_between", { column: "a", min_value, mostly }).success;
      expect(ask(share)).toBe(true);
      if (present.length > 0 && share < 1) expect(ask(Math.min(1, share + 1e-9))).toBe(false);
    }),
  );
});

test("compound uniqueness agrees with counting tuples, whatever is missing", () => {
  const ignore = fc.constantFrom("all_values_are_missing", "any_value_is_missing", "never");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.option(fc.integer({ min: 0, max: 3 })), fc.option(fc.constantFrom("x", "y")))),
      ignore,
      (rows, ignore_row_if) => {
        const data = table({ a: numbers(...rows.map(([a]) => a)), b: texts(...rows.map(([, b]) => b)) });
        const kept = rows.filter((row) => {
          const gaps = row.filter((cell) => cell === null).length;
          if (ignore_row_if === "never") return true;
          return ignore_row_if === "any_value_is_missing" ? gaps === 0 : gaps < 2;
        });
        const times = new Map<string, number>();
        for (const row of kept) times.set(JSON.stringify(row), (times.get(JSON.stringify(row)) ?? 0) + 1);
        const { result } = judge(data, "expect_compound_columns_to_be_unique", {
          column_list: ["a", "b"],
          ignore_row_if,
        });
        expect(result.unexpected_count).toBe(kept.filter((row) => times.get(JSON.stringify(row))! > 1).length);
        expect(result.missing_count).toBe(rows.length - kept.length);
      },
    ),
  );
});

test("unique values: text and number columns agree with counting", () => {
  fc.assert(
    fc.property(LETTERS, (cells) => {
      const codes = cells.map((cell) => (cell === null ? null : cell.charCodeAt(0)));
      const wanted = cells.filter((cell) => cell !== null && cells.filter((other) => other === cell).length > 1).length;
      for (const column of [texts(...cells), numbers(...codes)]) {
        expect(
          judge(table({ a: column }), "expect_column_values_to_be_unique", { column: "a" }).result.unexpected_count,
        ).toBe(wanted);
      }
    }),
  );
});

test("a condition and its complement share out the rows, missing ones included", () => {
  const pairs = fc.constantFrom(["==", "!="], ["IN", "NOT_IN"]);
  fc.assert(
    fc.property(CELLS, pairs, fc.integer({ min: -5, max: 5 }), (cells, [yes, no], value) => {
      const data = table({ a: numbers(...cells) });
      const count = (operator: string) => {
        const parameter = operator.includes("IN") ? [value] : value;
        const row_condition = { type: "comparison", column: { name: "a" }, operator, parameter };
        return Number(judge(data, "expect_table_row_count_to_be_between", { row_condition }).result.observed_value);
      };
      expect(count(yes) + count(no)).toBe(cells.length);
    }),
  );
});

test("a sorted column is increasing; reversed it is decreasing", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true })), (values) => {
      const sorted = Float64Array.from(values).sort();
      const up = table({ a: { kind: "number", values: sorted } });
      const down = table({ a: { kind: "number", values: sorted.slice().reverse() } });
      expect(judge(up, "expect_column_values_to_be_increasing", { column: "a" }).success).toBe(true);
      expect(judge(down, "expect_column_values_to_be_decreasing", { column: "a" }).success).toBe(true);
    }),
  );
});

test("quantiles: nearest is one of the two neighbours, linear is the project's own", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
      const ascending = Float64Array.from(values).sort();
      const sorted = { total: ascending.length, at: (rank: number) => ascending[rank] };
      const neighbours = [quantileBy(sorted, q, "lower"), quantileBy(sorted, q, "higher")];
      expect(neighbours).toContain(quantileBy(sorted, q, "nearest"));
      expect(quantileBy(sorted, q, "linear")).toBe(quantileSorted(ascending, q));
    }),
  );
});

test("Python's float texts read back as the same number, and dates as the same instant", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Object.is(Number(pythonFloat(value)), value)).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), (date) => {
      expect(parseInstant(date.toISOString())).toBe(date.getTime());
    }),
  );
  expect(parseInstant("2026-02-30")).toBeNaN();
  expect(parseInstant("2026-02-03T04:05:06+0200")).toBe(Date.UTC(2026, 1, 3, 2, 5, 6));
});
