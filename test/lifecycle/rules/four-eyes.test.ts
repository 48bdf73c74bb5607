// Four eyes, whichever way a rule would begin to decide: added, staged, for more entities, by a candidate; and what a rollback may do.
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Rule } from "../../../src/core/rule.ts";
import {
  addRule,
  applyRules,
  compareRules,
  promoteRules,
  removeRule,
  rollbackRules,
  rulesHistory,
  rulesNow,
  stageRule,
} from "../../../src/lifecycle/rules.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { makeWorld, SCHEMA, type World } from "../../server/world.ts";

const rule = (id: string, more: Partial<Rule> = {}): Rule => ({
  id,
  when: "amount > 5",
  action: "review",
  severity: "warning",
  description: "",
  stage: "shadow",
  share: 0.1,
  owner: "",
  ...more,
});

let world: World;
let ports: Ports;
beforeAll(() => {
  world = makeWorld({ pipeline: "rules: { four_eyes: true }\n" });
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  ({ ports } = world.open());
});
afterAll(() => world.remove());

const by = (actor: string) => ({ pipeline: world.pipeline, actor });
const refused = { code: "rules.four-eyes", hint: expect.stringContaining("somebody else") };
const liveRule = async (id: string): Promise<Rule | undefined> =>
  (await rulesNow(ports, world.pipeline)).live.rules.find((one) => one.id === id);

test("who wrote a rule may add it in shadow only, whoever it says owns it", async () => {
  for (const stage of ["live", "rollout"] as const) {
    const own = addRule(ports, { ...by("ana"), rule: rule("r", { stage, owner: "ben" }) });
    await expect(own).rejects.toMatchObject(refused);
  }
  await addRule(ports, { ...by("ana"), rule: rule("r", { owner: "ben" }) });
  expect(await liveRule("r")).toMatchObject({ stage: "shadow", owner: "ana" });
});

test("nor stage it, at any share; another person may, and only another widens a share", async () => {
  await expect(stageRule(ports, { ...by("ana"), id: "r", stage: "live" })).rejects.toMatchObject(refused);
  await expect(stageRule(ports, { ...by("ana"), id: "r", stage: "rollout", share: 0.01 })).rejects.toMatchObject(
    refused,
  );
  await stageRule(ports, { ...by("ben"), id: "r", stage: "rollout", share: 0.1 });
  await expect(stageRule(ports, { ...by("ana"), id: "r", stage: "rollout", share: 0.2 })).rejects.toMatchObject(
    refused,
  );
  await expect(stageRule(ports, { ...by("ana"), id: "r", stage: "live" })).rejects.toMatchObject(refused);
  // Less of it needs nobody.
  await stageRule(ports, { ...by("ana"), id: "r", stage: "rollout", share: 0.05 });
  await expect(stageRule(ports, { ...by("ana"), id: "r", stage: "rollout", share: 0.1 })).rejects.toMatchObject(
    refused,
  );
  await stageRule(ports, { ...by("ben"), id: "r", stage: "live" });
  expect(await liveRule("r")).toMatchObject({ stage: "live", owner: "ana" });
});

test("nor change what a live rule does, nor bring it back after it was removed", async () => {
  const other = rule("r", { when: "amount > 1", stage: "live" });
  await expect(addRule(ports, { ...by("ben"), rule: other, replace: true })).rejects.toMatchObject(refused);
  const blocks = rule("r", { action: "block", stage: "live" });
  await expect(addRule(ports, { ...by("ben"), rule: blocks, replace: true })).rejects.toMatchObject(refused);
  await removeRule(ports, { ...by("ben"), id: "r" });
  await expect(addRule(ports, { ...by("ben"), rule: rule("r", { stage: "live" }) })).rejects.toMatchObject(refused);
  await rollbackRules(ports, { ...by("ben"), reason: "removed by mistake" });
  expect(await liveRule("r")).toMatchObject({ when: "amount > 5", stage: "live" });
});

test("a candidate may hold it live, and another person promotes", async () => {
  const side = "candidate" as const;
  await addRule(ports, { ...by("ana"), side, rule: rule("c", { when: "amount > 7", stage: "live" }) });
  const seed = 1;
  await expect(promoteRules(ports, { ...by("ana"), seed, forced: "mine" })).rejects.toMatchObject(refused);
  expect(await liveRule("c")).toBeUndefined();
  // A change by another person makes nobody else the author of the first one's rule.
  await addRule(ports, { ...by("ben"), side, rule: rule("d", { when: "amount > 9" }) });
  await expect(promoteRules(ports, { ...by("ana"), seed, forced: "mine" })).rejects.toMatchObject(refused);
  // Nor does the way round: what only was a candidate cannot be put back.
  const { candidate } = await compareRules(ports, { pipeline: world.pipeline, seed });
  for (const to of [candidate, candidate.slice(0, 12)]) {
    await expect(rollbackRules(ports, { ...by("ana"), to, reason: "mine" })).rejects.toMatchObject({
      code: "rules.unknown",
      message: expect.stringContaining("was never live"),
    });
  }
  expect(await liveRule("c")).toBeUndefined();
  expect(await promoteRules(ports, { ...by("ben"), seed, forced: "looked at it" })).toMatchObject({ moved: true });
  expect(await liveRule("c")).toMatchObject({ stage: "live", owner: "ana" });
});

test("a rollback needs no second person: what it puts back was live before", async () => {
  await stageRule(ports, { ...by("ben"), id: "c", stage: "off" });
  expect(await liveRule("c")).toMatchObject({ stage: "off" });
  await expect(stageRule(ports, { ...by("ana"), id: "c", stage: "live" })).rejects.toMatchObject(refused);
  await rollbackRules(ports, { ...by("ana"), reason: "frauds came back" });
  expect(await liveRule("c")).toMatchObject({ stage: "live", owner: "ana" });
  expect((await rulesHistory(ports)).at(-1)).toMatchObject({
    verb: "rollback",
    actor: "ana",
    reason: "frauds came back",
  });
});

test("a file was reviewed where it is kept", async () => {
  const file = `${world.dir}/card.rules.yaml`;
  writeFileSync(file, "rules: [{ id: f, when: amount > 3, stage: live, owner: ana }]\n");
  expect(await applyRules(ports, { ...by("ana"), file })).toMatchObject({ done: true });
  expect(await liveRule("f")).toMatchObject({ stage: "live", owner: "ana" });
});
