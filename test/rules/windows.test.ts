// Windows in rules are the same windows as features of a spec and as brute force, online and in a replay of a table alike.
import fc from "fast-check";
import { expect, test } from "vitest";
import { RULES_FORMAT, type Rule } from "../../src/core/rule.ts";
import type { Column, Table } from "../../src/core/table.ts";
import { emptyFields, type Transaction } from "../../src/core/transaction.ts";
import type { ExpressionType } from "../../src/expression/check.ts";
import type { WindowFeature } from "../../src/features/definition.ts";
import { encodeUnrounded, learnArrival } from "../../src/features/encode.ts";
import { compileSpec, type FeaturePlan, layoutOf } from "../../src/features/plan.ts";
import { replayRows } from "../../src/features/replay.ts";
import { FeatureState } from "../../src/features/state.ts";
import { windowPlan } from "../../src/online/rules.ts";
import { readCondition } from "../../src/rules/language.ts";
import { EMPTY_LIST } from "../../src/rules/lists.ts";
import { compileRules, FIRED } from "../../src/rules/program.ts";
import type { RuleScope } from "../../src/rules/scope.ts";
import { tableAsker } from "../../src/rules/table.ts";
import { madeRule } from "./made.ts";

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
  readonly user: string | null;
  readonly amount: number | null;
  readonly country: string | null;
  /** Minutes after the row before; 0: at the same instant. */
  readonly gap: number;
}
type Past = readonly (Row & { readonly time: number })[];

interface Case {
  readonly when: string;
  /** What the rule says of the last row of a past that ends with it, and whose key is known. */
  readonly brute: (before: Past, row: Past[number]) => boolean;
  /** Its window as a feature that somebody writes into a spec. */
  readonly feature?: Omit<WindowFeature, "kind" | "name">;
  /** Columns of its key. */
  readonly key?: readonly ("user" | "country")[];
}

const BY_USER = ["user"];
const BY_BOTH = ["user", "country"];

