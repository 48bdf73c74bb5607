// What a choice of thresholds does, counted by hand on eight transactions of two days; and the page that says it.
import { expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { choicesHtml, effectsOf } from "../../../src/lifecycle/train/choices.ts";
import { DECISIONS } from "../../../src/pipeline/decisions.ts";
import { defaultsOf } from "../../../src/pipeline/section.ts";

const TODAY = { review: 0.3, block: 0.8 };
const SHY = { review: 2, block: 2 };

type Trained = Parameters<typeof effectsOf>[0];

/** Frauds of 100 (blocked), 40 (reviewed) and 10 (approved); card 7 is bothered twice on a day, card 8 once on the other. */
const TRAINED = {
  evaluation: {
    scores: Float32Array.of(0.9, 0.5, 0.1, 0.4, 0.35, 0.85, 0.05, 0.02),
    y: Uint8Array.of(1, 1, 1, 0, 0, 0, 0, 0),
    amount: Float64Array.of(100, 40, 10, 5, 5, 7, 90, Number.NaN),
    card: Int32Array.of(1, 2, 3, 7, 7, 8, 4, 5),
    time: Float64Array.of(0, 0, 0, 10, 20, DAY_MS + 1, 0, 0),
  },
  split: { evaluate: { from: 0, to: 2 * DAY_MS } },
  pipeline: { decisions: { ...defaultsOf(DECISIONS), reviewCost: 4, missedShare: 0.5 } },
  fitted: {
    thresholds: TODAY,
    policy: null,
    decided: {
      choices: [
        { name: "nobody", thresholds: SHY, reached: true },
        { name: "<b>fraud rate of 0 %", thresholds: SHY, reached: false },
      ],
    },
  },
} as unknown as Trained;

test("reviews, blocks, customers, frauds and money of each choice", () => {
  const [today, nobody, unreached] = effectsOf(TRAINED);
  expect(today).toEqual({
    name: "as trained",
    thresholds: TODAY,
    reached: true,
    isPolicy: false,
    reviewedPerDay: 1.5,
    blockedPerDay: 1,
    botheredPerDay: 1,
    caughtShare: 2 / 3,
    caughtAmountShare: 140 / 150,
    missedAmountPerDay: 5,
    fraudRate: 0.1,
    blockPrecision: 0.5,
    costPerDay: (4 * 3 + 0.5 * 10) / 2,
    // The block of a genuine 7 costs a call and as much again.
    savedPerDay: (0.5 * 140 - 4 * 3 - (10 + 7)) / 2,
  });
  expect(nobody).toMatchObject({ reviewedPerDay: 0, botheredPerDay: 0, caughtShare: 0, costPerDay: 37.5 });
  expect(nobody.blockPrecision).toBeNaN();
  expect(unreached.reached).toBe(false);
});

test("the page has a line for each choice, escaped; what is not reached shows no figures", () => {
  const page = choicesHtml(TRAINED);
  expect(page).toContain('<tr><th scope="row">as trained</th><td>0.3</td><td>0.8</td><td>1.5</td>');
  expect(page).toContain('<th scope="row">nobody</th><td>never</td>');
  expect(page).toContain('<th scope="row">&lt;b&gt;fraud rate of 0 %: not reached</th><td>–</td>');
  expect(page).toContain("What is caught, and whom it bothers");
});
