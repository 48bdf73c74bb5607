// Replay: what it says when a score differs, a bundle is gone, an origin is unknown, or there is nothing to compare.
import { rmSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eraserOf, pseudonymOf } from "../../src/core/erasure.ts";
import { fromRegistry, replay } from "../../src/lifecycle/replay.ts";
import type { Ports } from "../../src/ports/ports.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  payments,
  post,
  SPEC_A,
  serve,
  type World,
} from "../server/world.ts";

let world: World;
let running: Awaited<ReturnType<typeof serve>>;
let ports: Ports;
const history = async () => historyTable();

beforeEach(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  running = await serve(world);
  ports = running.ports;
});

afterEach(async () => {
  await running.stop();
  await world.remove();
});

async function send(count: number): Promise<void> {
  const items = payments(count, { seed: 41, from: HISTORY[HISTORY.length - 1].time, prefix: "z" });
  for (const item of items) expect((await post(running.server, "/predict", bodyOf(item))).status).toBe(200);
}

test("with nothing to compare it does not pass", async () => {
  const report = await replay(ports, { pipeline: world.pipeline, history });
  expect(report).toMatchObject({ predictions: 0, verdict: "fail", reasons: ["nothing could be compared"] });
});

test("a score that comes out differently is named, and the list of differences is bounded", async () => {
  await send(12);
  const report = await replay(ports, {
    pipeline: world.pipeline,
    history,
    mismatchesMax: 5,
    async loadBundle(version) {
      const scorer = await fromRegistry(ports, "card-fraud", version);
      return { ...scorer, score: (vector) => ({ ...scorer.score(vector), score: -1 }) };
    },
  });
  expect(report).toMatchObject({ compared: 12, scoresCompared: 12, mismatchCount: 12, verdict: "fail" });
  expect(report.mismatches).toHaveLength(5);
  expect(report.mismatches[0]).toEqual({
    transactionId: "z0",
    feature: "(score)",
    logged: expect.any(Number),
    replayed: -1,
  });
});

test("a bundle that is gone is said, not passed over", async () => {
  await send(3);
  const gone = () => Promise.reject(new Error("gone"));
  const report = await replay(ports, { pipeline: world.pipeline, history, loadBundle: gone });
  expect(report).toMatchObject({ compared: 0, verdict: "fail", skipped: { "bundle-gone": 3 } });
});

test("without the server's eras no origin is guessed", async () => {
  await send(3);
  rmSync(path.join(world.dir, "state", "snapshots"), { recursive: true });
  const report = await replay(ports, { pipeline: world.pipeline, history });
  expect(report).toMatchObject({ compared: 0, verdict: "fail", skipped: { "no-origin": 3 } });
});

test("a single bit of the logged vector is enough", async () => {
  await send(5);
  const log = await ports.log();
  const scan = log.scan.bind(log);
  log.scan = async function* (from) {
    for await (const entry of scan(from)) {
      if (entry.kind === "prediction" && entry.record.transactionId === "z3") {
        const bits = new Uint32Array(entry.record.vector.buffer, entry.record.vector.byteOffset);
        bits[0] ^= 1;
      }
      yield entry;
    }
  };
  const report = await replay(ports, { pipeline: world.pipeline, history });
  expect(report.mismatches).toMatchObject([{ transactionId: "z3", feature: "amount" }]);
});

test("transactions of a person who was forgotten are counted and no difference, and all others are still compared", async () => {
  await send(40);
  const log = await ports.log();
  const records = await log.recent(100);
  const who = String(records[0].fields.customer_id);
  const own = records.filter(({ fields }) => fields.customer_id === who).length;
  const eraser = eraserOf([who], {
    names: new Set(["customer_id"]),
    personal: new Set<string>(),
    pseudonym: pseudonymOf(new Uint8Array(12)),
  });
  expect((await log.erase(eraser, { write: true }))[0]).toEqual({ what: "predictions", found: own });
  const forgotten = { names: new Set(["customer_id"]), personal: new Set<string>(), isTable: () => false };
  const report = await replay(ports, { pipeline: world.pipeline, history, forgotten });
  expect(report).toMatchObject({
    verdict: "pass",
    mismatchCount: 0,
    compared: 40 - own,
    skipped: { forgotten: own },
    reasons: expect.arrayContaining([expect.stringContaining(`${own} predictions cannot be recomputed`)]),
  });
  const changed = { ...forgotten, isTable: () => true };
  expect(await replay(ports, { pipeline: world.pipeline, history, forgotten: changed })).toMatchObject({
    verdict: "pass",
    compared: 0,
    skipped: { forgotten: 40 },
  });
});
