// Odd tables as people send them: encodings, separators, twins, numbers of other writings, lists, floats for ids. Read right, or refused by row and value.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isBoolean, textAt } from "../../../src/core/table.ts";
import { withDuckDb } from "../../../src/drivers/dataset/duckdb/connection.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import { readSource } from "../../../src/lifecycle/data/source.ts";
import { pipelineOf } from "../world.ts";

const pipeline = pipelineOf();
const plan = compileSpec(
  checkSpec({
    name: "odd",
    version: 1,
    features: [
      { kind: "column", name: "amount", column: "amount" },
      { kind: "column", name: "flag", column: "flag" },
      { kind: "window", name: "n", key: ["customer_id"], over: "transactions", window: "1d" },
      { kind: "category", name: "kind", column: "channel", values: ["web", "1"] },
    ],
  }),
);
const dataset = datasetDuckdb({ threads: 1, memoryLimit: "200MB" });

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-odd-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Cells by row: id, time, customer, amount, flag, channel, label, as keys and texts are compared. */
async function read(file: string): Promise<(string | null)[][]> {
  const { table } = await readSource(dataset, pipeline, { path: file, plans: [plan], labelled: true });
  const names = ["transaction_id", "time", "customer_id", "amount", "flag", "channel", "is_fraud"];
  return Array.from({ length: table.rows }, (_, row) =>
    names.map((name) => {
      const column = table.columns.get(name)!;
      if (column.kind === "time") return new Date(column.values[row]).toISOString().replace(".000Z", "Z");
      return isBoolean(column) ? String(Number(textAt(column, row) === "true")) : textAt(column, row);
    }),
  );
}

function put(content: string | Buffer, ending: string): string {
  const file = path.join(dir, `t.${ending}`);
  writeFileSync(file, content);
  return file;
}

const HEAD = "transaction_id,time,customer_id,amount,flag,channel,is_fraud";
const T = "2024-05-01 10:00:00";
const AT = "2024-05-01T10:00:00Z";
const ROW = ["a", AT, "k", "5", "1", "web", "0"];
const csv = (...rows: string[]): string => [HEAD, ...rows].join("\n");
/** A row with some of its cells otherwise. */
const cells = (over: Record<string, string>): string => {
  const own = { id: "a", time: T, key: "k", amount: "5", flag: "1", channel: "web", label: "0", ...over };
  return [own.id, own.time, own.key, own.amount, own.flag, own.channel, own.label].join(",");
};
/** The column of a row of {@link read}. */
const AT_OF = { id: 0, time: 1, key: 2, amount: 3, flag: 4, channel: 5, label: 6 } as const;

test.each([
  ["a byte order mark", `\ufeff${csv(cells({}))}`, "csv"],
  ["carriage returns", `${csv(cells({}))}\n`.replaceAll("\n", "\r\n"), "csv"],
  ["carriage returns alone", `${csv(cells({}))}\n`.replaceAll("\n", "\r"), "csv"],
  ["tabs", csv(cells({})).replaceAll(",", "\t"), "csv"],
  ["all in quotes", csv(cells({})).replaceAll(/[^,\n]+/g, '"$&"'), "csv"],
  ["empty lines", `${HEAD}\n\n${cells({})}\n\n`, "csv"],
  ["gzip", gzipSync(csv(cells({}))), "csv.gz"],
  ["spaces in the header", csv(cells({})).replace(HEAD, HEAD.replaceAll(",", ", ")), "csv"],
  ["a column without a name", `${HEAD},\n${cells({})},7\n`, "csv"],
])("a table with %s is read", async (_, content, ending) => {
  expect(await read(put(content, ending))).toEqual([ROW]);
});

