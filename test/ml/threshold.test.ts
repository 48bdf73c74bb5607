// Thresholds: the review budget holds, blocking is as precise as asked, and edge cases have an answer.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decide } from "../../src/core/decision.ts";
import { confusionAt, precisionRecallF1At } from "../../src/ml/metrics.ts";
import { BLOCK_SUPPORT_MIN, NEVER, thresholdsFor } from "../../src/ml/threshold.ts";

const sample = fc
  .array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean()), { minLength: 1, maxLength: 120 })
  .map((rows) => ({
    // Rounded, so that there are ties; a fraud more likely where the score is high.
    scores: Float64Array.from(rows, ([score]) => Math.round(score * 30) / 30),
    y: Uint8Array.from(rows, ([score, lucky]) => (score > 0.6 || (lucky && score > 0.3) ? 1 : 0)),
  }));
const share = fc.double({ min: 0, max: 1, noNaN: true });

test("no more than the budget is flagged, and the next lower score would exceed it", () => {
  fc.assert(
    fc.property(sample, share, ({ scores, y }, reviewShare) => {
      const { review } = thresholdsFor({ scores, y, reviewShare, blockPrecision: 1 });
      const flagged = (threshold: number): number => {
        const { truePositives, falsePositives } = confusionAt(scores, y, threshold);
        return truePositives + falsePositives;
      };
      const budget = reviewShare * scores.length + 1e-6;
      expect(flagged(review)).toBeLessThanOrEqual(budget);
      const lower = [...scores].filter((score) => Math.fround(score) < review);
      if (lower.length > 0) expect(flagged(Math.max(...lower))).toBeGreaterThan(Math.floor(budget));
    }),
  );
});

test("blocking is at least as precise as asked, rests on enough, and is never below review", () => {
  fc.assert(
    fc.property(sample, share, share, ({ scores, y }, reviewShare, blockPrecision) => {
      const { review, block } = thresholdsFor({ scores, y, reviewShare, blockPrecision });
      expect(block).toBeGreaterThanOrEqual(review);
      expect(Math.fround(review)).toBe(review);
      expect(Math.fround(block)).toBe(block);
      if (block === NEVER || block === review) return;
      expect(precisionRecallF1At(scores, y, block).precision).toBeGreaterThanOrEqual(blockPrecision);
      const { truePositives, falsePositives } = confusionAt(scores, y, block);
      expect(truePositives + falsePositives).toBeGreaterThanOrEqual(BLOCK_SUPPORT_MIN);
    }),
  );
});

test("edge cases: no budget, one big tie, too little support", () => {
  const scores = new Float64Array(100).fill(0.7);
  const y = new Uint8Array(100).fill(1);
  expect(thresholdsFor({ scores, y, reviewShare: 0, blockPrecision: 0.5 })).toEqual({ review: NEVER, block: NEVER });
  expect(thresholdsFor({ scores, y, reviewShare: 0.99, blockPrecision: 0.5 }).review).toBe(NEVER);
  const all = thresholdsFor({ scores, y, reviewShare: 1, blockPrecision: 0.5 });
  expect(all).toEqual({ review: Math.fround(0.7), block: Math.fround(0.7) });
  const few = { scores: scores.slice(0, 19), y: y.slice(0, 19) };
  expect(thresholdsFor({ ...few, reviewShare: 1, blockPrecision: 0.5 }).block).toBe(NEVER);
  expect(decide(1, { review: NEVER, block: NEVER })).toBe("approve");
});

test("refuses what is no probability or no share", () => {
  const y = Uint8Array.of(0, 1);
  const good = { scores: Float64Array.of(0.1, 0.2), y, reviewShare: 0.1, blockPrecision: 0.9 };
  expect(() => thresholdsFor({ ...good, scores: Float64Array.of(0.1, Number.NaN) })).toThrow("scores, row 1 is NaN");
  expect(() => thresholdsFor({ ...good, reviewShare: 1.5 })).toThrow("reviewShare is 1.5; it must be from 0 to 1");
  expect(() => thresholdsFor({ ...good, y: Uint8Array.of(1) })).toThrow("y.length is 1");
});
