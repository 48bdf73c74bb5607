// Calibration: probabilities that never fall with the margin, mean what they say, and survive JSON.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { brier, logLoss, rocAuc } from "../../../src/metrics/metrics.ts";
import { type Calibration, calibrate } from "../../../src/ml/calibration/apply.ts";
import { chooseCalibration, fitCalibration } from "../../../src/ml/calibration/train/fit.ts";
import { isotonicBlocks } from "../../../src/ml/calibration/train/isotonic.ts";
import { sigmoid } from "../../../src/ml/gbdt/score.ts";

const KINDS = ["none", "isotonic", "beta"] as const;

/** Margins whose true log-odds are bend(margin). */
function sampleOf(rows: number, seed: number, bend: (margin: number) => number) {
  const random = new Random(seed);
  const margins = Float64Array.from({ length: rows }, () => random.normal(-2, 2));
  return {
    margins,
    y: margins.reduce((y, margin, r) => {
      y[r] = random.next() < sigmoid(bend(margin)) ? 1 : 0;
      return y;
    }, new Uint8Array(rows)),
  };
}

const scoresOf = (calibration: Calibration, margins: Float64Array): Float64Array =>
  margins.map((margin) => calibrate(calibration, margin));

test("never falls, stays in [0, 1] and says the same after JSON, for any sample and margin", () => {
  const points = fc.array(fc.tuple(fc.integer({ min: -40, max: 40 }), fc.integer({ min: 0, max: 1 })), {
    minLength: 4,
    maxLength: 60,
  });
  const probes = fc.array(fc.double({ min: -800, max: 800, noNaN: true }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(points, probes, fc.constantFrom(...KINDS), (rows, extra, kind) => {
      const margins = Float64Array.from(rows, ([margin]) => margin / 4);
      const y = Uint8Array.from(rows, ([, label]) => label);
      fc.pre(y.includes(0) && y.includes(1));
      const fitted = fitCalibration({ margins, y, kind });
      expect(JSON.parse(JSON.stringify(fitted))).toEqual(fitted);
      const sorted = [...extra, ...margins, ...margins.map((m) => m + 1e-12)].sort((a, b) => a - b);
      let before = 0;
      for (const margin of sorted) {
        const p = calibrate(fitted, margin);
        expect(p >= before && p <= 1).toBe(true);
        before = p;
      }
    }),
    { numRuns: 400 },
  );
});

test("repairs bent probabilities and leaves the ranking alone", () => {
  const bend = (margin: number): number => 0.5 * margin - 1.5;
  const fit = sampleOf(20_000, 1, bend);
  const later = sampleOf(20_000, 2, bend);
  const raw = scoresOf({ kind: "none" }, later.margins);
  const truth = later.margins.map((margin) => sigmoid(bend(margin)));
  for (const kind of ["isotonic", "beta"] as const) {
    const scores = scoresOf(fitCalibration({ ...fit, kind }), later.margins);
    expect(logLoss(scores, later.y)).toBeLessThan(logLoss(raw, later.y) - 0.02);
    expect(logLoss(scores, later.y)).toBeLessThan(logLoss(truth, later.y) + 0.003);
    expect(brier(scores, later.y)).toBeLessThan(brier(raw, later.y));
    expect(rocAuc(scores, later.y)).toBeCloseTo(rocAuc(later.margins, later.y), 3);
  }
});

test("isotonic keeps different margins apart wherever its blocks rise, also beyond the ends", () => {
  const fit = sampleOf(3000, 3, (margin) => margin);
  const fitted = fitCalibration({ ...fit, kind: "isotonic" });
  const distinct = (values: Float64Array): number => new Set(values).size;
  expect(distinct(scoresOf(fitted, fit.margins))).toBeGreaterThan(0.99 * distinct(fit.margins));
  const beyond = scoresOf(fitted, Float64Array.of(-12, -11, 9, 10));
  expect([...beyond].every((p, i) => p > 0 && p < 1 && (i === 0 || p > beyond[i - 1]))).toBe(true);
});

test("beta finds the parameters it was made with", () => {
  const softplus = (x: number): number => Math.log1p(Math.exp(x));
  const fit = sampleOf(60_000, 5, (margin) => 0.5 - 0.7 * softplus(-margin) + 1.4 * softplus(margin));
  const fitted = fitCalibration({ ...fit, kind: "beta" });
  if (fitted.kind !== "beta") throw new Error("beta expected");
  expect(fitted.a).toBeCloseTo(0.7, 1);
  expect(fitted.b).toBeCloseTo(1.4, 0);
  expect(fitted.c).toBeCloseTo(0.5, 0);
});

test("chooses by the loss on later rows: none where margins are right, another where they are bent", () => {
  const right = chooseCalibration(sampleOf(6000, 7, (margin) => margin));
  const bent = chooseCalibration(sampleOf(6000, 8, (margin) => 0.4 * margin - 2));
  expect(bent.calibration.kind).not.toBe("none");
  const losses = Object.values(right.losses);
  expect(right.losses[right.calibration.kind]).toBe(Math.min(...losses));
  expect(losses).toHaveLength(3);
});

test("with one class in a part it chooses nothing; with one class at all it refuses", () => {
  const margins = Float64Array.of(1, 2, 3, 4);
  expect(chooseCalibration({ margins, y: Uint8Array.of(0, 0, 1, 0) }).calibration).toEqual({ kind: "none" });
  expect(() => fitCalibration({ margins, y: new Uint8Array(4), kind: "beta" })).toThrow(
    expect.objectContaining({ code: "ml.one-class" }),
  );
  expect(() =>
    fitCalibration({ margins: Float64Array.of(1, Number.NaN), y: Uint8Array.of(0, 1), kind: "beta" }),
  ).toThrow("margins, row 1 is NaN");
});

test("isotonic blocks rise, hold every point, and no other rising fit of the means is closer", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 1 })), {
        minLength: 1,
        maxLength: 60,
      }),
      (rows) => {
        const x = Float64Array.from(rows, ([value]) => value);
        const blocks = isotonicBlocks(
          x,
          Uint8Array.from(rows, ([, label]) => label),
        );
        expect(blocks.reduce((sum, block) => sum + block.count, 0)).toBe(rows.length);
        blocks.forEach((block, i) => {
          const inside = rows.filter(([value]) => value >= block.low && value <= block.high);
          expect(inside).toHaveLength(block.count);
          expect(block.y).toBeCloseTo(inside.reduce((sum, [, label]) => sum + label, 0) / block.count, 12);
          if (i > 0) expect(block.y).toBeGreaterThan(blocks[i - 1].y);
          // Optimal: no start of a block has a lower mean than the block (else splitting there would fit better).
          for (const [cut] of inside) {
            const start = inside.filter(([value]) => value <= cut);
            const mean = start.reduce((sum, [, label]) => sum + label, 0) / start.length;
            expect(mean).toBeGreaterThanOrEqual(block.y - 1e-12);
          }
        });
      },
    ),
  );
});
