// The search: its draws stay in their ranges and its halving drops what is worse, never what was there before.
import fc from "fast-check";
import { expect, test } from "vitest";
import { drawTrials, scoresMax, successiveHalving } from "../../../src/ml/train/search.ts";

const SPACE = {
  rate: { low: 0.02, high: 0.3, log: true },
  depth: { low: 3, high: 8, whole: true },
  share: { low: 0.5, high: 1 },
} as const;

test("draws stay in range, repeat by seed, and more trials only add to fewer", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 1, max: 60 }), (seed, count) => {
      const trials = drawTrials(SPACE, { count, seed });
      expect(trials).toHaveLength(count);
      for (const trial of trials) {
        for (const [name, { low, high }] of Object.entries(SPACE)) {
          expect(trial[name]).toBeGreaterThanOrEqual(low);
          expect(trial[name]).toBeLessThanOrEqual(high);
        }
        expect(Number.isInteger(trial.depth)).toBe(true);
      }
      expect(drawTrials(SPACE, { count: count + 5, seed }).slice(0, count)).toEqual(trials);
    }),
  );
  const depths = new Set(drawTrials(SPACE, { count: 200, seed: 1 }).map(({ depth }) => depth));
  expect([...depths].sort()).toEqual([3, 4, 5, 6, 7, 8]);
  const rates = drawTrials(SPACE, { count: 1000, seed: 2 }).map(({ rate }) => rate);
  // Half of the draws lie below the geometric middle.
  expect(rates.filter((rate) => rate < Math.sqrt(0.02 * 0.3)).length).toBeGreaterThan(450);
  expect(rates.filter((rate) => rate < Math.sqrt(0.02 * 0.3)).length).toBeLessThan(550);
});

test("no trials and too many are refused", () => {
  for (const count of [0, 1.5, 1001]) {
    expect(() => drawTrials(SPACE, { count, seed: 1 })).toThrow(/trials/);
  }
});

/** Trial t scores `quality[t]` in every fold. */
const search = async (quality: readonly number[], folds = 3) => {
  const asked: [number, number][] = [];
  const found = await successiveHalving({
    trials: quality.length,
    folds,
    score: async ({ trial, fold }) => {
      asked.push([trial, fold]);
      return quality[trial];
    },
  });
  return { ...found, asked };
};

test("the best trial wins, the first is scored in every fold, and the rest is halved", async () => {
  const { chosen, ranked, asked } = await search([0.1, 0.5, 0.2, 0.9, 0.3, 0.4, 0.6, 0.8]);
  expect(chosen).toBe(3);
  expect(ranked[0]).toEqual({ trial: 3, scores: [0.9, 0.9, 0.9] });
  expect(ranked.find(({ trial }) => trial === 0)!.scores).toHaveLength(3);
  expect(asked.filter(([, fold]) => fold === 0)).toHaveLength(8);
  expect(asked.filter(([, fold]) => fold === 1).map(([trial]) => trial)).toEqual([0, 1, 3, 6, 7]);
  expect(asked.filter(([, fold]) => fold === 2).map(([trial]) => trial)).toEqual([0, 3, 6, 7]);
});

test("with constant qualities the halving never loses the best, within the number of fits it states", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (quality, folds) => {
        const { chosen, asked } = await search(quality, folds);
        expect(quality[chosen]).toBe(Math.max(...quality));
        expect(asked.length).toBeLessThanOrEqual(scoresMax(quality.length, folds));
      },
    ),
  );
});

test("one lucky fold changes nothing", async () => {
  const scores = [
    [0.5, 0.5, 0.5],
    [0.49, 0.49, 0.9],
  ];
  const { chosen } = await successiveHalving({
    trials: 2,
    folds: 3,
    score: async ({ trial, fold }) => scores[trial][fold],
  });
  expect(chosen).toBe(0);
});
