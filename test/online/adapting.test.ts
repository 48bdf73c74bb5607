// The adapting threshold in an engine: records know it, a restart goes on, /model's moves are kept, and a replay computes it again.
import { afterAll, beforeAll, expect, test } from "vitest";
import { decide } from "../../src/core/decision.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { answer } from "../../src/online/answer.ts";
import { type Counters, noCounters } from "../../src/online/counters.ts";
import { openEngine } from "../../src/online/engine.ts";
import type { PredictionRecord } from "../../src/ports/log.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
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

const ADAPT = "decisions: { adapt: budget, review_share: 0.05, adapt_rows: 500, adapt_every: 1m, adapt_range: 1000 }\n";
const EVENTS = 900;

let world: World;
let moved = 0;

beforeAll(async () => {
  world = makeWorld({ pipeline: ADAPT });
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.saveState(SPEC_A);
});
afterAll(() => world.remove());

/** Answers some events in a process of its own; a second passes with each. */
async function live(from: number, to: number): Promise<readonly PredictionRecord[]> {
  const opened = world.open();
  const clock = { time: NOW + from * 1000, now: () => clock.time, elapsed: () => performance.now() };
  const ports: Ports = { ...opened.ports, clock };
  const counters: Counters = { ...noCounters, thresholdMoved: () => void moved++ };
  const engine = await openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA, options: { counters } });
  await engine.start();
  const events = payments(EVENTS, { seed: 3, from: HISTORY.at(-1)!.time, prefix: "e" });
  for (const [i, event] of events.slice(from, to).entries()) {
    clock.time = NOW + (from + i) * 1000;
    await answer(engine, engine.parser.parse(bodyOf(event), clock.time));
  }
  const history = engine.adapting!.history();
  const records = await engine.log.recent(EVENTS);
  await engine.stop(1000);
  await opened.close();
  expect(history).toHaveLength(moved);
  return records;
}

test("thresholds follow the scores across a restart, every record knows its own, and a replay is clean", async () => {
  await live(0, 420);
  const records = await live(420, EVENTS);
  expect(records).toHaveLength(EVENTS);
  expect(moved).toBeGreaterThan(2);
  const thresholds = new Set(records.map(({ adapted }) => adapted!.review));
  expect(thresholds.size).toBeGreaterThan(2);
  const block = Math.fround(0.7);
  for (const { score, decision, adapted } of records)
    expect(decision).toBe(decide(score, { review: adapted!.review, block }));
  const late = records.slice(500);
  const share = late.filter(({ decision }) => decision !== "approve").length / late.length;
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThan(0.09);
  const { ports } = world.open();
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({
    verdict: "pass",
    compared: EVENTS,
    thresholds: { compared: EVENTS, byOtherRules: 0 },
  });
});

test("a replay names a threshold that the scores before do not give, and leaves those of other settings alone", async () => {
  const opened = world.open();
  const log = await opened.ports.log();
  const last = (await log.recent(1))[0];
  const forged = { ...last.adapted!, review: Math.fround(last.adapted!.review * 1.01) };
  const decision = decide(last.score, { review: forged.review, block: Math.fround(0.7) });
  log.appendPrediction({
    ...last,
    transactionId: "forged",
    decision,
    adapted: forged,
    receivedAt: last.receivedAt + 1,
  });
  await log.flush();
  const ask = (pipeline: World["pipeline"]) => replay(opened.ports, { pipeline, history: async () => historyTable() });
  const report = await ask(world.pipeline);
  expect(report.verdict).toBe("fail");
  expect(report.mismatches.map(({ transactionId, feature }) => `${transactionId} ${feature}`)).toContain(
    "forged (review threshold)",
  );
  const other = { ...world.pipeline, decisions: { ...world.pipeline.decisions, adaptEveryMs: 120_000 } };
  expect((await ask(other)).thresholds).toEqual({ compared: 0, byOtherRules: EVENTS + 1, unknown: 0 });
  await opened.close();
});

test("several servers of one feature state refuse it, with the way out", async () => {
  const store = {} as SharedStore;
  const { ports } = world.open(() => store);
  await expect(openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA })).rejects.toMatchObject({
    code: "config.invalid",
    message: expect.stringContaining("decisions.adapt"),
  });
});
