// The state machine against a brute-force oracle, and the properties that make it safe to serve from.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import { namesIn } from "../../src/expression/compile.ts";
import type { FeatureArrival } from "../../src/features/encode.ts";
import { encode, encodeAndLearn } from "../../src/features/encode.ts";
import type { StateLimits } from "../../src/features/limits.ts";
import type { FeaturePlan } from "../../src/features/plan.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { Oracle } from "./oracle.ts";
import { arrivalsArbitrary, LATENESS_MS, START, specArbitrary, streamArbitrary, transaction } from "./streams.ts";

const QUIET = { latenessMs: LATENESS_MS, tileEvents: 1000 };
const BUSY = { latenessMs: LATENESS_MS, tileEvents: 2, tileMs: 6 * HOUR_MS, keysMax: 2, idsMax: 8 };

function newState(plan: FeaturePlan, limits: Partial<StateLimits>): FeatureState {
  return new FeatureState(layoutOf([plan]), limits);
}

function feed(state: FeatureState, event: FeatureArrival): void {
  if (event.kind === "label") state.learnLabel(event);
  else state.learn(event.transaction, event.receivedAt);
}

/** The bits of a vector, so that NaN equals NaN and 0 differs from −0. */
function bits(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("hex");
}

test("every vector equals the brute-force oracle's, bit for bit but for the rounding of deviations", () => {
  let compared = 0;
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, (spec, events) => {
      const plan = compileSpec(spec);
      const state = newState(plan, QUIET);
      const oracle = new Oracle(spec, LATENESS_MS);
      for (const event of events) {
        const tx = event.transaction;
        const tie = oracle.learned.some((one) => one.id !== tx.id && one.time === tx.time);
        const promised = !oracle.tooLate(tx) && !(oracle.has(tx) && tie);
        if (event.kind === "transaction" && promised) {
          expectVector(encode(state, plan, tx), oracle.vector(tx), plan);
          compared++;
        }
        feed(state, event);
        oracle.learn(event);
      }
    }),
    { numRuns: 800 },
  );
  expect(compared).toBeGreaterThan(3000);
});

function expectVector(vector: Float32Array, wanted: readonly number[], plan: FeaturePlan): void {
  wanted.forEach((want, i) => {
    const said = `${JSON.stringify(plan.spec.features[i])}: ${vector[i]} for ${want}`;
    const clamped = Math.max(-3.4028234663852886e38, Math.min(3.4028234663852886e38, want));
    if (dependsOnDeviation(plan, i)) {
      const near = Math.abs(vector[i] - clamped) <= 1e-5 * Math.max(1, Math.abs(clamped));
      expect(near || Number.isNaN(want) || !Number.isFinite(want) || unsteady(plan, i), said).toBe(true);
    } else expect(Object.is(vector[i], Math.fround(clamped)), said).toBe(true);
  });
}

function dependsOnDeviation(plan: FeaturePlan, at: number): boolean {
  const def = plan.spec.features[at];
  const again = (name: string): boolean => dependsOnDeviation(plan, plan.names.indexOf(name));
  if (def.kind === "ratio") return again(def.numerator) || again(def.denominator);
  if (def.kind === "difference") return again(def.of) || again(def.minus);
  if (def.kind === "expression") return namesIn(def.sql).some((name) => plan.names.includes(name) && again(name));
  return def.kind === "window" && def.aggregate === "std";
}

/** Arithmetic on deviations may divide by rounding noise, and a comparison may turn on it. */
function unsteady(plan: FeaturePlan, at: number): boolean {
  const { kind } = plan.spec.features[at];
  return kind === "ratio" || kind === "difference" || kind === "expression";
}

