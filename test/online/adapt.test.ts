// The review threshold that follows the budget: bounds, steps, restarts at any record, and what a beginning in the middle can know.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { ALERTS_MIN, boundsOf, ReviewBudget, type Seen } from "../../src/online/adapt.ts";

const KEYS = { reviewShare: 0.05, adaptRows: 500, adaptEveryMs: HOUR_MS, adaptRange: 4 };
const THRESHOLDS = { review: Math.fround(0.3), block: Math.fround(0.9) };
const START = Date.UTC(2026, 0, 1);

interface Given {
  readonly rows: number;
  readonly seed?: number;
  readonly bundle?: (row: number) => string;
  /** Share of scores that are high. */
  readonly high?: (row: number) => number;
}

/** Answers a minute apart, each by the threshold that the budget says. */
function answered(budget: ReviewBudget, given: Given): Seen[] {
  const random = new Random(given.seed ?? 1);
  const records: Seen[] = [];
  for (let row = 0; row < given.rows; row++) {
    const receivedAt = START + row * 60_000;
    const bundle = given.bundle?.(row) ?? "a";
    const high = random.next() < (given.high?.(row) ?? 0.02);
    const score = Math.fround(high ? random.uniform(0.4, 1) : random.next() ** 2 * 0.4);
    const review = budget.reviewFor({ bundle, thresholds: THRESHOLDS, receivedAt });
    const record: Seen = {
      bundle,
      score,
      receivedAt,
      degraded: row % 97 === 5,
      adapted: { review, rules: budget.rules },
    };
    budget.observe(record);
    records.push(record);
  }
  return records;
}

/** What is blocked takes nothing of the budget. */
const reviewed = (records: readonly Seen[]): number =>
  records.filter(({ score, adapted }) => score >= adapted!.review && score < THRESHOLDS.block).length / records.length;

test("under drift the bundle's own threshold overflows, the adapted one keeps to the budget", () => {
  const drifts = (row: number): number => (row < 2000 ? 0.02 : 0.2);
  const free = { ...KEYS, adaptRange: 100 };
  const records = answered(new ReviewBudget(free, { whole: true }), { rows: 8000, high: drifts });
  const late = records.slice(3000);
  expect(late.filter(({ score }) => score >= THRESHOLDS.review).length / late.length).toBeGreaterThan(0.15);
  expect(reviewed(late)).toBeGreaterThan(0.03);
  expect(reviewed(late)).toBeLessThan(0.07);
});

test("it stays within its odds and under the block threshold, and what nobody or everybody reaches stays", () => {
  const [low, high] = boundsOf(THRESHOLDS, 4);
  expect(low / (1 - low)).toBeCloseTo(0.3 / 0.7 / 4, 6);
  expect(high / (1 - high)).toBeCloseTo((0.3 / 0.7) * 4, 6);
  expect(boundsOf({ review: 0.5, block: 0.6 }, 100)[1]).toBe(0.6);
  expect(boundsOf({ review: 1 + 2 ** -23, block: 2 }, 4)).toEqual([1 + 2 ** -23, 1 + 2 ** -23]);
  expect(boundsOf({ review: 0, block: 1 }, 4)).toEqual([0, 0]);
  for (const share of [0, 1]) {
    const reviewShare = share === 0 ? 0.9 : 0.05;
    const records = answered(new ReviewBudget({ ...KEYS, reviewShare }, { whole: true }), {
      rows: 4000,
      high: () => share,
    });
    for (const { adapted } of records) {
      expect(adapted!.review).toBeGreaterThanOrEqual(Math.fround(low));
      expect(adapted!.review).toBeLessThanOrEqual(Math.fround(high));
    }
    expect(records.at(-1)!.adapted!.review).toBe(Math.fround(share === 0 ? low : high));
  }
});

test("it moves with the first answer of a step, and begins with the bundle's own until there is enough to go by", () => {
  const records = answered(new ReviewBudget(KEYS, { whole: true }), { rows: 3000 });
  const moves = records.filter(({ adapted }, row) => row > 0 && adapted!.review !== records[row - 1].adapted!.review);
  expect(moves.length).toBeGreaterThan(5);
  for (const { receivedAt } of moves) expect(receivedAt % HOUR_MS).toBe(0);
  const first = records.indexOf(moves[0]);
  expect(first).toBeGreaterThanOrEqual(ALERTS_MIN / KEYS.reviewShare);
  expect(records.slice(0, first).every(({ adapted }) => adapted!.review === THRESHOLDS.review)).toBe(true);
});

test("another bundle begins with its own threshold, whatever the last one's was", () => {
  const records = answered(new ReviewBudget(KEYS, { whole: true }), {
    rows: 4000,
    bundle: (row) => (row < 2000 ? "a" : "b"),
    high: () => 0.3,
  });
  expect(records[1999].adapted!.review).toBeGreaterThan(THRESHOLDS.review);
  expect(records[2000].adapted!.review).toBe(THRESHOLDS.review);
});

test("begun again from the newest records of the log, at any of them, it says the same", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2500 }), fc.integer({ min: 1, max: 1000 }), (cut, seed) => {
      const given = {
        rows: 2600,
        seed,
        bundle: (row: number) => (row < 1100 ? "a" : "b"),
        high: (row: number) => row / 9000,
      };
      const records = answered(new ReviewBudget(KEYS, { whole: true }), given);
      const again = new ReviewBudget(KEYS, { whole: true });
      // What a restart reads: twice the window holds a window of scores, degraded answers or not.
      for (const record of records.slice(Math.max(0, cut - 2 * KEYS.adaptRows), cut)) again.observe(record);
      for (const record of records.slice(cut)) {
        const { bundle, receivedAt } = record;
        expect(again.reviewFor({ bundle, thresholds: THRESHOLDS, receivedAt })).toBe(record.adapted!.review);
        again.observe(record);
      }
    }),
    { numRuns: 25 },
  );
});

test("a log that forgot its beginning determines nothing until a window of it is known, and then the same", () => {
  const records = answered(new ReviewBudget(KEYS, { whole: true }), { rows: 3000, high: () => 0.1 });
  const rest = new ReviewBudget(KEYS, { whole: false });
  let known = 0;
  for (const record of records.slice(800)) {
    const { bundle, receivedAt } = record;
    if (rest.isDetermined(bundle)) {
      known++;
      expect(rest.reviewFor({ bundle, thresholds: THRESHOLDS, receivedAt })).toBe(record.adapted!.review);
    }
    rest.observe(record);
  }
  expect(known).toBeGreaterThan(1000);
  expect(known).toBeLessThan(2200 - KEYS.adaptRows);
});

test("thresholds of other settings are another run, and other settings have another name", () => {
  const budget = new ReviewBudget({ ...KEYS, reviewShare: 0.1 }, { whole: true });
  expect(budget.rules).not.toBe(new ReviewBudget(KEYS, { whole: true }).rules);
  for (const record of answered(new ReviewBudget(KEYS, { whole: true }), { rows: 2000, high: () => 0.3 }))
    budget.observe(record);
  const receivedAt = START + 3 * DAY_MS;
  expect(budget.reviewFor({ bundle: "a", thresholds: THRESHOLDS, receivedAt })).toBe(THRESHOLDS.review);
});
