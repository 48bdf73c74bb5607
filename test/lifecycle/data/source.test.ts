// Reading a pipeline's table: aliases, the canonical name before them, cards, labels, and each fault with its place.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Column } from "../../../src/core/table.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import {
  amountsOf,
  cardsOf,
  checkUniqueIds,
  labelsOf,
  readSource,
  type Source,
  timesOf,
} from "../../../src/lifecycle/data/source.ts";
import { pipelineOf } from "../world.ts";

const pipeline = pipelineOf(
  "aliases: { transaction_id: [id], time: [at], amount: [sum, price], customer_id: [user], is_fraud: [fraud] }\n",
);
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-source-"));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function read(csv: string, options: { labelled?: boolean; wanted?: string[] } = {}): Promise<Source> {
  const file = path.join(dir, "t.csv");
  writeFileSync(file, csv);
  const wanted = options.wanted ?? [];
  const features = wanted.map((column) => ({ kind: "category", name: `of_${column}`, column, values: ["x"] }));
  const plans = wanted.length === 0 ? [] : [compileSpec(checkSpec({ name: "t", version: 1, features }))];
  return readSource(await datasetDuckdb(), pipeline, { path: file, plans, labelled: options.labelled ?? true });
}

test("columns come under their canonical names, only those that are asked for", async () => {
  const csv =
    "id,at,sum,user,fraud,shop,colour\n1,2026-01-01 00:00:00,5,u1,0,s,red\n2,2026-01-01 00:00:01,6,u2,1,s,red\n";
  const source = await read(csv, { wanted: ["shop", "absent"] });
  expect([...source.table.columns.keys()].sort()).toEqual([
    "amount",
    "customer_id",
    "is_fraud",
    "shop",
    "time",
    "transaction_id",
  ]);
  expect([...timesOf(source.table, pipeline)]).toEqual([Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 1, 0, 0, 1)]);
  expect([...labelsOf(source.table, pipeline)]).toEqual([0, 1]);
});

test("a column without one value is missing numbers, not texts", async () => {
  const source = await read("id,at,sum,user,fraud\n1,2026-01-01 00:00:00,,u1,\n2,2026-01-01 00:00:01,,u2,\n");
  for (const name of ["amount", "is_fraud"]) {
    const column = source.table.columns.get(name) as { readonly kind: string; readonly values: Float64Array };
    expect(column.kind).toBe("number");
    expect([...column.values]).toEqual([Number.NaN, Number.NaN]);
  }
});

test.each(["sum,amount", "amount,price", "price,SUM", "Amount,sum"])(
  "two columns of one meaning, %s, are refused by their names",
  async (names) => {
    const [first, second] = names.split(",");
    await expect(read(`id,at,${names},fraud\n1,2026-01-01 00:00:00,5,9,0\n`)).rejects.toThrow(
      `two columns that mean amount: ${first} and ${second}`,
    );
  },
);

test("without a label a table is read when none is needed, and refused when one is", async () => {
  const csv = "id,at,sum\n1,2026-01-01 00:00:00,5\n";
  expect([...(await read(csv, { labelled: false })).table.columns.keys()]).toEqual([
    "transaction_id",
    "time",
    "amount",
  ]);
  await expect(read(csv)).rejects.toThrow(/no column is_fraud \(or fraud\); it has: id, at, sum/);
});

test("cards are dense codes; a row without one is a card of its own", async () => {
  for (const [a, b] of [
    ["u1", "u2"],
    ["7", "8"],
  ]) {
    const lines = [a, b, "", a, ""].map((user, i) => `${i},2026-01-01 00:00:0${i},5,${user},0`);
    const cards = [...cardsOf((await read(`id,at,sum,user,fraud\n${lines.join("\n")}\n`)).table, pipeline)];
    expect(cards[3]).toBe(cards[0]);
    expect(new Set(cards).size).toBe(4);
  }
});

test("text ids and numbers are checked for repetition alike", async () => {
  for (const ids of [
    ["b", "a", "b"],
    ["5", "3", "5"],
  ]) {
    const lines = ids.map((id, i) => `${id},2026-01-01 00:00:0${i},5,0`);
    const source = await read(`id,at,sum,fraud\n${lines.join("\n")}\n`);
    expect(() => checkUniqueIds(source, pipeline)).toThrow(
      new RegExp(`id ${ids[0]} occurs twice, in data rows 1 and 3`),
    );
  }
});

test("the same bytes have the same hash, others another", async () => {
  const csv = "id,at,sum,fraud\n1,2026-01-01 00:00:00,5,0\n";
  const { hash } = await read(csv);
  expect((await read(csv)).hash).toBe(hash);
  expect((await read(csv.replace(",5,", ",6,"))).hash).not.toBe(hash);
});

test("a column that was read in another shape, or not at all, stops where it is asked for", () => {
  const text: Column = { kind: "text", codes: Int32Array.of(0), dictionary: ["1"] };
  for (const [name, of] of [
    ["time", timesOf],
    ["is_fraud", labelsOf],
    ["amount", amountsOf],
  ] as const) {
    expect(() => of({ rows: 1, columns: new Map([[name, text]]) }, pipeline), name).toThrow("to hold no text");
    expect(() => of({ rows: 1, columns: new Map() }, pipeline), name).toThrow("was read");
  }
});

test("moments of labels that are no times are refused, not taken for missing; an empty column is missing", async () => {
  const rows = (known: string) => `id,at,sum,user,fraud,label_known_at\n1,2026-01-01 00:00:00,5,u1,0,${known}\n`;
  await expect(read(rows("last week"))).rejects.toMatchObject({
    code: "dataset.type-wrong",
    message: expect.stringMatching(/column label_known_at .*in data row 1 is "last week", which is no time/),
  });
  const { table } = await read(rows(""));
  expect(table.columns.get("label_known_at")).toEqual({ kind: "time", values: Float64Array.of(Number.NaN) });
});
