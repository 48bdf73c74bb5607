// Neighbours, and what known frauds say, on stories that can be counted by hand; that nothing of the future moves them; what a spec may not say.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import type { Table } from "../../src/core/table.ts";
import { declareColumns } from "../../src/features/builder.ts";
import { keyPasses } from "../../src/features/by-key.ts";
import { encode } from "../../src/features/encode.ts";
import { featuresReading, inputsOf } from "../../src/features/inputs.ts";
import { compileSpec, covers, layoutOf } from "../../src/features/plan.ts";
import { replay } from "../../src/features/replay.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { topicsOf } from "../../src/online/explain/topic.ts";
import { numberColumn, textColumn, timeColumn } from "./columns.ts";
import { transaction } from "./streams.ts";

const f = declareColumns({ amount: "number", card: "key", shop: "key" });
const AT_SHOP = { key: "shop", column: "card", window: "2d" } as const;
const SPEC = f.spec({
  name: "neighbours",
  version: 1,
  features: [
    f.neighbours("others", { ...AT_SHOP, measure: "count" }),
    f.neighbours("fraud_others", { ...AT_SHOP, measure: "frauds" }),
    f.neighbours("fraud_share", { ...AT_SHOP, measure: "share" }),
    f.neighbours("fraud_share_delayed", { ...AT_SHOP, delay: "1d", measure: "share", empty: -1 }),
    f.neighbours("other_shops", { key: "card", column: "shop", window: "2d", measure: "count" }),
  ],
});
const PLAN = compileSpec(SPEC);
const START = Date.UTC(2024, 1, 28);
const tx = (id: string, hours: number, fields: { readonly card: string | null; readonly shop: string | null }) =>
  transaction(id, START + hours * HOUR_MS, { amount: 1, ...fields });

test("who else was there, and whose fraud is known, counted by hand", () => {
  const state = new FeatureState(layoutOf([PLAN]));
  const seen = (one: ReturnType<typeof tx>): (number | null)[] => {
    const vector = [...encode(state, PLAN, one)].map((value) => (Number.isNaN(value) ? null : value));
    state.learn(one);
    return vector;
  };
  const [a, b] = [tx("1", 0, { card: "A", shop: "S" }), tx("2", 1, { card: "B", shop: "S" })];
  expect(seen(a)).toEqual([0, 0, null, -1, 0]);
  expect(seen(b)).toEqual([1, 0, 0, -1, 0]);
  // A's fraud is known from hour 3 on; A itself is no neighbour of its own.
  state.learnLabel({ transaction: a, fraud: true, knownAt: START + 3 * HOUR_MS });
  expect(seen(tx("3", 2, { card: "C", shop: "S" }))).toEqual([2, 0, 0, -1, 0]);
  expect(seen(tx("4", 4, { card: "C", shop: "S" }))).toEqual([2, 1, 0.5, -1, 0]);
  expect(seen(tx("5", 5, { card: "A", shop: "S" }))).toEqual([2, 0, 0, -1, 0]);
  // A day later the delayed window has come to A, B and both of C's, and A's third transaction is too young for it.
  expect(seen(tx("6", 28, { card: "D", shop: "S" }))).toEqual([3, 1, expect.closeTo(1 / 3), expect.closeTo(1 / 3), 0]);
  // Hour 0 is two days ago exactly: out. A was there again at hour 5, and no fraud is known of that.
  expect(seen(tx("7", 48, { card: "D", shop: "S" }))).toEqual([3, 0, 0, expect.closeTo(1 / 3), 0]);
  expect(seen(tx("8", 48, { card: null, shop: "S" }))).toEqual([null, null, null, null, null]);
  expect(seen(tx("9", 48, { card: "D", shop: null }))).toEqual([null, null, null, null, null]);
  expect(seen(tx("10", 49, { card: "D", shop: "T" }))).toEqual([0, 0, null, -1, 1]);
});

