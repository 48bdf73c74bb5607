// Warm states: made from snapshots and the log, shared by layout, and exact also when traffic comes in meanwhile.
import { cpSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Transaction } from "../../../src/core/transaction.ts";
import { compileSpec, layoutOf } from "../../../src/features/plan.ts";
import { FeatureState } from "../../../src/features/state.ts";
import { WarmStates } from "../../../src/online/states/own.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { HISTORY, makeWorld, payments, SPEC_A, SPEC_B, type World } from "../../server/world.ts";

const A = compileSpec(SPEC_A);
const B = compileSpec(SPEC_B);
const END = HISTORY[HISTORY.length - 1].time;

let world: World;
afterEach(async () => world.remove());

const transactions = (count: number, prefix: string, seed = 31): Transaction[] =>
  payments(count, { seed, from: END, prefix }).map(({ transaction_id: id, time, is_fraud: _, ...fields }) => ({
    id,
    time,
    fields,
  }));

/** Logs and learns, as an answer does. */
async function arrive(ports: Ports, states: WarmStates, tx: Transaction): Promise<void> {
  (await ports.log()).appendPrediction({
    transactionId: tx.id,
    time: tx.time,
    receivedAt: tx.time,
    fields: tx.fields,
    extra: {},
    vector: new Float32Array(1),
    score: 0,
    anomalyScore: 0,
    decision: "approve",
    version: "1",
    bundle: "b",
    latencyMs: 0,
    degraded: false,
  });
  states.learn(tx, tx.time);
}

async function label(ports: Ports, states: WarmStates, tx: Transaction): Promise<void> {
  const known = { fraud: true, knownAt: tx.time + 1000, receivedAt: 2 };
  (await ports.log()).appendLabel({ ...known, transactionId: tx.id, source: "analyst" });
  states.learnLabel({ ...known, transaction: tx });
}

function vectors(state: FeatureState, plan: typeof A): number[][] {
  return transactions(30, "probe", 77).map((tx) => {
    const vector = new Float32Array(plan.width);
    state.read(plan, { ...tx, time: tx.time + 86_400_000 }, vector);
    return [...vector];
  });
}

test("equal layouts share one state; other layouts have their own", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  const states = new WarmStates(world.open().ports, { pipeline: "card" });
  const [one, two] = await Promise.all([states.warm(A), states.warm(A)]);
  expect(two).toBe(one);
  expect(one.warm).toBe(true);
  const other = await states.warm(B);
  expect(other.warm).toBe(false);
  expect(other.state).not.toBe(one.state);
  expect(states.all()).toHaveLength(2);
  states.retain(new Set([A.layoutHash]));
  expect(states.get(B)).toBeNull();
});

test("a snapshot beside an older log is left aside: nothing the log lacks is in the state, nothing it has is missing", async () => {
  const all = transactions(60, "r");
  const run = async (count: number): Promise<{ readonly ports: Ports; readonly states: WarmStates }> => {
    world = makeWorld();
    await world.saveState(SPEC_A);
    const { ports } = world.open();
    const states = new WarmStates(ports, { pipeline: "card" });
    await states.warm(A);
    for (const tx of all.slice(0, count)) await arrive(ports, states, tx);
    await (await ports.log()).flush();
    await states.persist();
    return { ports, states };
  };
  const later = await run(60);
  const laterWorld = world;
  try {
    const { ports, states } = await run(20);
    const expected = vectors(states.get(A)!.state, A);
    expect(vectors(later.states.get(A)!.state, A)).not.toEqual(expected);
    const snapshots = (of: World): string => path.join(of.dir, "state", "snapshots");
    cpSync(snapshots(laterWorld), snapshots(world), { recursive: true });
    const lines: string[] = [];
    const restored = new WarmStates(
      { ...ports, report: { ...ports.report, line: (text) => void lines.push(text) } },
      { pipeline: "card" },
    );
    expect(vectors((await restored.warm(A)).state, A)).toEqual(expected);
    expect(lines).toEqual([
      expect.stringMatching(/left aside: it knows the log up to entry 60, and the log ends at 20/),
    ]);
  } finally {
    await laterWorld.remove();
  }
});

