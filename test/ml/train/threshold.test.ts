// Review thresholds: the budget holds beside what is blocked, policies find their best, and edge cases have an answer.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decide, NEVER } from "../../../src/core/decision.ts";
import { precisionRecallF1At } from "../../../src/metrics/metrics.ts";
import { reviewFrom } from "../../../src/ml/train/threshold.ts";

const sample = fc
  .array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean()), { minLength: 1, maxLength: 120 })
  .map((rows) => ({
    // Rounded, so that there are ties; a fraud more likely where the score is high.
    scores: Float64Array.from(rows, ([score]) => Math.round(score * 30) / 30),
    y: Uint8Array.from(rows, ([score, lucky]) => (score > 0.6 || (lucky && score > 0.3) ? 1 : 0)),
  }));
const budget = (share: number) => ({ kind: "budget", share }) as const;
const share = fc.double({ min: 0, max: 1, noNaN: true });

test("no more than the budget is reviewed beside what is blocked, and the next lower score would exceed it", () => {
  fc.assert(
    fc.property(sample, share, fc.oneof(fc.constant(NEVER), share), ({ scores, y }, reviewShare, from) => {
      const block = Math.fround(from);
      const review = reviewFrom({ scores, y, review: budget(reviewShare), block });
      expect(review).toBeLessThanOrEqual(block);
      expect(Math.fround(review)).toBe(review);
      const reviewed = (threshold: number): number =>
        [...scores].map(Math.fround).filter((score) => score >= threshold && score < block).length;
      const allowed = reviewShare * scores.length + 1e-6;
      expect(reviewed(review)).toBeLessThanOrEqual(allowed);
      const lower = [...scores].map(Math.fround).filter((score) => score < review);
      if (lower.length > 0) expect(reviewed(Math.max(...lower))).toBeGreaterThan(Math.floor(allowed));
    }),
  );
});

/** What flagging all from each possible threshold is worth; `NEVER` flags none. */
const everyThreshold = (scores: Float64Array): number[] => [NEVER, ...new Set(scores)].map(Math.fround);

test("max-f1 finds the highest F1 there is, at the lowest score that has it", () => {
  fc.assert(
    fc.property(sample, ({ scores, y }) => {
      const review = reviewFrom({ scores, y, review: { kind: "max-f1" }, block: NEVER });
      const f1 = (threshold: number): number => precisionRecallF1At(scores, y, threshold).f1 || 0;
      const best = Math.max(...everyThreshold(scores).map(f1));
      expect(review === NEVER ? 0 : f1(review)).toBeCloseTo(best, 12);
      for (const lower of everyThreshold(scores)) if (lower < review) expect(f1(lower)).toBeLessThan(best + 1e-12);
    }),
  );
});

test("the cost policy finds the cheapest threshold there is, amounts by row", () => {
  const cost = fc.double({ min: 0, max: 50, noNaN: true });
  const amount = fc.oneof(fc.double({ min: -10, max: 500, noNaN: true }), fc.constant(Number.NaN));
  fc.assert(
    fc.property(
      sample,
      fc.array(amount, { minLength: 120, maxLength: 120 }),
      cost,
      share,
      (rows, drawn, reviewCost, missedShare) => {
        const { scores, y } = rows;
        const amounts = Float64Array.from(drawn.slice(0, scores.length));
        const review = { kind: "cost", reviewCost, missedShare, amounts } as const;
        const chosen = reviewFrom({ scores, y, review, block: NEVER });
        const costOf = (threshold: number): number =>
          scores.reduce((sum, score, row) => {
            if (Math.fround(score) >= threshold) return sum + reviewCost;
            return sum + (y[row] === 1 && amounts[row] > 0 ? missedShare * amounts[row] : 0);
          }, 0);
        const cheapest = Math.min(...everyThreshold(scores).map(costOf));
        expect(costOf(chosen)).toBeCloseTo(cheapest, 6);
      },
    ),
  );
});

test("free reviews flag all the way down to the last fraud, and reviews that cost more than any fraud flag none", () => {
  const scores = Float64Array.of(0.9, 0.8, 0.4, 0.1);
  const y = Uint8Array.of(1, 0, 1, 0);
  const review = { kind: "cost", missedShare: 1, amounts: Float64Array.of(10, 10, 20, 20) } as const;
  const at = (reviewCost: number) => reviewFrom({ scores, y, review: { ...review, reviewCost }, block: NEVER });
  expect(at(0.001)).toBe(Math.fround(0.4));
  expect(at(9)).toBe(Math.fround(0.4));
  expect(at(11)).toBe(NEVER);
});

test("what is blocked pays no review: the best review threshold below it is found among the rest", () => {
  const scores = Float64Array.of(0.9, 0.8, 0.4, 0.1);
  const y = Uint8Array.of(1, 0, 1, 0);
  const review = { kind: "cost", missedShare: 1, amounts: Float64Array.of(10, 10, 20, 20) } as const;
  // Two reviews find 20.
  expect(reviewFrom({ scores, y, review: { ...review, reviewCost: 9 }, block: 0.9 })).toBe(Math.fround(0.4));
  expect(reviewFrom({ scores, y, review: { ...review, reviewCost: 11 }, block: 0.9 })).toBe(Math.fround(0.9));
  expect(reviewFrom({ scores, y, review: { ...review, reviewCost: 19 }, block: 0.8 })).toBe(Math.fround(0.4));
});

test("edge cases: no budget, one big tie, everything blocked", () => {
  const scores = new Float64Array(100).fill(0.7);
  const y = new Uint8Array(100).fill(1);
  const at = (wanted: number, block: number = NEVER) => reviewFrom({ scores, y, review: budget(wanted), block });
  expect(at(0)).toBe(NEVER);
  expect(at(0.99)).toBe(NEVER);
  expect(at(1)).toBe(Math.fround(0.7));
  expect(at(0.5, 0.7)).toBe(Math.fround(0.7));
  expect(decide(1, { review: NEVER, block: NEVER })).toBe("approve");
});

test("refuses what is no probability or no share", () => {
  const y = Uint8Array.of(0, 1);
  const good = { scores: Float64Array.of(0.1, 0.2), y, review: budget(0.1), block: NEVER };
  expect(() => reviewFrom({ ...good, scores: Float64Array.of(0.1, Number.NaN) })).toThrow("scores, row 1 is NaN");
  expect(() => reviewFrom({ ...good, review: budget(1.5) })).toThrow("review.share is 1.5; it must be from 0 to 1");
  expect(() => reviewFrom({ ...good, y: Uint8Array.of(1) })).toThrow("y.length is 1");
  expect(() => reviewFrom({ ...good, block: Number.NaN })).toThrow("block is NaN; it must be 0 or more");
});