test("reading changes nothing, not one byte of the snapshot", () => {
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, streamArbitrary, (spec, events, reads) => {
      const plan = compileSpec(spec);
      const state = newState(plan, BUSY);
      for (const event of events) feed(state, event);
      const before = Buffer.from(state.snapshot());
      for (const { transaction: tx } of reads) {
        state.touch(tx);
        encode(state, plan, { ...tx, id: `read ${tx.id}` });
      }
      expect(before.equals(state.snapshot())).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("a restored snapshot goes on as if nothing had happened, busy keys and full tables included", () => {
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, fc.nat(60), (spec, events, cut) => {
      const plan = compileSpec(spec);
      const whole = newState(plan, BUSY);
      let other = newState(plan, BUSY);
      events.forEach((event, i) => {
        if (i === cut % events.length) other = FeatureState.restore(other.snapshot());
        if (event.kind === "transaction") {
          expect(bits(encode(other, plan, event.transaction))).toBe(bits(encode(whole, plan, event.transaction)));
        }
        feed(whole, event);
        feed(other, event);
      });
      const { bytes: _, ...stats } = whole.stats();
      expect(other.stats()).toMatchObject(stats);
      expect(Buffer.from(whole.snapshot()).equals(other.snapshot())).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("labels known in the future change nothing in the past", () => {
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, fc.nat(), (spec, events, seed) => {
      const plan = compileSpec(spec);
      const now = START + 200 * HOUR_MS;
      const plain = newState(plan, QUIET);
      const labelled = newState(plan, QUIET);
      const seen: Transaction[] = [];
      events.forEach((event, i) => {
        const tx = event.transaction;
        seen.push(tx);
        if (event.kind === "transaction") {
          expect(bits(encode(labelled, plan, tx))).toBe(bits(encode(plain, plan, tx)));
        }
        feed(plain, event);
        feed(labelled, event);
        // Labels that nobody can know yet, of new ids so that they correct no known one.
        const about = seen[(seed + i) % seen.length];
        const ahead = { ...about, id: `${about.id} ahead ${i}` };
        labelled.learnLabel({ transaction: ahead, fraud: (seed >> (i % 30)) % 2 === 0, knownAt: now + i });
      });
    }),
    { numRuns: 200 },
  );
});

test("events within the lateness may come in any order", () => {
  const amount = fc.integer({ min: 1, max: 9999 });
  const offsets = fc.uniqueArray(fc.integer({ min: 0, max: LATENESS_MS }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(specArbitrary, offsets, amount, (spec, times, salt) => {
      const plan = compileSpec(spec);
      const made = times.map((time, i) =>
        transaction(`t${i}`, START + time, {
          customer: i % 3 ? "a" : "b",
          terminal: i % 2,
          amount: (time * salt) % 97,
        }),
      );
      const asCame = newState(plan, QUIET);
      const sorted = newState(plan, QUIET);
      for (const tx of made) asCame.learn(tx);
      for (const tx of made.toSorted((a, b) => a.time - b.time)) sorted.learn(tx);
      const probe = transaction("probe", START + LATENESS_MS, { customer: "a", terminal: 1, amount: 5 });
      expect(bits(encode(asCame, plan, probe))).toBe(bits(encode(sorted, plan, probe)));
    }),
    { numRuns: 100 },
  );
});

test("a state that started later answers alike once its windows are full, for busy keys too", () => {
  const spec = checkSpec({
    name: "s",
    version: 1,
    features: ["count", "sum", "mean", "std", "min", "max"].map((aggregate) => ({
      kind: "window",
      name: `f_${aggregate}`,
      key: ["customer"],
      over: "amount",
      aggregate,
      window: "1d",
    })),
  });
  const plan = compileSpec(spec);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(1000)), { minLength: 50, maxLength: 200 }), (draws) => {
      const old = newState(plan, BUSY);
      const young = newState(plan, BUSY);
      // History begins where a tile begins.
      let time = START - 24 * 4 * HOUR_MS;
      draws.forEach(([quarters, amount], i) => {
        time += quarters * (HOUR_MS / 4);
        const tx = transaction(`t${i}`, time, { customer: "a", amount });
        if (time >= START + 24 * HOUR_MS) expect(bits(encode(young, plan, tx))).toBe(bits(encode(old, plan, tx)));
        old.learn(tx);
        if (time >= START) young.learn(tx);
      });
    }),
    { numRuns: 100 },
  );
});

test("a busy key's counts and sums are exact where the window's edge cuts no tile", () => {
  const features = [
    { kind: "window", name: "n", key: ["c"], over: "transactions", window: "1d" },
    { kind: "window", name: "sum", key: ["c"], over: "amount", aggregate: "sum", window: "1d" },
    { kind: "window", name: "max", key: ["c"], over: "amount", aggregate: "max", window: "1d" },
    { kind: "window", name: "std", key: ["c"], over: "amount", aggregate: "std", window: "1d" },
  ];
  const plan = compileSpec(checkSpec({ name: "s", version: 1, features }));
  const state = newState(plan, { tileEvents: 3, tileMs: HOUR_MS });
  const values: number[] = [];
  for (let i = 0; i < 2400; i++) {
    values.push((i * 7919) % 101);
    state.learn(transaction(`t${i}`, START + 1 + i * 30_000, { c: "shop", amount: values[i] }));
  }
  expect(state.stats().events).toBe(20 * 4);
  const last = START + 20 * HOUR_MS;
  const [n, sum, max, std] = encode(state, plan, transaction("now", last, { c: "shop", amount: 50 }));
  const all = [...values, 50];
  const mean = all.reduce((a, b) => a + b) / all.length;
  expect([n, sum, max]).toEqual([2401, all.reduce((a, b) => a + b), 100]);
  expect(std).toBeCloseTo(Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / (all.length - 1)), 3);
});

