// Windows in rules are the same windows as features and as brute force, online and in a replay of a table alike.
import fc from "fast-check";
import { expect, test } from "vitest";
import { RULES_FORMAT, type Rule } from "../../src/core/rule.ts";
import type { Column, Table } from "../../src/core/table.ts";
import { emptyFields, type Transaction } from "../../src/core/transaction.ts";
import type { ExpressionType } from "../../src/expression/check.ts";
import { encodeUnrounded, learnArrival } from "../../src/features/encode.ts";
import { layoutOf } from "../../src/features/plan.ts";
import { replayRows } from "../../src/features/replay.ts";
import { FeatureState } from "../../src/features/state.ts";
import { windowPlan } from "../../src/online/rules.ts";
import { EMPTY_LIST } from "../../src/rules/lists.ts";
import { compileRules, FIRED } from "../../src/rules/program.ts";
import type { RuleScope } from "../../src/rules/scope.ts";
import { tableAsker } from "../../src/rules/table.ts";

const COLUMNS: Readonly<Record<string, ExpressionType>> = {
  user: "text",
  amount: "number",
  country: "text",
  lat: "number",
  lon: "number",
  time: "time",
};
const scope: RuleScope = {
  columns: new Map(Object.entries(COLUMNS)),
  nameOf: (name) => name,
  time: "time",
  features: [],
  redacted: new Set(),
  hasModel: false,
  areas: {},
  lists: null,
};
const MINUTE = 60_000;
const BEGIN = Date.UTC(2026, 0, 1);

interface Row {
  readonly user: string;
  readonly amount: number;
  readonly country: string;
  readonly gap: number;
}
type Past = readonly (Row & { readonly time: number })[];

/** What each rule says of the last row of a past that ends with it. */
const RULES: readonly (readonly [when: string, brute: (before: Past, row: Past[number]) => boolean])[] = [
  ["count_last('5m', user) >= 3", (before, row) => within(before, row, 5).length + 1 >= 3],
  [
    "count_last('10m', user, amount > 50) >= 2",
    (before, row) => [...within(before, row, 10), row].filter(({ amount }) => amount > 50).length >= 2,
  ],
  ["sum_last(amount, '7m', user) > 120", (before, row) => sum([...within(before, row, 7), row]) > 120],
  ["sum_last(amount * 2, '7m', user) > 120", (before, row) => 2 * sum([...within(before, row, 7), row]) > 120],
  [
    "amount > 1.5 * avg_last(amount, '20m', user)",
    (before, row) => row.amount > (1.5 * sum(within(before, row, 20))) / within(before, row, 20).length,
  ],
  [
    "max_last(amount, '20m', user) < 40",
    (before, row) =>
      within(before, row, 20).length > 0 && Math.max(...within(before, row, 20).map(({ amount }) => amount)) < 40,
  ],
  [
    "distinct_last(country, '15m', user) >= 2",
    (before, row) => new Set([...within(before, row, 15), row].map(({ country }) => country)).size >= 2,
  ],
  [
    "first_seen('30m', user, country)",
    (before, row) => !within(before, row, 30).some(({ country }) => country === row.country),
  ],
  [
    "sequence(user, '10m', amount < 20, amount > 60)",
    (before, row) => row.amount > 60 && within(before, row, 10).some(({ amount }) => amount < 20),
  ],
  [
    "sequence(user, '10m', amount < 20, amount > 60, NOT country = 'FR')",
    (before, row) => {
      const own = within(before, row, 10);
      const last = (test: (one: Past[number]) => boolean): number =>
        Math.max(-1, ...own.filter(test).map(({ time }) => time));
      const first = last(({ amount }) => amount < 20);
      return row.amount > 60 && first >= 0 && last(({ country }) => country === "FR") < first;
    },
  ],
  [
    "sequence(user, '12m', amount < 40, country = 'DE', amount > 50)",
    (before, row) => {
      const own = within(before, row, 12);
      return (
        row.amount > 50 && own.some((a) => a.amount < 40 && own.some((b) => b.country === "DE" && b.time > a.time))
      );
    },
  ],
  [
    "sequence(user, '12m', amount < 40, country = 'DE', amount > 50, NOT country = 'FR')",
    (before, row) => {
      const own = within(before, row, 12);
      const since = own.findIndex(({ amount }) => amount < 40);
      const rest = since < 0 ? [] : own.slice(since);
      return (
        row.amount > 50 &&
        rest.slice(1).some(({ country }) => country === "DE") &&
        !rest.some(({ country }) => country === "FR")
      );
    },
  ],
];

function within(before: Past, row: Past[number], minutes: number): Past {
  return before.filter(({ user, time }) => user === row.user && time > row.time - minutes * MINUTE);
}

function sum(rows: Past): number {
  return rows.reduce((total, { amount }) => total + amount, 0);
}