const CASES: readonly Case[] = [
  {
    when: "count_last('5m', user) >= 3",
    brute: (before, row) => within(before, row, 5).length + 1 >= 3,
    feature: { key: BY_USER, over: "transactions", window: "5m" },
  },
  {
    when: "count_last('10m', user, amount > 50) >= 2",
    brute: (before, row) => [...within(before, row, 10), row].filter(over(50)).length >= 2,
  },
  {
    when: "count_last('20m', user, country) >= 2",
    brute: (before, row) => alike(within(before, row, 20), row).length + 1 >= 2,
    feature: { key: BY_BOTH, over: "transactions", window: "20m" },
    key: ["user", "country"],
  },
  {
    when: "sum_last(amount, '7m', user) > 120",
    brute: (before, row) => sum([...within(before, row, 7), row]) > 120,
    feature: { key: BY_USER, over: "amount", aggregate: "sum", window: "7m" },
  },
  {
    when: "sum_last(amount * 2, '7m', user) > 120",
    brute: (before, row) => 2 * sum([...within(before, row, 7), row]) > 120,
  },
  {
    when: "sum_last(amount, '15m', country, user) > 90",
    brute: (before, row) => sum([...alike(within(before, row, 15), row), row]) > 90,
    feature: { key: ["country", "user"], over: "amount", aggregate: "sum", window: "15m" },
    key: ["user", "country"],
  },
  {
    when: "amount > 1.5 * avg_last(amount, '20m', user)",
    brute: (before, row) => {
      const values = amounts(within(before, row, 20));
      return (
        row.amount !== null && values.length > 0 && row.amount > 1.5 * (sum(within(before, row, 20)) / values.length)
      );
    },
    feature: { key: BY_USER, over: "amount", aggregate: "mean", window: "20m", current: false },
  },
  {
    when: "max_last(amount, '20m', user) < 40",
    brute: (before, row) => {
      const values = amounts(within(before, row, 20));
      return values.length > 0 && Math.max(...values) < 40;
    },
    feature: { key: BY_USER, over: "amount", aggregate: "max", window: "20m", current: false },
  },
  {
    when: "min_last(amount, '13m', user) > 25",
    brute: (before, row) => {
      const values = amounts(within(before, row, 13));
      return values.length > 0 && Math.min(...values) > 25;
    },
    feature: { key: BY_USER, over: "amount", aggregate: "min", window: "13m", current: false },
  },
  {
    when: "amount < min_last(amount, '30m', user, country)",
    brute: (before, row) => {
      const values = amounts(alike(within(before, row, 30), row));
      return row.amount !== null && values.length > 0 && row.amount < Math.min(...values);
    },
    feature: { key: BY_BOTH, over: "amount", aggregate: "min", window: "30m", current: false },
    key: ["user", "country"],
  },
  {
    // No sample variance of whole numbers is the square of this bound, so that rounding decides nothing.
    when: "stddev_last(amount, '25m', user) > 20.123",
    brute: (before, row) => deviation(amounts(within(before, row, 25))) > 20.123,
    feature: { key: BY_USER, over: "amount", aggregate: "std", window: "25m", current: false },
  },
  {
    when: "stddev_last(amount, '25m', user) IS NULL",
    brute: (before, row) => amounts(within(before, row, 25)).length < 2,
  },
  {
    when: "distinct_last(country, '15m', user) >= 2",
    brute: (before, row) =>
      new Set([...within(before, row, 15), row].map(({ country }) => country).filter((one) => one !== null)).size >= 2,
    feature: { key: BY_USER, over: "country", aggregate: "distinct", window: "15m" },
  },
  {
    when: "first_seen('30m', user, country)",
    brute: (before, row) => alike(within(before, row, 30), row).length === 0,
    feature: { key: BY_BOTH, over: "transactions", window: "30m", current: false },
    key: ["user", "country"],
  },
  {
    when: "sequence(user, '10m', amount < 20, amount > 60)",
    brute: (before, row) => over(60)(row) && within(before, row, 10).some(below(20)),
  },
  {
    when: "sequence(user, '10m', amount < 20, amount > 60, NOT country = 'FR')",
    brute: (before, row) => {
      const own = within(before, row, 10);
      const last = (test: (one: Past[number]) => boolean): number =>
        Math.max(-1, ...own.filter(test).map(({ time }) => time));
      const first = last(below(20));
      return over(60)(row) && first >= 0 && last(({ country }) => country === "FR") < first;
    },
  },
  {
    when: "sequence(user, '12m', amount < 40, country = 'DE', amount > 50)",
    brute: (before, row) => {
      const own = within(before, row, 12);
      return over(50)(row) && own.some((a) => below(40)(a) && own.some((b) => b.country === "DE" && b.time > a.time));
    },
  },
  {
    when: "sequence(user, '12m', amount < 40, country = 'DE', amount > 50, NOT country = 'FR')",
    brute: (before, row) => {
      const own = within(before, row, 12);
      const since = own.find(below(40))?.time ?? Number.POSITIVE_INFINITY;
      return (
        over(50)(row) &&
        own.some(({ country, time }) => country === "DE" && time > since) &&
        !own.some(({ country, time }) => country === "FR" && time >= since)
      );
    },
  },
];

function within(before: Past, row: Past[number], minutes: number): Past {
  return before.filter(({ user, time }) => user === row.user && time > row.time - minutes * MINUTE);
}

function alike(rows: Past, { country }: Past[number]): Past {
  return rows.filter((one) => one.country === country);
}

function amounts(rows: Past): readonly number[] {
  return rows.flatMap(({ amount }) => (amount === null ? [] : [amount]));
}

function sum(rows: Past): number {
  return amounts(rows).reduce((total, amount) => total + amount, 0);
}

/** Of a sample: n − 1; NaN of fewer than two. */
function deviation(values: readonly number[]): number {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  return values.length < 2
    ? Number.NaN
    : Math.sqrt(values.reduce((total, value) => total + (value - mean) ** 2, 0) / (values.length - 1));
}

function over(least: number): (row: Past[number]) => boolean {
  return ({ amount }) => amount !== null && amount > least;
}

function below(most: number): (row: Past[number]) => boolean {
  return ({ amount }) => amount !== null && amount < most;
}

const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null, freq: 8 });
const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  user: maybe(fc.constantFrom("a", "b")),
  // Whole numbers, whose sums are exact in any order.
  amount: maybe(fc.integer({ min: 1, max: 99 })),
  country: maybe(fc.constantFrom("FR", "DE", "IT")),
  gap: fc.integer({ min: 0, max: 5 }),
});

const ruleOf = (when: string, id: string): Rule => madeRule(id, when);

