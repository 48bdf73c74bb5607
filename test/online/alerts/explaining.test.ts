// Reasons of alerts: those that an explained answer gives, from a thread that no alert waits for longer than it may.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Explaining, type ModelReasons } from "../../../src/online/alerts/explaining.ts";
import { explainVector, reasonsOf } from "../../../src/online/explain.ts";
import { loadScorer, type Scorer } from "../../../src/online/score.ts";
import type { PredictionDraft } from "../../../src/online/states.ts";
import { prediction } from "../../drivers/records.ts";
import { makeBundle, SPEC_A } from "../../server/world.ts";

let scorers: readonly Scorer[];
beforeAll(() => {
  scorers = [1, 2].map((seed) => loadScorer(makeBundle(SPEC_A, seed), { model: "card-fraud", version: String(seed) }));
});

const stops: Explaining[] = [];
afterAll(async () => {
  for (const one of stops) await one.stop();
});

function explaining(more: Partial<ConstructorParameters<typeof Explaining>[0]> = {}) {
  const faults: string[] = [];
  const one = new Explaining({
    scorerOf: async ({ bundle }) => scorers.find((scorer) => scorer.bundle === bundle)!,
    elapsed: () => performance.now(),
    onFault: (message) => void faults.push(message),
    ...more,
  });
  stops.push(one);
  return { one, faults };
}

const flagged = (scorer: Scorer, amount: number, version = scorer.version): PredictionDraft =>
  prediction(`t${amount}`, {
    bundle: scorer.bundle,
    version,
    vector: Float32Array.from(scorer.plan.names, (_, at) => (at === 0 ? amount : at)),
  });
const codes = (all: readonly ModelReasons[]) =>
  all.map((one) => ("reasons_absent" in one ? one.reasons_absent.code : ""));

test("each draft has the reasons of its own bundle, in its place", async () => {
  const { one, faults } = explaining();
  const drafts = [250, 20, 290, 5].map((amount, at) => flagged(scorers[at % 2], amount));
  const expected = drafts.map(({ bundle, vector }) => {
    const scorer = scorers.find((candidate) => candidate.bundle === bundle)!;
    return { reasons: reasonsOf(scorer, explainVector(scorer, vector)) };
  });
  expect(expected[0].reasons.length).toBeGreaterThan(0);
  expect(await one.reasonsOf(drafts)).toEqual(expected);
  // The second time the thread has the bundles already.
  expect(await one.reasonsOf(drafts.slice(2))).toEqual(expected.slice(2));
  expect(faults).toEqual([]);
});

test("a bundle that is gone, a thread that hangs, one that dies: no reasons, with why, and a rest before the next try", async () => {
  const gone = explaining({ scorerOf: () => Promise.reject(new Error("it is gone")) });
  expect(codes(await gone.one.reasonsOf([flagged(scorers[0], 1)]))).toEqual(["bundle-gone"]);
  let now = 0;
  const module = new URL("./misbehaving.mjs", import.meta.url);
  const { one, faults } = explaining({ module, batchMsMax: 50, elapsed: () => now });
  expect(codes(await one.reasonsOf([flagged(scorers[0], 1), flagged(scorers[0], 2)]))).toEqual([
    "too-slow",
    "too-slow",
  ]);
  expect(faults).toEqual(["reasons of alerts took too long"]);
  expect(codes(await one.reasonsOf([flagged(scorers[0], 3)]))).toEqual(["too-slow"]);
  expect(faults).toHaveLength(1);
  now = 20_000;
  const dying = { ...scorers[0], version: "dies" };
  const other = explaining({ module, scorerOf: async () => dying, batchMsMax: 60_000 });
  expect(codes(await other.one.reasonsOf([flagged(scorers[0], 1)]))).toEqual(["failed"]);
  expect(other.faults).toEqual([expect.stringContaining("left with code 3")]);
});
