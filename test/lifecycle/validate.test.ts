// The data gate on files: folders, gzip and partitions read in batches as one table; rows at fault; a suite from data; words for a summary.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { withScratch } from "../../src/lifecycle/data/scratch.ts";
import { openSource, readSource } from "../../src/lifecycle/data/source.ts";
import { readSuite } from "../../src/lifecycle/data/suite-file.ts";
import { simulateDays } from "../../src/lifecycle/simulate.ts";
import { gateOf, profile, validate } from "../../src/lifecycle/validate.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import { sentinel } from "../cli/sentinel.ts";
import { emptyPlace, type Place, pipelineOf } from "./world.ts";

const WORLD = { customers: 400, terminals: 80, days: 30, seed: 4 };
const HEAD = "transaction_id,time,amount,customer_id,terminal_id,is_fraud";

let place: Place;
let table: string;

beforeAll(async () => {
  place = await emptyPlace();
  table = await place.write("transactions.parquet", simulateDays(WORLD));
});

afterAll(() => place.close());

test("a table in batches is judged as the same table in memory", async () => {
  const inMemory = await readSource(await place.ports.dataset(), place.pipeline, {
    path: table,
    plans: [],
    labelled: true,
    all: true,
  });
  const whole = gateOf(place.pipeline, inMemory.table);
  const streamed = await validate(place.ports, { pipeline: place.pipeline, path: table });
  expect(streamed.result.results.map(({ success, result }) => ({ success, result }))).toEqual(
    whole.result.results.map(({ success, result }) => ({ success, result })),
  );
  expect(streamed.source.rows).toBe(inMemory.table.rows);
  expect(streamed.failures).toBeNull();
  expect(streamed.html).toContain("<svg");
  expect(streamed.html).not.toMatch(/<script|https?:\/\//);
});

test("partitions in folders, compressed, are one table, and the rows at fault are found in it", async () => {
  const root = path.join(place.dir, "data", "by-day");
  for (const [day, amount] of [
    ["2024-01-01", "5"],
    ["2024-01-02", "-3"],
  ]) {
    mkdirSync(path.join(root, `day=${day}`), { recursive: true });
    const lines = Array.from(
      { length: 60 },
      (_, i) =>
        `${day}-${i},${day}T00:${String(i).padStart(2, "0")}:00,${i === 7 ? amount : i},1,2,${i % 30 === 0 ? 1 : 0}`,
    );
    writeFileSync(path.join(root, `day=${day}`, "part.csv.gz"), gzipSync(`${HEAD}\n${lines.join("\n")}\n`));
  }
  const { verdict, failures, result } = await validate(place.ports, { pipeline: place.pipeline, path: root });
  expect(result.meta.rows).toBe(120);
  expect(result.meta.columns).toContain("day");
  expect(verdict.verdict).toBe("fail");
  const lines = failures!.csv.trim().split("\n");
  expect(lines[0]).toBe(`check,severity,chosen,data_row,${result.meta.columns.join(",")}`);
  const atFault = lines.filter((line) => line.startsWith("amount: values to be between,"));
  expect(atFault).toHaveLength(1);
  // 60 rows of the first day, and the eighth of the second.
  expect(atFault[0]).toContain(",first,68,2024-01-02-7,");
});

test("the page shows rows at fault drawn from all of them, the CSV's own, and says of how many", async () => {
  const file = path.join(place.dir, "data", "many.csv");
  const amountOf = (i: number): string => (i % 3 === 0 ? String(-1 - i) : i % 500 === 1 ? "" : "7");
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const at = new Date(Date.UTC(2024, 0, 1) + i * 60_000).toISOString().slice(0, 19);
    return `m${i},${at},${amountOf(i)},${i % 70},2,${i % 30 === 1 ? 1 : 0}`;
  });
  writeFileSync(file, `${HEAD}\n${lines.join("\n")}\n`);
  const { html, failures } = await validate(place.ports, { pipeline: place.pipeline, path: file });
  const cardOf = (caption: string): string => html.slice(html.indexOf(caption)).split("</table>")[0];
  const shown = [...cardOf("40 of 1,000 rows at fault, drawn evenly").matchAll(/<td>([\d,]+)<\/td><td><code>(-\d+)</g)];
  expect(shown).toHaveLength(40);
  const rows = shown.map(([, row]) => Number(row.replace(",", "")));
  expect(shown.map(([, , value]) => Number(value))).toEqual(rows.map((row) => -row));
  // Drawn from the whole table: the first 40 would end at row 118.
  expect(rows.filter((row) => row > 1500).length).toBeGreaterThan(8);
  const csv = failures!.csv.split("\n").filter((line) => line.startsWith("amount: values to be between,"));
  const kept = new Set(csv.map((line) => Number(line.split(",")[3])));
  expect(rows.filter((row) => !kept.has(row))).toEqual([]);
  expect((await validate(place.ports, { pipeline: place.pipeline, path: file })).html).toBe(html);
});

