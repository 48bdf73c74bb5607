// Distinct values: the set against JavaScript's own, and identities that tell texts apart.
import fc from "fast-check";
import { declareColumns } from "sentinel-fraud";
import { expect, test } from "vitest";
import { DistinctSet, identityOf } from "../../src/features/distinct.ts";
import { encodeAndLearn } from "../../src/features/encode.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { FeatureState } from "../../src/features/state.ts";
import { START, transaction } from "./streams.ts";

test("counts what a Set counts, round after round, grown or not", () => {
  const set = new DistinctSet();
  const value = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 53 - 1 }), fc.constant(NaN));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 400, size: "max" }), (values) => {
      set.clear();
      set.addRun(Float64Array.from(values), 0, values.length);
      const model = new Set(values.filter((one) => !Number.isNaN(one)));
      expect(set.size).toBe(model.size);
      for (const one of model) expect(set.has(one)).toBe(true);
      expect(set.has(-1)).toBe(false);
    }),
  );
});

test("different texts have different identities, whole numbers of 53 bits", () => {
  const texts = Array.from({ length: 200_000 }, (_, i) => `terminal ${i}`);
  const identities = texts.map(identityOf);
  expect(new Set(identities).size).toBe(texts.length);
  expect(identities.every(Number.isSafeInteger)).toBe(true);
  expect(identityOf(null)).toBeNaN();
  // Low bits of FNV-1a 64 of "a": 0xaf63dc4c8601ec8c.
  expect(BigInt(identityOf("a"))).toBe(0xaf63dc4c8601ec8cn & ((1n << 53n) - 1n));
});

test("terminals of a customer in a week, numbers and texts alike; those of a busy hour beyond the tile are left out", () => {
  const f = declareColumns({ customer: "key", terminal: "key" });
  const week = { key: "customer", over: "terminal", aggregate: "distinct", window: "7d" } as const;
  const features = [f.window("terminals_7d", week), f.window("terminals_before_7d", { ...week, current: false })];
  const plan = compileSpec(f.spec({ name: "s", version: 1, features }));
  const state = new FeatureState(layoutOf([plan]), { tileEvents: 3 });
  const seen = [1, "1", 2, null, 3, 4].map((terminal, i) => [
    ...encodeAndLearn(state, plan, transaction(`t${i}`, START + i, { customer: "a", terminal })).vector,
  ]);
  expect(seen.slice(0, 4)).toEqual([
    [1, 0],
    [1, 1],
    [2, 1],
    [2, 2],
  ]);
  expect(seen[5]).toEqual([3, 2]);
});
