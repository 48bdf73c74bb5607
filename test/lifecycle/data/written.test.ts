// Columns as pipelines say they are written: the same from a table, a label file and a request, or refused by row and value.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { textAt } from "../../../src/core/table.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import { amountsOf, labelsOf, readSource, type Source, timesOf } from "../../../src/lifecycle/data/source.ts";
import { readLabels } from "../../../src/lifecycle/label.ts";
import { createParser } from "../../../src/online/parse.ts";
import { type Pipeline, parsePipeline } from "../../../src/pipeline/pipeline.ts";
import type { Ports } from "../../../src/ports/ports.ts";

const dir = mkdtempSync(path.join(tmpdir(), "sentinel-written-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function pipelineOf(columns: string): Pipeline {
  const text = `name: p\nmodel: m\nsource: data/t.csv\nfeatures: f\nschema: s.json\nsuite: u.json\ncolumns: ${columns}\n`;
  return parsePipeline(text, { file: path.join(dir, "p.yaml"), workspace: dir });
}

const plan = compileSpec(
  checkSpec({
    name: "t",
    version: 1,
    features: [{ kind: "window", name: "n", key: ["card"], over: "transactions", window: "1d" }],
  }),
);

async function read(pipeline: Pipeline, csv: string, name = "t.csv"): Promise<Source> {
  const file = path.join(dir, name);
  writeFileSync(file, csv);
  return readSource(datasetDuckdb(), pipeline, { path: file, plans: [plan], labelled: true });
}

const parser = (pipeline: Pipeline, properties: object) =>
  createParser({ pipeline, schema: { type: "object", properties }, aheadMaxMs: 60_000 });

const TABFORMER = pipelineOf(
  '{ id: {from: row}, time: {columns: [Year, Month, Day, Time], format: "%Y %m %d %H:%M"}, card: card, ' +
    'amount: {column: Amount, prefix: "$", thousands: ","}, label: {column: "Is Fraud?", fraud: [Yes], genuine: [No]} }',
);
const HEAD = "card,Year,Month,Day,Time,Amount,Is Fraud?";

describe("a table whose columns are written in their own way", () => {
  const csv = `${HEAD}\n7,2002,9,1,06:21,$134.09,No\n7,2002,09,01,06:42,"($1,038.48)",Yes\n8,2002,10,31,23:59,-$5,\n`;

  test("gives times, amounts, labels and ids", async () => {
    const { table } = await read(TABFORMER, csv);
    expect([...timesOf(table, TABFORMER)]).toEqual([
      Date.UTC(2002, 8, 1, 6, 21),
      Date.UTC(2002, 8, 1, 6, 42),
      Date.UTC(2002, 9, 31, 23, 59),
    ]);
    expect([...amountsOf(table, TABFORMER)]).toEqual([134.09, -1038.48, -5]);
    expect([...labelsOf(table, TABFORMER)]).toEqual([0, 1, 0]);
    const ids = table.columns.get("transaction_id")!;
    expect([0, 1, 2].map((row) => textAt(ids, row))).toEqual(["t-1", "t-2", "t-3"]);
  });

  test("and a request with the same content gives the same", () => {
    const { parse } = parser(TABFORMER, { Amount: {}, card: {} });
    const sent = {
      transaction_id: "x",
      Year: 2002,
      Month: "09",
      Day: 1,
      Time: "06:42",
      Amount: "($1,038.48)",
      card: 7,
    };
    const { transaction, timed } = parse(sent, Date.now());
    expect(timed).toBe(true);
    expect(transaction.time).toBe(Date.UTC(2002, 8, 1, 6, 42));
    expect(transaction.fields.Amount).toBe(-1038.48);
    expect(() => parse({ ...sent, Amount: "£3" }, Date.now())).toThrow(
      /Amount must be a number, or a text such as \$1,234\.50/,
    );
    expect(() => parse({ ...sent, Day: undefined }, Date.now())).toThrow(/Year/);
    expect(() => parse({ ...sent, transaction_id: undefined }, Date.now())).toThrow(/transaction_id/);
  });

  test.each([
    ["7,2002,9,1,06:21,€134.09,No", /Amount.*is no amount in data row 1: "€134\.09"/],
    ["7,2002,9,1,06:21,$1,no", /is no label in data row 1: "no"/],
    ["7,2002,13,1,06:21,$1,No", /Year .* with Month .* in data row 1 is "2002 13 1 06:21"/],
    ["7,2002,,1,06:21,$1,No", /has no time in data row 1/],
  ])("%s is refused by row and value", async (row, fault) => {
    await expect(read(TABFORMER, `${HEAD}\n${row}\n`)).rejects.toThrow(fault);
  });

  test("an own id beside made ones is refused", async () => {
    const csv = "Transaction_ID,card,Year,Month,Day,Time,Amount,Is Fraud?\na,7,2002,9,1,06:21,$1,No\n";
    await expect(read(TABFORMER, csv)).rejects.toThrow(/columns\.id makes ids from row numbers/);
  });
});

test.each([
  ["{column: step, unit: h, origin: 2024-01-01}", "25", Date.UTC(2024, 0, 2, 1)],
  ["{column: step, unit: s, origin: 2013-09-01}", "172792", Date.UTC(2013, 8, 2, 23, 59, 52)],
  ["{column: step, unit: 14d, origin: 2024-01-01}", "3", Date.UTC(2024, 1, 12)],
  ["{column: step, unit: month, origin: 2024-01-31}", "1", Date.UTC(2024, 1, 29)],
  ["{column: step, unit: month, origin: 2024-01-01}", "7", Date.UTC(2024, 7, 1)],
])("time: %s reads %s", async (time, cell, right) => {
  const pipeline = pipelineOf(`{ id: id, time: ${time}, card: card, amount: amount, label: y }`);
  const { table } = await read(pipeline, `id,step,card,amount,y\na,${cell},k,5,0\n`);
  expect(timesOf(table, pipeline)[0]).toBe(right);
  const { transaction } = parser(pipeline, {}).parse({ id: "a", step: Number(cell) }, Date.now());
  expect(transaction.time).toBe(right);
});

test("a part of a month is refused", async () => {
  const pipeline = pipelineOf(
    "{ id: id, time: {column: m, unit: month, origin: 2024-01-01}, amount: amount, label: y }",
  );
  await expect(read(pipeline, "id,m,card,amount,y\na,1.5,k,5,0\n")).rejects.toThrow(/data row 1/);
});

test("label words that are digits mean what is declared, in tables and label files", async () => {
  const label = '{column: class, fraud: ["1"], genuine: ["2"], unknown: [unknown]}';
  const pipeline = pipelineOf(`{ id: id, time: time, amount: amount, label: ${label} }`);
  const { table } = await read(
    pipeline,
    "id,time,card,amount,class\na,2024-01-01,k,5,1\nb,2024-01-01,k,5,2\nc,2024-01-01,k,5,unknown\n",
  );
  expect([...(table.columns.get("class") as { values: Float64Array }).values]).toEqual([1, 0, Number.NaN]);
  const file = path.join(dir, "labels.csv");
  writeFileSync(file, "id,class\na,1\nb,2\n");
  const ports = { dataset: async () => datasetDuckdb() } as unknown as Ports;
  expect((await readLabels(ports, pipeline, file)).map(({ fraud }) => fraud)).toEqual([true, false]);
  writeFileSync(file, "id,class\na,0\n");
  await expect(readLabels(ports, pipeline, file)).rejects.toThrow(/is no label in data row 1: 0/);
});

test.each([
  ["{ id: id, time: {columns: [a, b]}, amount: x, label: y }", /without a format/],
  ["{ id: id, time: {unit: h}, amount: x, label: y }", /one of column and columns/],
  ['{ id: id, time: {column: a, format: "%Y%m%d", unit: s}, amount: x, label: y }', /beside unit or origin/],
  ['{ id: id, time: a, amount: {column: x, decimal: ",", thousands: ","}, label: y }', /thousands/],
  ["{ id: id, time: a, amount: x, label: {column: y, fraud: [a], genuine: [a]} }", /stands twice/],
  ["{ id: id, time: {column: a, unit: 0d}, amount: x, label: y }", /unit/],
])("%s is refused", (columns, fault) => expect(() => pipelineOf(columns)).toThrow(fault));