test.each([
  ["UTF-16", Buffer.from(`\ufeff${csv(cells({}))}`, "utf16le"), "csv", /no UTF-8 text/],
  ["Latin-1", Buffer.from(csv(cells({ key: "Zo\xeb" })), "latin1"), "csv", /line 2 .*not utf-8/],
  ["Parquet with another ending", Buffer.from("PAR1\0\0\0\0PAR1"), "csv", /no UTF-8 text/],
  ["a gzip that was cut off", gzipSync(csv(cells({}))).subarray(0, 40), "csv.gz", /unexpected end/],
  ["a row of too few fields", csv(cells({}), "b,x"), "csv", /line 3 .*Found: 2/],
  ["a row of too many", csv(cells({}), `${cells({ id: "b" })},x`), "csv", /line 3 .*Found: 8/],
  ["a line before the header", `sep=,\n${csv(cells({}))}`, "csv", /line 2/],
  ["one name twice", `${HEAD},amount\n${cells({})},7\n`, "csv", /two columns are named amount/],
  ["one name twice but for case", `${HEAD},AMOUNT\n${cells({})},7\n`, "csv", /AMOUNT and amount/],
  ["an array", `[{"transaction_id":"a"}]`, "ndjson", /non-record/],
  [
    "of two systems' line ends",
    `${csv(cells({}), cells({ id: "b" }))}\r\n${cells({ id: "c" })}\n`,
    "csv",
    /line 3 ends with CR LF/,
  ],
  [
    "of two systems' line ends from its header on",
    csv(cells({})).replace("\n", "\r\n").concat("\n"),
    "csv",
    /line 2 ends with LF/,
  ],
  ["a row of sums", csv(cells({}), "TOTAL,,,5,,,"), "csv", /no time in data row 2/],
])("a file that is %s is refused by its place", async (_, content, ending, says) => {
  await expect(read(put(content, ending))).rejects.toThrow(says);
});

test.each([
  ["key", '"k\n1"', "k\n1"],
  ["key", "Zoe\u0308", "Zoe\u0308"],
  ["key", "98765432109876543210", "98765432109876543210"],
  ["key", "1E5", "1E5"],
  // A mark that stands before a text is a part of it, as it is in a request.
  ["key", "\ufeff5", "\ufeff5"],
  ["id", "\ufeff\ufeffa", "\ufeff\ufeffa"],
  ["channel", "\ufeffweb", "\ufeffweb"],
  ["key", "42.0", "42.0"],
  ["key", "1_0", "1_0"],
  ["key", " k", " k"],
  ["key", '""', null],
  ["id", "12345678901234567891", "12345678901234567891"],
  ["channel", "0x1", "0x1"],
  ["amount", "+5.5", "5.5"],
  ["amount", "1e2", "100"],
  ["amount", "NaN", null],
  ["flag", "TRUE", "1"],
  ["label", "1.0", "1"],
  ["label", "", null],
  ["time", "2024-05-01T12:00:00+02:00", AT],
  ["time", '"2024-05-01 10:00:00,5"', "2024-05-01T10:00:00.500Z"],
  ["time", "1714557600000", AT],
  ["time", "1.7145576E+12", AT],
] as const)("the %s %j is read as %j", async (column, text, wanted) => {
  const [row] = await read(put(csv(cells({ [column]: text })), "csv"));
  expect(row[AT_OF[column]]).toBe(wanted);
});

