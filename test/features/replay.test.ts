// Replay of a table or a log gives the bits that encode gave online.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { SentinelError } from "../../src/core/errors.ts";
import type { Column, Table } from "../../src/core/table.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import { encode, type FeatureArrival, learnArrival } from "../../src/features/encode.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { replay, replayBlocks } from "../../src/features/replay.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { PROTO, specArbitrary, streamArbitrary } from "./streams.ts";

const DELAY_MS = 6 * HOUR_MS;
const COLUMNS = { id: "transaction_id", time: "time", label: "is_fraud" };
const NUMBERS = [PROTO, "amount", "terminal"];

/** Text columns dictionary-encoded, numbers as they are; a column of mixed values keeps its numbers. */
function tableOf(transactions: readonly Transaction[], labels: readonly (0 | 1 | null)[]): Table {
  const number = (of: (tx: Transaction, row: number) => unknown): Column => ({
    kind: "number",
    values: Float64Array.from(transactions, (tx, row) => {
      const value = of(tx, row);
      return typeof value === "number" ? value : Number.NaN;
    }),
  });
  const text = (of: (tx: Transaction) => unknown): Column => {
    const dictionary = [...new Set(transactions.map(of))].filter((value) => value !== null) as string[];
    return {
      kind: "text",
      codes: Int32Array.from(transactions, (tx) => dictionary.indexOf(of(tx) as string)),
      dictionary,
    };
  };
  const columns = new Map<string, Column>([
    ["transaction_id", text((tx) => tx.id)],
    ["time", { ...number((tx) => tx.time), kind: "time" } as Column],
    ["is_fraud", number((_, row) => labels[row])],
    ["customer", text((tx) => tx.fields.customer)],
  ]);
  for (const name of NUMBERS)
    columns.set(
      name,
      number((tx) => tx.fields[name]),
    );
  return { rows: transactions.length, columns };
}

/** What a server would do with the same rows: in time order, labels first at each instant. */
function online(
  state: FeatureState,
  plan: ReturnType<typeof compileSpec>,
  rows: readonly [Transaction, 0 | 1 | null][],
) {
  const vectors = new Map<Transaction, Float32Array>();
  const waiting = rows.filter(([, label]) => label !== null).toSorted(([a], [b]) => a.time - b.time);
  for (const [tx] of rows.toSorted(([a], [b]) => a.time - b.time)) {
    while (waiting.length > 0 && waiting[0][0].time + DELAY_MS <= tx.time) {
      const [about, label] = waiting.shift()!;
      state.learnLabel({ transaction: about, fraud: label === 1, knownAt: about.time + DELAY_MS });
    }
    vectors.set(tx, encode(state, plan, tx));
    state.learn(tx);
  }
  for (const [about, label] of waiting) {
    state.learnLabel({ transaction: about, fraud: label === 1, knownAt: about.time + DELAY_MS });
  }
  return vectors;
}

test("the vectors of a table are those of its rows sent one by one, bit for bit", () => {
  const labels = fc.array(fc.constantFrom(0, 1, null), { minLength: 80, maxLength: 80 });
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, labels, fc.boolean(), (spec, events, drawn, busy) => {
      const transactions = events
        .filter((event) => event.kind === "transaction")
        .map((event) => ({ ...event.transaction }));
      const known = transactions.map((_, row) => drawn[row] as 0 | 1 | null);
      const plan = compileSpec(spec);
      const limits = busy ? { tileEvents: 2, keysMax: 2 } : {};
      const state = new FeatureState(layoutOf([plan]), limits);
      const table = tableOf(transactions, known);
      const result = replay({ spec: plan, table, columns: COLUMNS, labelDelayMs: DELAY_MS, state });
      const twin = new FeatureState(layoutOf([plan]), limits);
      const vectors = online(
        twin,
        plan,
        transactions.map((tx, row) => [tx, known[row]]),
      );
      transactions.forEach((tx, row) => {
        const replayed = Array.from(plan.names, (_, c) => result.values[c * table.rows + row]);
        expect(replayed).toEqual(Array.from(vectors.get(tx)!));
      });
    }),
    { numRuns: 300 },
  );
});

