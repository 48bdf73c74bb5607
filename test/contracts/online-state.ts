// What every online feature state must do, whether a process has it to itself or shares it; each driver's test runs this suite.
import { afterEach, beforeEach, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import { compileSpec, type FeaturePlan } from "../../src/features/plan.ts";
import { replay } from "../../src/features/replay.ts";
import type { FeatureState } from "../../src/features/state.ts";
import type { OnlineStates, PredictionDraft } from "../../src/online/states/contract.ts";
import type { PredictionLog } from "../../src/ports/log.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { HISTORY, historyTable, makeWorld, payments, SPEC_A, SPEC_B, type World } from "../server/world.ts";

const A = compileSpec(SPEC_A);
const B = compileSpec(SPEC_B);
const END = HISTORY[HISTORY.length - 1].time;
const COLUMNS = { id: "transaction_id", time: "time", label: "is_fraud" };

export interface OpenStates {
  readonly states: OnlineStates;
  readonly ports: Ports;
  /** As a process ends that was told to. */
  close(): Promise<void>;
}

/** `open` gives states over the world's folder, as a new process would; `fresh` empties whatever else there is. */
export function onlineStateContract(
  name: string,
  driver: { readonly fresh: () => Promise<void>; readonly open: (world: World) => Promise<OpenStates> },
): void {
  let world: World;
  beforeEach(async () => {
    await driver.fresh();
    world = makeWorld();
    await world.saveState(SPEC_A);
    await world.saveState(SPEC_B);
  });
  afterEach(() => world.remove());

  /** What one process in memory has after training. */
  const trained = (plan: FeaturePlan): FeatureState =>
    replay({ spec: plan, table: historyTable(), columns: COLUMNS, labelDelayMs: DAY_MS }).state;

  test(`${name}: vectors are those of a state in memory that learned the same, for every layout`, async () => {
    const { states, ports, close } = await driver.open(world);
    const log = await ports.log();
    const twins = [A, B].map((plan) => ({ plan, state: trained(plan) }));
    for (const { plan } of twins) expect((await states.warm(plan)).warm).toBe(true);
    for (const [at, tx] of transactions(150, "v").entries()) {
      const said = await take({ states, log }, tx, [A, B]);
      expect(said).toEqual(twins.map(({ plan, state }) => vectorOf(state, plan, tx)));
      for (const { state } of twins) state.learn(tx);
      if (at % 5 > 0) continue;
      const label = { transaction: tx, fraud: at % 2 === 0, knownAt: tx.time + 1000 };
      expect(await states.takeLabel({ ...label, log, source: "analyst", receivedAt: 1 })).toBe(true);
      for (const { state } of twins) state.learnLabel(label);
    }
    expect(states.newestTime).toBe(transactions(150, "v")[149].time);
    await close();
  });

  test(`${name}: a transaction counts once, whoever sends it again`, async () => {
    const { states, ports, close } = await driver.open(world);
    const log = await ports.log();
    await states.warm(A);
    const [first, second] = transactions(2, "o");
    const same = { ...second, time: first.time + 1, fields: first.fields };
    const [[before]] = [await take({ states, log }, first, [A])];
    await take({ states, log }, first, [A]);
    await take({ states, log }, first, [A]);
    const [after] = await take({ states, log }, { ...same, id: "another" }, [A]);
    expect(after[2]).toBe(before[2] + 1);
    expect(await log.counts()).toMatchObject({ predictions: 2 });
    await close();
  });

  test(`${name}: a label without a time is known from the newest event time on`, async () => {
    const { states, ports, close } = await driver.open(world);
    const log = await ports.log();
    await states.warm(A);
    const [first, newest] = [transactions(1, "a")[0], transactions(30, "b")[29]];
    const terminal = first.fields.terminal_id;
    await take({ states, log }, first, [A]);
    await take({ states, log }, newest, [A]);
    const probe = (id: string, time: number) => ({ id, time, fields: { ...newest.fields, terminal_id: terminal } });
    const [before] = await take({ states, log }, probe("p1", newest.time), [A]);
    const label = {
      transaction: first,
      log,
      fraud: true,
      source: "analyst",
      knownAt: null,
      receivedAt: END + 99 * DAY_MS,
    };
    await states.takeLabel(label);
    // The same again changes nothing.
    await states.takeLabel(label);
    const [after] = await take({ states, log }, probe("p2", newest.time), [A]);
    expect(after[4]).toBe(before[4] + 1);
    await close();
  });

  test(`${name}: the next process goes on where the last one was`, async () => {
    const state = trained(A);
    const all = transactions(90, "n");
    for (const part of [all.slice(0, 30), all.slice(30, 60), all.slice(60)]) {
      const { states, ports, close } = await driver.open(world);
      const log = await ports.log();
      await states.warm(A);
      for (const tx of part) {
        expect(await take({ states, log }, tx, [A])).toEqual([vectorOf(state, A, tx)]);
        state.learn(tx);
      }
      await states.persist();
      await close();
    }
  });

  test(`${name}: a layout warmed while transactions come in is the one that was there all the time`, async () => {
    const { states, ports, close } = await driver.open(world);
    const log = await ports.log();
    await states.warm(A);
    const state = trained(B);
    const all = transactions(600, "w");
    let sent = 0;
    const one = async (plans: readonly FeaturePlan[]): Promise<number[][]> => take({ states, log }, all[sent++], plans);
    while (sent < 100) await one([A]);
    let warm = false;
    const warming = states.warm(B).then(() => {
      warm = true;
    });
    while (!warm && sent < 500) {
      await one([A]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await warming;
    for (const tx of all.slice(0, sent)) state.learn(tx);
    while (sent < 600) {
      const tx = all[sent];
      expect(await one([B])).toEqual([vectorOf(state, B, tx)]);
      state.learn(tx);
    }
    await close();
  });

  test(`${name}: a transaction that the judge refuses leaves nothing behind`, async () => {
    const { states, ports, close } = await driver.open(world);
    const log = await ports.log();
    await states.warm(A);
    const [tx] = transactions(1, "x");
    const before = await take({ states, log }, { ...tx, id: "p1" }, [A]);
    const refuse = async () =>
      states.take({
        transaction: { ...tx, id: "refused" },
        log,
        judge: () => {
          throw new Error("refused");
        },
      });
    await expect(refuse()).rejects.toThrow("refused");
    const [after] = await take({ states, log }, { ...tx, id: "p2" }, [A]);
    expect(after[2]).toBe(before[0][2] + 1);
    expect(await log.find("refused")).toBeNull();
    await close();
  });
}

function transactions(count: number, prefix: string): Transaction[] {
  return payments(count, { seed: 31, from: END, prefix }).map(
    ({ transaction_id: id, time, is_fraud: _, ...fields }) => ({
      id,
      time,
      fields,
    }),
  );
}

/** Takes a transaction as a server does; the vectors of the plans as it saw them. */
async function take(
  on: { readonly states: OnlineStates; readonly log: PredictionLog },
  transaction: Transaction,
  plans: readonly FeaturePlan[],
): Promise<number[][]> {
  const { states, log } = on;
  let vectors: number[][] = [];
  const judge = (): PredictionDraft => {
    vectors = plans.map((plan) => vectorOf(states.get(plan)!.state, plan, transaction));
    return {
      ...DRAFT,
      transactionId: transaction.id,
      time: transaction.time,
      receivedAt: transaction.time,
      fields: transaction.fields,
    };
  };
  const taken = await states.take({ transaction, log, judge });
  if (taken.outcome === "answered") expect(taken).toMatchObject({ logged: true, fault: null });
  else expect(taken.record).toMatchObject({ transactionId: transaction.id, fields: transaction.fields });
  return vectors;
}

const DRAFT = {
  receivedAt: 1,
  extra: {},
  vector: new Float32Array(1),
  score: 0,
  anomalyScore: 0,
  decision: "approve",
  version: "1",
  bundle: "b",
  latencyMs: 0,
  degraded: false,
} as const;

function vectorOf(state: FeatureState, plan: FeaturePlan, tx: Transaction): number[] {
  const vector = new Float32Array(plan.width);
  state.read(plan, tx, vector);
  return [...vector];
}
