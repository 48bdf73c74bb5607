// The candidate rule set beside the live one where nobody knows what was blocked, and where somebody changes the rules while they are judged.
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../../src/core/duration.ts";
import {
  addRule,
  compareRules,
  promoteRules,
  rulesHistory,
  rulesNow,
  stageRule,
} from "../../../src/lifecycle/rules.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { madeRule } from "../../rules/made.ts";
import { BEGIN, makeWorld, SCHEMA, type World } from "../../server/world.ts";

let world: World;
let ports: Ports;
beforeAll(() => {
  world = makeWorld({ pipeline: "gates: { promotion: { frauds_min: 15, days_min: 3, resamples: 200 } }\n" });
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  ({ ports } = world.open());
});
afterAll(() => world.remove());

const by = () => ({ pipeline: world.pipeline, actor: "ana" });
const rule = (id: string, action: "block" | "review", when: string) =>
  madeRule(id, when, { action, stage: "live", severity: "warning" });

let told = 0;
/** `count` transactions of as many cards, a few hours apart, that both sets decided. */
async function decided(
  count: number,
  of: {
    readonly live: "approve" | "review" | "block";
    readonly candidate: "approve" | "review" | "block";
    readonly fraud: boolean | null;
    readonly at?: number;
  },
): Promise<void> {
  const log = await ports.log();
  const { head } = await rulesNow(ports, world.pipeline);
  for (let i = 0; i < count; i++) {
    const id = `x${told++}`;
    const time = of.at ?? BEGIN + (told % 200) * HOUR_MS;
    const outcome = { by: "rule", rule: "stop", fired: [] } as const;
    log.appendPrediction({
      ...{ transactionId: id, time, receivedAt: time, extra: {}, latencyMs: 1, vector: new Float32Array(0) },
      ...{ fields: { amount: 1, customer_id: `c${id}`, terminal_id: "t" }, score: 0, anomalyScore: 0 },
      ...{ decision: of.live, version: "", bundle: "", degraded: false },
      rules: {
        ...{ ...outcome, set: head.live!, without: "approve", shadow: [], unready: 0 },
        candidate: { ...outcome, set: head.candidate!, decision: of.candidate },
      },
    });
    if (of.fraud === null) continue;
    const knownAt = time + DAY_MS;
    log.appendLabel({ transactionId: id, fraud: of.fraud, source: "analyst", knownAt, receivedAt: knownAt });
  }
}

test("a candidate that no longer blocks is not better for it: what was blocked is not genuine because nobody complained", async () => {
  await addRule(ports, { ...by(), rule: rule("look", "review", "amount > 5") });
  await addRule(ports, { ...by(), rule: rule("stop", "block", "amount > 9") });
  await stageRule(ports, { ...by(), side: "candidate", id: "stop", stage: "off" });
  expect(world.pipeline.labels.unreportedIsGenuine).toBe(true);
  // Both find the same frauds; sixty transactions that only the live set stops were never reported.
  await decided(60, { live: "review", candidate: "review", fraud: true });
  await decided(40, { live: "review", candidate: "review", fraud: false });
  await decided(300, { live: "approve", candidate: "approve", fraud: null });
  await decided(60, { live: "block", candidate: "approve", fraud: null });
  await decided(1, { live: "approve", candidate: "approve", fraud: null, at: BEGIN + 400 * DAY_MS });
  const seen = await compareRules(ports, { pipeline: world.pipeline, seed: 1 });
  expect(seen).toMatchObject({ pairs: 461, matured: 400, frauds: 60, unknowable: 60, unknowableApproved: 60 });
  // All sixty counted as genuine alerts would have made the live set look half as precise.
  expect(seen.precision).toMatchObject({ observedA: 0.6, observedB: 0.6 });
  expect(seen.verdict).toMatchObject({
    verdict: "HOLD",
    reasons: [expect.stringMatching(/^the live set blocked 60 transactions that the candidate would approve/)],
  });
  expect(seen.verdict.checks.find(({ name }) => name === "blocked without an outcome")).toMatchObject({
    passed: false,
  });
});

test("a rule that somebody adds while the candidate is judged does not go unseen", async () => {
  const input = { ...by(), seed: 1, forced: "agreed" };
  let changed = false;
  // The comparison opens the log between its look at the rules and its verdict.
  const meanwhile: Ports = {
    ...ports,
    log: async () => {
      if (!changed) {
        changed = true;
        await addRule(ports, { ...by(), actor: "ben", rule: rule("attack", "block", "amount = 666") });
      }
      return ports.log();
    },
  };
  await expect(promoteRules(meanwhile, input)).rejects.toMatchObject({ code: "rules.conflict" });
  const { live } = await rulesNow(ports, world.pipeline);
  expect(live.rules.map(({ id }) => id)).toContain("attack");
  // Looked at again it may go, and the journal says what that takes away.
  expect(await promoteRules(ports, input)).toMatchObject({ moved: true });
  expect((await rulesHistory(ports)).at(-1)!.changes).toContainEqual(expect.stringMatching(/^- rule attack/));
});

test("nor does a rule go live that is another than the one that was judged", async () => {
  await addRule(ports, { ...by(), rule: { ...rule("r", "review", "amount > 100"), stage: "draft" } });
  const judged = (await rulesNow(ports, world.pipeline)).live.rules.find(({ id }) => id === "r")!;
  await addRule(ports, { ...by(), replace: true, rule: { ...judged, when: "amount > 1" } });
  await expect(stageRule(ports, { ...by(), id: "r", stage: "live", judged })).rejects.toMatchObject({
    code: "rules.conflict",
  });
  await stageRule(ports, { ...by(), id: "r", stage: "live" });
});
