// Metrics: worked examples, what must not change them, and agreement with decisions.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decide } from "../../src/core/decision.ts";
import { cardPrecisionAtK } from "../../src/metrics/cards.ts";
import {
  averagePrecision,
  brier,
  confusionAt,
  logLoss,
  precisionRecallF1At,
  recallAtBudget,
  recallAtFpr,
  rocAuc,
} from "../../src/metrics/metrics.ts";
import { descending } from "../../src/metrics/ranking.ts";

const sample = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1 })), { minLength: 2, maxLength: 80 })
  .map((rows) => ({
    scores: Float64Array.from(rows, ([score]) => score / 20),
    y: Uint8Array.from(rows, ([, label]) => label),
  }));

test("ROC AUC is the share of pairs in the right order, ties counting half", () => {
  fc.assert(
    fc.property(sample, ({ scores, y }) => {
      let right = 0;
      let pairs = 0;
      for (let i = 0; i < y.length; i++) {
        for (let j = 0; j < y.length; j++) {
          if (y[i] !== 1 || y[j] !== 0) continue;
          pairs++;
          right += scores[i] > scores[j] ? 1 : scores[i] === scores[j] ? 0.5 : 0;
        }
      }
      if (pairs === 0) expect(rocAuc(scores, y)).toBeNaN();
      else expect(rocAuc(scores, y)).toBeCloseTo(right / pairs, 12);
    }),
  );
});

test("order of rows and any rising change of the scores leave ranking metrics as they were", () => {
  fc.assert(
    fc.property(sample, fc.integer(), ({ scores, y }, turn) => {
      const shift = Math.abs(turn) % y.length;
      const moved = <T extends Float64Array | Uint8Array>(values: T): T =>
        values.map((_, i) => values[(i + shift) % values.length]) as T;
      const bent = moved(scores).map((score) => Math.exp(3 * score) - 7);
      for (const metric of [rocAuc, averagePrecision]) expect(metric(bent, moved(y))).toBe(metric(scores, y));
      for (const metric of [recallAtBudget, recallAtFpr])
        expect(metric(bent, moved(y), 0.3)).toBe(metric(scores, y, 0.3));
    }),
  );
});

test("the confusion at a threshold is what decisions would make of it", () => {
  fc.assert(
    fc.property(sample, fc.double({ min: 0, max: 1, noNaN: true }), ({ scores, y }, threshold) => {
      const flagged = Array.from(scores, (score) => decide(score, { review: threshold, block: 2 }) === "review");
      const count = (fraud: number, flag: boolean): number =>
        flagged.filter((f, r) => f === flag && y[r] === fraud).length;
      expect(confusionAt(scores, y, threshold)).toEqual({
        truePositives: count(1, true),
        falsePositives: count(0, true),
        trueNegatives: count(0, false),
        falseNegatives: count(1, false),
      });
    }),
  );
});

test("recall at a budget flags no more than the budget, ties included", () => {
  const scores = Float64Array.of(0.9, 0.8, 0.8, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1);
  const y = Uint8Array.of(1, 1, 0, 1, 1, 0, 0, 0, 0, 0);
  expect(recallAtBudget(scores, y, 0)).toBe(0);
  expect(recallAtBudget(scores, y, 0.1)).toBe(0.25);
  expect(recallAtBudget(scores, y, 0.3)).toBe(0.25);
  expect(recallAtBudget(scores, y, 0.4)).toBe(0.75);
  expect(recallAtBudget(scores, y, 1)).toBe(1);
  expect(recallAtFpr(scores, y, 0)).toBe(0.25);
  expect(recallAtFpr(scores, y, 0.2)).toBe(0.75);
});

test("probabilities of 0 and 1 cost much but not everything", () => {
  expect(logLoss(Float64Array.of(0, 1), Uint8Array.of(0, 1))).toBeCloseTo(0, 12);
  expect(logLoss(Float64Array.of(0), Uint8Array.of(1))).toBeCloseTo(52 * Math.LN2, 9);
  expect(brier(Float64Array.of(0.5, 1), Uint8Array.of(0, 0))).toBe(0.625);
});

test("undefined is NaN, not a number that looks like an answer", () => {
  const none = Uint8Array.of(0, 0);
  const scores = Float64Array.of(0.1, 0.2);
  for (const value of [rocAuc(scores, none), averagePrecision(scores, none), recallAtBudget(scores, none, 0.5)]) {
    expect(value).toBeNaN();
  }
  expect(precisionRecallF1At(scores, Uint8Array.of(1, 0), 0.9).precision).toBeNaN();
  expect(
    cardPrecisionAtK({ scores: new Float64Array(0), y: none, card: new Int32Array(0), day: new Int32Array(0), k: 3 }),
  ).toBeNaN();
});

test("a compromised card is found once and makes room on later days", () => {
  const input = {
    scores: Float64Array.of(0.9, 0.2, 0.5, 0.9, 0.8, 0.7),
    y: Uint8Array.of(1, 0, 0, 1, 0, 1),
    card: Int32Array.of(1, 1, 2, 1, 2, 3),
    day: Int32Array.of(1, 1, 1, 2, 2, 2),
    k: 2,
  };
  // Day 1: cards 1 (fraud) and 2. Day 2 without card 1: cards 2 and 3 (fraud).
  expect(cardPrecisionAtK(input)).toBe(0.5);
  // With k = 1 day 2 looks at card 2 only.
  expect(cardPrecisionAtK({ ...input, k: 1 })).toBe(0.5);
  expect(cardPrecisionAtK({ ...input, k: 4 })).toBe(0.25);
});

test("rows by falling score are those of a sort that compares: ties in row order, both zeros one score, any sign and size", () => {
  const number = fc.oneof(
    fc.constantFrom(0, -0, 1, -1, 0.5, Number.MIN_VALUE, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.double({ noNaN: true }),
    fc.integer({ min: -3, max: 3 }),
  );
  fc.assert(
    fc.property(fc.array(number, { maxLength: 300 }), (numbers) => {
      for (const scores of [Float64Array.from(numbers), Float32Array.from(numbers)]) {
        const order = (a: number, b: number): number =>
          scores[a] === scores[b] ? a - b : scores[a] < scores[b] ? 1 : -1;
        const wanted = Array.from(scores.keys()).sort(order);
        expect([...descending(scores)]).toEqual(wanted);
      }
    }),
  );
});
