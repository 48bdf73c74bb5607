// Duplicates: what memory has forgotten the log still knows, after a restart too.
import { afterEach, expect, test } from "vitest";
import { emptyFields } from "../../src/core/transaction.ts";
import { Duplicates } from "../../src/online/duplicates.ts";
import type { Parsed } from "../../src/online/parse.ts";
import type { Reply } from "../../src/online/reply.ts";
import type { PredictionLog } from "../../src/ports/log.ts";
import { makeWorld, type World } from "../server/world.ts";

let world: World;
afterEach(async () => world.remove());

function parsed(id: string, changes: { amount?: number; time?: number; timed?: boolean; extra?: object } = {}): Parsed {
  const fields = emptyFields();
  fields.amount = changes.amount ?? 1;
  const transaction = { id, time: changes.time ?? 1000, fields };
  return { transaction, timed: changes.timed ?? true, extra: { ...changes.extra } };
}

/** Logs and remembers, as an answer does. */
function answered(log: PredictionLog, duplicates: Duplicates, of: Parsed): Reply {
  const { id, time, fields } = of.transaction;
  const said = { score: 0.5, anomalyScore: 0.25, decision: "review", version: "1", bundle: "b" } as const;
  const rest = { receivedAt: 0, vector: new Float32Array(1), latencyMs: 0, degraded: false };
  log.appendPrediction({ transactionId: id, time, fields, extra: of.extra, ...said, ...rest });
  const model = { name: "m", version: "1", bundle: "b" };
  const body = { transaction_id: id, score: 0.5, anomaly_score: 0.25, decision: "review", model } as const;
  duplicates.remember(of, body);
  return body;
}

test("a forgotten answer is found in the log, the same; other content is refused", async () => {
  world = makeWorld();
  const log = await world.open().ports.log();
  const duplicates = new Duplicates(log, { model: "m", knownMax: 2 });
  await duplicates.open();
  expect(duplicates.recall(parsed("a"))).toBeNull();
  const first = answered(log, duplicates, parsed("a", { extra: { note: [1, { deep: null }] } }));
  answered(log, duplicates, parsed("b"));
  answered(log, duplicates, parsed("c"));
  const again = parsed("a", { extra: { note: [1, { deep: null }] } });
  expect(duplicates.recall(again)).toBeUndefined();
  expect(await duplicates.find(again)).toEqual(first);
  await expect(duplicates.find(parsed("a"))).rejects.toMatchObject({ code: "request.duplicate" });
  await expect(duplicates.find(parsed("a", { amount: 2 }))).rejects.toMatchObject({ code: "request.duplicate" });
  expect(await duplicates.find(parsed("never"))).toBeNull();
});

test("after a restart memory is filled from the log, and time counts only where it was given", async () => {
  world = makeWorld();
  const one = world.open();
  const before = new Duplicates(await one.ports.log(), { model: "m" });
  await before.open();
  const body = answered(await one.ports.log(), before, parsed("a"));
  await one.close();
  const after = new Duplicates(await world.open().ports.log(), { model: "m" });
  await after.open();
  expect(after.recall(parsed("a"))).toEqual(body);
  expect(after.recall(parsed("a", { time: 2000, timed: false }))).toEqual(body);
  expect(() => after.recall(parsed("a", { time: 2000 }))).toThrow(/other content/);
  expect(after.recall(parsed("b"))).toBeNull();
});
