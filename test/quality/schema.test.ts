// The transaction schema: what /predict takes, and what it refuses.
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";

const schema = JSON.parse(readFileSync(new URL("../../pipelines/card.schema.json", import.meta.url), "utf8"));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);
const valid = ajv.compile(schema);

const GOOD = [
  { transaction_id: 1, amount: 0 },
  { transaction_id: "x".repeat(128), amount: 12.5, time: "2026-03-01T14:05:09Z" },
  { transaction_id: "a", amount: 1, time: 1772373909000, customer_id: null, terminal_id: 7, channel: ["web"] },
];
const BAD = [
  {},
  { transaction_id: "a" },
  { amount: 1 },
  { transaction_id: "", amount: 1 },
  { transaction_id: "x".repeat(129), amount: 1 },
  { transaction_id: 1.5, amount: 1 },
  { transaction_id: null, amount: 1 },
  { transaction_id: 1, amount: "1" },
  { transaction_id: 1, amount: -0.01 },
  { transaction_id: 1, amount: 1e10 },
  { transaction_id: 1, amount: Number.POSITIVE_INFINITY },
  { transaction_id: 1, amount: Number.NaN },
  { transaction_id: 1, amount: 1, time: "yesterday" },
  { transaction_id: 1, amount: 1, time: 1.5 },
  { transaction_id: 1, amount: 1, customer_id: {} },
];

for (const good of [...GOOD, ...schema.examples]) {
  test(`takes ${JSON.stringify(good).slice(0, 80)}`, () =>
    expect(valid(good), JSON.stringify(valid.errors)).toBe(true));
}
for (const bad of BAD) {
  test(`refuses ${JSON.stringify(bad).slice(0, 80)}`, () => expect(valid(bad)).toBe(false));
}
