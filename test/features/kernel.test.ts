// The reading kernel against the reader without it: the same bits, whatever a key's run is like.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import { encode, learnArrival } from "../../src/features/encode.ts";
import { KERNEL_ENTRIES_MAX, readKernel } from "../../src/features/kernel.ts";
import { compileSpec, type FeaturePlan, layoutOf } from "../../src/features/plan.ts";
import { KeyReader } from "../../src/features/read.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState, keyText } from "../../src/features/state.ts";
import { LATENESS_MS, START, specArbitrary, streamArbitrary, transaction } from "./streams.ts";

const reader = new KeyReader();
const kernel = readKernel();

/** The key's features as the state's reader and kernel give them, and as a reader gives them that writes where the kernel does not. */
function bothWays(state: FeatureState, plan: FeaturePlan, tx: Transaction, k: number): [Buffer, Buffer] {
  const { series, places } = state.bind(plan);
  const table = state.tables[series[k]];
  const text = keyText(table.need.key, tx);
  const slot = text === null ? -2 : table.find(text);
  const values = Float64Array.from(table.need.columns, (name) => {
    const value = tx.fields[name];
    return typeof value === "number" && Number.isFinite(value) ? value : Number.NaN;
  });
  const late = tx.time < state.watermark - state.limits.latenessMs;
  const lateAt = late ? state.watermark : Number.NEGATIVE_INFINITY;
  const event = { time: Math.floor(tx.time), values, learned: state.ids.has(tx.id), lateAt };
  const steps = plan.steps.keys[k];
  const bits = (out: Float64Array): Buffer => {
    places[k].slot = slot;
    reader.read(steps, places[k], event, out);
    return Buffer.from(Float64Array.from(steps.features, (feature) => out[feature]).buffer);
  };
  return [bits(kernel.values), bits(new Float64Array(plan.steps.values))];
}

test("every value of every key has the bits that the reader computes without the kernel", () => {
  let compared = 0;
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, fc.boolean(), (spec, events, isBusy) => {
      const plan = compileSpec(spec);
      const limits = isBusy ? { tileEvents: 2, tileMs: 6 * HOUR_MS } : {};
      const state = new FeatureState(layoutOf([plan]), { latenessMs: LATENESS_MS, ...limits });
      for (const event of events) {
        for (let k = 0; k < plan.series.length; k++) {
          const [ours, plain] = bothWays(state, plan, event.transaction, k);
          expect(ours.equals(plain)).toBe(true);
          compared++;
        }
        learnArrival(state, event);
      }
    }),
    { numRuns: 150 },
  );
  expect(compared).toBeGreaterThan(1000);
});

const LONG = checkSpec({
  name: "long",
  version: 1,
  features: [
    ...["count", "sum", "mean", "std", "min", "max"].map((aggregate) => ({
      kind: "window",
      name: `f_${aggregate}`,
      key: ["c"],
      over: "amount",
      aggregate,
      window: "1d",
    })),
    { kind: "multiple", name: "m", key: ["c"], over: "amount", times: 1.5, window: "1h", usual: "5h" },
    { kind: "elapsed", name: "first", key: ["c"], since: "first-transaction", within: "1d", unit: "seconds" },
  ],
});

test("a run as long as the kernel takes, and a longer one, are read alike", () => {
  const plan = compileSpec(LONG);
  const state = new FeatureState(layoutOf([plan]), { tileEvents: 10_000 });
  const amounts: number[] = [];
  for (let i = 0; i < KERNEL_ENTRIES_MAX + 40; i++) {
    const tx = transaction(`t${i}`, START + i * 1000, { c: "shop", amount: ((i * 7919) % 1009) / 8 });
    if (i > KERNEL_ENTRIES_MAX - 20) {
      const [ours, plain] = bothWays(state, plan, tx, 0);
      expect(ours.equals(plain)).toBe(true);
      const all = [...amounts, tx.fields.amount as number];
      // Eighths: their sum is exact.
      expect([...encode(state, plan, tx)].slice(0, 2)).toEqual([all.length, Math.fround(all.reduce((a, b) => a + b))]);
    }
    state.learn(tx);
    amounts.push(tx.fields.amount as number);
  }
});

test("more programs than the kernel has room for are written anew", () => {
  const state = new FeatureState(layoutOf([compileSpec(LONG)]));
  const tx = transaction("t", START, { c: "shop", amount: 5 });
  const wanted = encode(state, compileSpec(LONG), tx);
  // Each plan's program takes about half a kilobyte of the megabyte.
  for (let i = 0; i < 3000; i++) expect(encode(state, compileSpec(LONG), tx)).toEqual(wanted);
});