test("a retry counts once and reads the same", () => {
  const features = [{ kind: "window", name: "n", key: ["c"], over: "transactions", window: "1d" }];
  const plan = compileSpec(checkSpec({ name: "s", version: 1, features }));
  const state = newState(plan, {});
  const first = transaction("x", START, { c: "a" });
  expect(encodeAndLearn(state, plan, first)).toEqual({ vector: Float32Array.of(1), learned: "learned" });
  expect(encodeAndLearn(state, plan, first)).toEqual({ vector: Float32Array.of(1), learned: "duplicate" });
  const next = transaction("y", START + 1, { c: "a" });
  expect(encodeAndLearn(state, plan, next).vector).toEqual(Float32Array.of(2));
  expect(state.learn(transaction("z", START - 2 * HOUR_MS, { c: "a" }))).toBe("too-late");
  expect(state.stats()).toMatchObject({ learned: 2, duplicates: 1, tooLate: 1, keys: 1, events: 2 });
});

test("keys are bounded: silent ones go, then the longest silent", () => {
  const features = [{ kind: "window", name: "n", key: ["c"], over: "transactions", window: "1h" }];
  const plan = compileSpec(checkSpec({ name: "s", version: 1, features }));
  const state = newState(plan, { keysMax: 16 });
  for (let i = 0; i < 100; i++) state.learn(transaction(`t${i}`, START + i, { c: `card ${i}` }));
  expect(state.stats().keys).toBeLessThanOrEqual(16);
  expect(state.stats().keysEvicted).toBeGreaterThanOrEqual(84);
  const recent = transaction("now", START + 200, { c: "card 99" });
  expect(encode(state, plan, recent)).toEqual(Float32Array.of(2));
});

test("a transaction too late to be learned reads what the retention holds, whether or not the key was swept since", () => {
  const features = [
    { kind: "window", name: "n", key: ["c"], over: "transactions", window: "1d" },
    { kind: "window", name: "frauds", key: ["c"], over: "frauds", window: "1d" },
    { kind: "elapsed", name: "first", key: ["c"], since: "first-fraud", within: "1d", unit: "seconds" },
  ];
  const plan = compileSpec(checkSpec({ name: "s", version: 1, features }));
  const states = [newState(plan, {}), newState(plan, {})];
  for (const state of states) {
    const old = transaction("old", START, { c: "a" });
    state.learn(old);
    state.learnLabel({ transaction: old, fraud: true, knownAt: START + 1 });
    state.learn(transaction("young", START + 12 * HOUR_MS, { c: "a" }));
  }
  // The old one is beyond the retention of 25 hours; only the second state looks at the key again, or sweeps.
  const now = START + 26 * HOUR_MS;
  states[0].learn(transaction("now", now, { c: "b" }));
  states[1].learn(transaction("now", now, { c: "a" }));
  const late = transaction("late", START + 13 * HOUR_MS, { c: "a" });
  expect(encode(states[0], plan, late)).toEqual(Float32Array.of(2, 0, Number.NaN));
  expect(encode(states[1], plan, late)).toEqual(Float32Array.of(2, 0, Number.NaN));
});

