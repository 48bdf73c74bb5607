// Tables of several files: lists, folders, patterns, gzip, date=…/ folders; one order, one hash, and what is no one table is refused.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Table, textAt } from "../../../src/core/table.ts";
import { withDuckDb } from "../../../src/drivers/dataset/duckdb/connection.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";

const dataset = datasetDuckdb();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-files-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function put(name: string, content: string | Uint8Array): string {
  const file = path.join(dir, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const cells = (table: Table, name: string) =>
  Array.from({ length: table.rows }, (_, row) => textAt(table.columns.get(name)!, row));

test("a folder, a pattern and a list are read in one stated order, gzip or not", async () => {
  put("t/b.csv", "id,x\n3,c\n");
  put("t/a.csv.gz", gzipSync("id,x\n1,a\n2,b\n"));
  put("t/deep/c.csv", "id,x\n4.5,d\n");
  put("t/_log.csv", "no,table\n");
  put("t/notes.txt", "none");
  for (const place of ["t", "t/**/*.csv*"]) {
    const table = await dataset.read(path.join(dir, place));
    expect(cells(table, "x")).toEqual(["a", "b", "c", "d"]);
    expect([...(table.columns.get("id") as { values: Float64Array }).values]).toEqual([1, 2, 3, 4.5]);
  }
  const list = `${dir}/t/b.csv, ${dir}/t/a.csv.gz`;
  expect(cells(await dataset.read(list), "x")).toEqual(["c", "a", "b"]);
  expect((await dataset.describe(list)).files).toEqual([
    { name: "b", place: path.join(dir, "t/b.csv"), rows: 1 },
    { name: "a", place: path.join(dir, "t/a.csv.gz"), rows: 2 },
  ]);
  expect(cells(await dataset.read(path.join(dir, "t", "*.csv")), "x")).toEqual(["c"]);
});

test("the hash is of all files in order", async () => {
  const [one, two] = [put("1.csv", "id\n1\n"), put("2.csv", "id\n2\n")];
  const hash = await dataset.hash(`${one},${two}`);
  expect(hash).not.toBe(await dataset.hash(`${two},${one}`));
  expect(hash).toBe(await dataset.hash(path.join(dir, "*.csv")));
  put("2.csv", "id\n3\n");
  expect(hash).not.toBe(await dataset.hash(dir));
});

test("names of folders are columns, spelled as they are, in every format", async () => {
  await withDuckDb({ memoryLimit: "200MB", threads: 1 }, async (connection) => {
    for (const [day, region] of [
      ["2024-01-01", "007"],
      ["2024-01-02", "7"],
    ]) {
      const folder = `date=${day}/region=${region}`;
      for (const format of ["csv", "parquet", "ndjson"]) mkdirSync(path.join(dir, format, folder), { recursive: true });
      put(`csv/${folder}/p.csv`, "id\n1\n");
      put(`ndjson/${folder}/p.ndjson.gz`, gzipSync('{"id":1}\n'));
      await connection.run(`COPY (SELECT 1 AS id) TO '${dir}/parquet/${folder}/p.parquet' (FORMAT parquet)`);
    }
  });
  for (const format of ["csv", "parquet", "ndjson"]) {
    const table = await dataset.read(path.join(dir, format), { spelled: ["region"] });
    expect(cells(table, "region"), format).toEqual(["007", "7"]);
    expect(table.columns.get("date"), format).toEqual({
      kind: "time",
      values: Float64Array.of(Date.UTC(2024, 0, 1), Date.UTC(2024, 0, 2)),
    });
    const { files } = await dataset.describe(path.join(dir, format));
    expect(files[0]).toMatchObject({ name: "date=2024-01-01/region=007/p", rows: 1 });
  }
});

test("a column of integers here and of fractions there keeps its fractions", async () => {
  await withDuckDb({ memoryLimit: "200MB", threads: 1 }, async (connection) => {
    await connection.run(`COPY (SELECT 1 AS x) TO '${dir}/a.parquet' (FORMAT parquet)`);
    await connection.run(`COPY (SELECT 1.5::DOUBLE AS x) TO '${dir}/b.parquet' (FORMAT parquet)`);
  });
  expect(cells(await dataset.read(path.join(dir, "*.parquet")), "x")).toEqual(["1", "1.5"]);
});

test("files that are no one table are refused by name", async () => {
  put("a.csv", "id,x\n1,2\n");
  for (const [other, fault] of [
    ["id,y\n1,2\n", /only one of them has a column y/],
    ["x,id\n1,2\n", /another order/],
    ["id;x\n1;2\n", /by another sign/],
    ["", /b\.csv has no bytes/],
  ] as const) {
    put("b.csv", other);
    await expect(dataset.read(path.join(dir, "*.csv")), other).rejects.toThrow(fault);
  }
  put("c.ndjson", '{"id":1}\n');
  await expect(dataset.read(`${dir}/a.csv,${dir}/c.ndjson`)).rejects.toThrow(/of two formats/);
  await expect(dataset.read(`${dir}/a.csv,${dir}/a.csv`)).rejects.toThrow(/named twice/);
  await expect(dataset.read(path.join(dir, "*.parquet"))).rejects.toThrow(/no file matches/);
  put("p/id=1/a.csv", "id\n1\n");
  await expect(dataset.read(path.join(dir, "p"))).rejects.toThrow(/two columns are named id/);
});
