// The policy: the answer is the cheapest by brute force at every amount and probability, and segments answer for their own.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decide, NEVER } from "../../src/core/decision.ts";
import { type CostPolicy, policyFault, policyJudge, segmentPlace, thresholdsAt } from "../../src/core/policy.ts";

const FREE: CostPolicy = {
  amount: "amount",
  typical: 40,
  missedShare: 1,
  missedCost: 0,
  reviewCost: 5,
  falseBlockCost: 10,
  customerFactor: 1,
  scoreMin: 0,
  price: 0,
};

const money = fc.double({ min: 0, max: 500, noNaN: true });
const costs = fc.record({
  missedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  missedCost: money,
  reviewCost: money,
  falseBlockCost: money,
  customerFactor: fc.double({ min: 0, max: 5, noNaN: true }),
  scoreMin: fc.double({ min: 0, max: 1, noNaN: true }),
});

test("the decision is the answer of the lowest expected cost, whatever costs, amount, price and probability", () => {
  const probability = fc.double({ min: 0, max: 1, noNaN: true }).map(Math.fround);
  const times = fc.constantFrom(1, 0.2, 3);
  fc.assert(
    fc.property(costs, money, money, probability, times, (drawn, amount, price, p, odds) => {
      const q = (odds * p) / (1 - p + odds * p);
      const cost = { ...FREE, ...drawn, price };
      const expected = {
        approve: q * (cost.missedShare * amount + cost.missedCost),
        review: cost.reviewCost + price,
        block:
          p >= Math.fround(cost.scoreMin)
            ? (1 - q) * (cost.falseBlockCost + cost.customerFactor * amount)
            : Number.POSITIVE_INFINITY,
      };
      const decision = decide(p, thresholdsAt(cost, { amount, odds }));
      const least = Math.min(...Object.values(expected));
      // A threshold is a Float32: beside it two answers cost the same but for that.
      expect(expected[decision] - least).toBeLessThanOrEqual(1e-3 + 1e-5 * least);
    }),
    { numRuns: 2000 },
  );
});

test("a small amount is not worth a review, a large one is blocked later; without an amount the typical one counts", () => {
  const at = (amount: number) => thresholdsAt(FREE, { amount });
  expect(at(4)).toEqual({ review: at(4).block, block: Math.fround(14 / 18) });
  expect(at(100)).toEqual({ review: Math.fround(0.05), block: Math.fround(1 - 5 / 110) });
  expect(at(Number.NaN)).toEqual(at(40));
  expect(at(-1)).toEqual(at(40));
  const nothing = { ...FREE, missedShare: 0 };
  expect(thresholdsAt(nothing, { amount: 50 }).review).toBeGreaterThan(0.9);
  expect(thresholdsAt({ ...nothing, customerFactor: 0, falseBlockCost: 0 }, { amount: 50 }).block).toBe(NEVER);
});

test("each segment has thresholds of its own, and what belongs to none those of all", () => {
  const policy = {
    segments: {
      by: "amount",
      bands: [10, 100],
      segments: [0, 2].map((at) => ({
        name: `s${at}`,
        at,
        thresholds: { review: 0.1 * (at + 1), block: 0.9 },
        rows: 1,
        frauds: 0,
        weight: 0,
      })),
    },
  };
  const judge = policyJudge(policy, { thresholds: { review: 0.8, block: 0.9 }, names: ["hour", "amount"] });
  const of = (amount: number, score: number) => {
    const { decision, segment } = judge(score, Float32Array.of(3, amount));
    return [decision, segment];
  };
  expect(of(10, 0.15)).toEqual(["review", "s0"]);
  expect(of(10.01, 0.5)).toEqual(["approve", null]);
  expect(of(100.5, 0.25)).toEqual(["approve", "s2"]);
  expect(of(Number.NaN, 0.85)).toEqual(["review", null]);
  expect(segmentPlace(2, null)).toBe(2);
  expect(policyFault(policy, ["hour"])).toContain('by "amount", no feature');
  expect(policyFault({ cost: { ...FREE, reviewCost: Number.NaN } }, ["amount"])).toContain("reviewCost is NaN");
  expect(policyFault(policy, ["hour", "amount"])).toBeNull();
});
