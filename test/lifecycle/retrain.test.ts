// Retrain: one at a time, after an alarm and a cooldown, from the table and what the log learned since, labels included.
import { existsSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import type { Table } from "../../src/core/table.ts";
import { numberAt, textAt } from "../../src/core/table.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { retrain } from "../../src/lifecycle/retrain.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { prediction } from "./records.ts";
import { makePlace, type Place } from "./world.ts";

const DAYS = 60;
const LATER = 20;
const WORLD = { customers: 600, terminals: 900, seed: 11 };

let place: Place;
let later: Table[];

beforeAll(async () => {
  place = await makePlace({ ...WORLD, days: DAYS });
  later = [...simulateDays({ ...WORLD, days: DAYS + LATER })].slice(DAYS);
});

afterAll(() => place.close());

const input = (forced: string | null, monitorPath: string | null = null) => ({
  pipeline: place.pipeline,
  path: place.pipeline.source,
  monitorPath,
  workspace: place.dir,
  actor: "tester",
  packageVersion: "0",
  forced,
});

test("without a champion there is nothing to look at, unless it is forced", async () => {
  await expect(retrain(place.ports, input(null))).rejects.toMatchObject({ code: "lifecycle.no-champion" });
  const result = await retrain(place.ports, input("the first"));
  expect(result).toMatchObject({ outcome: "trained", monitor: null, data: place.pipeline.source, reason: "the first" });
  expect(await (await place.ports.registry()).aliases("card-fraud")).toEqual({
    candidate: result.trained?.version?.version,
  });
});

test("a cooldown follows, on the clock that is given", async () => {
  expect(await retrain(place.ports, input(null))).toMatchObject({ outcome: "cooldown", trained: null });
  place.clock.time += place.pipeline.retrain.cooldownMs - 1;
  expect((await retrain(place.ports, input(null))).outcome).toBe("cooldown");
  place.clock.time += 2;
  await expect(retrain(place.ports, input(null))).rejects.toMatchObject({ code: "lifecycle.no-champion" });
});

test("only one at a time; the lock is free again after an error", async () => {
  const held = await (await place.ports.lock()).acquire("retrain-card");
  await expect(retrain(place.ports, input("twice"))).rejects.toMatchObject({ code: "lifecycle.locked" });
  await held.release();
  await expect(retrain(place.ports, { ...input("x"), path: "/nowhere.csv" })).rejects.toMatchObject({
    code: "dataset.missing",
  });
  await (await (await place.ports.lock()).acquire("retrain-card")).release();
});

test("without an alarm nothing is trained", async () => {
  const { pipeline } = place;
  await promote(place.ports, { pipeline, to: "1", actor: "tester", forced: "a test", seed: 1 });
  // The newest week of this table is none that the champion has learned.
  const calm = await place.write("calm.parquet", simulateDays({ ...WORLD, days: DAYS + LATER }));
  const result = await retrain(place.ports, input(null, calm));
  expect(result, result.reason).toMatchObject({ outcome: "no-alarm", trained: null, data: null });
  expect(result.reason).toMatch(/^steady/);
});

test("on a broken feed nothing is trained: a model would learn the fault", async () => {
  const { pipeline, ports, dir } = place;
  const dataset = await ports.dataset();
  const table = await dataset.read(pipeline.source);
  const amount = table.columns.get("tx_amount");
  if (amount?.kind !== "number") throw new Error("the simulation has amounts");
  const inCents = { ...amount, values: amount.values.map((value) => 100 * value) };
  const file = path.join(dir, "cents.parquet");
  await dataset.write(file, [{ ...table, columns: new Map([...table.columns, ["tx_amount", inCents]]) }]);
  const result = await retrain(ports, input(null, file));
  expect(result, result.reason).toMatchObject({ outcome: "broken-feed", trained: null, data: null });
  expect(result.reason).toMatch(/repair the source first.*broken feed/);
});

test("the log's matured transactions with their labels stand below the table, and the champion stays", async () => {
  const log = await place.ports.log();
  const expected = new Map<string, number>();
  const newest = Math.max(...later.map((table) => numberAt(table.columns.get("tx_datetime")!, table.rows - 1)));
  for (const table of later) {
    const value = (name: string, row: number): number => numberAt(table.columns.get(name)!, row);
    for (let row = 0; row < table.rows; row++) {
      const transactionId = String(value("transaction_id", row));
      const time = value("tx_datetime", row);
      const fields = {
        amount: value("tx_amount", row),
        customer_id: value("customer_id", row),
        terminal_id: value("terminal_id", row),
      };
      log.appendPrediction(prediction({ transactionId, time, fields }));
      const fraud = value("tx_fraud", row) === 1;
      // Analysts report frauds only, three days later; the pipeline counts what nobody reported as genuine.
      if (fraud)
        log.appendLabel({ transactionId, fraud, knownAt: time + 3 * DAY_MS, source: "test", receivedAt: time });
      if (time <= newest - place.pipeline.labels.maturityMs) expected.set(transactionId, fraud ? 1 : 0);
    }
    await log.flush();
  }
  const result = await retrain(place.ports, input("a test"));
  expect(["trained", "refused"]).toContain(result.outcome);
  expect(existsSync(result.data!)).toBe(true);
  const dataset = await place.ports.dataset();
  const [before, after] = [await dataset.read(place.pipeline.source), await dataset.read(result.data!)];
  expect(after.rows).toBe(before.rows + expected.size);
  // A version that was refused has no tags; its run has.
  const run = (await (await place.ports.registry()).runs("card")).find(({ runId }) => runId === result.trained?.runId);
  expect(run?.tags).toMatchObject({
    "sentinel.verb": "retrain",
    "sentinel.data_hash": await dataset.hash(result.data!),
    "sentinel.grown_from_hash": await dataset.hash(place.pipeline.source),
    "sentinel.grown_by_rows": String(expected.size),
    "sentinel.parent": "1",
  });
  const column = (name: string) => after.columns.get(name)!;
  let frauds = 0;
  for (let row = before.rows; row < after.rows; row++) {
    const id = textAt(column("transaction_id"), row)!;
    const fraud = numberAt(column("is_fraud"), row);
    expect(fraud, id).toBe(expected.get(id));
    const lag = numberAt(column("label_known_at"), row) - numberAt(column("time"), row);
    expect(lag).toBe((fraud === 1 ? 3 : 7) * DAY_MS);
    frauds += fraud;
  }
  expect(frauds).toBeGreaterThan(10);
  expect((await (await place.ports.registry()).aliases("card-fraud")).champion).toBe("1");
});
