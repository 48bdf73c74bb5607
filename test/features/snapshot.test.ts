// Snapshots: damage of any kind is found before a state is used.
import fc from "fast-check";
import { expect, test } from "vitest";
import { joined } from "../../src/core/bytes.ts";
import { HOUR_MS } from "../../src/core/duration.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { snapshotInSlices } from "../../src/features/snapshot.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { LATENESS_MS, START, specArbitrary, streamArbitrary, transaction } from "./streams.ts";

const features = [{ kind: "window", name: "n", key: ["c"], over: "amount", aggregate: "mean", window: "1d" }];

function snapshot(): Uint8Array {
  const state = new FeatureState(layoutOf([compileSpec(checkSpec({ name: "s", version: 1, features }))]));
  for (const c of ["a", "__proto__", "\ud800", ""]) state.learn(transaction(c, START, { c, amount: 3 }));
  return state.snapshot();
}

function codeOf(bytes: Uint8Array): string {
  try {
    FeatureState.restore(bytes);
  } catch (error) {
    return error instanceof SentinelError ? error.code : String(error);
  }
  return "restored";
}

test("every flipped byte and every cut is found", () => {
  const bytes = snapshot();
  expect(codeOf(bytes)).toBe("restored");
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] ^= 0x10;
    expect(codeOf(damaged)).toBe("state.corrupt");
  }
  for (let length = 0; length < bytes.length; length += 7)
    expect(codeOf(bytes.subarray(0, length))).toBe("state.corrupt");
  expect(codeOf(new TextEncoder().encode("not a snapshot of anything, but long enough to have a checksum"))).toBe(
    "state.corrupt",
  );
});

test("a snapshot may lie anywhere in memory", () => {
  const bytes = snapshot();
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(FeatureState.restore(shifted.subarray(3)).stats()).toMatchObject({ keys: 4, events: 4, learned: 4 });
});

test("a snapshot in slices is the state at its first step, whatever is learned between them", () => {
  const limits = { latenessMs: LATENESS_MS, tileEvents: 2, tileMs: 6 * HOUR_MS, keysMax: 4, idsMax: 6 };
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, fc.nat(), (spec, events, at) => {
      const state = new FeatureState(layoutOf([compileSpec(spec)]), limits);
      const learn = (event: (typeof events)[number]): void => {
        if (event.kind === "label") state.learnLabel(event);
        else state.learn(event.transaction);
      };
      const from = at % (events.length + 1);
      events.slice(0, from).forEach(learn);
      const whole = state.snapshot();
      const slices = snapshotInSlices(state, 1);
      let step = slices.next();
      for (const event of events.slice(from)) {
        learn(event);
        if (!step.done) step = slices.next();
      }
      while (!step.done) step = slices.next();
      expect(Buffer.compare(joined(step.value), whole)).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test("a snapshot that is given up watches nothing any more", () => {
  const state = new FeatureState(layoutOf([compileSpec(checkSpec({ name: "s", version: 1, features }))]));
  for (const c of ["a", "b"]) state.learn(transaction(c, START, { c, amount: 3 }));
  const slices = snapshotInSlices(state, 1);
  slices.next();
  expect(state.tables.every(({ watch }) => watch !== null)).toBe(true);
  slices.return([]);
  expect(state.tables.every(({ watch }) => watch === null)).toBe(true);
});
