// Tables as Parquet: rows gather in DuckDB's memory, leave it as compressed parts, and the parts become one file.
import { rename } from "node:fs/promises";
import path from "node:path";
import type { DuckDBAppender, DuckDBVector } from "@duckdb/node-api";
import { assert, SentinelError } from "../../../core/errors.ts";
import type { Column, Table } from "../../../core/table.ts";
import { type Connection, type DuckDbLimits, identifier, literal, withDuckDb } from "./connection.ts";

export interface ColumnShape {
  readonly name: string;
  readonly kind: Column["kind"];
}

interface ParquetInput {
  readonly file: string;
  readonly folder: string;
  readonly done: string;
  readonly integers: readonly string[];
  readonly floats: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly limits: DuckDbLimits;
  readonly rowGroupRows: number;
}

/** Rows a DuckDB vector holds. */
const CHUNK_ROWS = 2048;
/** Row groups that gather in memory before they leave it as a part. */
const STAGE_GROUPS = 8;

/**
 * Numbers become DOUBLE (BIGINT or FLOAT where named), times TIMESTAMP in UTC, texts VARCHAR; missing is null. Only whole row
 * groups of whole chunks leave the stage, so that the bytes depend on the rows alone and not on the batches.
 */
export async function writeParquet(tables: AsyncIterable<Table>, input: ParquetInput): Promise<number> {
  assert(input.rowGroupRows % CHUNK_ROWS === 0, "a row group is made of whole chunks");
  return await withDuckDb(input.limits, async (connection) => {
    let stage: Stage | null = null;
    let rows = 0;
    for await (const table of tables) {
      stage ??= await openStage(connection, shapeOf(table), input);
      requireIntegers(table, input);
      await stage.append(table);
      rows += table.rows;
    }
    const parts = stage === null ? [] : await stage.finish();
    await joinParts(connection, parts, input);
    return rows;
  });
}

export function shapeOf(table: Table): readonly ColumnShape[] {
  return [...table.columns].map(([name, { kind }]) => ({ name, kind }));
}

/** Rows on their way: in a chunk, in a table of DuckDB's, in parts on disk. */
interface Stage {
  append(table: Table): Promise<void>;
  /** The parts, at least one, in order. */
  finish(): Promise<readonly string[]>;
}

async function openStage(connection: Connection, shape: readonly ColumnShape[], input: ParquetInput): Promise<Stage> {
  const { DuckDBDataChunk, DOUBLE, FLOAT, VARCHAR } = await import("@duckdb/node-api");
  const floats = new Set(input.floats);
  const types = shape.map(({ kind, name }) => {
    if (kind === "text") return VARCHAR;
    return kind === "number" && floats.has(name) ? FLOAT : DOUBLE;
  });
  const list = shape.map((_, i) => `c${i} ${types[i]}`).join(", ");
  const select = shape.map((column, i) => selectOf(column, i, input.integers)).join(", ");
  const open = async (): Promise<DuckDBAppender> => {
    await connection.run(`CREATE OR REPLACE TABLE staged (${list})`);
    return await connection.createAppender("staged");
  };
  const parts: string[] = [];
  let appender = await open();
  let staged = 0;
  let chunk = DuckDBDataChunk.create(types, CHUNK_ROWS);
  let filled = 0;
  const push = (): void => {
    for (let i = 0; i < types.length; i++) chunk.getColumnVector(i).flush();
    chunk.rowCount = filled;
    appender.appendDataChunk(chunk);
    staged += filled;
    filled = 0;
    chunk = DuckDBDataChunk.create(types, CHUNK_ROWS);
  };
  const copy = async (): Promise<void> => {
    appender.closeSync();
    const part = path.join(input.folder, `part-${parts.length}.parquet`);
    await connection.run(`COPY (SELECT ${select} FROM staged) TO ${literal(part)} ${copyOptions(input)}`);
    parts.push(part);
    appender = await open();
    staged = 0;
  };
  return {
    async append(table) {
      const columns = [...table.columns.values()];
      for (let start = 0; start < table.rows; ) {
        const count = Math.min(CHUNK_ROWS - filled, table.rows - start);
        for (let i = 0; i < columns.length; i++) {
          fillVector(chunk.getColumnVector(i), columns[i], { start, count, offset: filled });
        }
        start += count;
        filled += count;
        if (filled === CHUNK_ROWS) push();
        if (staged === STAGE_GROUPS * input.rowGroupRows) await copy();
      }
    },
    async finish() {
      if (filled > 0) push();
      if (staged > 0 || parts.length === 0) await copy();
      return parts;
    },
  };
}

function copyOptions({ rowGroupRows, metadata }: ParquetInput): string {
  const pairs = Object.entries(metadata).map(([key, value]) => `${literal(key)}: ${literal(value)}`);
  const keyValues = pairs.length === 0 ? "" : `, KV_METADATA {${pairs.join(", ")}}`;
  return `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows}${keyValues})`;
}

function selectOf({ name, kind }: ColumnShape, index: number, integers: readonly string[]): string {
  const as = `AS ${identifier(name)}`;
  if (kind === "text") return `c${index} ${as}`;
  // A time that is infinite has no calendar date.
  if (kind === "time") return `CASE WHEN isfinite(c${index}) THEN make_timestamp((c${index} * 1000)::BIGINT) END ${as}`;
  const present = `CASE WHEN NOT isnan(c${index}) THEN c${index} END`;
  return integers.includes(name) ? `(${present})::BIGINT ${as}` : `${present} ${as}`;
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

interface Span {
  /** First row of the column, number of rows, and where in the vector they go. */
  readonly start: number;
  readonly count: number;
  readonly offset: number;
}

function fillVector(vector: DuckDBVector, column: Column, { start, count, offset }: Span): void {
  if (column.kind === "text") {
    for (let i = 0; i < count; i++) {
      const code = column.codes[start + i];
      vector.setItem(offset + i, code < 0 ? null : column.dictionary[code]);
    }
    return;
  }
  // Missing ones go as NaN, which the copy turns into null: marking them here, one by one, takes several times as long.
  for (let i = 0; i < count; i++) vector.setItem(offset + i, column.values[start + i]);
}

async function joinParts(connection: Connection, parts: readonly string[], input: ParquetInput): Promise<void> {
  if (parts.length === 1) return await rename(parts[0], input.done);
  // Rows keep their order: the list is read in order, and DuckDB preserves insertion order.
  const list = parts.map((part) => literal(part)).join(", ");
  const rows = `SELECT * FROM read_parquet([${list}], hive_partitioning=false)`;
  await connection.run(`COPY (${rows}) TO ${literal(input.done)} ${copyOptions(input)}`);
}
