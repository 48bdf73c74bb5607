// Promote and rollback: the verdicts, who follows the champion, and what the journal keeps.
import { afterEach, beforeEach, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { promote, reportOf, rollback } from "../../src/lifecycle/promote.ts";
import type { loadVersion, Scorer } from "../../src/online/score.ts";
import { prediction, shadowed, version } from "./records.ts";
import { emptyPlace, type Place, START } from "./world.ts";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
});
afterEach(() => place.close());

const MODEL = "card-fraud";
const input = (to: string | null, forced: string | null = null) => ({
  pipeline: place.pipeline,
  to,
  actor: "tester",
  forced,
  seed: 1,
  load: served,
});
/** The versions of these tests are no models. */
const served: typeof loadVersion = async () => ({}) as Scorer;
const back = (to: string | null = null) =>
  rollback(place.ports, { pipeline: place.pipeline, to, actor: "tester", reason: "worse", load: served });
const aliases = async () => (await place.ports.registry()).aliases(MODEL);

async function candidate(number: string): Promise<void> {
  const registry = await place.ports.registry();
  const from = (await registry.aliases(MODEL)).candidate ?? null;
  await registry.moveAlias({
    model: MODEL,
    alias: "candidate",
    from,
    to: number,
    entry: { at: START, actor: "tester", verb: "train", verdict: "pass", evidence: "", reason: "made" },
  });
}

/** Versions 1 … count, the first of them champion. */
async function reign(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await version(place.ports, MODEL);
  expect((await promote(place.ports, input("1"))).moved).toBe(true);
}

test("the first champion needs its own gates and nobody to beat", async () => {
  await version(place.ports, MODEL, { training: "fail", logic: "pass" });
  await version(place.ports, MODEL);
  expect(await promote(place.ports, input("1"))).toMatchObject({
    moved: false,
    verdict: {
      verdict: "REJECT",
      reasons: [
        expect.stringMatching(/^training gate: the version failed it when it was made: it was asked whether it/),
      ],
    },
  });
  await candidate("2");
  expect(await promote(place.ports, input(null))).toMatchObject({ moved: true, from: null, to: "2", report: null });
  expect(await aliases()).toEqual({ champion: "2" });
});

test("without shadow traffic: HOLD, saying how many frauds are needed", async () => {
  await reign(2);
  const { moved, verdict } = await promote(place.ports, input("2"));
  expect(moved).toBe(false);
  expect(verdict.verdict).toBe("HOLD");
  expect(verdict.reasons.join("\n")).toMatch(/matured frauds: 0 of 50, 50 more are needed/);
  expect(await aliases()).toEqual({ champion: "1" });
});

test("a candidate as good is promoted on its evidence, and the old champion shadows on", async () => {
  await reign(2);
  await candidate("2");
  await shadowed(place.ports, { champion: "1", candidate: "2", skill: { champion: 0.8, candidate: 0.95 } });
  const result = await promote(place.ports, input(null));
  expect(result.verdict.reasons.join("\n")).not.toMatch(/undefined|NaN/);
  expect(result, result.verdict.reasons.join("\n")).toMatchObject({
    moved: true,
    from: "1",
    to: "2",
    verdict: { verdict: "PROMOTE" },
  });
  expect(result.report?.pairs).toBe(4000);
  expect(result.journal).toMatchObject({ verb: "promote", verdict: "PROMOTE", actor: "tester" });
  expect(result.journal?.evidence).toMatch(/^[0-9a-f]{64}$/);
  expect(await aliases()).toEqual({ champion: "2", previous: "1" });
});

test("a worse candidate is rejected, and shadows of another champion's reign count for nothing", async () => {
  await reign(3);
  await shadowed(place.ports, { champion: "1", candidate: "2", skill: { champion: 0.95, candidate: 0.3 } });
  const worse = await promote(place.ports, input("2"));
  expect(worse).toMatchObject({ moved: false, verdict: { verdict: "REJECT" } });
  await shadowed(place.ports, { champion: "2", candidate: "3", skill: { champion: 0.3, candidate: 0.95 } });
  expect(await promote(place.ports, input("3"))).toMatchObject({
    moved: false,
    verdict: { verdict: "HOLD" },
    report: { pairs: 0 },
  });
});

