// Tables for the tests of feature tables: rows out of order with gaps, ties and late labels, random ones, and what a file holds and says of itself.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { type Column, type Table, takeRows } from "../../src/core/table.ts";
import { withDuckDb } from "../../src/drivers/dataset/duckdb/connection.ts";
import type { FeatureArrival } from "../../src/features/encode.ts";
import { PROTO } from "../features/streams.ts";

/** Days as one table out of order, with ids that are texts, labels that are not known and customers that are missing. */
export function* shuffled(days: readonly Table[]): Generator<Table> {
  const random = new Random(1);
  let next = 0;
  for (const day of days.toReversed()) {
    const order = Int32Array.from({ length: day.rows }, (_, row) => row).sort(() => random.next() - 0.5);
    const table = takeRows(day, order);
    const dictionary = Array.from({ length: table.rows }, () => `tx-${next++}`);
    const id: Column = { kind: "text", codes: Int32Array.from(dictionary, (_, code) => code), dictionary };
    const holes = (name: string, share: number): Column => {
      const column = table.columns.get(name);
      if (column?.kind !== "number") throw new Error(`${name} holds numbers`);
      return { kind: "number", values: column.values.map((value) => (random.next() < share ? Number.NaN : value)) };
    };
    const columns = new Map([...table.columns, ["transaction_id", id] as const]);
    columns.set("customer_id", holes("customer_id", 0.05));
    columns.set("tx_fraud", holes("tx_fraud", 0.2));
    yield { rows: table.rows, columns };
  }
}

/** Days as {@link shuffled} has them, with ties, rows that stand twice but for their ids, and labels that come at their own times: at once, late, or not at all. */
export function* tied(days: readonly Table[]): Generator<Table> {
  const random = new Random(2);
  let copies = 0;
  for (const day of shuffled(days)) {
    const again = Int32Array.from({ length: day.rows }, (_, row) => row).filter(() => random.next() < 0.1);
    const order = Int32Array.from([...Array.from({ length: day.rows }, (_, row) => row), ...again]);
    const table = takeRows(day, order);
    const id = table.columns.get("transaction_id");
    const times = table.columns.get("tx_datetime");
    if (id?.kind !== "text" || times?.kind !== "time") throw new Error("ids are texts, times are times");
    const dictionary = [...id.dictionary, ...Array.from(again, () => `again-${copies++}`)];
    const codes = id.codes.map((code, row) => (row < day.rows ? code : id.dictionary.length + row - day.rows));
    const rounded = times.values.map((time) => Math.floor(time / TIE_MS) * TIE_MS);
    const known = rounded.map((time) => {
      const kind = random.next();
      if (kind < 0.1) return Number.NaN;
      return time + Math.floor(kind < 0.2 ? 0 : kind < 0.8 ? 7 * DAY_MS : random.next() * 30 * DAY_MS);
    });
    const columns = new Map(table.columns);
    columns.set("transaction_id", { kind: "text", codes, dictionary });
    columns.set("tx_datetime", { kind: "time", values: rounded });
    columns.set("label_known_at", { kind: "time", values: known });
    yield { rows: table.rows, columns };
  }
}

const TIE_MS = 1_800_000;

/** The transactions of a stream as a table in three files' worth of rows; `labels` has one for each row. */
export function streamTables(
  events: readonly FeatureArrival[],
  labels: readonly { readonly fraud: number; readonly after: number }[],
): Table[] {
  const seen = new Map(
    events.filter((event) => event.kind === "transaction").map(({ transaction }) => [transaction.id, transaction]),
  );
  const rows = [...seen.values()];
  const number = (of: (at: number) => number): Column => ({
    kind: "number",
    values: Float64Array.from(rows.keys(), of),
  });
  const field = (name: string): Column =>
    number((at) => {
      const value = rows[at].fields[name];
      return typeof value === "number" ? value : Number.NaN;
    });
  const text = (of: (at: number) => string | null): Column => {
    const texts = rows.map((_, at) => of(at));
    const dictionary = [...new Set(texts.filter((one) => one !== null))];
    return { kind: "text", codes: Int32Array.from(texts, (one) => dictionary.indexOf(one!)), dictionary };
  };
  const known = (at: number): number =>
    Number.isNaN(labels[at].fraud) ? Number.NaN : rows[at].time + labels[at].after;
  const whole: Table = {
    rows: rows.length,
    columns: new Map<string, Column>([
      ["transaction_id", text((at) => rows[at].id)],
      ["time", { kind: "time", values: Float64Array.from(rows, ({ time }) => time) }],
      ["customer", text((at) => rows[at].fields.customer as string | null)],
      ...["terminal", "amount", PROTO].map((name) => [name, field(name)] as const),
      ["is_fraud", number((at) => labels[at].fraud)],
      ["label_known_at", { kind: "time", values: Float64Array.from(rows.keys(), known) }],
    ]),
  };
  const third = Math.ceil(rows.length / 3);
  return [0, 1, 2].map((part) =>
    takeRows(
      whole,
      Int32Array.from(rows.keys()).filter((at) => Math.floor(at / third) === part),
    ),
  );
}

/** The rows of a feature table in a folder per day, without the name of the day. */
export function contentOf(out: string): Promise<Record<string, unknown>[]> {
  return query(
    `SELECT * EXCLUDE (date) FROM read_parquet('${out}/*/*.parquet', hive_partitioning=true, filename=false)`,
  );
}

/** All its files, with their bytes. */
export function bytesOf(out: string): Record<string, string> {
  const names = readdirSync(out, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => name.endsWith(".parquet"));
  return Object.fromEntries(files.map((name) => [name, readFileSync(path.join(out, name)).toString("base64")]));
}

/** The rows that DuckDB answers. */
export async function query(sql: string): Promise<Record<string, unknown>[]> {
  return await withDuckDb({ memoryLimit: "1GB", threads: 1 }, async (connection) => {
    const reader = await connection.runAndReadAll(sql);
    return reader.getRowObjectsJS() as Record<string, unknown>[];
  });
}

/** The key-value metadata of a Parquet file. */
export async function metadataOf(file: string): Promise<Record<string, string>> {
  const said = await query(`SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata('${file}')`);
  return Object.fromEntries(said.map(({ key, value }) => [key as string, value as string]));
}
