// Shadow: jobs become joined records; whatever a candidate does, every job is scored or counted as missed.
import { afterEach, beforeAll, expect, test } from "vitest";
import type { BundleFiles } from "../../src/core/bundle.ts";
import { loadScorer, type Scorer } from "../../src/online/score.ts";
import { isSampled } from "../../src/online/shadow/sample.ts";
import { Shadows } from "../../src/online/shadow.ts";
import { type WarmState, WarmStates } from "../../src/online/states.ts";
import { type Coverage, type PredictionLog, SHADOW_MISSES } from "../../src/ports/log.ts";
import { makeBundle, makeWorld, payments, SPEC_A, SPEC_B, until, type World } from "../server/world.ts";

let files: { readonly a: BundleFiles; readonly b: BundleFiles };
let champion: Scorer;
let candidate: Scorer;
let worlds: World[] = [];

beforeAll(() => {
  files = { a: makeBundle(SPEC_A, 1), b: makeBundle(SPEC_B, 2) };
  champion = loadScorer(files.a, { model: "card-fraud", version: "1" });
  candidate = loadScorer(files.b, { model: "card-fraud", version: "2" });
});

afterEach(async () => {
  for (const world of worlds) await world.remove();
  worlds = [];
});

interface Stage {
  readonly shadows: Shadows;
  readonly log: PredictionLog;
  readonly held: WarmState;
  send(count: number, options?: { readonly held?: WarmState | null }): void;
  total(): number;
}

async function stage(
  options: { workerModule?: string; batchMsMax?: number; queueMax?: number; sample?: number } = {},
): Promise<Stage> {
  const world = makeWorld();
  worlds.push(world);
  await world.saveState(SPEC_B);
  const { ports } = world.open();
  const log = await ports.log();
  const held = await new WarmStates(ports, { pipeline: "card" }).warm(candidate.plan);
  const { workerModule, ...rest } = options;
  const shadows = new Shadows({
    log,
    sample: 1,
    batchMsMax: 5_000,
    queueMax: 10_000,
    ...rest,
    ...(workerModule === undefined ? {} : { workerModule: new URL(`./shadow/${workerModule}`, import.meta.url) }),
  });
  await shadows.set([{ scorer: candidate, files: files.b }]);
  const all = payments(1000, { seed: 21, from: held.state.watermark, prefix: "x" });
  let next = 0;
  return {
    shadows,
    log,
    held,
    send(count, given = {}) {
      for (let i = 0; i < count; i++) {
        const { transaction_id: id, time, is_fraud: _, ...fields } = all[next++];
        const vector = new Float32Array(champion.plan.width).fill(1);
        const answered = {
          transaction: { id, time, fields },
          champion,
          answer: champion.score(vector),
          latencyMs: 0.1,
          vector,
        };
        const shown = { scorer: candidate, held: given.held === undefined ? held : given.held };
        shadows.offer(shadows.take(answered, [shown]));
      }
    },
    total: () => shadows.coverage().reduce((sum, one) => sum + seenOf(one), 0),
  };
}

function seenOf(coverage: Coverage): number {
  return SHADOW_MISSES.reduce((sum, miss) => sum + coverage.missed[miss], coverage.scored);
}

test("each job becomes one record, and the ledger is in the log", async () => {
  const { shadows, log, send } = await stage();
  send(200);
  await shadows.stop(20_000);
  expect(await log.counts()).toMatchObject({ shadows: 200 });
  expect(await log.coverage()).toEqual([expect.objectContaining({ version: "2", scored: 200 })]);
});

