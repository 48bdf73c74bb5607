// Pipelines that programs make: slugs, guessed roles, schemas that only grow, and files that the pipeline parser takes.
import { expect, test } from "vitest";
import { createParser } from "../../src/online/parse.ts";
import {
  checkMadeFields,
  grownFields,
  type MadeField,
  madeCases,
  madeRoles,
  madeSchema,
  madeText,
  slugOf,
} from "../../src/pipeline/made.ts";
import { parsePipeline } from "../../src/pipeline/pipeline.ts";

const field = (name: string, type: MadeField["type"], nullable = false): MadeField => ({ name, type, nullable });
const NOW = Date.UTC(2026, 2, 1);

test("a name becomes a part of a URL, whatever it is made of", () => {
  expect(slugOf("Payment Transactions")).toBe("payment-transactions");
  expect(slugOf("  Zahlungen für Käufer #1 ")).toBe("zahlungen-fur-kaufer-1");
  expect(slugOf("../../etc/passwd")).toBe("etc-passwd");
  expect(slugOf("日本")).toBe("");
  expect(slugOf("x".repeat(500)).length).toBeLessThanOrEqual(60);
});

test("roles are guessed from names and types, and can be given", () => {
  const sensors = [field("sensor_id", "string"), field("temperature", "float"), field("timestamp", "timestamp")];
  expect(madeRoles(sensors, {})).toEqual({ id: null, time: "timestamp", amount: null, key: "sensor_id" });
  const crypto = [field("withdrawal_id", "string"), field("user_id", "integer"), field("amount_usd", "float")];
  expect(madeRoles(crypto, {})).toEqual({ id: "withdrawal_id", time: null, amount: "amount_usd", key: "user_id" });
  expect(madeRoles(crypto, { id: null, key: "withdrawal_id" })).toMatchObject({ id: null, key: "withdrawal_id" });
  // A name alone is not enough.
  expect(madeRoles([field("amount", "string"), field("timestamp", "integer")], {})).toMatchObject({
    amount: null,
    time: null,
  });
  expect(() => madeRoles(crypto, { time: "user_id" })).toThrow(/user_id is a integer/);
  expect(() => madeRoles(crypto, { amount: "nope" })).toThrow(/no field nope/);
  expect(() => madeRoles(crypto, { id: "user_id", key: "user_id" })).toThrow(/both id and key/);
});

test("a schema only gains nullable fields", () => {
  const before = [field("a", "string"), field("b", "float", true)];
  expect(grownFields(before, [...before, field("c", "boolean", true)])).toHaveLength(3);
  // The order of those that are there stays.
  expect(grownFields(before, [field("c", "boolean", true), ...before]).map(({ name }) => name)).toEqual([
    "a",
    "b",
    "c",
  ]);
  for (const [after, words] of [
    [[before[0]], /b is missing/],
    [[field("a", "integer"), before[1]], /was a string/],
    [[field("a", "string", true), before[1]], /nullable/],
    [[...before, field("c", "string")], /not nullable/],
    [[...before, field("A", "string", true)], /twice/],
  ] as const) {
    expect(() => grownFields(before, after)).toThrow(words);
  }
  expect(() => checkMadeFields([field("__proto__", "string")])).toThrow(/cannot be called/);
});

test("the section cases of a program is read as that of a file", () => {
  const fields = [field("card_id", "string"), field("shop", "string")];
  const cases = madeCases({ entity: "shop", due: { info: "2d" } }, fields);
  const text = madeText({ slug: "x", fields, roles: madeRoles(fields, {}), fourEyes: false, cases });
  const pipeline = parsePipeline(text, { file: "/w/x.yaml", workspace: "/w" });
  expect(pipeline.cases).toMatchObject({ entity: "shop", fourEyes: false, minutes: 5 });
  expect(pipeline.cases.due).toMatchObject({ infoMs: 2 * 86_400_000, criticalMs: 4 * 3_600_000 });
  expect(madeCases({}, fields)).toBeNull();
  expect(() => madeCases({ entity: "shops" }, fields)).toThrow(/cases.entity: the schema has no field "shops"/);
  expect(() => madeCases({ claim: "9d" }, fields)).toThrow(/cases.claim: 9d is over 7d/);
});

test("what is written is a pipeline whose transactions may come without an id and a time", () => {
  const fields = [
    field("is_fraud", "boolean", true),
    field("time", "string", true),
    field("order", "string"),
    field("value", "float", true),
  ];
  const made = { slug: "odd", fields, roles: madeRoles(fields, {}), fourEyes: true };
  const pipeline = parsePipeline(madeText(made), { file: "/w/odd.yaml", workspace: "/w" });
  expect(pipeline).toMatchObject({ name: "odd", model: "none", rules: { fourEyes: true } });
  // Names of roles that no field plays are nobody's.
  expect(pipeline.columns).toEqual({
    id: "transaction_id",
    time: "sentinel_time",
    amount: null,
    card: null,
    label: "fraud_label",
  });
  const schema = madeSchema(made);
  const parser = createParser({ pipeline, schema, aheadMaxMs: 0, makeId: () => "made" });
  const { transaction, timed } = parser.parse({ order: "x", is_fraud: true, time: "noon", more: 1 }, NOW);
  expect(transaction).toMatchObject({ id: "made", time: NOW, fields: { order: "x", is_fraud: true, time: "noon" } });
  expect(timed).toBe(false);
  expect(parser.parse({ order: "x", transaction_id: "mine" }, NOW).transaction.id).toBe("mine");
  expect(() => parser.parse({ order: 5 }, NOW)).toThrow(/order/);
  expect(() => parser.parse({ value: 5 }, NOW)).toThrow(/order is missing/);
  // Elsewhere an id is asked for.
  expect(() => createParser({ pipeline, schema, aheadMaxMs: 0 }).parse({ order: "x" }, NOW)).toThrow(/transaction_id/);
});
