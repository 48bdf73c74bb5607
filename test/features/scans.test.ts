// Percentiles, new partners, movement and roles on a story that can be counted by hand; what a spec may not say of them; labels that must not leak.
import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import { declareColumns } from "../../src/features/builder.ts";
import { encode } from "../../src/features/encode.ts";
import { featuresReading, inputsOf } from "../../src/features/inputs.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { PERCENTILE_VALUES_MAX } from "../../src/features/scans.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { transaction } from "./streams.ts";

const f = declareColumns({
  amount: "number",
  lat: "number",
  lon: "number",
  card: "key",
  shop: "key",
  from: "key",
  to: "key",
  born: "text",
});
const DAY = { key: "card", latitude: "lat", longitude: "lon", within: "1d" } as const;
const SPEC = f.spec({
  name: "story",
  version: 1,
  features: [
    f.percentile("median", { key: "card", over: "amount", percent: 50, window: "1d" }),
    f.percentile("p90_before", { key: "card", over: "amount", percent: 90, window: "1d", current: false, empty: -1 }),
    f.firstSeen("new_shop", { key: "card", column: "shop", within: "1d" }),
    f.newValues("new_shops", { key: "card", column: "shop", window: "2h", within: "1d" }),
    f.movement("km", { measure: "distance", ...DAY }),
    f.movement("kmh", { measure: "speed", ...DAY }),
    f.window("receiver_sent", { key: "to", history: "from", over: "amount", aggregate: "sum", window: "1d" }),
    f.window("receiver_frauds", { key: "to", history: "from", over: "frauds", window: "1d" }),
    f.elapsed("sender_received", {
      key: "from",
      history: "to",
      since: "last-transaction",
      within: "1d",
      unit: "seconds",
    }),
    f.expression("age", "age_years(event_time, to_timestamp(born))"),
  ],
});
const PLAN = compileSpec(SPEC);
const START = Date.UTC(2024, 1, 28);

/** Card X in Paris, then in Lyon an hour later; A sends to B, B sends on to C. */
const STORY = [
  { id: "1", at: 0, amount: 10, card: "X", shop: "s1", lat: 48.8566, lon: 2.3522, from: "A", to: "B" },
  { id: "2", at: 1, amount: 30, card: "X", shop: "s2", lat: 45.764, lon: 4.8357, from: "B", to: "C" },
  { id: "3", at: 3, amount: 20, card: "X", shop: "s1", lat: null, lon: 200, from: "C", to: "B" },
  { id: "4", at: 30, amount: 5, card: "X", shop: "s1", lat: 45.764, lon: 4.8357, from: "B", to: "B" },
] as const;
const events = STORY.map(({ id, at, ...fields }) =>
  transaction(id, START + at * HOUR_MS, { born: "2000-02-29", ...fields }),
);

function vectorsOf(label?: { readonly knownAt: number }): (number | null)[][] {
  const state = new FeatureState(layoutOf([PLAN]));
  return events.map((tx, i) => {
    const vector = [...encode(state, PLAN, tx)].map((value) => (Number.isNaN(value) ? null : value));
    state.learn(tx);
    // Transaction 2, by which B sent, was a fraud.
    if (i === 1 && label !== undefined) state.learnLabel({ transaction: tx, fraud: true, knownAt: label.knownAt });
    return vector;
  });
}

test("each transaction sees the values, partners, places and roles that came before it", () => {
  const [a, b, c, d] = vectorsOf();
  //               median p90  new shops  km    km/h  sent  frauds received age
  expect(a).toEqual([10, -1, 1, 1, null, null, 0, 0, null, 23]);
  expect(b.slice(0, 4)).toEqual([10, 10, 1, 2]);
  // Paris to Lyon: 392 km, in an hour.
  expect(b[4]).toBeGreaterThan(390);
  expect(b[4]).toBeLessThan(394);
  expect(b[5]).toBeCloseTo(b[4]!, 3);
  // C never sent; B, which sends now, received an hour ago.
  expect(b.slice(6)).toEqual([0, 0, 3600, 23]);
  // B sent 30 two hours ago, C received it; without a place nothing moves; s1 is known.
  expect(c).toEqual([20, 30, 0, 0, null, null, 30, 0, 7200, 23]);
  // After a day and more all is forgotten but the last two hours before; born on a leap day, a year older on it.
  expect(d[9]).toBe(24);
  expect(d.slice(0, 4)).toEqual([5, -1, 1, 1]);
  expect(d[6]).toBe(0);
});

