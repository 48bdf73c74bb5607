// Promises of thresholds: bounds kept up to date row by row equal those made at once, thresholds are the best of all, and later days keep them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { normalQuantile } from "../../src/evidence/normal.ts";
import { blockFrom, passBelow, RunningShare, type ScoredSlice } from "../../src/evidence/promise.ts";
import { clusteredProportion } from "../../src/evidence/proportion.ts";

const NEVER = 2;
const slice = fc
  .array(
    fc.record({
      score: fc.integer({ min: 0, max: 20 }),
      fraud: fc.boolean(),
      entity: fc.integer({ min: 0, max: 8 }),
      amount: fc.oneof(fc.integer({ min: -5, max: 100 }), fc.constant(Number.NaN)),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((rows): ScoredSlice & { readonly amounts: Float64Array } => ({
    scores: Float32Array.from(rows, ({ score }) => score / 20),
    y: Uint8Array.from(rows, ({ score, fraud }) => (fraud && score > 5 ? 1 : 0)),
    entity: Int32Array.from(rows, ({ entity }) => entity),
    amounts: Float64Array.from(rows, ({ amount }) => amount),
  }));

/** Hits and rows by entity of the rows that are meant, with each row's weight. */
function countsOf(of: ScoredSlice, isMeant: (row: number) => boolean): { hits: number; rows: number }[] {
  const counts = new Map<number, { hits: number; rows: number }>();
  for (let row = 0; row < of.y.length; row++) {
    if (!isMeant(row)) continue;
    const one = counts.get(of.entity[row]) ?? { hits: 0, rows: 0 };
    counts.set(of.entity[row], { hits: one.hits + of.y[row], rows: one.rows + 1 });
  }
  return [...counts.values()];
}

test("rows added one by one have the share and interval of all at once, where entities are alike or differ", () => {
  fc.assert(
    fc.property(slice, fc.constantFrom(0.8, 0.95), (of, level) => {
      const running = new RunningShare(of.entity);
      for (let row = 0; row < of.y.length; row++) running.add(row, 1, of.y[row] === 1);
      const { share, low, high } = running.bounds(normalQuantile((1 + level) / 2));
      const counts = countsOf(of, () => true);
      const whole = clusteredProportion(counts, level);
      expect(share).toBeCloseTo(whole.value, 12);
      // Where all are alike the entities are the sample, here by the rows that each has.
      const isAlike = counts.every(({ hits, rows }) => Math.abs(hits - share * rows) < 1e-9);
      if (isAlike && counts.length > 1) {
        expect(low).toBeLessThanOrEqual(whole.low + 1e-9);
        expect(high).toBeGreaterThanOrEqual(whole.high - 1e-9);
        return;
      }
      expect(low).toBeCloseTo(whole.low, 9);
      expect(high).toBeCloseTo(whole.high, 9);
    }),
  );
});

test("blocking begins at the lowest score that keeps the promise, and a promise that none keeps is said to be so", () => {
  fc.assert(
    fc.property(slice, fc.double({ min: 0.1, max: 0.95, noNaN: true }), (of, precision) => {
      const asked = { precision, certainty: 0.8, scoreMin: 0.3, rowsMin: 5 };
      const found = blockFrom(of, asked);
      const holds = [...new Set(of.scores)].filter((score) => {
        if (score < Math.fround(asked.scoreMin)) return false;
        const running = new RunningShare(of.entity);
        for (let row = 0; row < of.y.length; row++) if (of.scores[row] >= score) running.add(row, 1, of.y[row] === 1);
        return running.rows >= asked.rowsMin && running.bounds(normalQuantile(0.8)).low >= precision;
      });
      expect(found.reached).toBe(holds.length > 0);
      if (!found.reached) {
        expect(found.threshold).toBeNaN();
        return;
      }
      expect(found.threshold).toBe(Math.min(...holds));
      expect(found.share).toBeGreaterThanOrEqual(found.bound);
      expect(found.bound).toBeGreaterThanOrEqual(precision);
    }),
  );
});

test("as much passes as the fraud rate by amount allows, and no more", () => {
  fc.assert(
    fc.property(slice, fc.double({ min: 0.01, max: 0.6, noNaN: true }), (of, rate) => {
      const found = passBelow(of, { rate, certainty: 0.7, never: NEVER });
      const holds = [...new Set(of.scores), NEVER].filter((threshold) => {
        const running = new RunningShare(of.entity);
        let rows = 0;
        for (let row = 0; row < of.y.length; row++) {
          if (of.scores[row] >= threshold) continue;
          rows++;
          running.add(row, of.amounts[row] > 0 ? of.amounts[row] : 0, of.y[row] === 1);
        }
        return rows > 0 && running.bounds(normalQuantile(0.7)).high <= rate;
      });
      expect(found.reached).toBe(holds.length > 0);
      if (found.reached) expect(found.threshold).toBe(Math.max(...holds));
    }),
  );
});

/** A world whose truth is known: the score is the probability, and an entity has several rows. */
function drawn(seed: number, rows: number): ScoredSlice & { readonly amounts: Float64Array } {
  const random = new Random(seed);
  const scores = new Float32Array(rows);
  const y = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    scores[row] = random.next() < 0.03 ? 0.5 + random.next() / 2 : random.next() ** 4 * 0.02;
    y[row] = random.next() < scores[row] ? 1 : 0;
  }
  return {
    scores,
    y,
    entity: Int32Array.from({ length: rows }, (_, row) => Math.floor(row / 3)),
    amounts: Float64Array.from({ length: rows }, () => 5 + 100 * random.next()),
  };
}

test("on later days what is blocked is as precise as promised, and what passes as clean", () => {
  const later = drawn(999, 60_000);
  let imprecise = 0;
  let unclean = 0;
  const draws = 40;
  for (let seed = 1; seed <= draws; seed++) {
    const days = drawn(seed, 8000);
    const block = blockFrom(days, { precision: 0.8, certainty: 0.9, scoreMin: 0.5, rowsMin: 20 });
    const pass = passBelow(days, { rate: 0.006, certainty: 0.9, never: NEVER });
    expect(block.reached).toBe(true);
    expect(pass.reached).toBe(true);
    let [blocked, frauds, passed, lost] = [0, 0, 0, 0];
    for (let row = 0; row < later.y.length; row++) {
      if (later.scores[row] >= block.threshold) {
        blocked++;
        frauds += later.y[row];
      }
      if (later.scores[row] < pass.threshold) {
        passed += later.amounts[row];
        lost += later.amounts[row] * later.y[row];
      }
    }
    if (frauds / blocked < 0.8) imprecise++;
    if (lost / passed > 0.006) unclean++;
  }
  // One in ten at each threshold; the lowest of many that hold fails a little more often, the figure itself half of the time.
  expect(imprecise).toBeLessThanOrEqual(0.25 * draws);
  expect(unclean).toBeLessThanOrEqual(0.25 * draws);
});