test("a label that is taken back is no neighbour's, and a fraud that was never learned counts in shares alone", () => {
  const state = new FeatureState(layoutOf([PLAN]));
  const [old, young] = [tx("1", 0, { card: "A", shop: "S" }), tx("2", 4, { card: "B", shop: "S" })];
  state.learn(young);
  // An hour of lateness is over: it is not among the transactions of the shop.
  expect(state.learn(old)).toBe("too-late");
  state.learnLabel({ transaction: old, fraud: true, knownAt: START + 4 * HOUR_MS });
  const now = tx("3", 5, { card: "C", shop: "S" });
  expect([...encode(state, PLAN, now)].slice(0, 3)).toEqual([1, 1, 0.5]);
  state.learnLabel({ transaction: old, fraud: false, knownAt: START + 5 * HOUR_MS });
  expect([...encode(state, PLAN, now)].slice(0, 3)).toEqual([1, 0, 0]);
});

const OF_FRAUDS = f.spec({
  name: "of-frauds",
  version: 1,
  features: [
    f.fraudValue("least", { key: "shop", over: "amount", aggregate: "min", within: "2d" }),
    f.fraudValue("most", { key: "shop", over: "amount", aggregate: "max", within: "2d" }),
    f.fraudRun("run", { key: "shop", measure: "count", within: "3d", delay: "1d" }),
    f.fraudRun("run_days", { key: "shop", measure: "days", within: "3d", delay: "1d" }),
    f.fraudRun("run_seconds", { key: "shop", measure: "seconds", within: "3d" }),
  ],
});

test("amounts of known frauds, and frauds in a row, counted by hand", () => {
  const plan = compileSpec(OF_FRAUDS);
  const state = new FeatureState(layoutOf([plan]));
  const at = (hours: number): (number | null)[] =>
    [...encode(state, plan, transaction(`r${hours}`, START + hours * HOUR_MS, { amount: 7, shop: "S" }))].map(
      (value) => (Number.isNaN(value) ? null : value),
    );
  const story = [
    { hours: 0, amount: 50, fraud: false },
    { hours: 6, amount: 30, fraud: true },
    { hours: 12, amount: null, fraud: true },
    { hours: 18, amount: 90, fraud: true },
    { hours: 40, amount: 20, fraud: false },
  ];
  for (const { hours, amount } of story) {
    state.learn(transaction(`t${hours}`, START + hours * HOUR_MS, { amount, shop: "S" }));
  }
  // Labels come a day after their transactions.
  const learn = (hours: number): void => {
    const { amount, fraud } = story.find((one) => one.hours === hours)!;
    const tx = transaction(`t${hours}`, START + hours * HOUR_MS, { amount, shop: "S" });
    state.learnLabel({ transaction: tx, fraud, knownAt: START + (hours + 24) * HOUR_MS });
  };
  expect(at(41)).toEqual([null, null, 0, null, null]);
  for (const { hours } of story) learn(hours);
  // Known by then: of hours 6 and 12, the second without an amount. The one at 18 is not a day old.
  expect(at(41)).toEqual([30, 30, 2, expect.closeTo(35 / 24, 5), null]);
  // Hour 18 is known, and nothing genuine is a day old after it.
  expect(at(42)).toEqual([30, 90, 3, 1.5, null]);
  // Hour 40 is a day old and no fraud: the run is over.
  expect(at(64)).toEqual([90, 90, 0, null, null]);
  expect(at(66)).toEqual([null, null, 0, null, null]);
});

test("of one millisecond the frauds are the newest of a run, and one that was never learned counts", () => {
  const plan = compileSpec(OF_FRAUDS);
  const state = new FeatureState(layoutOf([plan]));
  const tx = (id: string, hours: number) => transaction(id, START + hours * HOUR_MS, { amount: 1, shop: "S" });
  const fraud = (transaction_: ReturnType<typeof tx>): void =>
    state.learnLabel({ transaction: transaction_, fraud: true, knownAt: START + 9 * HOUR_MS });
  for (const id of ["a", "b", "c"]) state.learn(tx(id, 5));
  state.learn(tx("d", 6));
  fraud(tx("a", 5));
  fraud(tx("d", 6));
  const run = (): number[] => [...encode(state, plan, tx("now", 33))].slice(2, 4);
  // d, and a of the three at hour 5; b or c ends it.
  expect(run()).toEqual([2, expect.closeTo(28 / 24, 5)]);
  fraud(tx("late", 4));
  expect(run()[0]).toBe(2);
  fraud(tx("b", 5));
  fraud(tx("c", 5));
  expect(run()).toEqual([5, expect.closeTo(29 / 24, 5)]);
});

