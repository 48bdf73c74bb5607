// The typed builder: what it makes is plain data, and a misspelt name does not compile.
import { declareColumns } from "sentinel-fraud";
import { expect, test } from "vitest";
import { card } from "../../features/card.ts";
import { handbook } from "../../features/handbook.ts";
import { checkSpec, specHash } from "../../src/features/spec.ts";

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });

test("a built spec is plain JSON", () => {
  for (const spec of [card, handbook]) {
    const again = checkSpec(JSON.parse(JSON.stringify(spec)));
    expect(again).toEqual(spec);
    expect(specHash(again)).toBe(specHash(spec));
  }
  expect(handbook.features).toHaveLength(15);
});

test("an expression takes along the types of the columns it names", () => {
  const g = declareColumns({ amount: "number", customer_id: "key", country: "text" });
  const made = g.expression("odd", "amount > 9 AND country <> 'FR' AND customer_id LIKE '7%' AND other > 1");
  expect(made.columns).toEqual({ amount: "number", country: "text", customer_id: "text" });
  expect(() => g.spec({ name: "s", version: 1, features: [made] })).toThrow(/no column other/);
  const other = g.column("amount", "other");
  const spec = g.spec({ name: "s", version: 1, features: [other, made] });
  expect(checkSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  // @ts-expect-error: a text is not a number to add up
  g.window("x", { key: "customer_id", over: "country", aggregate: "sum", window: "1d" });
  expect(() => g.spec({ name: "s", version: 1, features: [g.expression("x", "amount +")] })).toThrow(/column 9/);
});

test("misspelt columns and references are compile errors, and load errors all the same", () => {
  const amount = f.column("amount");
  // @ts-expect-error: no such column
  const wrong = f.column("amuont");
  expect(() => f.spec({ name: "s", version: 1, features: [wrong] })).toThrow(/column is "amuont"/);
  // @ts-expect-error: a key is not a number to add up
  const key = f.window("x", { key: "customer_id", over: "terminal_id", aggregate: "sum", window: "1d" });
  expect(key.over).toBe("terminal_id");
  // @ts-expect-error: no such key
  const lost = f.window("x", { key: "card_id", over: "transactions", window: "1d" });
  expect(() => f.spec({ name: "s", version: 1, features: [lost] })).toThrow(/key is "card_id"/);
  // @ts-expect-error: not a duration
  f.window("x", { key: "customer_id", over: "transactions", window: "1 day" });
  // @ts-expect-error: a column needs an aggregate
  f.window("x", { key: "customer_id", over: "amount", window: "1d" });
  // @ts-expect-error: a reference is a feature, not a name
  expect(() => f.ratio("x", amount, "amount")).not.toThrow();
  const left = f.ratio("x", amount, amount);
  expect(() => f.spec({ name: "s", version: 1, features: [left] })).toThrow(/no earlier feature/);
});

test("a window over an expression takes along the types of what it names, the event time too", () => {
  const g = declareColumns({ amount: "number", customer_id: "key", country: "text" });
  const over = { name: "night_abroad", sql: "hour(event_time) < 6 AND country <> 'FR' AND amount > 1" };
  const made = g.window("w", { key: "customer_id", over, aggregate: "mean", window: "7d" });
  expect(made).toEqual({
    kind: "window",
    name: "w",
    key: ["customer_id"],
    over: "night_abroad",
    aggregate: "mean",
    window: "7d",
    derived: { sql: over.sql, columns: { event_time: "time", country: "text", amount: "number" }, keeps: "value" },
  });
  const spec = g.spec({ name: "s", version: 1, features: [made] });
  expect(checkSpec(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  // @ts-expect-error: identities are those of a column
  const distinct = g.window("w", { key: "customer_id", over, aggregate: "distinct", window: "7d" });
  expect(() => g.spec({ name: "s", version: 1, features: [distinct] })).toThrow(/aggregate is "distinct" over an expr/);
  const wrong = g.window("w", {
    key: "customer_id",
    over: { name: "x", sql: "amuont" },
    aggregate: "sum",
    window: "1d",
  });
  expect(() => g.spec({ name: "s", version: 1, features: [wrong] })).toThrow(/derived: sql: .*amuont/);
});
