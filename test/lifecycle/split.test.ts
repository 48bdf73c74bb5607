// The time-ordered split: no slice reaches into another or into the days whose labels it could not know.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { foldsBefore, recentUnlearned, type Split, splitByTime } from "../../src/lifecycle/train/split.ts";
import { pipelineOf } from "./world.ts";

/** Times in any order and a fifth frauds. */
function rows(seed: number, days: number): { readonly times: Float64Array; readonly labels: Uint8Array } {
  const random = new Random(seed);
  const times = Float64Array.from({ length: 3000 }, () => Math.floor(random.uniform(0, days * DAY_MS)));
  return { times, labels: Uint8Array.from(times, () => (random.next() < 0.2 ? 1 : 0)) };
}

const span = (split: Split, name: keyof Split, times: Float64Array) => {
  const own = Array.from(split[name].rows, (row) => times[row]);
  return { first: Math.min(...own), last: Math.max(...own) };
};

test("the slices follow each other, a gap before the evaluation, and history is learned by none", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e6 }),
      fc.integer({ min: 50, max: 400 }),
      fc.integer({ min: 0, max: 6 }),
      (seed, days, gap) => {
        const { times, labels } = rows(seed, days);
        const split = splitByTime(times, labels, pipelineOf(`split: { gap: ${gap}d }\n`));
        const [train, calibrate, evaluate] = (["train", "calibrate", "evaluate"] as const).map((name) =>
          span(split, name, times),
        );
        expect(calibrate.first).toBeGreaterThan(train.last);
        expect(evaluate.first - calibrate.last).toBeGreaterThanOrEqual(gap * DAY_MS);
        const start = Math.min(...times);
        const end = Math.max(...times);
        expect(train.first - start).toBeGreaterThanOrEqual(pipelineOf().split.history * (end - start));
        expect(evaluate.last).toBe(end);
        for (const name of ["train", "calibrate", "evaluate"] as const) {
          expect(split[name].frauds).toBe(split[name].rows.reduce((sum, row) => sum + labels[row], 0));
          // The rows are all those of the time, in the table's order.
          const { from, to } = split[name];
          expect([...split[name].rows]).toEqual(
            [...times.keys()].filter((row) => times[row] >= from && times[row] < to),
          );
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("too short a time says how many days are needed, and these are enough", () => {
  const short = rows(1, 8);
  const refusal = (() => {
    try {
      splitByTime(short.times, short.labels, pipelineOf());
      return "";
    } catch (error) {
      return String((error as { hint?: string }).hint);
    }
  })();
  const days = Number(/at least (\d+) days/.exec(refusal)?.[1]);
  expect(days).toBeGreaterThan(8);
  const enough = rows(1, days + 1);
  expect(() => splitByTime(enough.times, enough.labels, pipelineOf())).not.toThrow();
});

test.each([
  [0, /train slice .* no fraud/],
  [1, /train slice .* all of them are frauds/],
])("a slice of one class (%i) is refused by name", (label, says) => {
  const { times } = rows(3, 100);
  expect(() => splitByTime(times, new Uint8Array(times.length).fill(label), pipelineOf())).toThrow(says);
});

test("few frauds in one slice are refused by its name", () => {
  const { times, labels } = rows(4, 100);
  const { evaluate } = splitByTime(times, labels, pipelineOf());
  for (const row of evaluate.rows.subarray(3)) labels[row] = 0;
  expect(() => splitByTime(times, labels, pipelineOf())).toThrow(/evaluate slice .* at least 10 are needed/);
});

test("folds lie one after another inside the days to learn from, and none sees the evaluation", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 120, max: 400 }), (seed, days) => {
      const { times, labels } = rows(seed, days);
      const pipeline = pipelineOf();
      const split = splitByTime(times, labels, pipeline);
      const folds = foldsBefore(split, { times, labels }, { pipeline, count: 3 });
      expect(folds).toHaveLength(3);
      expect(folds[2].evaluate.to).toBe(split.calibrate.to);
      folds.forEach((fold, k) => {
        expect(fold.train.from).toBe(split.train.from);
        const [train, calibrate, evaluate] = (["train", "calibrate", "evaluate"] as const).map((name) =>
          span(fold, name, times),
        );
        expect(calibrate.first).toBeGreaterThan(train.last);
        expect(evaluate.first - calibrate.last).toBeGreaterThanOrEqual(pipeline.split.gapMs);
        expect(evaluate.last).toBeLessThan(split.evaluate.from);
        if (k > 0) expect(fold.evaluate.from).toBe(folds[k - 1].evaluate.to);
      });
    }),
    { numRuns: 20 },
  );
});

test("too few days for a search are named", () => {
  const { times, labels } = rows(3, 60);
  const pipeline = pipelineOf("split: { gap: 14d }\n");
  const split = splitByTime(times, labels, pipeline);
  expect(() => foldsBefore(split, { times, labels }, { pipeline, count: 3 })).toThrow(/too few for a search/);
});

test("the world is known by the newest rows that nothing learned, and a new one by its own days, a week of them at least", () => {
  const { times, labels } = rows(3, 100);
  const split = splitByTime(times, labels, pipelineOf());
  const end = Math.max(...times);
  const from = (since?: number): number => {
    const recent = recentUnlearned(times, labels, { split, ...(since === undefined ? {} : { since }) });
    const own = Array.from(recent, (row) => times[row]);
    expect(Math.max(...own)).toBe(end);
    return (end - Math.min(...own)) / DAY_MS;
  };
  expect(from()).toBeGreaterThan(27);
  expect(from()).toBeLessThanOrEqual(28);
  // 3,000 rows of 100 days: in fewer than 34 of them are less than a thousand, and then the four weeks count.
  expect(from(end - 10 * DAY_MS)).toBe(from());
  const many = rows(4, 100);
  const thrice = Float64Array.from({ length: 30_000 }, (_, i) => many.times[i % 3000]);
  const named = Uint8Array.from({ length: 30_000 }, (_, i) => many.labels[i % 3000]);
  const last = Math.max(...thrice);
  const known = splitByTime(thrice, named, pipelineOf());
  const days = (since: number): number => {
    const recent = recentUnlearned(thrice, named, { split: known, since });
    return (last - Math.min(...Array.from(recent, (row) => thrice[row]))) / DAY_MS;
  };
  expect(days(last - 10 * DAY_MS)).toBeGreaterThan(9);
  expect(days(last - 10 * DAY_MS)).toBeLessThanOrEqual(10);
  expect(days(last - 2 * DAY_MS)).toBeGreaterThan(6);
  expect(days(last - 2 * DAY_MS)).toBeLessThanOrEqual(7);
  expect(days(last - 80 * DAY_MS)).toBeGreaterThan(27);
});
