// Compact: old predictions are in a Parquet file with their labels, and only then gone from the log.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { numberAt, textAt } from "../../src/core/table.ts";
import { compact } from "../../src/lifecycle/compact.ts";
import { collect } from "../contracts/prediction-log.ts";
import { label, prediction } from "../drivers/records.ts";
import { makeWorld } from "../server/world.ts";
import { emptyPlace, type Place } from "./world.ts";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
});
afterEach(() => place.close());

test("what is old leaves the log whole, and stays readable", async () => {
  const world = makeWorld();
  const log = await place.ports.log();
  const vector = Float32Array.of(0.1, Number.NaN, -3);
  for (let i = 0; i < 12_000; i++) log.appendPrediction(prediction(`t${i}`, { receivedAt: i, time: i * 10, vector }));
  log.appendLabel(label("t5", { fraud: true, knownAt: 900 }));
  log.appendLabel(label("t5", { fraud: false, knownAt: 800 }));
  const folder = path.join(place.dir, "archive");
  const input = { pipeline: world.pipeline, schema: null, folder, otherwise: folder };
  const result = await compact(place.ports, { ...input, before: 11_000 });
  expect(result).toMatchObject({ predictions: 11_000, labelled: 1 });
  expect(readFileSync(result.file!).subarray(0, 4).toString()).toBe("PAR1");
  const table = await (await place.ports.dataset()).read(result.file!);
  const cell = (name: string) => table.columns.get(name)!;
  expect(table.rows).toBe(11_000);
  expect(textAt(cell("transaction_id"), 10_999)).toBe("t10999");
  expect(JSON.parse(textAt(cell("fields"), 5)!)).toEqual(prediction("t5").fields);
  const stored = JSON.parse(textAt(cell("vector"), 5)!) as (number | null)[];
  expect(Float32Array.from(stored, (value) => value ?? Number.NaN)).toEqual(vector);
  expect([numberAt(cell("time"), 7), numberAt(cell("fraud"), 5), numberAt(cell("label_known_at"), 5)]).toEqual([
    70, 1, 900,
  ]);
  expect(numberAt(cell("fraud"), 6)).toBeNaN();
  expect(await log.counts()).toMatchObject({ predictions: 1000, labels: 0 });
  expect((await collect(log.scan(0)))[0].record.transactionId).toBe("t11000");
  expect(await compact(place.ports, { ...input, before: 11_000 })).toEqual({ file: null, predictions: 0, labelled: 0 });
  expect(existsSync(result.file!)).toBe(true);
  await world.remove();
});
