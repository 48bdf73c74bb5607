// Writes tables into one file that appears whole or not at all: a temporary folder beside it, then a rename.
import { chmod, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../../core/private.ts";
import type { Table } from "../../../core/table.ts";
import type { DuckDbLimits } from "./connection.ts";
import { empty } from "./errors.ts";
import type { DatasetFormat } from "./format.ts";
import { shapeOf, writeParquet } from "./parquet.ts";
import { writeText } from "./text.ts";

export interface WriteOptions {
  /** Number columns to store as 64-bit integers (Parquet only: CSV and NDJSON write whole numbers as such anyway). */
  readonly integers?: readonly string[];
  /** Number columns whose values are Float32 numbers, to store as such (Parquet only). */
  readonly floats?: readonly string[];
  /** What the file says of itself: key-value metadata (Parquet only). */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface WriteInput {
  readonly file: string;
  readonly format: DatasetFormat;
  readonly batches: AsyncIterable<Table> | Iterable<Table>;
  readonly integers: readonly string[];
  readonly floats: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly limits: DuckDbLimits;
  readonly rowGroupRows: number;
}

export async function writeTables(input: WriteInput): Promise<{ readonly rows: number }> {
  const folder = await temporaryFolder(input.file);
  try {
    const done = path.join(folder, `whole.${input.format}`);
    const tables = checked(input);
    const rows =
      input.format === "parquet"
        ? await writeParquet(tables, { ...input, folder, done })
        : await writeText(tables, { format: input.format, done });
    await chmod(done, await modeFor(input.file));
    await sync(done);
    await rename(done, input.file);
    return { rows };
  } catch (cause) {
    throw isFileFault(cause) ? unwritable(input.file, cause) : cause;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function temporaryFolder(file: string): Promise<string> {
  try {
    return await mkdtemp(path.join(path.dirname(path.resolve(file)), ".sentinel-write-"));
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** The batches as they come; raises when one has other columns than the first, or when there is none at all. */
async function* checked(input: WriteInput): AsyncGenerator<Table> {
  let first: string | null = null;
  for await (const table of input.batches) {
    const shape = shapeOf(table)
      .map(({ name, kind }) => `${name} (${kind})`)
      .join(", ");
    first ??= shape;
    if (shape !== first) {
      throw new SentinelError("dataset.type-wrong", `${input.file}: a batch has columns ${shape}, the first ${first}`, {
        hint: "give every batch the same columns in the same order",
      });
    }
    yield table;
  }
  if (first === null) throw empty(input.file, "would be written without any table", "give it at least one batch");
}

/** A table that is replaced keeps its mode; a new one is for its owner alone, since the rows may be customers'. */
async function modeFor(file: string): Promise<number> {
  try {
    return (await stat(file)).mode & 0o777;
  } catch {
    return PRIVATE_FILE_MODE;
  }
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A fault of the file system, told by Node (a code like EACCES) or by DuckDB (an IO Error). */
function isFileFault(cause: unknown): boolean {
  if (cause instanceof SentinelError) return false;
  return (cause instanceof Error && "code" in cause && "syscall" in cause) || /^IO Error/.test(messageOf(cause));
}

function unwritable(file: string, cause: unknown): SentinelError {
  return new SentinelError("dataset.unwritable", `${file} cannot be written: ${messageOf(cause)}`, {
    hint: "check that its folder exists, may be written to and has room",
    cause,
  });
}
