// What holds however often one looks: the sequence's width and p value, Holm's adjustment, and McNemar's test as a bet.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { holm } from "../../src/evidence/holm.ts";
import { mcnemar } from "../../src/evidence/mcnemar.ts";
import { sequenceFactor, sequencePValue } from "../../src/evidence/sequence.ts";

const PLANNED = 500;

test("a walk without drift leaves the sequence at some look in at most one path of twenty, the interval for one look in many", () => {
  const random = new Random(3);
  const paths = 400;
  let left = 0;
  let leftOneLook = 0;
  for (let path = 0; path < paths; path++) {
    let sum = 0;
    let isOut = false;
    let isOutOfOne = false;
    for (let count = 1; count <= 2000; count++) {
      sum += random.normal();
      // A look after each tenth, from fifty on.
      if (count < 50 || count % 10 !== 0) continue;
      const distance = Math.abs(sum) / Math.sqrt(count);
      if (distance > sequenceFactor({ count, planned: PLANNED }, 0.95)) isOut = true;
      if (distance > 1.96) isOutOfOne = true;
    }
    if (isOut) left++;
    if (isOutOfOne) leftOneLook++;
  }
  expect(left / paths).toBeLessThanOrEqual(0.05);
  expect(left).toBeGreaterThan(0);
  expect(leftOneLook / paths).toBeGreaterThan(0.25);
});

test("it is narrowest near the plan, and nowhere as narrow as the interval for one look", () => {
  const at = (count: number): number => sequenceFactor({ count, planned: PLANNED }, 0.95) / Math.sqrt(count);
  const relative = (count: number): number => sequenceFactor({ count, planned: PLANNED }, 0.95);
  for (const count of [10, 50, 200, 2000, 20_000]) expect(relative(count)).toBeGreaterThan(relative(PLANNED));
  expect(relative(PLANNED)).toBeGreaterThan(1.96);
  expect(relative(PLANNED)).toBeLessThan(3.2);
  // The width itself only ever falls.
  for (let count = 1; count < 5000; count += 7) expect(at(count + 7)).toBeLessThan(at(count));
});

test("the p value is at 1 − level exactly where the sequence ends", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.constantFrom(0.9, 0.95, 0.99),
      (count, planned, level) => {
        const look = { count, planned };
        const edge = sequenceFactor(look, level);
        expect(sequencePValue(edge, look, level)).toBeCloseTo(1 - level, 9);
        expect(sequencePValue(edge * 1.01, look, level)).toBeLessThan(1 - level);
        expect(sequencePValue(0, look, level)).toBe(1);
      },
    ),
  );
});

test("Holm: the textbook's values, in the order given; a question without an answer counts for nothing", () => {
  // Sorted 0.005 · 4, 0.01 · 3, 0.03 · 2, 0.04 · 1, each at least the one before.
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  expect(holm([0.02, Number.NaN])).toEqual([0.02, Number.NaN]);
  expect(holm([0.9, 0.8])).toEqual([1, 1]);
  expect(holm([])).toEqual([]);
});

test("McNemar as a bet: the average of likelihoods over all shares, against one half, and rarely ever small where both are equal", () => {
  // 2³ · ∫ p³ dp = 8 / 4: two to one against equal.
  expect(mcnemar(0, 3).anytimePValue).toBeCloseTo(0.5, 12);
  expect(mcnemar(3, 0).anytimePValue).toBeCloseTo(0.5, 12);
  // 2⁴ · B(3, 3) = 16 / 30 speaks for equal.
  expect(mcnemar(2, 2).anytimePValue).toBe(1);
  expect(mcnemar(0, 0).anytimePValue).toBe(1);
  expect(mcnemar(40_000, 60_000).anytimePValue).toBeLessThan(1e-100);
  const random = new Random(8);
  let ever = 0;
  for (let path = 0; path < 400; path++) {
    const only = [0, 0];
    for (let row = 0; row < 300; row++) {
      only[random.next() < 0.5 ? 0 : 1]++;
      if (mcnemar(only[0], only[1]).anytimePValue <= 0.05) {
        ever++;
        break;
      }
    }
  }
  expect(ever / 400).toBeLessThanOrEqual(0.05);
});
