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
        const form = await stage(connection, columns, batches);
        if (form === null) return new Map();
        const reader = await connection.runAndReadAll("SELECT day, count(*) FROM staged GROUP BY day ORDER BY day");
        const days = new Map(reader.getRowsJson().map(([day, rows]) => [String(day), Number(rows)]));
        const select = columns.map((column, i) => selectOf(column, i, form[i])).join(", ");
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

/**
 * How a column is staged: as numbers, each row with its own text or floats, or as the places of its values among those that the column had before. A text
 * given to DuckDB costs as much as twenty numbers, and most columns say the same few things.
 */
type Form = "numbers" | "own" | Dictionary;

/** A column with more different values than this share of the first rows has a text of its own per row. */
const CODED_SHARE_MAX = 0.25;

/** A column's values, each once, in the order in which they came. */
class Dictionary {
  readonly values: (string | readonly string[])[] = [];
  private readonly places = new Map<string, number>();
  /** Records share the lists of rules that fired, so that most are known without a look at what they hold. */
  private lastList: readonly string[] = [];
  private lastPlace = Number.NaN;

  /** The place of a value, from 1; NaN for what is missing. */
  placeOf(cell: ArchiveCell): number {
    if (cell === null) return Number.NaN;
    if (typeof cell === "string") return this.known(cell, cell);
    const list = cell as readonly string[];
    if (list === this.lastList) return this.lastPlace;
    this.lastList = list;
    this.lastPlace = this.known(JSON.stringify(list), list);
    return this.lastPlace;
  }

  private known(key: string, value: string | readonly string[]): number {
    let place = this.places.get(key);
    if (place === undefined) {
      place = this.values.push(value);
      this.places.set(key, place);
    }
    return place;
  }
}

function formOf({ type }: ArchiveColumn, cells: readonly ArchiveCell[]): Form {
  if (type === "floats") return "own";
  if (type === "texts") return new Dictionary();
  if (type !== "text") return "numbers";
  const different = new Set(cells);
  different.delete(null);
  return different.size <= CODED_SHARE_MAX * cells.length ? new Dictionary() : "own";
}

/** What is missing goes as NaN, which {@link selectOf} turns into null. */
function stagedType({ type }: ArchiveColumn, form: Form, { DOUBLE, VARCHAR, FLOAT, LIST }: DuckDb): DuckDBType {
  if (form !== "own") return DOUBLE;
  return type === "floats" ? LIST(FLOAT) : VARCHAR;
}

function selectOf({ name, type }: ArchiveColumn, index: number, form: Form): string {
  const as = `AS ${identifier(name)}`;
  const cell = `c${index}`;
  if (form === "own") return `${cell} ${as}`;
  const present = `CASE WHEN NOT isnan(${cell}) THEN ${cell} END`;
  if (form instanceof Dictionary) {
    if (form.values.length === 0) return `NULL::${NATIVE[type]} ${as}`;
    return `list_extract(getvariable('${wordsOf(index)}'), (${present})::INTEGER) ${as}`;
  }
  if (type === "time") return `CASE WHEN isfinite(${cell}) THEN make_timestamp((${cell} * 1000)::BIGINT) END ${as}`;
  return type === "number" ? `${present} ${as}` : `(${present})::${NATIVE[type]} ${as}`;
}

function wordsOf(index: number): string {
  return `words_${index}`;
}

/** How each column was staged; null where there is no row. */
async function stage(
  connection: Connection,
  columns: readonly ArchiveColumn[],
  batches: AsyncIterable<ArchiveRows & { readonly days: readonly string[] }>,
): Promise<readonly Form[] | null> {
  const duckdb = await import("@duckdb/node-api");
  let begun: { readonly forms: readonly Form[]; readonly types: readonly DuckDBType[] } | null = null;
  let appender: Awaited<ReturnType<Connection["createAppender"]>> | null = null;
  for await (const { rows, cells, days } of batches) {
    if (begun === null) {
      const forms = columns.map((column, c) => formOf(column, cells[c]));
      const types = [...columns.map((column, c) => stagedType(column, forms[c], duckdb)), duckdb.VARCHAR];
      begun = { forms, types };
      const list = columns.map((_, i) => `c${i} ${types[i]}`).join(", ");
      await connection.run(`CREATE TABLE staged (${list}, day VARCHAR)`);
      appender = await connection.createAppender("staged");
    }
    const { forms, types } = begun;
    for (let start = 0; start < rows; start += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, rows - start);
      const chunk = duckdb.DuckDBDataChunk.create(types, count);
      const from = { start, count, list: duckdb.listValue };
      for (let c = 0; c < columns.length; c++) {
        fill(chunk.getColumnVector(c), forms[c], { ...from, cells: cells[c] });
      }
      fill(chunk.getColumnVector(columns.length), "own", { ...from, cells: days });
      for (let c = 0; c < types.length; c++) chunk.getColumnVector(c).flush();
      chunk.rowCount = count;
      appender!.appendDataChunk(chunk);
    }
  }
  appender?.closeSync();
  if (begun === null) return null;
  await stageWords(connection, begun.forms, columns);
  return begun.forms;
}

/** The values of every dictionary become a variable of the connection: a list by place. */
async function stageWords(
  connection: Connection,
  forms: readonly Form[],
  columns: readonly ArchiveColumn[],
): Promise<void> {
  const { DuckDBDataChunk, DOUBLE, VARCHAR, LIST, listValue } = await import("@duckdb/node-api");
  for (const [index, form] of forms.entries()) {
    if (!(form instanceof Dictionary) || form.values.length === 0) continue;
    const { values } = form;
    const words = wordsOf(index);
    const isList = columns[index].type === "texts";
    await connection.run(`CREATE TABLE ${words} (place DOUBLE, value ${isList ? "VARCHAR[]" : "VARCHAR"})`);
    const appender = await connection.createAppender(words);
    for (let start = 0; start < values.length; start += CHUNK_ROWS) {
      const part = values.slice(start, start + CHUNK_ROWS);
      const chunk = DuckDBDataChunk.create([DOUBLE, isList ? LIST(VARCHAR) : VARCHAR], part.length);
      chunk.setColumnValues(
        0,
        part.map((_, i) => start + i),
      );
      chunk.setColumnValues(
        1,
        part.map((value) => (typeof value === "string" ? value : listValue(value))),
      );
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
    await connection.run(`SET VARIABLE ${words} = (SELECT list(value ORDER BY place) FROM ${words})`);
  }
}

function fill(
  vector: DuckDBVector,
  form: Form,
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
    if (form instanceof Dictionary) vector.setItem(i, form.placeOf(cell));
    else if (form === "numbers") vector.setItem(i, cell === null ? Number.NaN : Number(cell));
    // A list takes its values by index, so that floats may stay where they are.
    else vector.setItem(i, cell instanceof Float32Array ? list(cell as unknown as number[]) : (cell as string | null));
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
