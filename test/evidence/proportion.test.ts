// A proportion by entity: published intervals where each row is an entity of its own, and a bootstrap of the entities where rows come together.
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { clusteredProportion, type EntityCount, wilson } from "../../src/evidence/proportion.ts";

// Newcombe (1998), table I, method 3: Wilson's score interval without a correction for continuity.
test.each([
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
  [1, 29, 0.0061, 0.1718],
])("%i of %i: %f to %f", (hits, rows, low, high) => {
  const found = wilson(hits / rows, rows);
  expect(Math.abs(found.low - low)).toBeLessThan(0.00006);
  expect(Math.abs(found.high - high)).toBeLessThan(0.00006);
});

test("rows that say the same of one entity are one row", () => {
  const entities = Array.from({ length: 60 }, (_, i): EntityCount => ({ hits: i % 3 === 0 ? 1 : 0, rows: 1 }));
  const once = clusteredProportion(entities);
  const tenfold = clusteredProportion(entities.map(({ hits }) => ({ hits: 10 * hits, rows: 10 })));
  expect(tenfold).toMatchObject({ rows: 600, hits: 200, entities: 60, value: once.value });
  expect(tenfold.low).toBeCloseTo(once.low, 12);
  expect(tenfold.high).toBeCloseTo(once.high, 12);
  expect(tenfold.high - tenfold.low).toBeGreaterThan(2.5 * (wilson(1 / 3, 600).high - wilson(1 / 3, 600).low));
});

test("where nothing varies between entities, they are the sample, not their rows", () => {
  const all = clusteredProportion(Array.from({ length: 20 }, () => ({ hits: 50, rows: 50 })));
  expect(all).toMatchObject({ value: 1, rows: 1000, entities: 20 });
  expect(all.high).toBeCloseTo(1, 12);
  expect(all.low).toBeCloseTo(wilson(1, 20).low, 12);
  expect(clusteredProportion([])).toMatchObject({ value: Number.NaN, low: Number.NaN, high: Number.NaN, rows: 0 });
});

test.each([3, 17, 40])("frauds that come by card: the interval is a bootstrap of the cards, seed %i", (seed) => {
  const random = new Random(seed);
  const counts = Array.from({ length: 150 }, (): EntityCount => {
    const rows = 1 + random.integer(12);
    // Some cards are bad throughout.
    const share = random.next() < 0.3 ? 0.9 : 0.15;
    return { rows, hits: Array.from({ length: rows }, () => random.next() < share).filter(Boolean).length };
  });
  const found = clusteredProportion(counts);
  const { low, high } = bootstrap(counts, random);
  const width = high - low;
  expect(Math.abs(found.low - low)).toBeLessThan(0.15 * width);
  expect(Math.abs(found.high - high)).toBeLessThan(0.15 * width);
  const alone = wilson(found.value, found.rows);
  expect(found.high - found.low).toBeGreaterThan(1.3 * (alone.high - alone.low));
});

/** 95 % of the shares of entities drawn with replacement. */
function bootstrap(counts: readonly EntityCount[], random: Random): { readonly low: number; readonly high: number } {
  const shares = Array.from({ length: 2000 }, () => {
    let [hits, rows] = [0, 0];
    for (let i = 0; i < counts.length; i++) {
      const one = counts[random.integer(counts.length)];
      hits += one.hits;
      rows += one.rows;
    }
    return hits / rows;
  }).sort((a, b) => a - b);
  return { low: shares[49], high: shares[1949] };
}