test("a role's frauds are seen from when they are known, and not before", () => {
  const frauds = (knownAt: number): (number | null)[] => vectorsOf({ knownAt }).map((vector) => vector[7]);
  expect(frauds(START + 3 * HOUR_MS)).toEqual([0, 0, 1, 0]);
  expect(frauds(START + 3 * HOUR_MS + 1)).toEqual([0, 0, 0, 0]);
});

test("percentiles of a very busy window are of its newest values", () => {
  const spec = f.spec({
    name: "busy",
    version: 1,
    features: [f.percentile("least", { key: "card", over: "amount", percent: 0, window: "300d", current: false })],
  });
  const plan = compileSpec(spec);
  const state = new FeatureState(layoutOf([plan]), { tileEvents: 1e6 });
  for (let i = 0; i <= PERCENTILE_VALUES_MAX; i++) {
    state.learn(transaction(`t${i}`, START + i * 1000, { card: "X", amount: i }));
  }
  const [least] = encode(state, plan, transaction("now", START + 2 * 24 * HOUR_MS, { card: "X" }));
  expect(least).toBe(1);
});

test("what they read is known, with the columns of roles and places", () => {
  expect(inputsOf(PLAN).keys.toSorted()).toEqual(["card", "from", "to"]);
  expect(inputsOf(PLAN).numbers.toSorted()).toEqual(["amount", "lat", "lon"]);
  expect(inputsOf(PLAN).texts.toSorted()).toEqual(["born", "shop"]);
  expect(featuresReading(PLAN, "from")).toEqual(["receiver_sent", "receiver_frauds", "sender_received"]);
  expect(featuresReading(PLAN, "lon")).toEqual(["km", "kmh"]);
  expect(featuresReading(PLAN, "event_time")).toEqual([]);
});

const KEY = { key: ["card"] };

test.each([
  ["a percent over 100", { kind: "percentile", ...KEY, over: "amount", percent: 101, window: "1d" }, /percent is 101/],
  [
    "current with a delay",
    { kind: "percentile", ...KEY, over: "amount", percent: 1, window: "1d", delay: "1h", current: true },
    /current is true with a delay/,
  ],
  [
    "a window as long as its past",
    { kind: "new-values", ...KEY, column: "shop", window: "1d", within: "1d" },
    /window is not shorter than within/,
  ],
  [
    "a measure nobody knows",
    { kind: "movement", ...KEY, measure: "sped", latitude: "lat", longitude: "lon", within: "1d" },
    /measure is "sped"/,
  ],
  [
    "a history of another width",
    { kind: "window", ...KEY, history: ["a", "b"], over: "frauds", window: "1d" },
    /history has 2 columns, the key 1/,
  ],
  [
    "a history that is the key",
    { kind: "window", ...KEY, history: ["card"], over: "frauds", window: "1d" },
    /history is the key itself/,
  ],
  [
    "itself in another role",
    { kind: "window", ...KEY, history: ["to"], over: "transactions", window: "1d", current: true },
    /current is true with a history/,
  ],
  [
    "a history where there is none",
    { kind: "percentile", ...KEY, history: ["to"], over: "amount", percent: 1, window: "1d" },
    /unknown field history/,
  ],
  [
    "a time as a feature",
    { kind: "expression", sql: "event_time", columns: { event_time: "time" } },
    /the expression gives a time/,
  ],
])("%s is refused", (_, def, says) => {
  expect(() => checkSpec({ name: "s", version: 1, features: [{ name: "x", ...def }] })).toThrow(says);
});
