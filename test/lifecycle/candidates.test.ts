// A better, an equal, a worse, a broken and a too fresh candidate, from the log to the verdict, and the watch over whoever was promoted.
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { canonicalJson, sha256 } from "../../src/core/hash.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { verdictOf } from "../../src/core/verdict.ts";
import { type PromoteResult, promote } from "../../src/lifecycle/promote.ts";
import { type WatchRound, watch } from "../../src/lifecycle/watch.ts";
import type { loadVersion, Scorer } from "../../src/online/score.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import { shadowed, version } from "./records.ts";
import { emptyPlace, type Place } from "./world.ts";

const MODEL = "card-fraud";
let place: Place;
let pipeline: Pipeline;
/** The versions of these tests are no models. */
const load: typeof loadVersion = async () => ({}) as Scorer;
const ask = (to: string): Promise<PromoteResult> =>
  promote(place.ports, { pipeline, to, actor: "risk", forced: null, seed: 1, load });
const registry = () => place.ports.registry();

beforeAll(async () => {
  place = await emptyPlace();
  const { gates } = place.pipeline;
  pipeline = {
    ...place.pipeline,
    gates: {
      ...gates,
      promotion: { ...gates.promotion, mode: "superiority", resamples: 200 },
      rollback: { automatic: true, pairsMin: 1000 },
    },
  };
  await version(place.ports, MODEL);
  expect((await ask("1")).moved).toBe(true);
  for (let i = 0; i < 3; i++) await version(place.ports, MODEL);
  await broken(SLOW);
  await version(place.ports, MODEL);
  await version(place.ports, MODEL, { training: "pass", logic: "fail" });
  const champion = "1";
  await shadowed(place.ports, { champion, candidate: "2", skill: { champion: 0.8, candidate: 0.97 } });
  await shadowed(place.ports, { champion, candidate: "3", skill: { champion: 0.8, candidate: 0.8 } });
  await shadowed(place.ports, { champion, candidate: "4", skill: { champion: 0.95, candidate: 0.4 } });
  await shadowed(place.ports, { champion, candidate: "5", skill: { champion: 0.8, candidate: 0.97 } });
  await shadowed(place.ports, { champion, candidate: "6", skill: { champion: 0.8, candidate: 0.97 }, days: 9 });
});
afterAll(() => place.close());

const SLOW = "latency p99: scoring takes too long to answer a payment in time (61.000 ms; required: at most 5 ms)";

/** A version whose training left a document in the journal, with what its logic gate said. */
async function broken(reason: string): Promise<void> {
  const check = { name: "latency p99", passed: false, observed: "61.000 ms", required: "at most 5 ms", reason };
  const document = canonicalJson({ verdicts: [verdictOf("training", []), verdictOf("logic", [check])] });
  const evidence = sha256(document);
  const gates = { training: "pass", logic: "fail" };
  const { version: to } = await version(place.ports, MODEL, gates, { "sentinel.evidence": evidence });
  const entry = { at: 0, actor: "trainer", verb: "train", verdict: "pass", evidence, reason: "by hand" } as const;
  const alias = "candidate-slow";
  await (await registry()).moveAlias({ model: MODEL, alias, from: null, to, entry, document });
  await (await registry()).moveAlias({ model: MODEL, alias, from: to, to: null, entry: { ...entry, evidence: "" } });
}

test("equal: HOLD, with what is known, what is asked, and how much longer it takes", async () => {
  const { verdict, moved } = await ask("3");
  expect([verdict.verdict, moved]).toEqual(["HOLD", false]);
  expect(verdict.reasons.join("\n")).toMatch(
    /average precision: undecided: champion 0\.\d+, candidate 0\.\d+, difference .* 95 % sure however often one looks\); the candidate has to be better; about \d+ more labelled frauds are needed \(some \d+ days at the present rate\)/,
  );
});

test("worse: REJECT, saying in which figure and by how much", async () => {
  const { verdict, moved } = await ask("4");
  expect([verdict.verdict, moved]).toEqual(["REJECT", false]);
  expect(verdict.reasons[0]).toMatch(/^average precision: the candidate is worse: champion 0\.9\d*, candidate 0\.\d+/);
});

