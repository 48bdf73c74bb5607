// How figures and tables read: a dash for what is not defined, numbers to the right.
import { expect, test } from "vitest";
import { alignColumns, figure } from "../../src/cli/output.ts";

test("a figure that is not defined is a dash, never NaN", () => {
  expect([Number.NaN, null, undefined, 3, 0.123456].map((value) => figure(value))).toEqual([
    "–",
    "–",
    "–",
    "3",
    "0.1235",
  ]);
  expect(figure(0.123456, 2)).toBe("0.12");
});

test("dashes stand under the numbers", () => {
  const [, first, second] = alignColumns([
    ["metric", "value"],
    ["precision", figure(Number.NaN)],
    ["recall", figure(0.25)],
  ]);
  expect(first.length).toBe(second.length);
  expect(first.endsWith("     –")).toBe(true);
});