test("forced, the no is kept as FORCED with the reason; where it was a yes, force changes nothing", async () => {
  await version(place.ports, MODEL);
  const first = await promote(place.ports, input("1", "in a hurry"));
  expect(first.journal).toMatchObject({ verdict: "PROMOTE" });
  expect(first.journal?.reason).not.toMatch(/hurry/);
  await version(place.ports, MODEL);
  const second = await promote(place.ports, input("2", "in a hurry"));
  expect(second).toMatchObject({
    moved: true,
    verdict: { verdict: "HOLD" },
    journal: { verdict: "FORCED", reason: "in a hurry" },
  });
});

test("a dry run says what the gate says and writes nothing", async () => {
  await reign(2);
  await candidate("2");
  await shadowed(place.ports, { champion: "1", candidate: "2", skill: { champion: 0.8, candidate: 0.95 } });
  const registry = await place.ports.registry();
  const before = { aliases: await aliases(), journal: await registry.journal(MODEL) };
  const dry = await promote(place.ports, { ...input(null), dryRun: true });
  expect(dry).toMatchObject({ moved: false, journal: null, from: "1", to: "2", verdict: { verdict: "PROMOTE" } });
  expect({ aliases: await aliases(), journal: await registry.journal(MODEL) }).toEqual(before);
  const wet = await promote(place.ports, input(null));
  expect(wet.verdict).toEqual(dry.verdict);
  expect(wet.moved).toBe(true);
});

test("the present champion is promoted by doing nothing", async () => {
  await reign(1);
  const entries = (await (await place.ports.registry()).journal(MODEL)).length;
  expect(await promote(place.ports, input("1"))).toMatchObject({ moved: false, from: "1", to: "1" });
  expect(await (await place.ports.registry()).journal(MODEL)).toHaveLength(entries);
});

test("each rollback goes one champion further back, until there is none", async () => {
  await reign(3);
  for (const to of ["2", "3"]) await promote(place.ports, input(to, "a test"));
  expect(await back()).toMatchObject({ from: "3", to: "2" });
  expect(await aliases()).toEqual({ champion: "2", previous: "3" });
  expect(await back()).toMatchObject({ from: "2", to: "1" });
  await expect(back()).rejects.toMatchObject({ code: "registry.version-unknown" });
  // Promoted again, it can be rolled back again, to the one it replaced.
  await promote(place.ports, input("3", "a test"));
  expect(await back()).toMatchObject({ from: "3", to: "1" });
  expect(await back("2")).toMatchObject({ from: "1", to: "2" });
  const journal = await (await place.ports.registry()).journal(MODEL);
  expect(verifyJournal(journal)).toMatchObject({ ok: true });
});

test("a rollback without a champion, to itself or to nowhere is refused", async () => {
  await expect(back()).rejects.toMatchObject({ code: "lifecycle.no-champion" });
  await expect(promote(place.ports, input(null))).rejects.toMatchObject({ code: "lifecycle.no-candidate" });
  await reign(1);
  await expect(back("1")).rejects.toMatchObject({ code: "registry.version-unknown" });
  await expect(back("9")).rejects.toMatchObject({ code: "registry.version-unknown" });
  await expect(promote(place.ports, input("9", "a test"))).rejects.toMatchObject({ code: "registry.version-unknown" });
});

test("a version that never was champion is not rolled back to: that would be a promotion without a gate", async () => {
  await reign(3);
  expect((await promote(place.ports, input("2", "a test"))).moved).toBe(true);
  await expect(back("3")).rejects.toMatchObject({
    code: "registry.version-unknown",
    message: "version 3 of card-fraud was never champion",
  });
  expect((await aliases()).champion).toBe("2");
  expect(await back("1")).toMatchObject({ from: "2", to: "1" });
});