test("a sweep takes no key with a label that a window may still ask for", () => {
  const features = [{ kind: "window", name: "frauds", key: ["c"], over: "frauds", window: "1d" }];
  const plan = compileSpec(checkSpec({ name: "s", version: 1, features }));
  const state = newState(plan, { keysMax: 8 });
  state.learn(transaction("first", START, { c: "a" }));
  state.learn(transaction("silent", START, { c: "silent" }));
  // Too late to be learned itself, known as a fraud all the same.
  state.learn(transaction("far", START + 20 * HOUR_MS, { c: "b" }));
  const lost = transaction("lost", START + 10 * HOUR_MS, { c: "a" });
  expect(state.learn(lost)).toBe("too-late");
  state.learnLabel({ transaction: lost, fraud: true, knownAt: START + 11 * HOUR_MS });
  for (let i = 0; i < 6; i++) state.learn(transaction(`t${i}`, START + 30 * HOUR_MS, { c: `other ${i}` }));
  expect(state.stats().keys).toBeLessThanOrEqual(8);
  expect(encode(state, plan, transaction("now", START + 31 * HOUR_MS, { c: "a" }))).toEqual(Float32Array.of(1));
});

test("what is dated ahead of the clock is learned, and makes nothing too late that would not have been", () => {
  fc.assert(
    fc.property(specArbitrary, arrivalsArbitrary, (spec, events) => {
      const plan = compileSpec(spec);
      const state = newState(plan, QUIET);
      const honest = newState(plan, QUIET);
      let newest = Number.NEGATIVE_INFINITY;
      for (const event of events) {
        if (event.kind === "label") continue;
        const { transaction: tx, receivedAt = 0 } = event;
        const before = state.counts.tooLate;
        const [learned, truly] = [state.learn(tx, receivedAt), honest.learn({ ...tx, time: receivedAt })];
        if (truly === "learned") newest = Math.max(newest, receivedAt);
        expect(state.watermark).toBe(newest);
        // A wrong date ahead is never too late itself; everybody else fares as if that date had been right.
        if (tx.time === receivedAt) expect(learned).toBe(truly);
        else expect(state.counts.tooLate).toBe(tx.time < newest - LATENESS_MS ? before + 1 : before);
      }
    }),
    { numRuns: 300 },
  );
});

test("a payment dated 23 hours ahead is seen by the windows at its own time, and by none before", () => {
  const spec = checkSpec({
    name: "ahead",
    version: 1,
    features: [{ kind: "window", name: "n_1d", key: ["customer"], over: "transactions", window: "1d" }],
  });
  const plan = compileSpec(spec);
  const state = newState(plan, {});
  const at = (id: string, hours: number) => transaction(id, START + hours * HOUR_MS, { customer: "a" });
  const counts: number[] = [];
  for (const [id, hours] of [
    ["a", 0],
    ["ahead", 23],
    ["b", 0.5],
    ["c", 1],
    ["d", 23.5],
  ] as const) {
    counts.push(encode(state, plan, at(id, hours))[0]);
    expect(state.learn(at(id, hours), START + (id === "ahead" ? 0 : hours) * HOUR_MS)).toBe("learned");
    expect(FeatureState.restore(state.snapshot()).watermark).toBe(state.watermark);
  }
  expect(counts).toEqual([1, 2, 2, 3, 5]);
});
