// A policy in an engine: every answer and record name the thresholds that judged, shadow and replay find the same, unseen segments are counted.
import { afterAll, beforeAll, expect, test } from "vitest";
import { decide } from "../../src/core/decision.ts";
import { type DecisionPolicy, thresholdsAt } from "../../src/core/policy.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { answer } from "../../src/online/answer.ts";
import { type Counters, noCounters } from "../../src/online/counters.ts";
import { openEngine } from "../../src/online/engine.ts";
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
  payments,
  SCHEMA,
  SPEC_A,
  type World,
} from "../server/world.ts";

const COST = {
  amount: "amount",
  typical: 60,
  missedShare: 1,
  missedCost: 2,
  reviewCost: 4,
  falseBlockCost: 6,
  customerFactor: 0.05,
  scoreMin: 0.5,
  price: 1,
};
const segment = (name: string, at: number, odds: number) => ({
  name,
  at,
  odds,
  thresholds: thresholdsAt(COST, { amount: Number.NaN, odds }),
  rows: 10,
  frauds: 1,
  weight: 0.1,
});
const POLICY: DecisionPolicy = {
  cost: COST,
  segments: { by: "amount", bands: [40, 80, 120], segments: [segment("small", 0, 0.5), segment("large", 2, 2)] },
};
const EVENTS = 300;

let world: World;
let unseen = 0;
const replies: Reply[] = [];
let records: readonly PredictionRecord[] = [];

beforeAll(async () => {
  world = makeWorld({});
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1, POLICY)));
  await world.saveState(SPEC_A);
  const opened = world.open();
  const clock = { time: NOW, now: () => clock.time, elapsed: () => performance.now() };
  const ports: Ports = { ...opened.ports, clock };
  const counters: Counters = { ...noCounters, segmentUnseen: () => void unseen++ };
  const engine = await openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA, options: { counters } });
  await engine.start();
  for (const event of payments(EVENTS, { seed: 3, from: HISTORY.at(-1)!.time, prefix: "e" })) {
    clock.time += 1000;
    replies.push(await answer(engine, engine.parser.parse(bodyOf(event), clock.time)));
  }
  records = await engine.log.recent(EVENTS);
  await engine.stop(1000);
  await opened.close();
});
afterAll(() => world.remove());

test("each answer and each record say the thresholds and the segment that judged, and the decision is theirs", () => {
  const at = SPEC_A.features.findIndex(({ name }) => name === "amount");
  const odds = new Map([
    ["small", 0.5],
    ["large", 2],
  ]);
  const decisions = new Set<string>();
  for (const [row, { score, decision, adapted, vector }] of records.entries()) {
    const { review, block, segment: name } = adapted!;
    const amount = vector[at];
    expect(name).toBe(amount <= 40 ? "small" : amount > 80 && amount <= 120 ? "large" : undefined);
    const times = name === undefined ? 1 : odds.get(name)!;
    expect({ review, block }).toEqual(thresholdsAt(COST, { amount, odds: times }));
    expect(decision).toBe(decide(score, { review, block: block! }));
    const told = { review, block, ...(name === undefined ? {} : { segment: name }), policy: adapted!.rules };
    expect(replies[row].thresholds).toEqual(told);
    decisions.add(decision);
  }
  expect([...decisions].sort()).toEqual(["approve", "block", "review"]);
  const others = records.filter(({ adapted }) => adapted!.segment === undefined).length;
  expect(others).toBeGreaterThan(0);
  expect(others).toBeLessThan(EVENTS);
  expect(unseen).toBe(others);
});

test("a replay computes thresholds, segments and decisions again, and finds one that was forged", async () => {
  const { ports, close } = world.open();
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({
    verdict: "pass",
    compared: EVENTS,
    thresholds: { compared: EVENTS, byOtherRules: 0 },
  });
  const log = await ports.log();
  const last = records.at(-1)!;
  log.appendPrediction({
    ...last,
    transactionId: "forged",
    adapted: { ...last.adapted!, block: last.adapted!.block! / 2 },
  });
  await log.flush();
  const again = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(again.verdict).toBe("fail");
  expect(again.mismatches.map(({ feature }) => feature)).toContain("(block threshold)");
  await close();
});

test("a bundle whose policy reads no feature of its own is refused", async () => {
  const broken = makeBundle(SPEC_A, 2, POLICY);
  const text = new TextDecoder().decode(broken.get("bundle.json")).replace('"by": "amount"', '"by": "channel"');
  const files = new Map([...broken, ["bundle.json", new TextEncoder().encode(text)] as const]);
  const version = await world.register(files);
  await expect(world.scorer(version)).rejects.toMatchObject({ code: "bundle.corrupt" });
});
