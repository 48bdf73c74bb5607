// Suggestions: what is planted in the past of a pipeline without a model is found, and judged on days that it was not mined from.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Random } from "../../../src/core/random.ts";
import type { Column } from "../../../src/core/table.ts";
import { draftsText, suggestRules } from "../../../src/lifecycle/rules.ts";
import { loadPipeline } from "../../../src/pipeline/pipeline.ts";
import { parseRulesFile } from "../../../src/pipeline/rules.ts";
import { findConflicts } from "../../../src/rules/conflict.ts";
import { mineRules } from "../../../src/rules/mining.ts";
import { emptyPlace, type Place, START } from "../world.ts";

let place: Place;
beforeAll(async () => {
  place = await emptyPlace();
});
afterAll(() => place.close());

test("a planted box is found, at round numbers", () => {
  const random = new Random(5);
  const rows = 20_000;
  const x = Float64Array.from({ length: rows }, () => random.uniform(0, 100));
  const y = Float64Array.from({ length: rows }, () => random.uniform(0, 100));
  const labels = Uint8Array.from(x, (value, i) =>
    value >= 80 && y[i] < 20 && random.next() < 0.8 ? 1 : random.next() < 0.002 ? 1 : 0,
  );
  const [first] = mineRules({
    columns: [
      { sql: "x", values: x, splits: [79.6, 12] },
      { sql: "y", values: y, splits: [] },
    ],
    labels,
    genuineWeight: 1,
    precisionMin: 0.3,
    rulesMax: 3,
  });
  const hits = x.reduce((sum, value, i) => sum + (value >= 80 && y[i] < 20 ? 1 : 0), 0);
  expect(first.when).toMatch(/^x >= (7[5-9]|8\d) AND y < (1\d|2[0-5])$/);
  expect(first.frauds).toBeGreaterThan(hits * 0.5);
});

test("drafts of a pipeline without a model are confirmed by later days, and read back as a rules file", async () => {
  const random = new Random(8);
  const rows = 6000;
  const times = Float64Array.from({ length: rows }, (_, i) => START + Math.floor((i / rows) * 60 * DAY_MS));
  const amounts = Float64Array.from(times, () => Math.round(random.uniform(1, 1000)));
  const labels = Float64Array.from(amounts, (amount) =>
    amount >= 900 ? Number(random.next() < 0.6) : Number(random.next() < 0.003),
  );
  const text = (of: (row: number) => string): Column => {
    const dictionary = [...new Set(Array.from(times, (_, row) => of(row)))];
    const codes = new Map(dictionary.map((word, code) => [word, code]));
    return { kind: "text", codes: Int32Array.from(times, (_, row) => codes.get(of(row))!), dictionary };
  };
  const columns = new Map<string, Column>([
    ["transaction_id", text((row) => `x${row}`)],
    ["time", { kind: "time", values: times }],
    ["amount", { kind: "number", values: amounts }],
    ["customer_id", text((row) => `c${row % 97}`)],
    ["terminal_id", text((row) => `t${row % 13}`)],
    ["is_fraud", { kind: "number", values: labels }],
  ]);
  await place.write("transactions.parquet", [{ rows, columns }]);
  const file = path.join(place.dir, "pipelines", "card.yaml");
  const yaml = `name: card
model: none
source: data/transactions.parquet
features: card
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }
`;
  writeFileSync(file, yaml);
  const pipeline = loadPipeline(place.dir, "card");
  const found = await suggestRules(place.ports, { pipeline, path: pipeline.source, seed: 1 });
  expect(found.judgedFrom - found.minedTo).toBe(pipeline.labels.maturityMs);
  expect(found.drafts.length).toBeGreaterThan(0);
  const [best] = found.drafts;
  expect(best.rule).toMatchObject({ stage: "draft", when: expect.stringMatching(/^amount >= (8[5-9]\d|9\d\d)/) });
  expect(best.verdict.verdict).toBe("PROMOTE");
  expect(best.precision.value).toBeGreaterThan(0.4);
  const { value } = parseRulesFile(draftsText(found.drafts), "drafts.rules.yaml");
  expect(value.rules.map(({ when, stage }) => ({ when, stage }))).toEqual(
    found.drafts.map(({ rule }) => ({ when: rule.when, stage: "draft" })),
  );
  expect(findConflicts([])).toEqual([]);
});