test("a state that is warmed while traffic comes in is the one that was there all the time", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  const { ports } = world.open();
  const states = new WarmStates(ports, { pipeline: "card" });
  await states.warm(A);
  const early = await states.warm(B);
  const all = transactions(900, "m");
  for (const tx of all.slice(0, 500)) await arrive(ports, states, tx);
  for (const tx of all.slice(0, 50)) await label(ports, states, tx);

  // Dropped and warmed anew while 400 more come in, some of them between the pages of the scan.
  states.retain(new Set([A.layoutHash]));
  let done = false;
  const warming = states.warm(B).finally(() => {
    done = true;
  });
  let sent = 500;
  while (!done && sent < all.length) {
    await arrive(ports, states, all[sent]);
    early.state.learn(all[sent++]);
    if (sent % 5 === 0) {
      await label(ports, states, all[sent - 100]);
      early.state.learnLabel({ transaction: all[sent - 100], fraud: true, knownAt: all[sent - 100].time + 1000 });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const late = await warming;
  expect(sent).toBeGreaterThan(500);
  for (; sent < all.length; sent++) {
    await arrive(ports, states, all[sent]);
    early.state.learn(all[sent]);
  }
  expect(late.state).not.toBe(early.state);
  expect(vectors(late.state, B)).toEqual(vectors(early.state, B));
});

test("what was saved is taken up where the log goes on, labels at the end included", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  const first = world.open();
  const states = new WarmStates(first.ports, { pipeline: "card" });
  const held = await states.warm(A);
  const all = transactions(120, "q");
  for (const tx of all.slice(0, 60)) await arrive(first.ports, states, tx);
  for (const tx of all.slice(0, 10)) await label(first.ports, states, tx);
  const saving = states.persist();
  // These come while the save is under way: they are in the log, not in what is saved.
  for (const tx of all.slice(60)) await arrive(first.ports, states, tx);
  for (const tx of all.slice(10, 20)) await label(first.ports, states, tx);
  await saving;
  await first.close();
  const again = new WarmStates(world.open().ports, { pipeline: "card" });
  const taken = await again.warm(A);
  // A few of the later ones may have come before the save took its picture; none is learned twice or not at all.
  expect(taken.caughtUp).toBeGreaterThan(10);
  expect(taken.caughtUp).toBeLessThanOrEqual(70);
  expect(taken.origin).toEqual(held.origin);
  expect(taken.state.stats().learned).toBe(held.state.stats().learned);
  expect(vectors(taken.state, A)).toEqual(vectors(held.state, A));
});

test("a damaged snapshot is left aside and training's is taken", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  const { ports } = world.open();
  const states = new WarmStates(ports, { pipeline: "card" });
  await states.warm(A);
  for (const tx of transactions(20, "d")) await arrive(ports, states, tx);
  await states.persist();
  const told: string[] = [];
  const store = await ports.snapshots();
  const damaged: Ports = {
    ...ports,
    report: { line: (text) => void told.push(text), progress: () => {} },
    snapshots: async () => ({
      save: store.save,
      async load(name) {
        const bytes = await store.load(name);
        return name.startsWith("state-serve") && bytes !== null ? bytes.subarray(0, bytes.length - 9) : bytes;
      },
    }),
  };
  const taken = await new WarmStates(damaged, { pipeline: "card" }).warm(A);
  expect(told.join()).toContain("left aside");
  expect(taken.caughtUp).toBe(20);
  expect(vectors(taken.state, A)).toEqual(vectors(states.get(A)!.state, A));
});

test("training's snapshot is preferred when it knows a later transaction", async () => {
  world = makeWorld();
  const { ports } = world.open();
  const cold = new WarmStates(ports, { pipeline: "card" });
  expect((await cold.warm(A)).warm).toBe(false);
  await cold.persist();
  await world.saveState(SPEC_A);
  // The one that began empty is made anew, in place, from what training left.
  expect((await cold.warm(A)).warm).toBe(true);
  expect((await new WarmStates(ports, { pipeline: "card" }).warm(A)).origin.trainedUpTo).toBe(END);
  expect(vectors(cold.get(A)!.state, A)).not.toEqual(vectors(new FeatureState(layoutOf([A])), A));
});
