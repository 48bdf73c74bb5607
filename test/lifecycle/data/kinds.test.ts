// Other people's tables: ids that look like numbers, times of every unit, two columns of one meaning, words for labels. Read right, or refused by name.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textAt } from "../../../src/core/table.ts";
import { readTime } from "../../../src/core/time.ts";
import { withDuckDb } from "../../../src/drivers/dataset/duckdb/connection.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import {
  labelsOf,
  readSource,
  type Source,
  timesOf,
  UNLABELLED,
  unlabelledText,
} from "../../../src/lifecycle/data/source.ts";
import { vectorsOf } from "../../../src/lifecycle/data/vectors.ts";
import { splitByTime } from "../../../src/lifecycle/train/split.ts";
import { judgedRows, metricsOf } from "../../../src/lifecycle/train.ts";
import { gateOf } from "../../../src/lifecycle/validate.ts";
import { fieldFault } from "../../../src/online/fields.ts";
import { parsePipeline } from "../../../src/pipeline/pipeline.ts";
import { ROOT } from "../../cli/sentinel.ts";
import { pipelineOf } from "../world.ts";

const aliases = "aliases: { transaction_id: [ref], customer_id: [payer], amount: [value] }\n";
const pipeline = pipelineOf(aliases);
const plan = compileSpec(
  checkSpec({
    name: "t",
    version: 1,
    features: [
      { kind: "column", name: "amount", column: "amount" },
      { kind: "column", name: "balance", column: "balance" },
      { kind: "window", name: "n", key: ["customer_id"], over: "transactions", window: "1d" },
      { kind: "window", name: "frauds", key: ["customer_id"], over: "frauds", window: "30d" },
    ],
  }),
);

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-kinds-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function read(csv: string, by = pipeline): Promise<Source> {
  const file = path.join(dir, "t.csv");
  writeFileSync(file, csv);
  return readSource(datasetDuckdb(), by, { path: file, plans: [plan], labelled: true });
}

async function readSql(sql: string, by = pipeline): Promise<Source> {
  const file = path.join(dir, "t.parquet");
  await withDuckDb({ memoryLimit: "200MB", threads: 1 }, async (connection) => {
    await connection.run(`COPY (${sql}) TO '${file}' (FORMAT parquet)`);
  });
  return readSource(datasetDuckdb(), by, { path: file, plans: [plan], labelled: true });
}

const quiet = { line() {}, progress() {} };
function feature(source: Source, name: string): number[] {
  const { x } = vectorsOf(source.table, { plan, pipeline, report: quiet });
  const at = x.names.indexOf(name);
  return Array.from({ length: x.rows }, (_, row) => x.values[at * x.rows + row]);
}

const texts = (source: Source, name: string): (string | null)[] =>
  Array.from({ length: source.table.rows }, (_, row) => textAt(source.table.columns.get(name)!, row));
const HEAD = "transaction_id,time,customer_id,amount,is_fraud";

