// Tables for the tests of feature tables: rows out of order with gaps, and what a file holds and says of itself.
import { Random } from "../../src/core/random.ts";
import { type Column, type Table, takeRows } from "../../src/core/table.ts";
import { withDuckDb } from "../../src/drivers/dataset/duckdb/connection.ts";

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
