// Files of an archive through DuckDB: rows of one batch into a Parquet file per day, several files of a day into one, and back into rows.
import { rename } from "node:fs/promises";
import type { DuckDBType, DuckDBVector } from "@duckdb/node-api";
import { assert, messageOf, SentinelError } from "../../../core/errors.ts";
import type {
  ArchiveCell,
  ArchiveColumn,
  ArchivedLabel,
  ArchiveFiles,
  ArchiveFormat,
  ArchiveRows,
  ArchiveType,
} from "../../../ports/archive.ts";
import { type Connection, identifier, literal, openDuckDb } from "../../dataset/duckdb/connection.ts";

type DuckDb = typeof import("@duckdb/node-api");

export interface ArchiveDuckDbOptions {
  /** Most memory of DuckDB's own; a merge of a larger day goes through its temporary files. */
  readonly memoryLimit?: string;
  readonly threads?: number;
}

/** Rows a DuckDB vector holds. */
const CHUNK_ROWS = 2048;
const MEMORY_LIMIT = "512MB";

/** DuckDB's name of each type in a file. */
const NATIVE: Readonly<Record<ArchiveType, string>> = {
  text: "VARCHAR",
  number: "DOUBLE",
  integer: "BIGINT",
  time: "TIMESTAMP",
  boolean: "BOOLEAN",
  floats: "FLOAT[]",
  texts: "VARCHAR[]",
};
const TYPES: ReadonlyMap<string, ArchiveType> = new Map(
  Object.entries(NATIVE).map(([type, native]) => [native, type as ArchiveType]),
);

/** One thread unless told otherwise: what is archived waits gladly, what is scored does not. */
export function archiveDuckDb({ memoryLimit = MEMORY_LIMIT, threads = 1 }: ArchiveDuckDbOptions = {}): ArchiveFiles {
  const limits = { memoryLimit, threads };
  const working = async <T>(file: string, spill: string, work: (connection: Connection) => Promise<T>): Promise<T> => {
    const database = await openDuckDb({ ...limits, spill });
    try {
      return await work(database.connection);
    } catch (cause) {
      throw faultOf(file, cause);
    } finally {
      database.close();
    }
  };
  return {
    async write(batches, { columns, fileOf, ...format }) {
      const some = fileOf("");
      return await working(some, "", async (connection) => {
        await stage(connection, columns, batches);
        const reader = await connection.runAndReadAll("SELECT day, count(*) FROM staged GROUP BY day ORDER BY day");
        const days = new Map(reader.getRowsJson().map(([day, rows]) => [String(day), Number(rows)]));
        const select = columns.map(selectOf).join(", ");
        for (const day of days.keys()) {
          const rows = `SELECT ${select} FROM staged WHERE day = ${literal(day)}`;
          await connection.run(`COPY (${rows}) TO ${literal(fileOf(day))} ${copyOptions(format)}`);
        }
        return days;
      });
    },
    async merge(files, { file, order, labels, ...format }) {
      const spill = `${file}.spill`;
      return await working(file, spill, async (connection) => {
        const source = `read_parquet(${listOf(files)}, hive_partitioning=false, union_by_name=true)`;
        const names = await commonNames(connection, files);
        if (names === null) return null;
        await stageLabels(connection, labels.known);
        const replaced = labelColumns(labels.columns, names);
        const own = names.filter((name) => !labels.columns.includes(name)).map((name) => `t.${identifier(name)}`);
        const sorted = order.filter((name) => names.includes(name)).map((name) => `t.${identifier(name)}`);
        const select = `SELECT ${[...own, ...replaced].join(", ")} FROM ${source} t LEFT JOIN known l ON l.id = t.${identifier(labels.id)}`;
        const partial = `${file}.part`;
        await connection.run(
          `COPY (${select} ORDER BY ${sorted.join(", ")}) TO ${literal(partial)} ${copyOptions(format)}`,
        );
        const count = async (of: string): Promise<number> =>
          Number((await connection.runAndReadAll(`SELECT count(*) FROM ${of}`)).getRowsJson()[0][0]);
        const rows = await count(`read_parquet(${literal(partial)})`);
        assert(rows === (await count(source)), "a merge keeps every row, once");
        await rename(partial, file);
        return { rows };
      });
    },
    async *read(files) {
      for (const file of files) {
        const database = await openDuckDb(limits);
        try {
          yield* readFile(database.connection, file);
        } catch (cause) {
          throw faultOf(file, cause);
        } finally {
          database.close();
        }
      }
    },
  };
}