describe("keys and ids are as they are spelled", () => {
  test.each([
    ["+254711", "254711", "+254711"],
    ["0x1F", "31", "0x1F"],
    ["1e2", "100", "1e2"],
    ["2.50", "2.5", "2.50"],
    ["0042", "42", "0042"],
    ["true", "TRUE", "true"],
    ["2024-01-02", "2024-1-2", "2024-01-02"],
    ["1_0", "10", "1_0"],
  ])("%s is not %s", async (first, second, third) => {
    const rows = [first, second, third].map((key, i) => `${key}${i},2024-05-01 0${i}:00:00,${key},5,0`);
    const source = await read([HEAD, ...rows].join("\n"));
    expect(texts(source, "customer_id")).toEqual([first, second, third]);
    expect(texts(source, "transaction_id")).toEqual([`${first}0`, `${second}1`, `${third}2`]);
    expect(feature(source, "n")).toEqual([1, 1, 2]);
  });

  test("of Parquet: bytes without the annotation of texts, truths, dates, long integers", async () => {
    const of = async (sql: string): Promise<(string | null)[]> =>
      texts(
        await readSql(
          `SELECT 'a' AS transaction_id, TIMESTAMP '2024-05-01' AS time, ${sql} AS customer_id, 5.0::DOUBLE AS amount, 0 AS is_fraud`,
        ),
        "customer_id",
      );
    expect(await of("encode('Żółw')")).toEqual(["Żółw"]);
    expect(await of("true")).toEqual(["true"]);
    expect(await of("DATE '2024-02-29'")).toEqual(["2024-02-29"]);
    expect(await of("9007199254740993::BIGINT")).toEqual(["9007199254740993"]);
    expect(await of("0.1::FLOAT")).toEqual(["0.1"]);
    await expect(of("'\\xFF\\x00'::BLOB")).rejects.toThrow(/column customer_id holds bytes that are no UTF-8 text/);
  });

  test("an id that is missing is named by its row", async () => {
    await expect(read(`${HEAD}\na,2024-05-01,k,5,0\n,2024-05-02,k,5,0\n`)).rejects.toThrow(
      /no transaction id in data row 2/,
    );
  });
});

describe("times", () => {
  const at = async (time: string, by = pipeline): Promise<number> =>
    timesOf((await read(`${HEAD}\na,${time},k,5,0\n`, by)).table, by)[0];

  test("milliseconds, offsets and no seconds are read as a server reads them", async () => {
    const noon = Date.UTC(2024, 4, 1, 12);
    for (const text of [String(noon), "2024-05-01 12:00", "2024-05-01 12:00:00 UTC", "2024-05-01T14:00:00+02:00"]) {
      expect(await at(text), text).toBe(noon);
    }
  });

  test.each([
    ["1714564800", /data row 1 is 1714564800.*1970-01-20/],
    ["1714564800000000", /\+056302/],
    ["20240501", /1970-01-01/],
    ["45413", /1970-01-01/],
    ["0000-05-01 12:00:00", /"0000-05-01 12:00:00"|0000-05-01/],
    ["05/01/2024 12:00", /"05\/01\/2024 12:00", which is no time/],
  ])("%s is refused, naming column, row and value", async (text, says) => {
    await expect(at(text)).rejects.toThrow(says);
    await expect(at(text)).rejects.toThrow(/column time/);
  });

  test("numbers and dates in one column are refused", async () => {
    const rows = `a,2024-05-01 00:00:00,k,5,0\nb,1714564800000,k,5,0\n`;
    await expect(read(`${HEAD}\n${rows}`)).rejects.toThrow(/mixes numbers and dates: data row 2 holds "1714564800000"/);
  });

  test("the pipeline may say unit and origin, or format and zone", async () => {
    const by = (time: string) => pipelineOf("", "/w", time);
    expect(await at("36", by("{ column: time, unit: h, origin: 2024-05-01 }"))).toBe(Date.UTC(2024, 4, 2, 12));
    expect(await at("1714564800.5", by("{ column: time, unit: s }"))).toBe(1714564800500);
    expect(await at("01.05.2024 14:00", by('{ column: time, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin }'))).toBe(
      Date.UTC(2024, 4, 1, 12),
    );
    expect(await at("20240501", by('{ column: time, format: "%Y%m%d" }'))).toBe(Date.UTC(2024, 4, 1));
    for (const wrong of [
      "{ column: time, zone: Nowhere }",
      '{ column: time, format: "%x" }',
      "{ column: time, origin: soon }",
    ]) {
      expect(() => by(wrong)).toThrow(/columns\.time/);
    }
  });
});