const HOPS = { key: "shop", through: "card", within: "3d", window: "2d" } as const;
const TWO_HOPS = f.spec({
  name: "two-hops",
  version: 1,
  features: [
    f.twoHops("hops_mean", { ...HOPS, aggregate: "mean" }),
    f.twoHops("hops_most", { ...HOPS, aggregate: "max", empty: -1 }),
    f.twoHops("hops_sum_delayed", { ...HOPS, aggregate: "sum", delay: "1d" }),
  ],
});

test("two hops: what was known of visitors' cards elsewhere when they came, counted by hand", () => {
  const plan = compileSpec(TWO_HOPS);
  const state = new FeatureState(layoutOf([plan]));
  const at = (hours: number): (number | null)[] =>
    [...encode(state, plan, tx(`r${hours}`, hours, { card: "Z", shop: "S" }))].map((value) =>
      Number.isNaN(value) ? null : value,
    );
  const visit = (id: string, hours: number, card: string | null, shop: string): void => {
    state.learn(tx(id, hours, { card, shop }));
  };
  const fraud = (id: string, hours: number, card: string, knownAt: number): void =>
    state.learnLabel({
      transaction: tx(id, hours, { card, shop: "T" }),
      fraud: true,
      knownAt: START + knownAt * HOUR_MS,
    });
  visit("1", 0, "A", "T");
  visit("2", 1, "A", "T");
  visit("3", 2, "B", "T");
  fraud("1", 0, "A", 3);
  fraud("2", 1, "A", 10);
  expect(at(4)).toEqual([null, -1, 0]);
  // One fraud of A is known by now, elsewhere; none of B; nobody's without a card.
  visit("4", 5, "A", "S");
  visit("5", 6, "B", "S");
  visit("6", 7, null, "S");
  expect(at(8)).toEqual([0.5, 1, 0]);
  // The second of A's is known from hour 10 on, and the visit of hour 5 stays what it was.
  expect(at(12)).toEqual([0.5, 1, 0]);
  visit("7", 13, "A", "S");
  expect(at(14)).toEqual([1, 2, 0]);
  expect(at(30)).toEqual([1, 2, 1]);
  // Out of the window of two days; of the delayed one, not yet.
  expect(at(54)).toEqual([2, 2, 3]);
  // Three days after its fraud nothing of A is counted any more.
  visit("8", 74, "A", "S");
  expect(at(78)).toEqual([0, 0, 2]);
});

test("two hops keep the key that they lead through, name their columns, and are refused by key alone", () => {
  const plan = compileSpec(TWO_HOPS);
  expect(inputsOf(plan)).toMatchObject({ keys: ["card", "shop"], numbers: [], texts: [] });
  expect(inputsOf(plan).all.toSorted()).toEqual(["card", "shop"]);
  expect(featuresReading(plan, "card")).toEqual(plan.names);
  expect(() => keyPasses(plan)).toThrow(/counts known frauds of another key/);
  expect(topicsOf(TWO_HOPS).get("hops_mean")).toBe("SHOP_FRAUDS_THROUGH_CARD");
});

/** All kinds that look at other people's frauds, beside what they are made of. */
const LEAK_PLAN = compileSpec(
  checkSpec({ ...SPEC, features: [...SPEC.features, ...OF_FRAUDS.features, ...TWO_HOPS.features] }),
);
const ROWS = 40;
const rowArbitrary = fc.record({
  step: fc.constantFrom(0, 1, 3, 20),
  card: fc.constantFrom("A", "B", "C", "D", null),
  shop: fc.constantFrom("S", "T", null),
  amount: fc.constantFrom(1, 20, 300, Number.NaN),
  fraud: fc.constantFrom(0, 1, 1, Number.NaN),
  wait: fc.constantFrom(0, 1, 12, 30),
});
type Row = typeof rowArbitrary extends fc.Arbitrary<infer T> ? T : never;

function tableOf(rows: readonly Row[]): { readonly table: Table; readonly times: readonly number[] } {
  let hours = 0;
  const times = rows.map(({ step }) => {
    hours += step;
    return START + hours * HOUR_MS;
  });
  const columns = new Map([
    ["id", textColumn(rows.map((_, at) => `t${at}`))],
    ["time", timeColumn(times)],
    ["card", textColumn(rows.map(({ card }) => card))],
    ["shop", textColumn(rows.map(({ shop }) => shop))],
    ["amount", numberColumn(rows.map(({ amount }) => amount))],
    ["fraud", numberColumn(rows.map(({ fraud }) => fraud))],
    ["known", timeColumn(rows.map(({ wait }, at) => times[at] + wait * HOUR_MS))],
  ]);
  return { table: { rows: rows.length, columns }, times };
}

