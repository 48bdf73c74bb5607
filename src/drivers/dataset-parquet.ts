// Tables as Parquet: rows gather in DuckDB's memory, leave it as compressed parts, and the parts become one file.
import { rename } from "node:fs/promises";
import path from "node:path";
import type { DuckDBAppender, DuckDBDataChunk, DuckDBVector } from "@duckdb/node-api";
import { SentinelError } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";
import { type Connection, type DuckDbLimits, identifier, literal, withDuckDb } from "./dataset-connection.ts";

export interface ColumnShape {
  readonly name: string;
  readonly kind: Column["kind"];
}

interface ParquetInput {
  readonly file: string;
  readonly folder: string;
  readonly done: string;
  readonly integers: readonly string[];
  readonly limits: DuckDbLimits;
  readonly stageRows: number;
}

/** Rows a DuckDB vector holds. */
const CHUNK_ROWS = 2048;
const COPY_OPTIONS = "(FORMAT parquet, COMPRESSION zstd)";

/** Numbers become DOUBLE (BIGINT where named), times TIMESTAMP in UTC, texts VARCHAR; missing is null. */
export async function writeParquet(tables: AsyncIterable<Table>, input: ParquetInput): Promise<number> {
  return await withDuckDb(input.limits, async (connection) => {
    const parts: string[] = [];
    let stage: Stage | null = null;
    let staged = 0;
    let rows = 0;
    const flush = async (): Promise<void> => {
      if (stage === null) return;
      const part = path.join(input.folder, `part-${parts.length}.parquet`);
      await stage.copyTo(part);
      parts.push(part);
      staged = 0;
    };
    for await (const table of tables) {
      stage ??= await openStage(connection, shapeOf(table), input);
      stage.append(table);
      rows += table.rows;
      staged += table.rows;
      if (staged >= input.stageRows) await flush();
    }
    if (staged > 0 || parts.length === 0) await flush();
    await joinParts(connection, parts, input.done);
    return rows;
  });
}

export function shapeOf(table: Table): readonly ColumnShape[] {
  return [...table.columns].map(([name, { kind }]) => ({ name, kind }));
}

interface Stage {
  append(table: Table): void;
  /** Writes the staged rows and forgets them. */
  copyTo(file: string): Promise<void>;
}

async function openStage(connection: Connection, shape: readonly ColumnShape[], input: ParquetInput): Promise<Stage> {
  const { DuckDBDataChunk, DOUBLE, VARCHAR } = await import("@duckdb/node-api");
  const types = shape.map(({ kind }) => (kind === "text" ? VARCHAR : DOUBLE));
  const list = shape.map((_, i) => `c${i} ${types[i]}`).join(", ");
  const select = shape.map((column, i) => selectOf(column, i, input.integers)).join(", ");
  const open = async (): Promise<DuckDBAppender> => {
    await connection.run(`CREATE OR REPLACE TABLE staged (${list})`);
    return await connection.createAppender("staged");
  };
  let appender = await open();
  return {
    append(table) {
      requireIntegers(table, input);
      const columns = [...table.columns.values()];
      for (let start = 0; start < table.rows; start += CHUNK_ROWS) {
        const chunk = DuckDBDataChunk.create(types, Math.min(CHUNK_ROWS, table.rows - start));
        fillChunk(chunk, columns, start);
        appender.appendDataChunk(chunk);
      }
    },
    async copyTo(file) {
      appender.closeSync();
      await connection.run(`COPY (SELECT ${select} FROM staged) TO ${literal(file)} ${COPY_OPTIONS}`);
      appender = await open();
    },
  };
}

function selectOf({ name, kind }: ColumnShape, index: number, integers: readonly string[]): string {
  const as = `AS ${identifier(name)}`;
  if (kind === "time") return `make_timestamp((c${index} * 1000)::BIGINT) ${as}`;
  if (kind === "number" && integers.includes(name)) return `c${index}::BIGINT ${as}`;
  return `c${index} ${as}`;
}

function requireIntegers(table: Table, { file, integers }: ParquetInput): void {
  for (const name of integers) {
    const column = table.columns.get(name);
    if (column === undefined || column.kind !== "number") continue;
    const bad = column.values.find((value) => !Number.isNaN(value) && !Number.isSafeInteger(value));
    if (bad === undefined) continue;
    throw new SentinelError("dataset.type-wrong", `${file}: column ${name} is to hold integers and has ${bad}`, {
      hint: "leave the column out of the integer columns, or round it first",
    });
  }
}

function fillChunk(chunk: DuckDBDataChunk, columns: readonly Column[], start: number): void {
  const count = chunk.rowCount;
  for (let i = 0; i < columns.length; i++) {
    const vector = chunk.getColumnVector(i);
    fillVector(vector, columns[i], start, count);
    vector.flush();
  }
}

function fillVector(vector: DuckDBVector, column: Column, start: number, count: number): void {
  if (column.kind === "text") {
    for (let i = 0; i < count; i++) {
      const code = column.codes[start + i];
      vector.setItem(i, code < 0 ? null : column.dictionary[code]);
    }
    return;
  }
  // A time that is infinite has no calendar date.
  const missing = column.kind === "time" ? (value: number) => !Number.isFinite(value) : Number.isNaN;
  for (let i = 0; i < count; i++) {
    const value = column.values[start + i];
    vector.setItem(i, missing(value) ? null : value);
  }
}

async function joinParts(connection: Connection, parts: readonly string[], done: string): Promise<void> {
  if (parts.length === 1) return await rename(parts[0], done);
  // Rows keep their order: the list is read in order, and DuckDB preserves insertion order.
  const list = parts.map((part) => literal(part)).join(", ");
  await connection.run(
    `COPY (SELECT * FROM read_parquet([${list}], hive_partitioning=false)) TO ${literal(done)} ${COPY_OPTIONS}`,
  );
}
