// The data gate before a training asks about the whole table, as `validate` does, also about columns that no feature reads.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Column, Table } from "../../../src/core/table.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { emptyPlace, type Place } from "../world.ts";

let place: Place;

beforeAll(async () => {
  place = await emptyPlace();
  const suite = JSON.parse(readFileSync(place.pipeline.suiteFile, "utf8")) as { expectations: object[] };
  suite.expectations.push({
    type: "expect_column_values_to_be_in_set",
    kwargs: { column: "currency", value_set: ["EUR"] },
    severity: "critical",
  });
  writeFileSync(place.pipeline.suiteFile, JSON.stringify(suite));
});

afterAll(() => place.close());

/** Payments in this currency. */
function paidIn(currency: string): Table[] {
  const days = [...simulateDays({ customers: 100, terminals: 150, seed: 5, days: 50 })];
  return days.map((day) => {
    const paid: Column = { kind: "text", codes: new Int32Array(day.rows), dictionary: [currency] };
    return { ...day, columns: new Map([...day.columns, ["currency", paid]]) };
  });
}

test.each([
  ["EUR", "pass"],
  ["XTS", "fail"],
] as const)("a column that no feature reads: %s", async (currency, verdict) => {
  const file = await place.write(`${currency}.parquet`, paidIn(currency));
  const result = await train(place.ports, {
    pipeline: place.pipeline,
    path: file,
    actor: "tester",
    packageVersion: "0",
    forced: null,
    verb: "train",
  });
  const [data] = result.verdicts;
  expect(data).toMatchObject({ gate: "data", verdict });
  const check = data.checks.find(({ name }) => name.startsWith("currency"))!;
  expect(check.passed).toBe(verdict === "pass");
  expect(data.checks.filter(({ observed }) => /has no column/.test(observed))).toEqual([]);
});

test("a feature of the anomaly score's name is refused by name", async () => {
  writeFileSync(
    `${place.dir}/features/card.ts`,
    `import { declareColumns } from "sentinel-fraud";
const f = declareColumns({ amount: "number", customer_id: "key" });
export const card = f.spec({ name: "card", version: 1, features: [
  f.window("anomaly_score", { key: "customer_id", over: "amount", aggregate: "mean", window: "7d" }),
] });
`,
  );
  const training = train(place.ports, {
    pipeline: place.pipeline,
    path: "EUR.parquet",
    actor: "tester",
    packageVersion: "0",
    forced: null,
    verb: "train",
  });
  await expect(training).rejects.toMatchObject({
    code: "features.spec-invalid",
    message: expect.stringMatching(/no feature can be called anomaly_score/),
  });
});