describe("a zone without a format", () => {
  const by = pipelineOf("", "/w", "{ column: time, zone: Europe/Paris }");
  const noon = Date.UTC(2024, 4, 1, 12);
  const typed = (sql: string) =>
    readSql(
      `SELECT 'a' AS transaction_id, ${sql} AS time, 'k' AS customer_id, 5.0::DOUBLE AS amount, 0 AS is_fraud`,
      by,
    );

  test.each([
    ["2024-05-01 14:00:00", noon],
    ["2024-05-01T14:00:00.250", noon + 250],
    ["2024-05-01 14:00", noon],
    ["2024-05-01", noon - 14 * 3_600_000],
    // What names its own offset keeps it, and so does a count.
    ["2024-05-01T12:00:00Z", noon],
    ["2024-05-01 16:00:00+04:00", noon],
    [String(noon), noon],
    // Winter, and the hour that comes twice: its first.
    ["2024-01-01 13:00:00", Date.UTC(2024, 0, 1, 12)],
    ["2024-10-27 02:30:00", Date.UTC(2024, 9, 27, 0, 30)],
  ])("counts for %s, in a table as in a request", async (text, wanted) => {
    expect(readTime(text, by.times)).toBe(wanted);
    expect(timesOf((await read(`${HEAD}\na,${text},k,5,0\n`, by)).table, by)[0]).toBe(wanted);
  });

  test("counts for Parquet's times without one, and for when labels became known", async () => {
    const of = async (sql: string): Promise<number> => timesOf((await typed(sql)).table, by)[0];
    expect(await of("TIMESTAMP '2024-05-01 14:00:00'")).toBe(noon);
    expect(await of("TIMESTAMPTZ '2024-05-01 14:00:00+02'")).toBe(noon);
    expect(await of(`${noon}::BIGINT`)).toBe(noon);
    const { table } = await read(`${HEAD},label_known_at\na,2024-05-01 14:00:00,k,5,1,2024-05-01 15:00:00\n`, by);
    const known = table.columns.get("label_known_at")!;
    expect(known.kind === "time" && known.values[0]).toBe(noon + 3_600_000);
  });
});

