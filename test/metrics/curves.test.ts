// Curves against counting by hand and against the metrics that are areas under them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Curve, precisionRecallCurve, reliabilityCurve, rocCurve } from "../../src/metrics/curves.ts";
import { rocAuc } from "../../src/metrics/metrics.ts";

const SCORES = Float32Array.from([0.875, 0.75, 0.75, 0.5, 0.25, 0.125]);
const LABELS = Uint8Array.from([1, 1, 0, 0, 1, 0]);

/** Scores on a coarse grid, so that ties occur, with labels. */
const sample = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 64 }), fc.boolean()), { minLength: 1, maxLength: 150 })
  .map((rows) => ({
    scores: Float32Array.from(rows, ([score]) => score / 64),
    y: Uint8Array.from(rows, ([, fraud]) => (fraud ? 1 : 0)),
  }));

test("six transactions, counted by hand", () => {
  expect(precisionRecallCurve(SCORES, LABELS)).toEqual({
    recall: [1 / 3, 2 / 3, 1, 1],
    precision: [1, 2 / 3, 3 / 5, 3 / 6],
    threshold: [0.875, 0.75, 0.25, 0.125],
  });
  expect(rocCurve(SCORES, LABELS)).toEqual({
    false_positive_rate: [0, 0, 1 / 3, 2 / 3, 2 / 3, 1],
    true_positive_rate: [0, 1 / 3, 2 / 3, 2 / 3, 1, 1],
  });
  expect(reliabilityCurve(SCORES, LABELS)).toEqual({
    promised: [(0.5 + 0.25 + 0.125) / 3, 0.75, 0.875],
    happened: [1 / 3, 1 / 2, 1],
    rows: [3, 2, 1],
  });
});

test("one class alone has no ROC, no fraud nothing to draw", () => {
  const none = new Uint8Array(6);
  expect(precisionRecallCurve(SCORES, none)).toEqual({ recall: [], precision: [], threshold: [] });
  expect(rocCurve(SCORES, none)).toEqual({ false_positive_rate: [], true_positive_rate: [] });
  expect(
    rocCurve(
      SCORES,
      none.map(() => 1),
    ).true_positive_rate,
  ).toEqual([]);
  expect(reliabilityCurve(SCORES, none)).toEqual({ promised: [], happened: [], rows: [] });
});

/** The area under a drawn ROC, which must rise. */
function areaUnder({ false_positive_rate: x, true_positive_rate: t }: Curve): number {
  let area = 0;
  for (let i = 1; i < x.length; i++) {
    expect(x[i]).toBeGreaterThanOrEqual(x[i - 1]);
    expect(t[i]).toBeGreaterThanOrEqual(t[i - 1]);
    area += ((x[i] - x[i - 1]) * (t[i] + t[i - 1])) / 2;
  }
  expect([x.at(-1), t.at(-1)]).toEqual([1, 1]);
  return area;
}

test("the area under the drawn ROC is the AUC", () => {
  fc.assert(
    fc.property(sample, ({ scores, y }) => {
      const curve = rocCurve(scores, y);
      fc.pre(curve.true_positive_rate.length > 0);
      expect(areaUnder(curve)).toBeCloseTo(rocAuc(scores, y), 12);
    }),
  );
});

test("bins of a reliability diagram hold every row once, in order, and promise no more than the highest score", () => {
  fc.assert(
    fc.property(sample, ({ scores, y }) => {
      const frauds = y.reduce((sum, label) => sum + label, 0);
      fc.pre(frauds > 0);
      const { promised, happened, rows } = reliabilityCurve(scores, y);
      expect(rows.reduce((sum, count) => sum + count, 0)).toBe(scores.length);
      const counted = happened.reduce((sum, share, i) => sum + share * rows[i], 0);
      expect(counted).toBeCloseTo(frauds, 9);
      expect([...promised].sort((a, b) => a - b)).toEqual(promised);
      expect(promised.length).toBeLessThanOrEqual(20);
    }),
  );
});

test("a long curve is thinned to what a plot shows, and its ends stay", () => {
  const rows = 20_000;
  const scores = Float32Array.from({ length: rows }, (_, i) => (rows - i) / (rows + 1));
  const y = Uint8Array.from({ length: rows }, (_, i) => (i % 7 === 0 ? 1 : 0));
  const { recall, precision } = precisionRecallCurve(scores, y);
  expect(recall.length).toBeGreaterThan(300);
  expect(recall.length).toBeLessThanOrEqual(402);
  const roc = rocCurve(scores, y);
  expect(roc.true_positive_rate.length).toBeLessThanOrEqual(403);
  expect(Math.abs(areaUnder(roc) - rocAuc(scores, y))).toBeLessThan(1 / 200);
  expect(recall.at(-1)).toBe(1);
  expect(precision[0]).toBe(1);
});