test("records hold what the candidate gives when asked directly", async () => {
  const { shadows, held, send, log } = await stage();
  const appended: { transactionId: string; score: number; vectorHash: string }[] = [];
  const append = log.appendShadow;
  log.appendShadow = (record) => {
    appended.push({
      transactionId: record.transactionId,
      score: record.candidate.score,
      vectorHash: record.vectorHash,
    });
    return append(record);
  };
  send(20);
  await shadows.stop(20_000);
  const expected = payments(1000, { seed: 21, from: held.state.watermark, prefix: "x" }).slice(0, 20);
  expect(appended).toHaveLength(20);
  for (const [i, { transaction_id: id, time, is_fraud: _, ...fields }] of expected.entries()) {
    const vector = new Float32Array(candidate.plan.width);
    held.state.read(candidate.plan, { id, time, fields }, vector);
    expect(appended[i]).toMatchObject({ transactionId: id, score: candidate.score(vector).score });
    expect(appended[i].vectorHash).toMatch(/^[0-9a-f]{64}$/);
  }
});

test.each([
  ["throws.mjs", "error"],
  ["exits.mjs", "error"],
  ["never-ready.mjs", "error"],
  ["garbage.mjs", "error"],
  ["hangs.mjs", "timeout"],
] as const)("a candidate that %s is counted as %s, then the breaker opens", async (workerModule, reason) => {
  const { shadows, send, total } = await stage({ workerModule, batchMsMax: 200 });
  for (let batch = 1; batch <= 3; batch++) {
    send(10);
    await until(() => total() === batch * 10);
  }
  const [after] = shadows.coverage();
  expect(after.missed[reason]).toBe(30);
  expect(shadows.status()[0]).toMatchObject({ breaker: "open", restarts: 2, lastFault: expect.any(String) });
  send(10);
  // One asks whether it still is; no vector is copied for the others.
  expect(shadows.coverage()[0].missed["breaker-open"]).toBe(9);
  await until(() => total() === 40);
  expect(shadows.coverage()[0]).toMatchObject({ scored: 0, missed: { "breaker-open": 10, [reason]: 30 } });
  await shadows.stop(1000);
});

test("a candidate that takes memory without end is ended, and the process lives", async () => {
  const { shadows, send, total } = await stage({ workerModule: "leaks.mjs", batchMsMax: 60_000 });
  send(5);
  await until(() => total() === 5);
  expect(shadows.coverage()[0].missed.error).toBe(5);
  expect(shadows.status()[0].lastFault).toContain("memory");
  await shadows.stop(1000);
});

test("a full queue counts what it does not take", async () => {
  const { shadows, send, total } = await stage({ queueMax: 50 });
  send(200);
  expect(shadows.coverage()[0].missed["queue-full"]).toBe(150);
  await until(() => total() === 200);
  expect(shadows.coverage()[0].scored).toBe(50);
  await shadows.stop(1000);
});

test("a state that is not warm is a miss", async () => {
  const { shadows, send } = await stage();
  send(7, { held: null });
  expect(shadows.coverage()[0].missed["spec-not-warm"]).toBe(7);
  await shadows.stop(1000);
});

test("sampling goes by id: the same always, about the share", async () => {
  const { shadows, send, total } = await stage({ sample: 0.3 });
  send(1000);
  await until(() => total() === 1000);
  const [coverage] = shadows.coverage();
  expect(coverage.scored).toBeGreaterThan(250);
  expect(coverage.scored).toBeLessThan(350);
  expect(coverage.scored + coverage.missed["sampled-out"]).toBe(1000);
  await shadows.stop(1000);
  const ids = Array.from({ length: 500 }, (_, i) => `id ${i}`);
  const some = ids.filter((id) => isSampled(id, 0.2));
  // A larger share keeps whoever was in a smaller one.
  expect(some.every((id) => isSampled(id, 0.5))).toBe(true);
  expect(ids.every((id) => isSampled(id, 1))).toBe(true);
  expect(ids.some((id) => isSampled(id, 0))).toBe(false);
});

test("a candidate whose alias is gone is ended", async () => {
  const { shadows, send, total } = await stage({ workerModule: "hangs.mjs", batchMsMax: 60_000 });
  send(10);
  await shadows.set([]);
  expect(shadows.status()).toEqual([]);
  await until(() => total() === 10);
  expect(shadows.coverage()[0].missed.error).toBe(10);
  await shadows.stop(1000);
});