async function compiled(rules: readonly Rule[]) {
  const set = { format: RULES_FORMAT, pipeline: "p", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  expect(program.faults).toEqual([]);
  return program;
}

/** The windows of the cases as somebody writes them into a spec, and the place of each in the rules' own plan. */
function specOf(ruleNames: readonly string[]): { readonly plan: FeaturePlan; readonly places: readonly number[] } {
  const written = CASES.flatMap(({ when, feature }) => (feature === undefined ? [] : [{ when, feature }]));
  const features = written.map(({ feature }, i): WindowFeature => ({ kind: "window", name: `f${i}`, ...feature }));
  const places = written.map(({ when }) => ruleNames.indexOf(readCondition(when, scope).windows[0].name));
  return { plan: compileSpec({ name: "by hand", version: 1, features }), places };
}

test("online, over a table, as features of a spec, and counted by hand", async () => {
  const program = await compiled(CASES.map(({ when }, i) => ruleOf(when, `r${i}`)));
  const plan = windowPlan(program)!;
  const spec = specOf(plan.names);
  const none = { vector: null, score: Number.NaN, anomalyScore: Number.NaN, reachMs: Number.POSITIVE_INFINITY };
  const everFired = new Set<string>();
  fc.assert(
    fc.property(fc.array(rowArbitrary, { minLength: 1, maxLength: 40 }), (rows) => {
      let at = BEGIN;
      const past: Past = rows.map((row) => {
        at += row.gap * MINUTE;
        return { ...row, time: at };
      });
      const state = new FeatureState(layoutOf([plan]));
      const specState = new FeatureState(layoutOf([spec.plan]));
      const online: number[][] = [];
      for (const [i, { user, amount, country, time }] of past.entries()) {
        const transaction: Transaction = {
          id: `x${i}`,
          time,
          fields: Object.assign(emptyFields(), { user, amount, country }),
        };
        const hits = new Uint8Array(CASES.length);
        const windows = encodeUnrounded(state, plan, transaction, new Float32Array(plan.width));
        program.ask({ ...none, transaction, windows }, hits);
        online.push([...hits]);
        const byHand = encodeUnrounded(specState, spec.plan, transaction, new Float32Array(spec.plan.width));
        expect(spec.places.map((place) => windows[place])).toEqual([...byHand.subarray(0, spec.plan.width)]);
        learnArrival(state, { kind: "transaction", transaction });
        learnArrival(specState, { kind: "transaction", transaction });
      }
      const table = tableOf(past);
      const times = Float64Array.from(past, ({ time }) => time);
      const ask = tableAsker(program, { table, times, model: null });
      const offline: number[][] = [];
      const columns = { id: "id", time: "time" };
      replayRows({ spec: plan, table, columns, labelDelayMs: 0 }, (row, windows) => {
        const hits = new Uint8Array(CASES.length);
        ask(row, windows, Number.POSITIVE_INFINITY, hits);
        offline.push([...hits]);
      });
      const brute = past.map((row, i) =>
        CASES.map(({ when, brute: fires, key = ["user"] }) => {
          const isKnown = key.every((column) => row[column] !== null);
          // Nothing is known of a key that is not there, so that its deviation is NULL as well.
          const isHit = isKnown ? fires(past.slice(0, i), row) : when.endsWith("IS NULL");
          if (isHit) everFired.add(when);
          return isHit ? FIRED : 0;
        }),
      );
      expect(online).toEqual(brute);
      expect(offline).toEqual(brute);
    }),
    { numRuns: 60 },
  );
  // A case that never fires compares nothing.
  expect(CASES.filter(({ when }) => !everFired.has(when))).toEqual([]);
});

test("a key that never rests: a sensor's last minutes are its last minutes, beside a window of a month, too", async () => {
  const program = await compiled([
    ruleOf("count_last('5m', user) = 5", "five"),
    ruleOf("avg_last(amount, '5m', user) = 5", "mean"),
    ruleOf("distinct_last(country, '5m', user) = 2", "both"),
    ruleOf("sum_last(amount, '30d', user) >= 0", "month"),
    ruleOf("count_last('1m', country) BETWEEN 55 AND 65", "by seconds"),
  ]);
  const plan = windowPlan(program)!;
  const state = new FeatureState(layoutOf([plan]));
  const counts = new Uint32Array(program.rules.length);
  const learn = (minutes: number, fields: Readonly<Record<string, string | number>>, counted: boolean): void => {
    const time = BEGIN + Math.round(minutes * MINUTE);
    const transaction = { id: `${JSON.stringify(fields)}${time}`, time, fields: Object.assign(emptyFields(), fields) };
    const windows = encodeUnrounded(state, plan, transaction, new Float32Array(plan.width));
    const hits = new Uint8Array(program.rules.length);
    program.ask(
      { transaction, windows, vector: null, score: 0, anomalyScore: 0, reachMs: Number.POSITIVE_INFINITY },
      hits,
    );
    if (counted) for (const [i, hit] of hits.entries()) if (hit === FIRED) counts[i]++;
    learnArrival(state, { kind: "transaction", transaction });
  };
  for (let i = 0; i < 300; i++)
    learn(i, { user: "s", amount: i % 2 === 0 ? 4 : 6, country: i % 3 === 0 ? "A" : "B" }, i >= 5);
  // Each time of five are 2 or 3 of either amount, so that the mean of four before it is 5.
  expect([...counts.subarray(0, 4)]).toEqual([295, 295, 295, 295]);
  counts.fill(0);
  for (let i = 0; i < 1200; i++) learn(1000 + i / 60, { user: `u${i}`, amount: 1, country: "busy" }, i >= 60);
  expect(counts[4]).toBe(1140);
});

function tableOf(past: Past): Table {
  const text = (values: readonly (string | null)[]): Column => {
    const dictionary = [...new Set(values.filter((value) => value !== null))];
    // A missing value has the code −1.
    return { kind: "text", codes: Int32Array.from(values, (value) => dictionary.indexOf(value!)), dictionary };
  };
  return {
    rows: past.length,
    columns: new Map<string, Column>([
      ["id", text(past.map((_, i) => `x${i}`))],
      ["time", { kind: "time", values: Float64Array.from(past, ({ time }) => time) }],
      ["user", text(past.map(({ user }) => user))],
      ["amount", { kind: "number", values: Float64Array.from(past, ({ amount }) => amount ?? Number.NaN) }],
      ["country", text(past.map(({ country }) => country))],
    ]),
  };
}

test("speed since the last place, to some ten metres and a second, and by whichever way round is shorter", async () => {
  const speed = "speed_kmh(lat, lon, '1d', user)";
  const program = await compiled([
    ruleOf(`${speed} > 900`, "fast"),
    ruleOf(`${speed} = 0`, "still"),
    // Paris to New York, 5,837 km; Los Angeles to New York, 3,973 km; over the meridian on the 17th parallel, 106.3 km.
    ruleOf(`${speed} BETWEEN 727 AND 732`, "eight hours"),
    ruleOf(`${speed} BETWEEN 660 AND 664`, "six hours"),
    ruleOf(`${speed} BETWEEN 106 AND 107`, "a hundred"),
    ruleOf(`${speed} IS NULL`, "unknown"),
  ]);
  const plan = windowPlan(program)!;
  const state = new FeatureState(layoutOf([plan]));
  const fires = (lat: number | null, lon: number | null, minutes: number, user = "a"): readonly string[] => {
    const transaction = {
      id: `${user}${minutes}`,
      time: BEGIN + minutes * MINUTE,
      fields: Object.assign(emptyFields(), { user, lat, lon }),
    };
    const windows = encodeUnrounded(state, plan, transaction, new Float32Array(plan.width));
    const hits = new Uint8Array(program.rules.length);
    program.ask(
      { transaction, windows, vector: null, score: 0, anomalyScore: 0, reachMs: Number.POSITIVE_INFINITY },
      hits,
    );
    learnArrival(state, { kind: "transaction", transaction });
    return program.rules.flatMap(({ rule }, i) => (hits[i] === FIRED ? [rule.id] : []));
  };
  // Paris; Paris again; New York an hour later; New York; Newark ten minutes later.
  expect(fires(48.86, 2.35, 0)).toEqual(["unknown"]);
  expect(fires(48.86, 2.35, 1)).toEqual(["still"]);
  expect(fires(40.71, -74.01, 61)).toEqual(["fast"]);
  expect(fires(40.71, -74.01, 62)).toEqual(["still"]);
  expect(fires(40.74, -74.17, 72)).toEqual([]);
  // A place that is not known says nothing, and hides no earlier one.
  expect(fires(null, -74.17, 73)).toEqual(["unknown"]);
  expect(fires(40.74, -74.17, 74)).toEqual(["still"]);
  expect(fires(48.8566, 2.3522, 100, "b")).toEqual(["unknown"]);
  expect(fires(40.7128, -74.006, 580, "b")).toEqual(["eight hours"]);
  expect(fires(33.95, -118.4, 600, "c")).toEqual(["unknown"]);
  expect(fires(40 + 38 / 60, -(73 + 47 / 60), 960, "c")).toEqual(["six hours"]);
  expect(fires(-17, 179.5, 1000, "d")).toEqual(["unknown"]);
  expect(fires(-17, -179.5, 1060, "d")).toEqual(["a hundred"]);
});
