// Needs of conditions: read once per text and scope, whatever the number of rules, and forgotten beyond a limit.
import { expect, test } from "vitest";
import { NeedsMemory } from "../../src/rules/needs.ts";
import type { RuleScope } from "../../src/rules/scope.ts";

const scope: RuleScope = {
  columns: new Map([
    ["amount", "number"],
    ["user_id", "text"],
    ["time", "time"],
  ]),
  redacted: new Set(),
  nameOf: (name) => name.toLowerCase(),
  time: "time",
  features: [],
  hasModel: false,
  areas: {},
  lists: new Set(),
};
const on = { scope, key: "one", breathe: async () => {} };

test("a change of one condition among many reads one; equal texts are one", async () => {
  const memory = new NeedsMemory();
  const texts = Array.from({ length: 500 }, (_, i) => `amount > ${i} AND count_last('5m', user_id) > 2`);
  const first = await memory.of([...texts, ...texts], on);
  expect([first.size, memory.reads]).toEqual([500, 500]);
  const needs = await memory.of([...texts.slice(1), "user_id IN (SELECT value FROM mules)", "amoun > 1"], on);
  expect(memory.reads).toBe(502);
  // Any list may be named here; a text that cannot be read is remembered as such.
  expect(needs.get("user_id IN (SELECT value FROM mules)")).toMatchObject({
    lists: ["mules"],
    windows: [],
    error: null,
  });
  expect(needs.get("amoun > 1")!.error).toMatchObject({ code: "expression.invalid" });
  await memory.of(["amoun > 1"], on);
  expect(memory.reads).toBe(502);
  expect(needs.get(texts[1])).toMatchObject({ windows: [{ over: "transactions", window: "300000ms" }] });
});

test("another scope reads anew, and the oldest texts are forgotten beyond the limit", async () => {
  const memory = new NeedsMemory(3);
  const texts = ["amount > 1", "amount > 2", "amount > 3"];
  await memory.of(texts, on);
  await memory.of(texts, { ...on, key: "two" });
  expect(memory.reads).toBe(6);
  await memory.of(texts.slice(2), { ...on, key: "two" });
  expect(memory.reads).toBe(6);
  await memory.of(texts.slice(0, 1), on);
  expect(memory.reads).toBe(7);
});