function copyOptions({ rowGroupRows, metadata }: ArchiveFormat): string {
  const pairs = Object.entries(metadata).map(([key, value]) => `${literal(key)}: ${literal(value)}`);
  return `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows}, KV_METADATA {${pairs.join(", ")}})`;
}

function listOf(files: readonly string[]): string {
  return `[${files.map((file) => literal(file.replace(/[*?[]/g, "[$&]"))).join(", ")}]`;
}

/** The names of all columns, in the order in which files first have them; null where one is of two types. */
async function commonNames(connection: Connection, files: readonly string[]): Promise<readonly string[] | null> {
  const types = new Map<string, string>();
  for (const file of files) {
    const source = `read_parquet(${listOf([file])}, hive_partitioning=false)`;
    const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
    for (const [name, type] of reader.getRowsJson().map((row) => row.map(String))) {
      if ((types.get(name) ?? type) !== type) return null;
      types.set(name, type);
    }
  }
  return [...types.keys()];
}

/** What is missing goes as NaN, which {@link selectOf} turns into null. */
function stagedType({ type }: ArchiveColumn, duckdb: DuckDb): DuckDBType {
  const { DOUBLE, VARCHAR, FLOAT, LIST } = duckdb;
  if (type === "text") return VARCHAR;
  if (type === "floats") return LIST(FLOAT);
  return type === "texts" ? LIST(VARCHAR) : DOUBLE;
}

function selectOf({ name, type }: ArchiveColumn, index: number): string {
  const as = `AS ${identifier(name)}`;
  const cell = `c${index}`;
  const present = `CASE WHEN NOT isnan(${cell}) THEN ${cell} END`;
  if (type === "time") return `CASE WHEN isfinite(${cell}) THEN make_timestamp((${cell} * 1000)::BIGINT) END ${as}`;
  if (type === "number") return `${present} ${as}`;
  if (type === "integer" || type === "boolean") return `(${present})::${NATIVE[type]} ${as}`;
  return `${cell} ${as}`;
}

async function stage(
  connection: Connection,
  columns: readonly ArchiveColumn[],
  batches: AsyncIterable<ArchiveRows & { readonly days: readonly string[] }>,
): Promise<void> {
  const duckdb = await import("@duckdb/node-api");
  const types = [...columns.map((column) => stagedType(column, duckdb)), duckdb.VARCHAR];
  const list = columns.map((_, i) => `c${i} ${types[i]}`).join(", ");
  await connection.run(`CREATE TABLE staged (${list}, day VARCHAR)`);
  const appender = await connection.createAppender("staged");
  for await (const { rows, cells, days } of batches) {
    for (let start = 0; start < rows; start += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, rows - start);
      const chunk = duckdb.DuckDBDataChunk.create(types, count);
      for (let c = 0; c < columns.length; c++) {
        fill(chunk.getColumnVector(c), columns[c].type, { cells: cells[c], start, count, list: duckdb.listValue });
      }
      fill(chunk.getColumnVector(columns.length), "text", { cells: days, start, count, list: duckdb.listValue });
      for (let c = 0; c < types.length; c++) chunk.getColumnVector(c).flush();
      chunk.rowCount = count;
      appender.appendDataChunk(chunk);
    }
  }
  appender.closeSync();
}

function fill(
  vector: DuckDBVector,
  type: ArchiveType,
  from: {
    readonly cells: readonly ArchiveCell[];
    readonly start: number;
    readonly count: number;
    readonly list: DuckDb["listValue"];
  },
): void {
  const { cells, start, count, list } = from;
  for (let i = 0; i < count; i++) {
    const cell = cells[start + i];
    if (type === "floats" || type === "texts") {
      vector.setItem(i, cell === null ? null : list(Array.from(cell as ArrayLike<number | string>)));
    } else if (type === "text") vector.setItem(i, cell as string | null);
    else vector.setItem(i, cell === null ? Number.NaN : Number(cell));
  }
}

