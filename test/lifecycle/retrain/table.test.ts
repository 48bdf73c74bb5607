// The tables that retrainings learned: few are kept, and none goes that a version or a replay still needs.
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { textAt } from "../../../src/core/table.ts";
import { labelsOf, readSource, timesOf } from "../../../src/lifecycle/data/source.ts";
import { readingPlan } from "../../../src/lifecycle/data/spec-table.ts";
import { gather, pruneTables } from "../../../src/lifecycle/retrain/table.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import { addEra } from "../../../src/online/states/eras.ts";
import { parsePipeline } from "../../../src/pipeline/pipeline.ts";
import { prediction, version } from "../records.ts";
import { emptyPlace, type Place, START } from "../world.ts";

/** A table without ids, whose times, amounts and labels are written in ways of their own. */
const WRITTEN = `columns:
  id: { from: row }
  time: { column: time, format: "%d/%m/%Y %H:%M", zone: Europe/Paris }
  amount: { column: amount, prefix: "€" }
  card: customer_id
  label: { column: is_fraud, fraud: ["0"], genuine: ["1"] }
`;

const MODEL = "card-fraud";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
});
afterEach(() => place.close());

test("the newest three stay, and older ones that a version with an alias or a feature state came from", async () => {
  const folder = path.join(place.dir, "data", "retrain");
  mkdirSync(folder, { recursive: true });
  const file = (number: number, name = "card"): string =>
    path.join(folder, `${name}-${String(number).padStart(12, "0")}.parquet`);
  for (let number = 1; number <= 8; number++) {
    writeFileSync(file(number), "a table");
    utimesSync(file(number), START / 1000 + number, START / 1000 + number);
  }
  // Of another pipeline, of a person, and of a pipeline whose name begins alike.
  const others = [file(1, "sensors"), path.join(folder, "card-mine.parquet"), file(1, "card-b2b")];
  for (const one of others) writeFileSync(one, "a table");
  await version(place.ports, MODEL, undefined, { "sentinel.data_path": file(2) });
  await version(place.ports, MODEL, undefined, { "sentinel.data_path": file(3) });
  await (await place.ports.registry()).moveAlias({
    model: MODEL,
    alias: "champion",
    from: null,
    to: "1",
    entry: { at: START, actor: "tester", verb: "train", verdict: "pass", evidence: "", reason: "made" },
  });
  const origin = { dataHash: "", dataPath: file(4), trainedUpTo: START, catchUpSequence: 0 };
  await addEra(await place.ports.snapshots(), "card", { layout: "l", origin });
  await pruneTables(place.ports, { pipeline: place.pipeline, workspace: place.dir });
  const left = [1, 2, 3, 4, 5, 6, 7, 8].filter((number) => existsSync(file(number)));
  // 2: the champion's; 4: a replay begins with it; 3 is of a version that nothing names.
  expect(left).toEqual([2, 4, 6, 7, 8]);
  for (const one of others) expect(existsSync(one), one).toBe(true);
});

test("a corrected label makes another file, and the one that a version was made from stays what it was", async () => {
  const { pipeline, ports, dir } = place;
  const days = [...simulateDays({ customers: 30, terminals: 30, days: 3, seed: 1 })];
  await (await ports.dataset()).write(pipeline.source, days);
  const log = await ports.log();
  const time = START + 5 * DAY_MS;
  const fields = { amount: 5, customer_id: "1", terminal_id: "1" };
  log.appendPrediction(prediction({ transactionId: "asked", time, fields }));
  log.appendPrediction(prediction({ transactionId: "late", time: time + 30 * DAY_MS, fields }));
  log.appendLabel({ transactionId: "asked", fraud: true, knownAt: time + 1, source: "test", receivedAt: time });
  await log.flush();
  const input = { pipeline, path: pipeline.source, workspace: dir };
  const first = await gather(ports, input);
  const hash = await (await ports.dataset()).hash(first.path);
  expect((await gather(ports, input)).path).toBe(first.path);
  log.appendLabel({ transactionId: "asked", fraud: false, knownAt: time + 2, source: "test", receivedAt: time });
  await log.flush();
  const second = await gather(ports, input);
  expect(second.path).not.toBe(first.path);
  expect(await (await ports.dataset()).hash(first.path)).toBe(hash);
});

test("a grown table is read as it was written, however the pipeline's own are written", async () => {
  const { ports, dir } = place;
  const text = readFileSync(place.pipeline.file, "utf8").replace(/^columns:.*\n(?: .*\n)+/m, WRITTEN);
  const pipeline = parsePipeline(text, { file: place.pipeline.file, workspace: dir });
  const file = path.join(dir, "data", "own.csv");
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    "time,customer_id,terminal_id,amount,is_fraud\n01/05/2024 14:00,007,1,€5.50,0\n02/05/2024 14:00,7,1,€6,1\n",
  );
  const time = Date.UTC(2024, 4, 3, 12);
  const log = await ports.log();
  const fields = { amount: 7.5, customer_id: "007", terminal_id: "1" };
  log.appendPrediction(prediction({ transactionId: "asked", time, fields }));
  log.appendPrediction(prediction({ transactionId: "late", time: time + 60 * DAY_MS, fields }));
  log.appendLabel({ transactionId: "asked", fraud: true, knownAt: time + 1, source: "test", receivedAt: time });
  await log.flush();
  const grown = await gather(ports, { pipeline, path: file, workspace: dir });
  const plans = [await readingPlan(ports, pipeline, grown.path)];
  const { table } = await readSource(await ports.dataset(), pipeline, { path: grown.path, plans, labelled: true });
  const cells = (name: string) => [0, 1, 2].map((row) => textAt(table.columns.get(name)!, row));
  expect(cells("transaction_id")).toEqual(["own-1", "own-2", "asked"]);
  expect([...timesOf(table, pipeline)]).toEqual([1, 2, 3].map((day) => Date.UTC(2024, 4, day, 12)));
  expect(cells("customer_id")).toEqual(["007", "7", "007"]);
  expect(cells("amount")).toEqual(["5.5", "6", "7.5"]);
  expect([...labelsOf(table, pipeline)]).toEqual([1, 0, 1]);
});