test("broken: REJECT by the logic gate, however good its figures are, and force does not help", async () => {
  const { verdict, moved, overridable } = await ask("5");
  expect([verdict.verdict, moved, overridable]).toEqual(["REJECT", false, false]);
  expect(verdict.reasons[0]).toBe(
    `logic gate: the version failed it when it was made, and nothing overrides that: ${SLOW}`,
  );
});

test("broken, and nobody kept why: the reason says what was asked, and what to do", async () => {
  const { verdict, moved, overridable } = await ask("7");
  expect([verdict.verdict, moved, overridable]).toEqual(["REJECT", false, false]);
  expect(verdict.reasons[0]).toMatch(
    /^logic gate: the version failed it .*nothing overrides that: it was asked whether it answers as its training saw it.*; which check said no is not kept beside it, so train again/,
  );
});

test("too fresh: HOLD, saying how many frauds and days are missing", async () => {
  const { verdict, moved } = await ask("6");
  expect([verdict.verdict, moved]).toEqual(["HOLD", false]);
  expect(verdict.reasons.join("\n")).toMatch(
    /matured frauds: \d+ of 50, \d+ more are needed \(\d+ are maturing\), some \d+ days at the present rate/,
  );
  expect(verdict.reasons.join("\n")).toMatch(/matured days: [12]\.\d of 3, so it is too early to judge/);
});

test("better: PROMOTE, and the journal keeps the whole document: checks, rules and report", async () => {
  const { verdict, moved, journal } = await ask("2");
  expect([verdict.verdict, moved], verdict.reasons.join("\n")).toEqual(["PROMOTE", true]);
  const document = JSON.parse((await (await registry()).evidence(MODEL, journal!.evidence)) ?? "");
  expect(document).toMatchObject({
    from: "1",
    to: "2",
    verdict: { verdict: "PROMOTE" },
    policy: { mode: "superiority", margin: 0.02, recallAtFprMargin: 0.05 },
    report: { pairs: 4000, selection: { blocked: 0 }, metrics: { decisions: { frauds: { method: "mid-p" } } } },
  });
  expect(document.report.metrics.averagePrecision.anytimeLow).toBeGreaterThan(0);
});

test("watched: nothing while little is known, a pause of the registry passes, a broken champion is undone once, and watching goes on", async () => {
  const rounds: WatchRound[] = [];
  const down = new SentinelError("registry.unreachable", "nobody answers", { hint: "wait" });
  const { registry: open } = place.ports;
  let away = false;
  const ports = { ...place.ports, registry: () => (away ? Promise.reject(down) : open()) };
  const steps = [
    async () => {
      away = true;
    },
    async () => {
      away = false;
      await shadowed(place.ports, { champion: "2", candidate: "1", skill: { champion: 0.3, candidate: 0.95 } });
    },
    async () => {},
  ];
  const result = await watch(ports, {
    pipeline,
    actor: "watch",
    seed: 1,
    load,
    onRound: (round) => rounds.push(round),
    wait: async () => {
      const step = steps.shift();
      await step?.();
      return step !== undefined;
    },
  });
  expect(result).toEqual({ rounds: 4, moved: 1 });
  expect(rounds.map(({ guard, fault }) => guard?.moved ?? fault?.code)).toEqual([
    false,
    "registry.unreachable",
    true,
    false,
  ]);
  expect(rounds[2].guard?.journal).toMatchObject({ verdict: "BROKEN", actor: "watch", from: "2", to: "1" });
  expect(await (await registry()).aliases(MODEL)).toEqual({ champion: "1", previous: "2" });
  expect(verifyJournal(await (await registry()).journal(MODEL)).ok).toBe(true);
  await expect(
    watch(
      { ...ports, registry: () => Promise.reject(new SentinelError("registry.corrupt", "no", { hint: "ask" })) },
      { pipeline, actor: "watch", seed: 1, load, onRound: () => {}, wait: async () => true },
    ),
  ).rejects.toMatchObject({ code: "registry.corrupt" });
});
