// Counts of different values and ranks in bounded memory: as a plain count and a plain sort have them, wherever the limits lie.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Column, Table } from "../../src/core/table.ts";
import { evaluateBatches } from "../../src/quality/evaluate.ts";
import { KeyTally } from "../../src/quality/key-tally.ts";
import { OrderStatistics } from "../../src/quality/order-statistics.ts";
import { FaultSample, FIRST_ROWS } from "../../src/quality/sample.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import { TallyPool } from "../../src/quality/tally-pool.ts";
import { memoryScratch } from "./memory-scratch.ts";
import { cut } from "./parity/compare.ts";
import { suiteOf } from "./tables.ts";

const KEYS = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 600 });

test("a tally on disk counts what one in memory counts", () => {
  fc.assert(
    fc.property(KEYS, (keys) => {
      const scratch = memoryScratch();
      // The pool ends at once, so that a table of 4,096 slots leaves memory as soon as it is half full.
      const onDisk = new KeyTally(new TallyPool({ scratch, slots: 0 }), { rows: true });
      const many = [...keys, ...Array.from({ length: 3000 }, (_, i) => 1000.5 + i)];
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

test("codes, amounts in cents and any other number are counted alike, and the most frequent are known by themselves", () => {
  const key = fc.oneof(
    fc.integer({ min: -2, max: 5 }),
    fc.integer({ min: 65_530, max: 65_540 }),
    fc.integer({ min: 0, max: 40 }).map((cents) => cents / 100),
    fc.integer({ min: 65_500, max: 65_560 }).map((cents) => cents / 100),
    fc.constantFrom(0.1 + 0.2, 0.3, 0.005, -0, 0.295, 655.355, 1e21, Number.NaN),
  );
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300 }), (keys) => {
      const tally = new KeyTally(new TallyPool(), { rows: false });
      const first = Float64Array.from(keys);
      for (let at = 0; at < keys.length; at += 50) {
        const part = first.subarray(at, at + 50);
        tally.addAll({ first: part, second: new Float64Array(part.length) }, (row) => at + row);
      }
      const counts = new Map<number, number>();
      for (const one of keys) if (!Number.isNaN(one)) counts.set(one + 0, (counts.get(one + 0) ?? 0) + 1);
      const result = tally.finish();
      const most = Math.max(0, ...counts.values());
      expect([result.distinct, result.most]).toEqual([counts.size, most]);
      const modes = [...counts].filter(([, count]) => count === most).map(([one]) => one);
      expect(result.modeKeys.map(({ first: one }) => one)).toEqual(modes);
    }),
    { numRuns: 60 },
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

test("repeated tuples are the same whether the table is in order or not, and wherever it is cut", async () => {
  const cell = fc.option(fc.integer({ min: 0, max: 2 }), { nil: Number.NaN });
  const row = fc.tuple(fc.integer({ min: 0, max: 4 }), cell, cell);
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 40 }),
      fc.constantFrom("all_values_are_missing", "any_value_is_missing", "never"),
      fc.integer({ min: 1, max: 9 }),
      async (rows, ignore_row_if, batchRows) => {
        const sorted = [...rows].sort(([a], [b]) => a - b);
        const key = (one: (typeof rows)[number]): string => one.map(String).join();
        const counts = new Map<string, number>();
        const counted = sorted.filter((one) => ignore_row_if !== "any_value_is_missing" || !one.some(Number.isNaN));
        for (const one of counted) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1);
        const expected = counted.filter((one) => counts.get(key(one))! > 1).length;
        const kwargs = { column_list: ["t", "a", "b"], ignore_row_if };
        const suite = suiteOf({ type: "expect_compound_columns_to_be_unique", kwargs });
        for (const given of [sorted, [...sorted].reverse()]) {
          const table = tableOf(given);
          const batches = { columns: shapesOf(table), read: () => streamed(cut(table, batchRows)) };
          const [{ result }] = (await evaluateBatches(batches, suite, { now: null })).result.results;
          expect(result.unexpected_count).toBe(expected);
        }
      },
    ),
    { numRuns: 60 },
  );
});

async function* streamed(tables: readonly Table[]): AsyncGenerator<Table> {
  yield* tables;
}

function tableOf(rows: readonly (readonly number[])[]): Table {
  const column = (at: number): Column => ({ kind: "number", values: Float64Array.from(rows, (row) => row[at]) });
  return { rows: rows.length, columns: new Map(["t", "a", "b"].map((name, at) => [name, column(at)])) };
}
