// Keys as bytes: a state taken apart and put together again is the same one, and damage is found.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { keysOfState } from "../../src/features/excerpt.ts";
import { decodeKey } from "../../src/features/key-blob.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { LATENESS_MS, START, specArbitrary, streamArbitrary, transaction } from "./streams.ts";

const BUSY = { latenessMs: LATENESS_MS, tileEvents: 2, tileMs: 6 * HOUR_MS };

test("a state whose keys were all bytes for a while answers as before", () => {
  fc.assert(
    fc.property(specArbitrary, streamArbitrary, (spec, events) => {
      const plan = compileSpec(spec);
      const whole = new FeatureState(layoutOf([plan]), BUSY);
      for (const event of events) {
        if (event.kind === "label") whole.learnLabel(event);
        else whole.learn(event.transaction);
      }
      const other = new FeatureState(layoutOf([plan]), BUSY);
      other.watermark = whole.watermark;
      other.ids.load(whole.ids.dump());
      for (const { series, text, blob } of keysOfState(whole)) {
        // From an odd place in memory, as a network gives them.
        const shifted = new Uint8Array(blob.length + 3);
        shifted.set(blob, 3);
        decodeKey(other.tables[series], text, shifted.subarray(3));
      }
      for (const { transaction: tx } of events) {
        const [a, b] = [whole, other].map((state) => {
          const vector = new Float32Array(plan.width);
          state.read(plan, tx, vector);
          return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("hex");
        });
        expect(b).toBe(a);
      }
      expect([...keysOfState(other)]).toEqual([...keysOfState(whole)]);
    }),
    { numRuns: 80 },
  );
});

test("bytes that are cut, too long or of another format are refused", () => {
  const features = [{ kind: "window", name: "n", key: ["c"], over: "amount", aggregate: "mean", window: "1d" }];
  const layout = layoutOf([compileSpec(checkSpec({ name: "s", version: 1, features }))]);
  const state = new FeatureState(layout);
  for (let i = 0; i < 5; i++) state.learn(transaction(`t${i}`, START + i, { c: "a", amount: i }));
  const [{ blob }] = [...keysOfState(state)];
  const codeOf = (bytes: Uint8Array): string => {
    try {
      decodeKey(new FeatureState(layout).tables[0], "a", bytes);
      return "taken";
    } catch (error) {
      return error instanceof SentinelError ? error.code : String(error);
    }
  };
  expect(codeOf(blob)).toBe("taken");
  for (let length = 0; length < blob.length; length++) expect(codeOf(blob.subarray(0, length))).toBe("state.corrupt");
  expect(codeOf(Buffer.concat([blob, Buffer.alloc(1)]))).toBe("state.corrupt");
  const other = blob.slice();
  other[0] ^= 0x80;
  expect(codeOf(other)).toBe("state.corrupt");
  // A length that lies.
  const lying = blob.slice();
  lying.fill(0xff, 9, 13);
  expect(codeOf(lying)).toBe("state.corrupt");
});