test.each([
  ["amount", "007.5", /amount .*typed as text.*data row 2 holds "007.5"/],
  ["flag", '"\u00a05"', /flag .*typed as text.*data row 2 holds "\u00a05"/],
  ["amount", "0x10", /amount .*no number in data row 2: "0x10"/],
  ["amount", "0b11", /no number in data row 2: "0b11"/],
  ["amount", "1_000", /no number in data row 2: "1_000"/],
  ["amount", '"5,50"', /no number in data row 2: "5,50"/],
  ["amount", '"1,234.50"', /no number in data row 2: "1,234.50"/],
  ["amount", "٥", /no number in data row 2: "٥"/],
  ["amount", "5%", /no number in data row 2: "5%"/],
  ["amount", "inf", /infinite in data row 2/],
  ["flag", "yes", /flag .*no number in data row 2: "yes"/],
  ["label", "-1", /is -1 in data row 2/],
  ["label", "NA", /is "NA" in data row 2/],
  ["label", "0.5", /is 0.5 in data row 2/],
  ["time", "2024-02-30 10:00:00", /data row 2 is "2024-02-30/],
  ["time", "2024-05-01 10:00:00 CEST", /data row 2 is .*CEST/],
  ["time", "2024-05-01T10:00:00[Europe/Paris]", /data row 2 is .*Paris/],
  ["time", "20240501T100000Z", /data row 2 is "20240501T100000Z"/],
  ["time", "2024/05/01 10:00:00", /data row 2 is "2024\/05\/01/],
  ["time", '"  "', /no time in data row 2/],
])("the %s %j in the second row is refused by row and value", async (column, text, says) => {
  const file = put(csv(cells({}), cells({ id: "b", [column]: text })), "csv");
  await expect(read(file)).rejects.toThrow(says);
});

test.each(["0x10", "0b11", "0o17"])("%s beside numbers with a point is refused by row and value", async (text) => {
  const file = put(
    csv(cells({ amount: "7.25" }), cells({ id: "b", amount: text }), cells({ id: "c", amount: "0.5" })),
    "csv",
  );
  await expect(read(file)).rejects.toThrow(`is no number in data row 2: "${text}"`);
});

test("NDJSON: tokens of keys as a request has them, and none whose digits are lost", async () => {
  const line = (key: string, id: number): string =>
    `{"transaction_id":${id},"time":"${T}","customer_id":${key},"amount":5,"flag":true,"channel":"web","is_fraud":false}`;
  const keys = ['"k"', "7", "7.0", "true", "1.10", "9007199254740993", '"\\u006b"'];
  const rows = await read(put(keys.map(line).join("\n"), "ndjson"));
  expect(rows.map((row) => row[AT_OF.key])).toEqual([...["k", "7", "7", "true", "1.1", "9007199254740993", "k"]]);
  for (const nested of ['{"id":"k"}', '["k"]']) {
    const file = put(['"k"', nested].map(line).join("\n"), "ndjson");
    await expect(read(file)).rejects.toThrow(/customer_id holds lists or objects/);
  }
  for (const long of ["12345678901234567890.0", "1e22"]) {
    const file = put(['"k"', long].map(line).join("\n"), "ndjson");
    await expect(read(file), long).rejects.toThrow(/customer_id holds whole numbers beyond 2\^53/);
  }
});

test.each([
  ["TIMESTAMPTZ '2024-05-01 12:00:00+02' AS time", ROW],
  ["1714557600000::BIGINT AS time", ROW],
  ["18446744073709551615::UBIGINT AS customer_id", ROW.with(2, "18446744073709551615")],
  ["42.0::DOUBLE AS customer_id", ROW.with(2, "42")],
  ["1.10::DECIMAL(5,2) AS customer_id", ROW.with(2, "1.1")],
  // As wide as Oracle's and Spark's: the zeros of the type are no part of a key.
  ["5::DECIMAL(38,10) AS customer_id", ROW.with(2, "5")],
  ["12345678901234567.250::DECIMAL(38,10) AS customer_id", ROW.with(2, "12345678901234567.25")],
  ["100::DECIMAL(38,2) AS transaction_id", ROW.with(0, "100")],
  ["'\ufeffk' AS customer_id", ROW.with(2, "\ufeffk")],
  [
    "1714557600000::FLOAT AS time",
    /column time \(FLOAT\) in data row 1 is 1714557550592, a count beyond what a 32-bit float/,
  ],
  ["'00000000-0000-0000-0000-000000000001'::UUID AS customer_id", ROW.with(2, "00000000-0000-0000-0000-000000000001")],
  ["'k'::ENUM('k', 'l') AS customer_id", ROW],
  ["true AS flag", ROW],
  ["-0.0::DOUBLE AS amount", ROW.with(3, "0")],
  // More digits than a float holds were lost before the file was written: two customers are one.
  [
    "1e19::DOUBLE AS customer_id",
    /customer_id \(DOUBLE\) in data row 1 is 10000000000000000000, a whole number beyond/,
  ],
  ["12345678901234567890::HUGEINT AS transaction_id", /transaction_id .*last digits are lost/],
  ["16777217::FLOAT AS customer_id", /customer_id \(FLOAT\) in data row 1 is 16777216/],
  ["['k'] AS customer_id", /customer_id holds lists or objects/],
  ["{'a': 1} AS customer_id", /customer_id holds lists or objects/],
  ["TIME '10:00:00' AS time", /"10:00:00", which is no time/],
  ["1714557600::BIGINT AS time", /data row 1 is 1714557600/],
  ["'5.0' AS amount", /typed as text/],
  ["'1' AS is_fraud", /typed as text/],
])("Parquet: %s", async (over, wanted) => {
  const file = path.join(dir, "t.parquet");
  const whole = `SELECT 'a' AS transaction_id, TIMESTAMP '${T}' AS time, 'k' AS customer_id, 5.0::DOUBLE AS amount, 1::DOUBLE AS flag, 'web' AS channel, 0 AS is_fraud`;
  await withDuckDb({ memoryLimit: "200MB", threads: 1 }, async (connection) => {
    await connection.run(`COPY (SELECT * REPLACE (${over}) FROM (${whole})) TO '${file}' (FORMAT parquet)`);
  });
  if (wanted instanceof RegExp) await expect(read(file)).rejects.toThrow(wanted);
  else expect(await read(file)).toEqual([wanted]);
});

test("decimals that are wider than any type of the reader's are refused where they are read, and in nobody's way elsewhere", async () => {
  const file = put(gunzipSync(Buffer.from(WIDE_DECIMALS, "base64")), "parquet");
  await expect(read(file)).rejects.toThrow(
    /column (customer_id|amount) holds DECIMAL\((40,0|50,10)\), decimals of more than 38/,
  );
  const described = await dataset.describe(file);
  expect(described.columns.find(({ name }) => name === "wide")).toMatchObject({
    nativeType: "DECIMAL(76,38)",
    type: "other",
  });
  const { columns } = await dataset.read(file, { columns: ["transaction_id", "flag"] });
  expect([...columns.keys()]).toEqual(["transaction_id", "flag"]);
});

/** A row with customer_id decimal256(40,0) 5, amount decimal256(50,10) 5.50 and wide decimal256(76,38) 1.5, written by pyarrow, gzipped. */
const WIDE_DECIMALS =
  "H4sIAAAAAAACA42TQWsaQRTHx3G7EStLD77BlT1IwaEtKjGiBxFqQi8FoVI8Cul0XeuCrmZ2jd8gvQi9Cu3naHvNNYeeS+mHKDn10EPfjMbasIYMu2+W937/9+a9YbvHr6tAgAErAcUPE0yHEELVm0igFeh0wImJkstV7QMi6K9AJQ64tR4g0IDGPcjMt+Mh2V9Yr1/P0Z+HfAyQRLvw3qI7C9k9CdDXgc49zjL7fv3n/RX/Yr2qvdFCw/5UJzkzdEfeRMAjApkizVmRFEEo3MifBqf+oEg6jmYxZET+xCNgwWOguYfuPIymE08qKI21u6W+sgq24BkSpphM50GEwSwMMIhWBdMq03As3q3rHbgjEQTe+KYQRV/KD0+HUswHKlUbUxkLf+Bhog6sEphJbcgyajv2khMHMnbRJPbtswMSrMVaPPXSATUnSlqoMW2uJ6SExlqoO9P4CTvhL/7hT3dhaw3vdq41PdbjF4m7RZthaL7P+vzHPj69OZGa0PZEn+keetP4zRC1oM3a/PeOgJn/tUzXku2MtabJmvxr8u4W9CVoWjLJr+No9tNglKdwI08KMyHP5l5UdmezspByuiicezLEqykc1SuHlaq9xAuPfchHTNbFH/ovXMlf99UDAAA=";
