// Tables: which columns hold nothing twice.
import fc from "fast-check";
import { expect, test } from "vitest";
import { allDifferent, type Column, textAt } from "../../src/core/table.ts";

const numbers = fc
  .array(fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constantFrom(Number.NaN, -0, 0.5, 1e300)), { maxLength: 12 })
  .map((values): Column => ({ kind: "number", values: Float64Array.from(values) }));
const texts = fc.array(fc.integer({ min: -1, max: 12 }), { maxLength: 8 }).map((codes): Column => {
  const dictionary = Array.from({ length: 13 }, (_, code) => `t${code}`);
  return { kind: "text", codes: Int32Array.from(codes), dictionary };
});

test("all are different when no cell is missing and no text occurs twice", () => {
  const seen = { yes: 0, no: 0 };
  fc.assert(
    fc.property(fc.oneof(numbers, texts), (column) => {
      const length = column.kind === "text" ? column.codes.length : column.values.length;
      const cells = Array.from({ length }, (_, row) => textAt(column, row));
      const expected = !cells.includes(null) && new Set(cells).size === length;
      expect(allDifferent(column)).toBe(expected);
      seen[expected ? "yes" : "no"]++;
    }),
    { numRuns: 500 },
  );
  expect(Math.min(seen.yes, seen.no)).toBeGreaterThan(20);
});
