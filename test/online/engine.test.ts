// The engine without HTTP: a plain function as its door answers, repeats, refuses and takes labels, and a replay finds the same bits.
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { answer } from "../../src/online/answer.ts";
import { type Counters, noCounters } from "../../src/online/counters.ts";
import { type Engine, openEngine } from "../../src/online/engine.ts";
import { takeLabel } from "../../src/online/label.ts";
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

let world: World;
let ports: Ports;
let engine: Engine;
const counted = { answered: 0, repeated: 0, labelled: 0 };

/** The whole of a door: an event in, a reply or a problem out. */
async function door(event: unknown): Promise<{ readonly reply: unknown } | { readonly problem: string }> {
  try {
    return { reply: await answer(engine, engine.parser.parse(event, ports.clock.now())) };
  } catch (error) {
    if (error instanceof SentinelError) return { problem: error.code };
    throw error;
  }
}

beforeAll(async () => {
  world = makeWorld();
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.saveState(SPEC_A);
  ({ ports } = world.open());
  const counters: Counters = {
    ...noCounters,
    answered: () => void counted.answered++,
    repeated: () => void counted.repeated++,
    labelled: () => void counted.labelled++,
  };
  engine = await openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA, options: { counters } });
  await engine.start();
});
afterAll(() => world.remove());

test("a plain function is door enough: answers, repeats, refusals, labels, and a clean replay", async () => {
  const events = payments(60, { seed: 3, from: HISTORY.at(-1)!.time, prefix: "e" }).filter(({ time }) => time < NOW);
  expect(events.length).toBeGreaterThan(20);
  const road = {
    clock: ports.clock,
    log: engine.log,
    states: engine.states,
    delayMs: world.pipeline.labels.delayMs,
    knownMax: NOW,
  };
  for (const [index, event] of events.entries()) {
    expect(await door(bodyOf(event))).toMatchObject({ reply: { transaction_id: event.transaction_id } });
    if (index % 5 > 0) continue;
    const label = { transactionId: event.transaction_id, fraud: event.is_fraud, source: "analyst" };
    expect(await takeLabel(road, { ...label, knownAt: "now" })).toMatchObject({ accepted: true });
  }
  const first = bodyOf(events[0]);
  expect(await door(first)).toMatchObject({ reply: { transaction_id: events[0].transaction_id } });
  expect(await door({ ...first, amount: 1 })).toEqual({ problem: "request.duplicate" });
  expect(await door({ ...first, amount: "much" })).toEqual({ problem: "request.invalid" });
  expect(counted).toEqual({ answered: events.length, repeated: 1, labelled: 0 });
  await engine.stop(1000);
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", compared: events.length, mismatchCount: 0 });
});

test("labels: known now, after the delay where nobody knows, never before their transaction", async () => {
  const found: object[] = [];
  const states = {
    answered: async () => null,
    takeLabel: (label: object) => {
      found.push(label);
      return true;
    },
  };
  const road = { clock: ports.clock, log: engine.log, states, delayMs: 1000, knownMax: NOW };
  const id = (await engine.log.recent(1))[0];
  const draft = { transactionId: id.transactionId, fraud: true, source: "x" };
  expect(await takeLabel(road, { ...draft, knownAt: "now" })).toMatchObject({ accepted: true });
  expect(await takeLabel(road, { ...draft, knownAt: "after-delay" })).toMatchObject({ accepted: true });
  expect(found).toMatchObject([{ knownAt: null }, { knownAt: id.time + 1000 }]);
  expect(await takeLabel(road, { ...draft, knownAt: id.time - 1 })).toMatchObject({ code: "labels.invalid" });
  expect(await takeLabel(road, { ...draft, knownAt: NOW + 1 })).toMatchObject({ code: "labels.invalid" });
  expect(await takeLabel(road, { ...draft, source: "", knownAt: "now" })).toMatchObject({ code: "labels.invalid" });
  expect(await takeLabel(road, { ...draft, transactionId: "nobody", knownAt: "now" })).toMatchObject({
    code: "request.not-found",
  });
  expect(found).toHaveLength(2);
});