async function stageLabels(connection: Connection, labels: readonly ArchivedLabel[]): Promise<void> {
  await connection.run("CREATE TABLE known (id VARCHAR, fraud DOUBLE, known_at DOUBLE, source VARCHAR)");
  const duckdb = await import("@duckdb/node-api");
  const { DOUBLE, VARCHAR } = duckdb;
  const appender = await connection.createAppender("known");
  for (let start = 0; start < labels.length; start += CHUNK_ROWS) {
    const part = labels.slice(start, start + CHUNK_ROWS);
    const chunk = duckdb.DuckDBDataChunk.create([VARCHAR, DOUBLE, DOUBLE, VARCHAR], part.length);
    chunk.setColumnValues(
      0,
      part.map(({ transactionId }) => transactionId),
    );
    chunk.setColumnValues(
      1,
      part.map(({ fraud }) => (fraud ? 1 : 0)),
    );
    chunk.setColumnValues(
      2,
      part.map(({ knownAt }) => knownAt),
    );
    chunk.setColumnValues(
      3,
      part.map(({ source }) => source),
    );
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}

/** The label that is known now, else what the file says. */
function labelColumns(columns: readonly [string, string, string], there: readonly string[]): readonly string[] {
  const knownAt = "CASE WHEN isfinite(l.known_at) THEN make_timestamp((l.known_at * 1000)::BIGINT) END";
  const known = ["l.fraud::BIGINT", knownAt, "l.source"];
  return columns.map((name, i) => {
    const before = there.includes(name) ? `t.${identifier(name)}` : `NULL::${["BIGINT", "TIMESTAMP", "VARCHAR"][i]}`;
    return `CASE WHEN l.id IS NULL THEN ${before} ELSE ${known[i]} END AS ${identifier(name)}`;
  });
}

async function* readFile(
  connection: Connection,
  file: string,
): AsyncGenerator<{ readonly columns: readonly ArchiveColumn[]; readonly rows: ArchiveRows }> {
  const source = `read_parquet(${listOf([file])}, hive_partitioning=false)`;
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  const columns = reader.getRowsJson().map(([name, native]): ArchiveColumn => {
    const type = TYPES.get(String(native));
    if (type !== undefined) return { name: String(name), type };
    throw new SentinelError("archive.unreadable", `${file}: column ${String(name)} is ${String(native)}`, {
      hint: "the file was not written by this version of Sentinel: take it out of the archive, or use the version that wrote it",
    });
  });
  const list = columns.map(({ name, type }) => {
    if (type === "time") return `epoch_us(${identifier(name)})::DOUBLE / 1000`;
    return type === "integer" ? `${identifier(name)}::DOUBLE` : identifier(name);
  });
  const result = await connection.stream(`SELECT ${list.join(", ")} FROM ${source}`);
  for await (const chunk of result) {
    const rows = chunk.rowCount;
    const cells = columns.map(({ type }, c) => cellsOf(chunk.getColumnVector(c), type, rows));
    yield { columns, rows: { rows, cells } };
  }
}

function cellsOf(vector: DuckDBVector, type: ArchiveType, rows: number): ArchiveCell[] {
  const cells: ArchiveCell[] = new Array(rows);
  for (let i = 0; i < rows; i++) {
    const item = vector.getItem(i) as
      | null
      | string
      | number
      | boolean
      | { readonly items: readonly (string | number)[] };
    if (item === null || typeof item !== "object") cells[i] = item;
    else cells[i] = type === "floats" ? Float32Array.from(item.items as readonly number[]) : (item.items as string[]);
  }
  return cells;
}

function faultOf(file: string, cause: unknown): unknown {
  if (cause instanceof SentinelError) return cause;
  const message = messageOf(cause);
  if (/no space left|disk quota/i.test(message)) {
    return new SentinelError("archive.unwritable", `${file} cannot be written: ${message}`, {
      hint: "the disk is full: make room on it, and the archive goes on by itself; the prediction log keeps what is not archived",
      cause,
    });
  }
  if (/^IO Error/.test(message) || (cause instanceof Error && "syscall" in cause)) {
    return new SentinelError("archive.unwritable", `${file}: ${message}`, {
      hint: "check that the folder is there, may be written to and has room",
      cause,
    });
  }
  if (/^(Invalid Input|Serialization|Conversion) Error/.test(message)) {
    return new SentinelError("archive.unreadable", `${file}: ${message}`, {
      hint: "the file is damaged: put it back from a copy, or take it out of the archive",
      cause,
    });
  }
  return cause;
}