test("a table whose ids all differ leaves the state that its rows leave one by one, ids included", () => {
  const labels = fc.array(fc.constantFrom(0, 1, null), { minLength: 80, maxLength: 80 });
  const idsMax = fc.constantFrom(2, 7, 1000);
  let forgotten = 0;
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, labels, idsMax, (spec, events, drawn, most) => {
      const transactions = events
        .filter((event) => event.kind === "transaction")
        .map(({ transaction }, row) => ({ ...transaction, id: `t${row}` }));
      const known = transactions.map((_, row) => drawn[row] as 0 | 1 | null);
      const plan = compileSpec(spec);
      const limits = { idsMax: most };
      const state = new FeatureState(layoutOf([plan]), limits);
      const table = tableOf(transactions, known);
      replay({ spec: plan, table, columns: COLUMNS, labelDelayMs: DELAY_MS, state });
      const twin = new FeatureState(layoutOf([plan]), limits);
      online(
        twin,
        plan,
        transactions.map((tx, row) => [tx, known[row]]),
      );
      expect(Buffer.from(state.snapshot()).equals(twin.snapshot())).toBe(true);
      forgotten += state.stats().idsForgotten;
      // A retry of the last is known; it would not be if its id had been left out.
      const last = transactions.toSorted((a, b) => a.time - b.time).at(-1)!;
      expect(state.learn(last)).toBe("duplicate");
    }),
    { numRuns: 200 },
  );
  expect(forgotten).toBeGreaterThan(0);
});

test("blocks hold the vectors of the whole table, each row once", () => {
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, fc.integer({ min: 1, max: 30 }), (spec, events, blockRows) => {
      const transactions = events.filter((event) => event.kind === "transaction").map(({ transaction }) => transaction);
      const plan = compileSpec(spec);
      const table = tableOf(
        transactions,
        transactions.map(() => null),
      );
      const input = { spec: plan, table, columns: COLUMNS, labelDelayMs: DELAY_MS };
      const whole = replay(input);
      let seen = 0;
      for (const { rows, vectors, step } of replayBlocks(input, { blockRows })) {
        rows.forEach((row, i) => {
          const here = Array.from(plan.names, (_, c) => vectors[i + c * step]);
          expect(here).toEqual(Array.from(plan.names, (_, c) => whole.values[c * table.rows + row]));
        });
        seen += rows.length;
      }
      expect(seen).toBe(table.rows);
    }),
    { numRuns: 50 },
  );
});

test("a log whose label is moved gives other vectors, so equality means something", () => {
  const spec = checkSpec({
    name: "s",
    version: 1,
    features: [{ kind: "window", name: "f", key: ["customer"], over: "frauds", window: "30d" }],
  });
  const tx = (id: string, day: number): Transaction => ({ id, time: day * DAY_MS, fields: { customer: "a" } });
  const log = (knownAt: number): FeatureArrival[] => [
    { kind: "transaction", transaction: tx("x", 1) },
    { kind: "label", transaction: tx("x", 1), fraud: true, knownAt },
    { kind: "transaction", transaction: tx("y", 5) },
  ];
  const last = (knownAt: number): number => {
    const plan = compileSpec(spec);
    const state = new FeatureState(layoutOf([plan]));
    let seen = Number.NaN;
    for (const arrival of log(knownAt)) {
      if (arrival.kind === "transaction") seen = encode(state, plan, arrival.transaction)[0];
      learnArrival(state, arrival);
    }
    return seen;
  };
  expect(last(5 * DAY_MS)).toBe(1);
  expect(last(5 * DAY_MS + 1)).toBe(0);
});

test("a label's own column of known times is obeyed", () => {
  const columns = new Map<string, Column>([
    ["id", { kind: "number", values: Float64Array.of(1, 2, 3) }],
    ["time", { kind: "time", values: Float64Array.of(0, 2 * DAY_MS, 4 * DAY_MS) }],
    ["customer", { kind: "number", values: Float64Array.of(9, 9, 9) }],
    ["is_fraud", { kind: "number", values: Float64Array.of(1, 0, Number.NaN) }],
    ["label_known_at", { kind: "time", values: Float64Array.of(3 * DAY_MS, Number.NaN, Number.NaN) }],
  ]);
  const spec = checkSpec({
    name: "s",
    version: 1,
    features: [{ kind: "window", name: "f", key: ["customer"], over: "frauds", window: "30d" }],
  });
  const names = { id: "id", time: "time", label: "is_fraud", labelKnownAt: "label_known_at" };
  const result = replay({ spec, table: { rows: 3, columns }, columns: names, labelDelayMs: 0 });
  expect([...result.values]).toEqual([0, 0, 1]);
});

test("a table without a column the spec needs is refused by name", () => {
  const spec = checkSpec({ name: "s", version: 1, features: [{ kind: "column", name: "a", column: "amount" }] });
  const columns = new Map<string, Column>([
    ["id", { kind: "number", values: Float64Array.of(1) }],
    ["time", { kind: "time", values: Float64Array.of(0) }],
    ["amonut", { kind: "number", values: Float64Array.of(1) }],
  ]);
  const run = () => replay({ spec, table: { rows: 1, columns }, columns: { id: "id", time: "time" }, labelDelayMs: 0 });
  expect(run).toThrow(SentinelError);
  expect(run).toThrow(/no column amount/);
  columns.set("amount", { kind: "number", values: Float64Array.of(1) });
  columns.set("time", { kind: "time", values: Float64Array.of(Number.NaN) });
  expect(run).toThrow(/no time in row 1/);
});