test("an offset of a whole day is no offset, in a table as in a request", async () => {
  await expect(read(`${HEAD}\na,2024-05-01T10:00:00+24:00,k,5,0\n`)).rejects.toThrow(/data row 1 is "2024-05-01T10/);
});

describe("when labels became known", () => {
  const known = (cells: string[]) =>
    read(
      `${HEAD},label_known_at\n${cells.map((cell, i) => `t${i},2024-05-0${i + 1} 10:00:00,k,5,1,${cell}`).join("\n")}\n`,
    );

  test("an empty one means the usual delay", async () => {
    const source = await known(["2024-05-01 11:00:00", "", "2024-05-03 11:00:00", ""]);
    expect(feature(source, "frauds")).toEqual([0, 1, 1, 2]);
  });

  test.each([
    [["2024-05-01 11:00:00", "06/05/2024 09:00"], /column label_known_at .*data row 2 is "06\/05\/2024 09:00"/],
    [["1714993200", "1714993200"], /column label_known_at .*data row 1 is 1714993200.*1970/],
    [
      ["2024-05-01 11:00:00", "2024-05-01 11:00:00"],
      /label_known_at .*data row 2 is 2024-05-01T11:00.*before the transaction/,
    ],
  ])("%j is refused by row", async (cells, says) => {
    await expect(known(cells)).rejects.toThrow(says);
  });
});

describe("names", () => {
  test("upper and lower case are one, and all that is missing is named at once", async () => {
    const source = await read("REF,Time,PAYER,Value,IS_FRAUD,Balance\na,2024-05-01,k,5,0,7\n");
    expect(texts(source, "customer_id")).toEqual(["k"]);
    expect(feature(source, "balance")).toEqual([7]);
    const names = Array.from({ length: 130 }, (_, i) => `x${i}`).join(",");
    await expect(read(`${names}\n${names}\n`)).rejects.toThrow(
      /no column transaction_id \(or ref\) and no time and no amount \(or value\) and no is_fraud and no customer_id \(or payer\).*x99 and 30 more/,
    );
  });

  test("two columns of one meaning are refused by both names, in Parquet too", async () => {
    await expect(read("transaction_id,REF,time,customer_id,amount,is_fraud\na,b,2024-05-01,k,5,0\n")).rejects.toThrow(
      /two columns that mean transaction_id: transaction_id and REF/,
    );
    await expect(readSql(`SELECT 1 AS transaction_id, 2 AS "Ref"`)).rejects.toThrow(/transaction_id and Ref/);
  });
});

describe("one bad value among many is named", () => {
  const rows = (amount: string, label: string, balance = "1") =>
    `${HEAD},balance\na,2024-05-01,k,5,0,1\nb,2024-05-02,k,${amount},${label},${balance}\n`;
  test.each([
    [rows("12.50", "yes"), /is_fraud .*is "yes" in data row 2; a label is 0 or 1/],
    [rows("$3", "0"), /amount .*no number in data row 2: "\$3"/],
    [rows("3", "0", "n/a"), /balance .*no number in data row 2: "n\/a"/],
    [rows("3", "2"), /is_fraud .*is 2 in data row 2/],
  ])("%#", async (csv, says) => {
    await expect(read(csv)).rejects.toThrow(says);
  });

  test("numbers typed as text are to be cast", async () => {
    const sql =
      "SELECT 'a' AS transaction_id, TIMESTAMP '2024-05-01' AS time, 'k' AS customer_id, '5.00' AS amount, 0 AS is_fraud";
    await expect(readSql(sql)).rejects.toMatchObject({ hint: expect.stringMatching(/typed as text: cast it/) });
  });
});

describe("rows without a label", () => {
  const unknown = pipelineOf("labels: { unreported: unknown }\n");
  const days = Array.from({ length: 400 }, (_, i) => {
    const label = i % 2 === 0 ? "" : i % 4 === 1 ? "1" : "0";
    return `t${i},${new Date(Date.UTC(2024, 0, 1 + i)).toISOString()},k,5,${label}`;
  });
  const csv = [HEAD, ...days].join("\n");

  test("are in no slice where the pipeline says unknown, and genuine where it says so; one line tells", async () => {
    const { table } = await read(csv, unknown);
    const labels = labelsOf(table, unknown);
    expect(labels.filter((label) => label === UNLABELLED)).toHaveLength(200);
    const split = splitByTime(timesOf(table, unknown), labels, unknown);
    for (const slice of Object.values(split)) {
      for (const row of slice.rows) expect(labels[row]).toBeLessThan(UNLABELLED);
    }
    expect(unlabelledText(table, unknown)).toMatch(/200 of 400 transactions have no label and are left out/);
    const genuine = labelsOf(table, pipeline);
    expect(genuine.filter((label) => label === UNLABELLED)).toHaveLength(0);
    // Every second row has no label.
    const whole = splitByTime(timesOf(table, pipeline), genuine, pipeline);
    expect(Math.abs(whole.train.rows.length - 2 * split.train.rows.length)).toBeLessThanOrEqual(1);
    expect(unlabelledText(table, pipeline)).toMatch(/taken for genuine/);
  });

  test("a table too short for its gap is told which key, and what it may be", () => {
    const times = Float64Array.from({ length: 100 }, (_, i) => Date.UTC(2024, 0, 1) + i * 3_600_000);
    const labels = new Uint8Array(100).fill(1, 0, 50);
    const fault = expect.objectContaining({
      message: expect.stringMatching(/split\.gap takes 7d/),
      hint: expect.stringMatching(/set split\.gap in .* to at most/),
    });
    expect(() => splitByTime(times, labels, pipeline)).toThrow(fault);
  });
});

describe("schema and features", () => {
  const names = { transaction_id: {}, time: {}, amount: { type: "number" }, customer_id: { type: "string" } };
  const judge = (properties: object, more: object = {}) =>
    fieldFault(plan, { pipeline, schema: { properties, ...more } });

  test("a column that the schema does not name is named with its features, and what to add", () => {
    const fault = judge(names)!;
    expect(fault.message).toMatch(/feature balance reads balance, which .*card\.schema\.json does not name/);
    expect(fault.hint).toContain('add "balance": { "type": ["number", "null"] } to its properties');
    expect(judge({ ...names, balance: {} })).toBeNull();
    expect(
      judge(names, { allOf: [{ $ref: "#/$defs/more" }], $defs: { more: { properties: { balance: {} } } } }),
    ).toBeNull();
  });

  test("patterns of the schema name columns too, exactly as they are written, with their types", () => {
    const named = (patternProperties: object) => judge(names, { patternProperties });
    expect(named({ "^bal": { type: ["number", "null"] } })).toBeNull();
    expect(named({ "^Bal": { type: "number" } })!.message).toMatch(/does not name/);
    expect(named({ "^bal": { type: "string" } })!.message).toMatch(/reads balance as a number, which/);
    expect(judge(names, { allOf: [{ patternProperties: { ance$: {} } }] })).toBeNull();
  });

  test("an alias, a type that no number has, and the label are named too", () => {
    const { customer_id: _, ...rest } = names;
    expect(judge({ ...rest, balance: {}, payer: {} })!.message).toMatch(/it names the alias payer/);
    expect(judge({ ...names, balance: { type: "string" } })!.message).toMatch(/reads balance as a number, which/);
    const leaking = compileSpec(
      checkSpec({ name: "t", version: 1, features: [{ kind: "column", name: "y", column: "is_fraud" }] }),
    );
    expect(fieldFault(leaking, { pipeline, schema: { properties: { is_fraud: {} } } })!.message).toMatch(
      /which is the label/,
    );
  });
});

describe("times of weeks and months, and tables without a card", () => {
  const rows = Array.from(
    { length: 120 },
    (_, i) => `a${i},${Math.floor(i / 20)},k${i % 7},${i},${i % 10 === 0 ? 1 : 0}`,
  );
  const gate = async (time: string): Promise<readonly string[]> => {
    const by = pipelineOf("", dir, time);
    mkdirSync(path.join(dir, "pipelines"), { recursive: true });
    writeFileSync(by.suiteFile, JSON.stringify({ name: "none", expectations: [] }));
    const { table } = await read([HEAD, ...rows].join("\n"), by);
    return gateOf(by, table).verdict.checks.map(({ name }) => name);
  };

  test("are not asked whether every day brought its share of rows", async () => {
    const asked = (names: readonly string[]): boolean => names.some((name) => name.startsWith("volume"));
    expect(asked(await gate("{ column: time, unit: d, origin: 2024-01-01 }"))).toBe(true);
    for (const unit of ["month", "w", "14d"])
      expect(asked(await gate(`{ column: time, unit: ${unit}, origin: 2024-01-01 }`)), unit).toBe(false);
  });

  test("no figure by card is printed where no column names a card", async () => {
    const bare = parsePipeline(
      readFileSync(path.join(ROOT, "pipelines", "card.yaml"), "utf8").replace(/^ {2}card: .*$/m, ""),
      { file: "/w/pipelines/card.yaml", workspace: "/w" },
    );
    expect(bare.columns.card).toBeNull();
    const source = await read(
      [HEAD, ...rows]
        .join("\n")
        .replaceAll(/,(\d),k/g, ",2024-05-0$1,k")
        .replaceAll("05-00", "05-09"),
      bare,
    );
    const judged = judgedRows(
      source,
      Int32Array.from({ length: 120 }, (_, i) => i),
      bare,
    );
    const scores = Float32Array.from({ length: 120 }, (_, i) => i / 120);
    const given = { thresholds: { review: 0.5, block: 0.9 }, reviewShare: 0.1 };
    expect(Object.keys(metricsOf(scores, judged, given)).filter((name) => name.includes("card"))).toEqual([]);
    const carded = { ...judged, carded: true };
    expect(Object.keys(metricsOf(scores, carded, given))).toContain("card_precision_100");
  });
});