function vectorsOf(rows: readonly Row[]): {
  readonly of: (row: number) => number[];
  readonly times: readonly number[];
} {
  const { table, times } = tableOf(rows);
  const { values } = replay({
    spec: LEAK_PLAN,
    table,
    columns: { id: "id", time: "time", label: "fraud", labelKnownAt: "known" },
    labelDelayMs: DAY_MS,
  });
  return { times, of: (row) => LEAK_PLAN.names.map((_, c) => values[c * rows.length + row]) };
}

test("no transaction and no label of the future moves a vector: other futures give the same vectors", () => {
  let frauds = 0;
  fc.assert(
    fc.property(
      fc.array(rowArbitrary, { minLength: ROWS, maxLength: ROWS }),
      fc.array(rowArbitrary, { minLength: ROWS, maxLength: ROWS }),
      fc.integer({ min: 1, max: ROWS - 1 }),
      (rows, others, cut) => {
        const whole = vectorsOf(rows);
        const now = whole.times[cut - 1];
        // The past stays, but what is still unknown of it may turn out otherwise; from the cut on everything is another.
        const changed = rows.map((row, at): Row => {
          if (at >= cut) return others[at];
          return whole.times[at] + row.wait * HOUR_MS > now && row.wait > 0 ? { ...row, fraud: others[at].fraud } : row;
        });
        const other = vectorsOf(changed);
        for (let row = 0; row < cut; row++) {
          expect(other.of(row)).toEqual(whole.of(row));
          if (whole.of(row)[1] > 0) frauds++;
        }
      },
    ),
    { numRuns: 60 },
  );
  expect(frauds).toBeGreaterThan(100);
});

test("what they read and what they keep is known: a state without it does not serve them", () => {
  expect(inputsOf(PLAN).texts.toSorted()).toEqual(["card", "shop"]);
  expect(featuresReading(PLAN, "card")).toEqual(PLAN.names);
  const counted = compileSpec(
    f.spec({ name: "counted", version: 1, features: [f.neighbours("others", { ...AT_SHOP, measure: "count" })] }),
  );
  expect(counted.series[0]).not.toHaveProperty("labelled");
  expect(covers(layoutOf([counted]), PLAN)).toBe(false);
  expect(covers(layoutOf([counted, PLAN]), counted)).toBe(true);
  expect(topicsOf(SPEC).get("fraud_share")).toBe("SHOP_FRAUD_NEIGHBOURS_CARD");
});

const KEY = { kind: "neighbours", key: ["shop"], window: "1d" };

test.each([
  ["a column of the key", { ...KEY, column: "shop", measure: "count" }, /column is "shop", which is in the key/],
  ["a measure nobody knows", { ...KEY, column: "card", measure: "rate" }, /measure is "rate"/],
  ["an empty count", { ...KEY, column: "card", measure: "frauds", empty: 1 }, /empty is given with measure "frauds"/],
  ["a window of years", { ...KEY, column: "card", measure: "count", window: "500d" }, /more than 400 days back/],
  [
    "a mean of frauds",
    { kind: "fraud-value", key: ["shop"], over: "amount", aggregate: "mean", within: "1d" },
    /aggregate is "mean"/,
  ],
  [
    "a run between nothing",
    { kind: "fraud-run", key: ["shop"], measure: "count", within: "1d", delay: "1d" },
    /within is not longer than delay/,
  ],
  [
    "two hops to itself",
    { kind: "two-hops", key: ["shop"], through: ["shop"], aggregate: "sum", within: "1d", window: "1d" },
    /through is the key itself/,
  ],
  [
    "an empty sum",
    { kind: "two-hops", key: ["shop"], through: ["card"], aggregate: "sum", within: "1d", window: "1d", empty: 1 },
    /empty is given with aggregate "sum"/,
  ],
  ["itself", { ...KEY, column: "card", measure: "count", current: true }, /unknown field current/],
])("%s is refused", (_, def, says) => {
  expect(() => checkSpec({ name: "s", version: 1, features: [{ name: "x", ...def }] })).toThrow(says);
});