test("what cannot be loaded, or failed the logic gate, is not promoted, forced or not, and not rolled back to", async () => {
  await version(place.ports, MODEL);
  await version(place.ports, MODEL, { training: "pass", logic: "fail" });
  await version(place.ports, MODEL);
  const { load: _, ...plain } = input("1", "we need it now");
  const refused = await promote(place.ports, plain);
  expect(refused).toMatchObject({ moved: false, overridable: false, verdict: { verdict: "REJECT" } });
  expect(refused.verdict.reasons.join("\n")).toMatch(/version 1 cannot be served, and nothing overrides that: /);
  expect(await promote(place.ports, input("2", "we need it now"))).toMatchObject({ moved: false, overridable: false });
  expect(await aliases()).toEqual({});
  // A registry that does not answer says nothing about the version.
  const away: typeof loadVersion = () =>
    Promise.reject(new SentinelError("registry.unreachable", "the registry does not answer", { hint: "wait" }));
  await expect(promote(place.ports, { ...plain, load: away })).rejects.toMatchObject({ code: "registry.unreachable" });
  for (const to of ["1", "3"]) expect((await promote(place.ports, input(to, "a test"))).moved).toBe(true);
  const gone = rollback(place.ports, { pipeline: place.pipeline, to: "1", actor: "tester", reason: "worse" });
  await expect(gone).rejects.toMatchObject({ code: expect.stringMatching(/^(bundle|registry)\./) });
  expect((await aliases()).champion).toBe("3");
});

test("shadow evidence is resampled by the pipeline's own card, with the pipeline's own amount", async () => {
  const columns = { ...place.pipeline.columns, card: "terminal_id", amount: "total" };
  const pipeline = { ...place.pipeline, columns };
  const log = await place.ports.log();
  const side = (version: string) => ({ version, score: 0.1, decision: "approve" as const });
  for (let i = 0; i < 40; i++) {
    const transactionId = `p${i}`;
    log.appendPrediction(
      prediction({ transactionId, fields: { total: 7, customer_id: `c${i}`, terminal_id: `t${i % 4}` } }),
    );
    const shadow = { bundle: "b2", latencyMs: 1, championLatencyMs: 1, vectorHash: "" };
    log.appendShadow({ ...shadow, transactionId, time: START, champion: side("1"), candidate: side("2") });
  }
  await log.flush();
  const report = await reportOf(place.ports, pipeline, { version: "2", championVersion: "1", seed: 1, now: null });
  expect(report).toMatchObject({ pairs: 40, cards: 4 });
});

test("the rules are those that were written when the version was registered; a margin moved later is said and does nothing", async () => {
  await reign(1);
  const rules = { ...place.pipeline.gates.promotion, mode: "superiority" };
  await version(place.ports, MODEL, undefined, { "sentinel.promotion_rules": JSON.stringify(rules) });
  await shadowed(place.ports, { champion: "1", candidate: "2", skill: { champion: 0.9, candidate: 0.9 } });
  // As the pipeline says it today, anything passes.
  const gates = { ...place.pipeline.gates, promotion: { ...place.pipeline.gates.promotion, margin: 0.9 } };
  const pipeline = { ...place.pipeline, gates };
  const held = await promote(place.ports, { ...input("2"), pipeline });
  expect(held).toMatchObject({ moved: false, verdict: { verdict: "HOLD" } });
  const rule = held.verdict.checks.find(({ name }) => name === "rules");
  expect(rule?.observed).toMatch(
    /judged by mode superiority, margin 0\.02, .* the pipeline says mode non-inferiority, margin 0\.9 now/,
  );
  const forced = await promote(place.ports, { ...input("2", "a test"), pipeline });
  const evidence = await (await place.ports.registry()).evidence(MODEL, forced.journal?.evidence ?? "");
  expect(JSON.parse(evidence ?? "").policy).toMatchObject({ mode: "superiority", margin: 0.02, gain: 0.02 });
});