const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  user: fc.constantFrom("a", "b"),
  // Whole numbers, whose sums are exact in any order.
  amount: fc.integer({ min: 1, max: 99 }),
  country: fc.constantFrom("FR", "DE", "IT"),
  gap: fc.integer({ min: 1, max: 6 }),
});

async function compiled() {
  const rules = RULES.map(
    ([when], i): Rule => ({
      id: `r${i}`,
      when,
      action: "tag",
      severity: "info",
      description: "",
      stage: "live",
      share: 1,
      owner: "",
    }),
  );
  const set = { format: RULES_FORMAT, pipeline: "p", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  expect(program.faults).toEqual([]);
  return program;
}

test("online, over a table, and counted by hand", async () => {
  const program = await compiled();
  const plan = windowPlan(program)!;
  const none = { vector: null, score: Number.NaN, anomalyScore: Number.NaN, reachMs: Number.POSITIVE_INFINITY };
  fc.assert(
    fc.property(fc.array(rowArbitrary, { minLength: 1, maxLength: 40 }), (rows) => {
      let at = BEGIN;
      const past: Past = rows.map((row) => {
        at += row.gap * MINUTE;
        return { ...row, time: at };
      });
      const state = new FeatureState(layoutOf([plan]));
      const online: number[][] = [];
      for (const [i, { user, amount, country, time }] of past.entries()) {
        const transaction: Transaction = {
          id: `x${i}`,
          time,
          fields: Object.assign(emptyFields(), { user, amount, country }),
        };
        const hits = new Uint8Array(RULES.length);
        const windows = encodeUnrounded(state, plan, transaction, new Float32Array(plan.width));
        program.ask({ ...none, transaction, windows }, hits);
        online.push([...hits]);
        learnArrival(state, { kind: "transaction", transaction });
      }
      const table = tableOf(past);
      const times = Float64Array.from(past, ({ time }) => time);
      const ask = tableAsker(program, { table, times, model: null });
      const offline: number[][] = [];
      const columns = { id: "id", time: "time" };
      replayRows({ spec: plan, table, columns, labelDelayMs: 0 }, (row, windows) => {
        const hits = new Uint8Array(RULES.length);
        ask(row, windows, Number.POSITIVE_INFINITY, hits);
        offline.push([...hits]);
      });
      const brute = past.map((row, i) => RULES.map(([, fires]) => (fires(past.slice(0, i), row) ? FIRED : 0)));
      expect(online).toEqual(brute);
      expect(offline).toEqual(brute);
    }),
    { numRuns: 60 },
  );
});

function tableOf(past: Past): Table {
  const text = (values: readonly string[]): Column => {
    const dictionary = [...new Set(values)];
    return { kind: "text", codes: Int32Array.from(values, (value) => dictionary.indexOf(value)), dictionary };
  };
  return {
    rows: past.length,
    columns: new Map<string, Column>([
      ["id", text(past.map((_, i) => `x${i}`))],
      ["time", { kind: "time", values: Float64Array.from(past, ({ time }) => time) }],
      ["user", text(past.map(({ user }) => user))],
      ["amount", { kind: "number", values: Float64Array.from(past, ({ amount }) => amount) }],
      ["country", text(past.map(({ country }) => country))],
    ]),
  };
}

test("speed since the last place, to some ten metres and a second", async () => {
  const rules = [
    {
      id: "s",
      when: "speed_kmh(lat, lon, '1d', user) > 900",
      action: "tag",
      severity: "info",
      description: "",
      stage: "live",
      share: 1,
      owner: "",
    },
  ] as const;
  const set = { format: RULES_FORMAT, pipeline: "p", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  const plan = windowPlan(program)!;
  const state = new FeatureState(layoutOf([plan]));
  const fires = (lat: number, lon: number, minutes: number): number => {
    const transaction = {
      id: `${minutes}`,
      time: BEGIN + minutes * MINUTE,
      fields: Object.assign(emptyFields(), { user: "a", lat, lon }),
    };
    const windows = encodeUnrounded(state, plan, transaction, new Float32Array(plan.width));
    const hits = new Uint8Array(1);
    program.ask(
      { transaction, windows, vector: null, score: 0, anomalyScore: 0, reachMs: Number.POSITIVE_INFINITY },
      hits,
    );
    learnArrival(state, { kind: "transaction", transaction });
    return hits[0];
  };
  // Paris; Paris again; New York an hour later (5,800 km); New York; Newark ten minutes later.
  expect([
    fires(48.86, 2.35, 0),
    fires(48.86, 2.35, 1),
    fires(40.71, -74.01, 61),
    fires(40.71, -74.01, 62),
    fires(40.74, -74.17, 72),
  ]).toEqual([0, 0, 1, 0, 0]);
});
