// Checks share what they look at: each answers alone what it answers among all others, with and without conditions, whole and in batches.
import { describe, expect, test } from "vitest";
import type { Table } from "../../src/core/table.ts";
import { type Batches, evaluateBatches, evaluateSuite } from "../../src/quality/evaluate.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import type { Expectation, Suite } from "../../src/quality/suite.ts";
import { cut, suiteFor } from "./parity/compare.ts";
import { PARITY_SUITE } from "./parity/suite.ts";
import { PARITY_TABLES } from "./parity/tables.ts";
import { tableFrom } from "./tables.ts";

/** Every so many of the faulty copies. */
const STEP = 6;
const suite = suiteFor(PARITY_SUITE);

const batchesOf = (table: Table, rows: number): Batches => ({
  columns: shapesOf(table),
  async *read(names) {
    for (const batch of cut(table, rows))
      yield { ...batch, columns: new Map([...batch.columns].filter(([name]) => names.includes(name))) };
  },
});

describe("alone as among others", () => {
  const chosen = Object.entries(PARITY_TABLES).filter((_, place) => place % STEP === 0);
  for (const [name, columns] of chosen) {
    test(name, async () => {
      const table = tableFrom(columns);
      const conditioned = suite.expectations.map(
        (expectation, place): Expectation => ({
          ...expectation,
          // Two conditions, so that rows are shared by some and not by others.
          condition: { kind: "nullity", column: table.columns.keys().next().value!, isNull: place % 7 === 0 },
        }),
      );
      const whole: Suite = { ...suite, expectations: [...suite.expectations, ...conditioned] };
      const together = await evaluateBatches(batchesOf(table, 41), whole, { now: null });
      for (const [place, expectation] of whole.expectations.entries()) {
        const one: Suite = { ...suite, expectations: [expectation] };
        const { result, faults } = await evaluateBatches(batchesOf(table, 41), one, { now: null });
        expect(together.result.results[place], `${place} ${expectation.type}`).toEqual(result.results[0]);
        expect(together.faults[place]).toEqual(faults[0]);
      }
    });
  }
});

test("a batch's arrays may be filled again once the next is asked for", async () => {
  const table = tableFrom(PARITY_TABLES["ranges: infinite amounts"]);
  const given = batchesOf(table, 41);
  const spoiled: Batches = {
    ...given,
    async *read(names) {
      for await (const batch of given.read(names)) {
        yield batch;
        for (const column of batch.columns.values()) {
          if (column.kind === "text") column.codes.fill(-1);
          else column.values.fill(Number.NaN);
        }
      }
    },
  };
  expect(await evaluateBatches(spoiled, suite, { now: null })).toEqual(
    await evaluateBatches(given, suite, { now: null }),
  );
});

test("Z-scores of more rows than are kept are those of a second pass", () => {
  const values = Float64Array.from({ length: 4_000_100 }, (_, row) => (row % 500_000 === 7 ? 1000 : row % 10));
  const table: Table = { rows: values.length, columns: new Map([["amount", { kind: "number", values }]]) };
  const question = {
    type: "expect_column_value_z_scores_to_be_less_than",
    kwargs: { column: "amount", threshold: 6, double_sided: true },
  };
  const { results } = evaluateSuite(table, suiteFor([question]), { now: null });
  expect(results[0].result).toMatchObject({
    unexpected_count: 9,
    partial_unexpected_index_list: Array.from({ length: 9 }, (_, i) => i * 500_000 + 7),
  });
});
