// Equating: on the same rows two models give the same distribution of probabilities, whatever their margins are.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Calibration, calibrate } from "../../../src/ml/calibration/apply.ts";
import { equate } from "../../../src/ml/calibration/train/equate.ts";

const BETA: Calibration = { kind: "beta", a: 0.8, b: 1.1, c: -0.3 };
const margin = fc.double({ min: -12, max: 12, noNaN: true });
const pairs = fc.array(fc.tuple(margin, margin), { minLength: 2, maxLength: 400 });
const sortedBy = (calibration: Calibration, margins: Float64Array): Float64Array =>
  margins.map((value) => calibrate(calibration, value)).sort();

test("a margin never means less than a smaller one, and always a probability", () => {
  fc.assert(
    fc.property(pairs, fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2 }), (rows, asked) => {
      const calibration = equate(BETA, {
        known: Float64Array.from(rows, ([known]) => known),
        fresh: Float64Array.from(rows, ([, fresh]) => fresh),
      });
      const probabilities = Float64Array.from(asked)
        .sort()
        .map((value) => calibrate(calibration, value));
      for (const [i, probability] of probabilities.entries()) {
        expect(probability).toBeGreaterThanOrEqual(i === 0 ? 0 : probabilities[i - 1]);
        expect(probability).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test("the highest ranks get exactly the probabilities of the same ranks, so a threshold flags as many rows", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(margin, { minLength: 20, maxLength: 300 }),
      fc.infiniteStream(margin),
      (fresh, stream) => {
        const known = Float64Array.from(fresh, () => stream.next().value as number);
        const margins = { known, fresh: Float64Array.from(fresh) };
        const own = sortedBy(equate(BETA, margins), margins.fresh).reverse();
        const theirs = sortedBy(BETA, margins.known).reverse();
        for (let rank = 0; rank < 7; rank++) expect(own[rank]).toBeCloseTo(theirs[rank], 12);
      },
    ),
  );
});

test("between the knots of many rows it stays near", () => {
  const rows = 20_000;
  const known = Float64Array.from({ length: rows }, (_, i) => -9 + (12 * i) / rows);
  // Shifted and stretched: what a model with other leaves might answer.
  const fresh = known.map((value) => 1.7 * value + 2);
  const calibration = equate(BETA, { known, fresh });
  const [own, theirs] = [sortedBy(calibration, fresh), sortedBy(BETA, known)];
  const worst = own.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0);
  expect(worst).toBeLessThan(0.005);
  expect(calibration.kind === "isotonic" && calibration.x.length).toBeLessThan(120);
});

test("rows of one margin get one probability, and one row is no sample", () => {
  const known = Float64Array.of(-4, -2, 0, 2);
  const calibration = equate({ kind: "none" }, { known, fresh: Float64Array.of(1, 1, 1, 1) });
  expect(calibration).toMatchObject({ kind: "isotonic", x: [1] });
  const [low, high] = [-4, 2].map((value) => calibrate({ kind: "none" }, value));
  expect(calibrate(calibration, 1)).toBeCloseTo((low + high) / 2, 12);
  expect(() => equate({ kind: "none" }, { known: Float64Array.of(1), fresh: Float64Array.of(1) })).toThrow(
    /two or more/,
  );
});