test("errors of a batch name the row of the whole table", async () => {
  const file = path.join(place.dir, "data", "long.csv");
  const lines = Array.from(
    { length: 130_000 },
    (_, i) => `t${i},2024-01-01T00:00:00,${i},1,2,${i === 129_000 ? 7 : 0}`,
  );
  writeFileSync(file, `${HEAD}\n${lines.join("\n")}\n`);
  const source = await openSource(datasetDuckdb(), pipelineOf("", place.dir), {
    path: file,
    plans: [],
    labelled: true,
    all: true,
  });
  const read = async (): Promise<number> => {
    let rows = 0;
    for await (const batch of source.batches(shapesOf(source.empty).map(({ name }) => name))) rows += batch.rows;
    return rows;
  };
  await expect(read()).rejects.toThrow(/data row 129001/);
});

test("a proposed suite accepts the table it came from, refuses another, and is read as JSON and as YAML", async () => {
  const { suite, rows } = await profile(place.ports, { pipeline: place.pipeline, path: table });
  expect(rows).toBeGreaterThan(1000);
  const asked = suite.expectations.map(({ type, kwargs }) => `${String(kwargs.column)} ${type}`);
  expect(asked).toContain("transaction_id expect_column_values_to_be_unique");
  expect(asked).toContain("is_fraud expect_column_values_to_be_in_set");
  expect(asked).not.toContain("customer_id expect_column_values_to_be_in_set");
  for (const { notes } of suite.expectations) expect(notes).not.toBe("");
  const json = path.join(place.dir, "pipelines", "proposed.suite.json");
  writeFileSync(json, JSON.stringify(suite));
  const own = { ...place.pipeline, suiteFile: json };
  expect((await validate(place.ports, { pipeline: own, path: table })).verdict.verdict).toBe("pass");
  const inflated = await place.write("inflated.parquet", simulateDays({ ...WORLD, days: 3, seed: 9 }));
  const other = await validate(place.ports, { pipeline: own, path: inflated });
  expect(other.result.results.filter(({ success }) => !success).map((one) => one.expectation_config.type)).toContain(
    "expect_table_row_count_to_be_between",
  );
  const yaml = path.join(place.dir, "pipelines", "proposed.suite.yaml");
  const ran = await sentinel(["validate", "--workspace", place.dir, "--profile", yaml]);
  expect(ran.code, ran.stderr).toBe(0);
  expect(readSuite({ file: "card.yaml", suiteFile: yaml }).expectations).toHaveLength(suite.expectations.length);
  const refused = await sentinel(["validate", "--workspace", place.dir, "--profile", place.pipeline.suiteFile]);
  expect(refused.code).toBe(2);
});

test("a summary keeps the verdict as Markdown in which data stay data", async () => {
  const file = path.join(place.dir, "data", "odd.csv");
  const rows = [1, 2].map((i) => `${i},2024-01-0${i}T00:00:00,-5,1,2,0`);
  writeFileSync(file, `${HEAD.replace("terminal_id", '"x|<b>[a](http://b)"')}\n${rows.join("\n")}\n`);
  const summary = path.join(place.dir, "summary.md");
  writeFileSync(summary, "before\n");
  const ran = await sentinel(["validate", "--workspace", place.dir, "--data", file, "--summary", summary, "--json"]);
  expect(ran.code, ran.stderr).not.toBe(0);
  const text = readFileSync(summary, "utf8");
  expect(text.startsWith("before\n")).toBe(true);
  expect(text).toContain("## sentinel validate");
  expect(text).not.toMatch(/<b>|[^\\]\[a\]\(http/);
});

test("a scratch folder is gone, whatever ends the work", async () => {
  const before = new Set(readdirSync(tmpdir()).filter((name) => name.startsWith("sentinel-scratch-")));
  let seen: Uint8Array = new Uint8Array();
  await expect(
    withScratch(async (scratch) => {
      scratch.append("a", Uint8Array.of(1, 2));
      scratch.append("a", Uint8Array.of(3));
      seen = scratch.read("a");
      throw new Error("the end");
    }),
  ).rejects.toThrow("the end");
  expect([...seen]).toEqual([1, 2, 3]);
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith("sentinel-scratch-") && !before.has(name));
  expect(left).toEqual([]);
});
