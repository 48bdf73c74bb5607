// Counts of different values and ranks in bounded memory: as a plain count and a plain sort have them, wherever the limits lie.
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTally } from "../../src/quality/key-tally.ts";
import { OrderStatistics } from "../../src/quality/order-statistics.ts";
import { FaultSample, FIRST_ROWS } from "../../src/quality/sample.ts";
import { TallyPool } from "../../src/quality/tally-pool.ts";
import { memoryScratch } from "./memory-scratch.ts";

const KEYS = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 600 });

test("a tally on disk counts what one in memory counts", () => {
  fc.assert(
    fc.property(KEYS, (keys) => {
      const scratch = memoryScratch();
      // The pool ends at once, so that a table of 4,096 slots leaves memory as soon as it is half full.
      const onDisk = new KeyTally(new TallyPool({ scratch, slots: 0 }));
      const many = [...keys, ...Array.from({ length: 3000 }, (_, i) => 1000 + i)];
      for (const [row, key] of many.entries()) onDisk.add(key, 0, row);
      const result = onDisk.finish();
      const counts = new Map<number, number>();
      for (const key of many) counts.set(key, (counts.get(key) ?? 0) + 1);
      expect(result.distinct).toBe(counts.size);
      expect(result.single).toBe([...counts.values()].filter((count) => count === 1).length);
      expect(result.most).toBe(Math.max(...counts.values()));
      const repeated = [...many.keys()].filter((row) => counts.get(many[row])! > 1);
      const rows = result.repeated.rows();
      expect(rows.count).toBe(repeated.length);
      expect(rows.first).toEqual(repeated.slice(0, FIRST_ROWS));
      expect(scratch.files.size).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("ranks are those of a sorted list, with few numbers kept or all", () => {
  const numbers = fc.array(fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 })), { minLength: 1 });
  fc.assert(
    fc.property(numbers, fc.constantFrom(1, 2, 7, 1000), (values, keptMax) => {
      const given = Float64Array.from(values);
      const statistics = new OrderStatistics((count) => [0, Math.floor(count / 2), count - 1], keptMax);
      let passes = 0;
      do {
        statistics.add(given);
        passes++;
      } while (!statistics.endPass());
      const sorted = given.map((value) => value + 0).sort();
      for (const rank of [0, Math.floor(values.length / 2), values.length - 1])
        expect(statistics.at(rank)).toBe(sorted[rank] + 0);
      expect(passes).toBeLessThanOrEqual(4);
    }),
    { numRuns: 60 },
  );
});

test("the rows of a sample do not depend on the order in which they come", () => {
  const rows = Array.from({ length: 500 }, (_, i) => i * 7);
  const [ascending, descending] = [new FaultSample(), new FaultSample()];
  for (const row of rows) ascending.add(row);
  for (const row of [...rows].reverse()) descending.add(row);
  expect(descending.rows()).toEqual(ascending.rows());
  expect(ascending.rows().sampled.length).toBe(40);
  // Spread over all of them, not the first ones.
  expect(ascending.rows().sampled.filter((row) => row > 1750).length).toBeGreaterThan(8);
});
