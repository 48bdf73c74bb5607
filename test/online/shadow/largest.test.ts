// The largest of what comes by are those that sorting all of it would give; of equal ones the first.
import fc from "fast-check";
import { expect, test } from "vitest";
import { disagreementOf, Largest } from "../../../src/online/shadow.ts";

test("as many as asked for, the heaviest first, of equal ones those that came first", () => {
  const weights = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.double({ min: 0, max: 2, noNaN: true })));
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 8 }), (all, max) => {
      const largest = new Largest<number>(max);
      for (const [index, weight] of all.entries()) largest.add(weight, index);
      const sorted = all.map((weight, index) => ({ weight, index })).sort((a, b) => b.weight - a.weight);
      expect(largest.all()).toEqual(sorted.slice(0, max).map(({ index }) => index));
    }),
  );
});

test("another decision weighs more than any difference of scores", () => {
  const pair = (a: readonly [number, "approve" | "review"], b: readonly [number, "approve" | "review"]) =>
    disagreementOf({ champion: { score: a[0], decision: a[1] }, candidate: { score: b[0], decision: b[1] } });
  expect(pair([0.3, "approve"], [0.31, "review"])).toBeGreaterThan(pair([0, "approve"], [1, "approve"]));
  expect(pair([0.2, "approve"], [0.2, "approve"])).toBe(0);
});
