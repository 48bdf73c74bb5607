// The automatic rollback: what breaks a guard rail, what does not, and that nothing moves where nobody asked for it.
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { promote, rollback } from "../../src/lifecycle/promote.ts";
import { rollbackIfBroken } from "../../src/lifecycle/rollback.ts";
import type { loadVersion, Scorer } from "../../src/online/score.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import { shadowed, version } from "./records.ts";
import { emptyPlace, type Place } from "./world.ts";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
});
afterEach(() => place.close());

const MODEL = "card-fraud";
const aliases = async () => (await place.ports.registry()).aliases(MODEL);
const journal = async () => (await place.ports.registry()).journal(MODEL);

async function forced(to: string): Promise<void> {
  const input = { pipeline: place.pipeline, to, actor: "tester", forced: "a test", seed: 1, load: served };
  expect((await promote(place.ports, input)).moved).toBe(true);
}

/** Version 2 replaced version 1, which shadows on. */
async function replaced(): Promise<void> {
  for (let i = 0; i < 2; i++) await version(place.ports, MODEL);
  await forced("1");
  await forced("2");
}

function watch(changes: Partial<Pipeline["gates"]["rollback"]> = { automatic: true }) {
  const { pipeline } = place;
  const gates = { ...pipeline.gates, rollback: { ...pipeline.gates.rollback, ...changes } };
  return rollbackIfBroken(place.ports, { pipeline: { ...pipeline, gates }, actor: "cron", seed: 1, load: served });
}

/** The versions of these tests are no models. */
const served: typeof loadVersion = async () => ({}) as Scorer;

const live = (champion: number, previous: number) =>
  shadowed(place.ports, { champion: "2", candidate: "1", skill: { champion, candidate: previous } });

test("a champion that finds far fewer frauds than the one before is rolled back, once, on evidence that is kept", async () => {
  await replaced();
  await live(0.3, 0.95);
  const before = (await journal()).length;
  const result = await watch();
  expect(result, result.verdict.reasons.join("\n")).toMatchObject({
    moved: true,
    from: "2",
    to: "1",
    verdict: { gate: "rollback", verdict: "fail" },
    journal: { verb: "rollback", verdict: "BROKEN", actor: "cron", alias: "champion", from: "2", to: "1" },
  });
  expect(result.verdict.reasons.join("\n")).toMatch(/the candidate is worse/);
  expect(result.journal?.reason).toMatch(/^version 2 as a candidate against version 1: /);
  expect(await aliases()).toEqual({ champion: "1", previous: "2" });
  expect(await journal()).toHaveLength(before + 1);
  expect(verifyJournal(await journal()).ok).toBe(true);
  const evidence = result.journal?.evidence ?? "";
  const document = (await (await place.ports.registry()).evidence(MODEL, evidence)) ?? "";
  expect(sha256(document)).toBe(evidence);
  expect(JSON.parse(document)).toMatchObject({
    from: "2",
    to: "1",
    verdict: { verdict: "fail" },
    report: { pairs: 4000 },
  });
  // The one it went back to came by a rollback: nothing undoes that by itself.
  expect(await watch()).toMatchObject({ moved: false, verdict: { verdict: "pass" }, to: null });
  expect(await journal()).toHaveLength(before + 1);
});

test("nothing moves to a version that cannot be loaded: the broken champion still answers", async () => {
  await replaced();
  await live(0.3, 0.95);
  const { pipeline } = place;
  const gates = { ...pipeline.gates, rollback: { automatic: true, pairsMin: 1000 } };
  const before = await journal();
  await expect(
    rollbackIfBroken(place.ports, { pipeline: { ...pipeline, gates }, actor: "cron", seed: 1 }),
  ).rejects.toMatchObject({ code: expect.stringMatching(/^(bundle|registry)\./) });
  expect(await aliases()).toEqual({ champion: "2", previous: "1" });
  expect(await journal()).toEqual(before);
});

test("it is off unless the pipeline says otherwise: the broken guard rail is told, and nothing moves", async () => {
  await replaced();
  await live(0.3, 0.95);
  expect(place.pipeline.gates.rollback.automatic).toBe(false);
  const before = await journal();
  expect(await watch({})).toMatchObject({ moved: false, verdict: { verdict: "fail" }, journal: null });
  expect(await aliases()).toEqual({ champion: "2", previous: "1" });
  expect(await journal()).toEqual(before);
});

test.each([
  ["as good", 0.9, 0.9],
  ["better", 0.95, 0.85],
])("a champion that is %s stays", async (_, champion, previous) => {
  await replaced();
  await live(champion, previous);
  const result = await watch();
  expect(result, result.verdict.reasons.join("\n")).toMatchObject({ moved: false, verdict: { verdict: "pass" } });
  expect(await aliases()).toEqual({ champion: "2", previous: "1" });
});

test("a flood of alerts is a broken guard rail without any label, and two versions do not replace each other for ever", async () => {
  await replaced();
  await live(0.95, 0.3);
  const result = await watch();
  expect(result).toMatchObject({ moved: true, to: "1", verdict: { verdict: "fail" } });
  expect(result.verdict.reasons).toEqual([expect.stringMatching(/^alert rate: /)]);
  // Seen from the other side, version 1 is now silent where version 2 alerts: that is no reason to go back again.
  await shadowed(place.ports, { champion: "1", candidate: "2", skill: { champion: 0.3, candidate: 0.95 } });
  expect(await watch()).toMatchObject({ moved: false, verdict: { verdict: "pass" } });
  expect(await aliases()).toEqual({ champion: "1", previous: "2" });
});

test("on too few pairs, or too small a share of the traffic, nothing is broken", async () => {
  await replaced();
  expect(await watch()).toMatchObject({ moved: false, verdict: { verdict: "pass" } });
  await live(0.3, 0.95);
  const few = await watch({ automatic: true, pairsMin: 4001 });
  expect(few).toMatchObject({ moved: false, verdict: { verdict: "pass" } });
  expect(few.verdict.reasons.join("\n")).toMatch(/pairs: 4000, required at least 4001/);
  const log = await place.ports.log();
  log.addCoverage("1", 0, { "queue-full": 4000 });
  await log.flush();
  const missed = await watch();
  expect(missed).toMatchObject({ moved: false, verdict: { verdict: "pass" } });
  expect(missed.verdict.reasons.join("\n")).toMatch(/coverage/);
});

test("nothing is undone where nothing was replaced, after a rollback, or in a second reign", async () => {
  await expect(watch()).rejects.toMatchObject({ code: "lifecycle.no-champion" });
  for (let i = 0; i < 2; i++) await version(place.ports, MODEL);
  await forced("1");
  expect((await watch()).verdict.reasons).toEqual([expect.stringMatching(/replaced no champion/)]);
  await forced("2");
  await live(0.3, 0.95);
  await rollback(place.ports, { pipeline: place.pipeline, to: null, actor: "tester", reason: "by hand", load: served });
  expect((await watch()).verdict.reasons).toEqual([expect.stringMatching(/by a rollback/)]);
  await forced("2");
  expect((await watch()).verdict.reasons).toEqual([expect.stringMatching(/was champion before/)]);
  const registry = await place.ports.registry();
  const entry = { at: 0, actor: "eve", verb: "import", verdict: "", evidence: "", reason: "" } as const;
  await registry.moveAlias({ model: MODEL, alias: "previous", from: "1", to: null, entry });
  expect((await watch()).verdict.reasons).toEqual([expect.stringMatching(/not in shadow as `previous`/)]);
  expect((await aliases()).champion).toBe("2");
});
