// Exploration beside rules: only the model's own block is drawn about; what an analyst's rule wants holds, and the log has the right chance.
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { replay } from "../../src/lifecycle/replay.ts";
import { applyRules } from "../../src/lifecycle/rules.ts";
import { answer } from "../../src/online/answer.ts";
import { type Engine, openEngine } from "../../src/online/engine.ts";
import type { Reply } from "../../src/online/reply.ts";
import type { PredictionRecord } from "../../src/ports/log.ts";
import type { Ports } from "../../src/ports/ports.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  type Payment,
  payments,
  SCHEMA,
  SPEC_A,
  type World,
} from "../server/world.ts";

const EXPLORE = `
decisions:
  explore: { bands: [{ up_to: 240, share: 0.5 }, { up_to: 10000, share: 0.3 }], answer: approve, seed: 3 }
`;
const RULES = `
rules:
  - { id: stolen, when: "terminal_id IN (SELECT value FROM bad_terminals)", action: block, stage: live }
  - { id: odd, when: "terminal_id = 't2' OR (terminal_id = 't1' AND amount >= 270)", action: block, stage: live }
  - { id: trusted, when: "terminal_id = 't1' AND customer_id IN ('c1', 'c2', 'c3', 'c4')", action: approve, stage: live }
  - { id: look, when: "amount >= 180", action: review, stage: live }
  - { id: watch, when: score >= 0, action: block, stage: shadow }
lists:
  bad_terminals: [{ value: t0, from: "2020-01-01" }]
`;

let world: World;
let ports: Ports;
let engine: Engine;
const replies = new Map<string, Reply>();
const records = new Map<string, PredictionRecord>();
const events = payments(1500, { seed: 41, from: HISTORY.at(-1)!.time, prefix: "e" }).filter(({ time }) => time < NOW);

beforeAll(async () => {
  world = makeWorld({ pipeline: EXPLORE });
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.saveState(SPEC_A);
  ({ ports } = world.open());
  const file = `${world.dir}/card.rules.yaml`;
  writeFileSync(file, RULES);
  await applyRules(ports, { pipeline: world.pipeline, actor: "ana", file });
  engine = await openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA });
  await engine.start();
  for (const event of events) {
    replies.set(event.transaction_id, await answer(engine, engine.parser.parse(bodyOf(event), NOW)));
  }
  const log = await ports.log();
  await log.flush();
  for (const record of await log.recent(2000)) records.set(record.transactionId, record);
});
afterAll(async () => {
  await engine.stop(1000);
  await world.remove();
});

/** The bundle's own threshold. */
const modelBlocks = ({ transaction_id: id }: { readonly transaction_id: string }): boolean =>
  records.get(id)!.score >= Math.fround(0.7);
/** Approve rules go before block rules, and lists with them. */
const isTrusted = ({ terminal_id, customer_id }: Payment): boolean =>
  terminal_id === "t1" && ["c1", "c2", "c3", "c4"].includes(customer_id);
const isBarred = (event: Payment): boolean =>
  ["t0", "t2"].includes(event.terminal_id) || (event.terminal_id === "t1" && event.amount >= 270 && !isTrusted(event));

test("what a rule or a list blocks stays blocked and is given no chance, also where the model blocks it too", () => {
  const blocked = events.filter(isBarred);
  const both = blocked.filter(modelBlocks);
  expect(both.length).toBeGreaterThan(5);
  expect(both.length).toBeLessThan(blocked.length);
  for (const event of blocked) {
    const reply = replies.get(event.transaction_id)!;
    expect(reply).toMatchObject({ decision: "block", decided_by: event.terminal_id === "t0" ? "list" : "rule" });
    expect(reply).not.toHaveProperty("explored");
    expect(records.get(event.transaction_id)).not.toHaveProperty("explored");
  }
});

test("the model's own block is drawn about with its band's chance, whatever a rule in shadow says", () => {
  const own = events.filter((event) => modelBlocks(event) && !isBarred(event) && !isTrusted(event));
  expect(own.length).toBeGreaterThan(10);
  for (const event of events) {
    const { explored, decision } = records.get(event.transaction_id)!;
    const reply = replies.get(event.transaction_id)!;
    expect(reply.rules!.shadow).toEqual(["watch"]);
    if (!own.includes(event)) {
      expect(explored).toBeUndefined();
      continue;
    }
    expect(explored).toMatchObject({ propensity: event.amount <= 240 ? 0.5 : 0.3 });
    expect(reply.explored).toMatchObject({
      model_decision: "block",
      let_through: decision !== "block",
      propensity: explored!.propensity,
    });
    expect(reply.decided_by).toBe("model");
  }
});

test("let through, a transaction that a review rule wants is reviewed, not approved", () => {
  const through = events.filter(({ transaction_id: id }) => replies.get(id)!.explored?.let_through);
  const asked = through.filter(({ amount }) => amount >= 180);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(through.length);
  for (const { transaction_id: id, amount } of through)
    expect(replies.get(id)!.decision).toBe(amount >= 180 ? "review" : "approve");
});

test("a replay judges, draws and rules again, and finds the same", async () => {
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  const drawn = [...records.values()].filter(({ explored }) => explored !== undefined).length;
  expect(report.mismatches).toEqual([]);
  expect(report).toMatchObject({ verdict: "pass", draws: { compared: drawn, byOtherRules: 0 } });
  expect(drawn).toBeGreaterThan(10);
});
