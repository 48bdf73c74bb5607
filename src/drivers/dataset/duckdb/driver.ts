// Tables in CSV, Parquet and NDJSON files through DuckDB, which is loaded at the first read or write.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import type { Dataset, DatasetDescription } from "../../../ports/dataset.ts";
import { type Connection, type DuckDbLimits, withDuckDb } from "./connection.ts";
import { empty, tooLarge, unreadable } from "./errors.ts";
import { type DatasetFormat, formatOf } from "./format.ts";
import { type Plan, planColumns } from "./plan.ts";
import { fillTable } from "./read.ts";
import { type WriteOptions, writeTables } from "./write.ts";

export interface DuckDbOptions extends Partial<DuckDbLimits> {
  /** Most rows a file may hold to be read into memory; more raise dataset.too-large. */
  readonly rowsMax?: number;
  /** Rows of a Parquet row group, a multiple of 2048; eight groups are in memory while a file is written. */
  readonly rowGroupRows?: number;
}

/** 200 million rows of one 8-byte column are 1.6 GB: more than that is a mistake on one machine. */
const ROWS_MAX = 200_000_000;
/** DuckDB's own. */
const ROW_GROUP_ROWS = 122_880;

/**
 * A Dataset over local files. Files need a header (CSV) or one object a line (NDJSON). Times with or without a zone are
 * read as UTC, whole milliseconds. Integers beyond 2^53 turn their column into text, so that no id is falsified.
 */
export function datasetDuckdb(options: DuckDbOptions = {}): Dataset {
  const { memoryLimit = "2GB", threads = 2, rowsMax = ROWS_MAX, rowGroupRows = ROW_GROUP_ROWS } = options;
  const limits: DuckDbLimits = { memoryLimit, threads };
  return {
    async describe(file) {
      const format = await readableFormat(file);
      return await reading(file, format, limits, async (connection) => {
        const plan = await planColumns(connection, { file, format });
        checkRows(file, plan, { rowsMax: Number.POSITIVE_INFINITY });
        return description(file, format, plan);
      });
    },
    async read(file, { columns, spelled } = {}) {
      const format = await readableFormat(file);
      return await reading(file, format, limits, async (connection) => {
        const plan = await planColumns(connection, { file, format, columns, spelled });
        checkRows(file, plan, { rowsMax });
        return await fillTable(connection, plan);
      });
    },
    async write(file, batches, { integers = [], floats = [], metadata = {} }: WriteOptions = {}) {
      const format = formatOf(file);
      return await writeTables({ file, format, batches, integers, floats, metadata, limits, rowGroupRows });
    },
    async hash(file, algorithm = "sha256") {
      await statOf(file);
      return await hashFile(file, algorithm);
    },
  };
}

async function readableFormat(file: string): Promise<DatasetFormat> {
  const { size, folder } = await statOf(file);
  if (folder) throw empty(file, "is a folder, not a file", "name one file in it, for example a .parquet or .csv");
  const format = formatOf(file);
  if (size === 0) throw empty(file, "has no bytes", "write the file again; its export may have been interrupted");
  return format;
}

async function statOf(file: string): Promise<{ readonly size: number; readonly folder: boolean }> {
  try {
    const found = await stat(file);
    return { size: found.size, folder: found.isDirectory() };
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : "";
    if (code !== "ENOENT" && code !== "ENOTDIR") throw await unreadable(file, null, cause);
    throw new SentinelError("dataset.missing", `there is no file ${file}`, {
      hint: `check the path; it was looked for at ${path.resolve(file)}`,
      cause,
    });
  }
}

async function reading<T>(
  file: string,
  format: DatasetFormat,
  limits: DuckDbLimits,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await withDuckDb(limits, work);
  } catch (cause) {
    if (cause instanceof SentinelError) throw cause;
    if (/out of memory/i.test(messageOf(cause))) throw tooLarge(file, `needs more than ${limits.memoryLimit} to read`);
    throw await unreadable(file, format, cause);
  }
}

function checkRows(file: string, plan: Plan, { rowsMax }: { readonly rowsMax: number }): void {
  if (plan.rows === 0)
    throw empty(file, "has columns but no rows", "check that what wrote the file had any data to write");
  if (plan.rows > rowsMax) throw tooLarge(file, `has ${plan.rows} rows, the limit is ${rowsMax}`);
}

function description(file: string, format: DatasetFormat, plan: Plan): DatasetDescription {
  const columns = plan.columns.map(({ name, type, nativeType }) => ({ name, type, nativeType }));
  return { path: file, format, rows: plan.rows, columns };
}

async function hashFile(file: string, algorithm: string): Promise<string> {
  const hash = createHash(algorithm);
  try {
    for await (const bytes of createReadStream(file)) hash.update(bytes);
  } catch (cause) {
    throw await unreadable(file, null, cause);
  }
  return hash.digest("hex");
}
