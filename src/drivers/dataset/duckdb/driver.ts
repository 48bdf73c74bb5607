// Tables in CSV, Parquet and NDJSON files through DuckDB, which is loaded at the first read or write.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { isRemote } from "../../../core/remote.ts";
import type { Dataset, DatasetDescription } from "../../../ports/dataset.ts";
import type { ObjectStore } from "../../../ports/objects.ts";
import { createFolderObjects } from "../../objects/folder/driver.ts";
import { type Connection, type DuckDbLimits, openDuckDb, withDuckDb } from "./connection.ts";
import { eraseTable } from "./erase.ts";
import { empty, tooLarge, unreadable } from "./errors.ts";
import { filesOf as filesAt, listFiles, type TableFiles } from "./files.ts";
import { formatOf } from "./format.ts";
import { metadataOf, rowsByFile } from "./layout.ts";
import { type Plan, planColumns } from "./plan.ts";
import { emptyTable, fillTable, readBatches } from "./read.ts";
import { RemoteFiles } from "./remote.ts";
import { type WriteOptions, writeTables } from "./write.ts";

export interface DuckDbOptions extends Partial<DuckDbLimits> {
  /** Most rows a file may hold to be read into memory; more raise dataset.too-large. */
  readonly rowsMax?: number;
  /** Most memory of DuckDB's own while a table is read in batches. */
  readonly scanMemory?: string;
  /** Rows of a Parquet row group, a multiple of 2048; eight groups are in memory while a file is written. */
  readonly rowGroupRows?: number;
  /** Opens what is no path of this machine (s3://…). */
  readonly remote?: (place: string) => Promise<ObjectStore>;
}

/** 200 million rows of one 8-byte column are 1.6 GB: more than that is a mistake on one machine. */
const ROWS_MAX = 200_000_000;
/** While a table passes by, DuckDB holds some row groups of it. */
const SCAN_MEMORY = "512MB";
/** Rows of a batch: its columns stay in a processor's cache while one check after the other looks at them. */
const SCAN_ROWS = 16_384;
/** DuckDB's own. */
const ROW_GROUP_ROWS = 122_880;

/**
 * A Dataset over local files. Files need a header (CSV) or one object a line (NDJSON). Times with or without a zone are
 * read as UTC, whole milliseconds. Integers beyond 2^53 turn their column into text, so that no id is falsified.
 */
export function datasetDuckdb(options: DuckDbOptions = {}): Dataset & { close(): Promise<void> } {
  const { memoryLimit = "2GB", threads = 2, rowsMax = ROWS_MAX, rowGroupRows = ROW_GROUP_ROWS } = options;
  const { scanMemory = SCAN_MEMORY } = options;
  const limits: DuckDbLimits = { memoryLimit, threads };
  const { remote = noRemote } = options;
  const fetched = new RemoteFiles(remote);
  const filesOf = (place: string): Promise<TableFiles> => filesAt(place, fetched);
  return {
    async describe(place) {
      const table = await filesOf(place);
      return await reading(table, limits, async (connection) => {
        const plan = await planColumns(connection, { table });
        checkRows(place, plan, { rowsMax: Number.POSITIVE_INFINITY });
        const files = await rowsByFile(connection, table, plan);
        return description(table, plan, { files, metadata: await metadataOf(connection, table) });
      });
    },
    async read(place, { columns, spelled } = {}) {
      const table = await filesOf(place);
      return await reading(table, limits, async (connection) => {
        const plan = await planColumns(connection, { table, columns, spelled });
        checkRows(place, plan, { rowsMax });
        return await fillTable(connection, plan);
      });
    },
    async scan(place, { columns, spelled } = {}) {
      const table = await filesOf(place);
      const scanLimits: DuckDbLimits = { memoryLimit: scanMemory, threads };
      const plan = await reading(table, limits, async (connection) =>
        planColumns(connection, { table, columns, spelled }),
      );
      checkRows(place, plan, { rowsMax: Number.POSITIVE_INFINITY });
      return {
        empty: emptyTable(plan),
        async *batches(names) {
          const wanted = { ...plan, columns: plan.columns.filter(({ name }) => names.includes(name)) };
          const database = await openDuckDb(scanLimits);
          try {
            yield* readBatches(database.connection, wanted, SCAN_ROWS);
          } catch (cause) {
            throw await readingFault(cause, table, scanLimits);
          } finally {
            database.close();
          }
        },
      };
    },
    async archives(place) {
      const { archives } = await filesOf(place);
      const open = (root: string): ObjectStore | Promise<ObjectStore> =>
        isRemote(root) ? remote(root) : createFolderObjects({ root, now: Date.now });
      return await Promise.all(archives.map(open));
    },
    async close() {
      fetched.close();
    },
    async write(file, batches, { integers = [], floats = [], metadata = {} }: WriteOptions = {}) {
      const format = formatOf(file);
      return await writeTables({ file, format, batches, integers, floats, metadata, limits, rowGroupRows });
    },
    erase: (file, of) => eraseTable(file, of, limits),
    async hash(place, algorithm = "sha256") {
      const { files } = await listFiles(place, fetched);
      if (files.length === 1) return await hashFile(files[0].path, algorithm);
      const all = createHash(algorithm);
      for (const file of files) all.update(`${await hashFile(file.path, algorithm)} ${file.name}\n`);
      return all.digest("hex");
    },
  };
}

async function noRemote(place: string): Promise<ObjectStore> {
  throw new SentinelError("dataset.missing", `${place} is no path of this machine`, {
    hint: "name a file or a folder",
  });
}

async function reading<T>(
  table: TableFiles,
  limits: DuckDbLimits,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await withDuckDb(limits, work);
  } catch (cause) {
    throw await readingFault(cause, table, limits);
  }
}

async function readingFault(
  cause: unknown,
  { asked, format, files }: TableFiles,
  limits: DuckDbLimits,
): Promise<unknown> {
  if (cause instanceof SentinelError) return cause;
  if (/out of memory/i.test(messageOf(cause))) return tooLarge(asked, `needs more than ${limits.memoryLimit} to read`);
  return await unreadable(files.length === 1 ? files[0].path : asked, format, cause);
}

function checkRows(file: string, plan: Plan, { rowsMax }: { readonly rowsMax: number }): void {
  if (plan.rows === 0)
    throw empty(file, "has columns but no rows", "check that what wrote the file had any data to write");
  if (plan.rows > rowsMax) throw tooLarge(file, `has ${plan.rows} rows, the limit is ${rowsMax}`);
}

function description(
  { asked, format }: TableFiles,
  plan: Plan,
  more: Pick<DatasetDescription, "files" | "metadata">,
): DatasetDescription {
  const columns = plan.columns.map(({ name, type, nativeType }) => ({ name, type, nativeType }));
  return { path: asked, format, rows: plan.rows, columns, ...more };
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
