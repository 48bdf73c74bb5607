// Late labels: read from a table with every row checked, written for transactions that the log knows.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { readLabels, writeLabels } from "../../src/lifecycle/label.ts";
import { prediction } from "./records.ts";
import { emptyPlace, type Place, START } from "./world.ts";

let place: Place;
beforeAll(async () => {
  place = await emptyPlace();
});
afterAll(() => place.close());

const read = (csv: string) => {
  const file = path.join(place.dir, "labels.csv");
  writeFileSync(file, csv);
  return readLabels(place.ports, place.pipeline, file);
};

test("ids stay text, the source and the time are the row's, or file and unknown", async () => {
  expect(await read("tx_id,tx_fraud,source,label_known_at\n7,1,bank,2026-01-05 00:00:00\n8,0,,\n")).toEqual([
    { transactionId: "7", fraud: true, knownAt: Date.UTC(2026, 0, 5), source: "bank" },
    { transactionId: "8", fraud: false, knownAt: "after-delay", source: "file" },
  ]);
});

test("a time column of the file is not when the label became known", async () => {
  const [label] = await read("id,is_fraud,time\n7,1,2026-01-05 00:00:00\n");
  expect(label.knownAt).toBe("after-delay");
});

test.each([
  ["id,colour\n1,red\n", /no column is_fraud; it has: id, colour/],
  ["is_fraud\n1\n", /no column transaction_id/],
  ["id,is_fraud\n1,0\n2,3\n", /data row 2 has label 3; a label is 0 or 1/],
  ["id,is_fraud\n1,0\n2,\n", /data row 2 has label/],
  ["id,is_fraud\n1,0\n,1\n", /data row 2 has no transaction id/],
  ["id,is_fraud\n1,no\n", /data row 1 has label no/],
])("%j is refused by its row", async (csv, says) => {
  await expect(read(csv)).rejects.toThrow(says);
});

test("labels of unknown transactions are counted and named, the others written with a time", async () => {
  const log = await place.ports.log();
  for (let i = 0; i < 30; i++) log.appendPrediction(prediction({ transactionId: `p${i}`, time: START + i }));
  await log.flush();
  const lines = Array.from({ length: 60 }, (_, i) => `p${i},${i % 2}`);
  const result = await writeLabels(place.ports, place.pipeline, await read(`id,is_fraud\n${lines.join("\n")}\n`));
  expect(result).toMatchObject({ read: 60, written: 30, unknownCount: 30 });
  expect(result.unknown).toHaveLength(20);
  expect(result.unknown[0]).toBe("p30");
  const labels = [];
  for await (const entry of log.scan(0)) if (entry.kind === "label") labels.push(entry.record);
  expect(labels).toHaveLength(30);
  expect(labels[3]).toMatchObject({ transactionId: "p3", fraud: true, knownAt: START + 3 + 7 * DAY_MS });
});

test("a label that is older than its transaction is refused by name, before anything of the file is written", async () => {
  const log = await place.ports.log();
  for (const id of ["early", "late"]) log.appendPrediction(prediction({ transactionId: id, time: START }));
  await log.flush();
  const before = await log.counts();
  const labels = await read("id,is_fraud,label_known_at\nlate,1,2026-01-02 00:00:00\nearly,1,2001-01-01 00:00:00\n");
  await expect(writeLabels(place.ports, place.pipeline, labels)).rejects.toThrow(
    /label of "early": the label is known at 2001-01-01T00:00:00.000Z, before its transaction happened/,
  );
  expect((await log.counts()).labels).toBe(before.labels);
});

test("ids that look like numbers of another writing reach the transaction of that spelling and no other", async () => {
  const log = await place.ports.log();
  const ids = ["0x1f", "31", "6e2", "600", "0088", "88", "+88", "true"];
  for (const id of ids) log.appendPrediction(prediction({ transactionId: id, time: START }));
  await log.flush();
  const label = async (csv: string) => {
    const before = new Set<string>();
    for await (const entry of log.scan(0)) if (entry.kind === "label") before.add(entry.record.transactionId);
    const result = await writeLabels(place.ports, place.pipeline, await read(csv));
    const after: string[] = [];
    for await (const entry of log.scan(0)) if (entry.kind === "label") after.push(entry.record.transactionId);
    return { written: result.written, ids: after.filter((id) => !before.has(id)) };
  };
  expect(await label("transaction_id,is_fraud\n0x1f,1\n6e2,1\n")).toEqual({ written: 2, ids: ["0x1f", "6e2"] });
  expect(await label("transaction_id,is_fraud\n0088,1\n+88,0\ntrue,1\n")).toEqual({
    written: 3,
    ids: ["0088", "+88", "true"],
  });
  expect(await label("transaction_id,is_fraud\n31,1\n")).toEqual({ written: 1, ids: ["31"] });
});

test.each([
  ["04/12/2026 10:00", /label_known_at .*data row 1 is "04\/12\/2026 10:00"/, /is the day or the month first/],
  ["1770000000", /label_known_at .*data row 1 is 1770000000, which as milliseconds .*1970/, /unit: s/],
  ["1770000000000000", /data row 1 is 1770000000000000/, /unit: us/],
  ["20260412", /data row 1 is 20260412/, /%Y%m%d/],
])("a label known at %s is refused by row, with what would fit", async (known, message, hint) => {
  await expect(read(`transaction_id,is_fraud,label_known_at\nq1,1,${known}\n`)).rejects.toMatchObject({
    code: "dataset.type-wrong",
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});
