// The dataset port: tables in files, described, read, written and hashed.
import type { Eraser } from "../core/erasure.ts";
import type { Table } from "../core/table.ts";
import type { ObjectStore } from "./objects.ts";

export type ColumnType = "number" | "time" | "text" | "boolean" | "other";

/** A file of a table: its name, its rows, and the path by which it can be read alone. */
export interface DatasetFile {
  readonly name: string;
  readonly rows: number;
  readonly place: string;
}

export interface DatasetDescription {
  readonly path: string;
  readonly format: "csv" | "parquet" | "ndjson";
  readonly rows: number;
  /** What `rows` come from, in their order: each file's name without its ending, below the named folder, and its rows. */
  readonly files: readonly DatasetFile[];
  readonly columns: readonly { readonly name: string; readonly type: ColumnType; readonly nativeType: string }[];
  /** What {@link Dataset.write} kept beside the columns; empty where there is nothing, and of several files. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A person who is looked for in tables; `names` are of the columns that say who it is, `personal` of those that go with it. */
export interface TableErasure {
  readonly eraser: Eraser;
  readonly names: ReadonlySet<string>;
  readonly personal: ReadonlySet<string>;
  /** False: only counted. */
  readonly write: boolean;
}

export interface ReadOptions {
  readonly columns?: readonly string[];
  /**
   * Columns of ids and keys: each cell as a client would send it, in the file's own spelling. CSV texts stay as written; a JSON number is
   * spelled as JavaScript spells it; dates of Parquet are `2024-03-01`; an empty text is missing. A number column only where its digits
   * are the spelling. Errors: dataset.type-wrong, where a cell holds bytes that are no text.
   */
  readonly spelled?: readonly string[];
}

/** A table that is planned once and read in batches, as often as needed. */
export interface DatasetScan {
  /** The table without its rows: names and kinds of the planned columns, in file order. */
  readonly empty: Table;
  /** The named ones of them, batch by batch, in the table's order. A batch stands until the next one is asked for: its arrays are filled again. */
  batches(columns: readonly string[]): AsyncIterable<Table>;
}

/**
 * Reads and writes tables. A path to read is a file, a folder (the tables below it, in the order of their paths; folders such as
 * `date=2024-01-01` are columns), a pattern with `*`, any of these in a bucket (`s3://bucket/prefix`), or several separated by commas. Of an archive only the files
 * that count are read. Errors: dataset.missing, .empty, .format-unknown, .unreadable, .too-large, .columns-missing
 * (reading), .unwritable, .type-wrong (writing); archive.* and config.invalid for a bucket.
 */
export interface Dataset {
  describe(path: string): Promise<DatasetDescription>;
  /** The named columns (all when absent; booleans as 0/1 numbers), in file order. */
  read(path: string, options?: ReadOptions): Promise<Table>;
  /** The archives that a path is in, where all its files are an archive's; empty for any other table. */
  archives(path: string): Promise<readonly ObjectStore[]>;
  /** Plans the named columns, as `read` would read them, of a table that need not fit into memory. */
  scan(path: string, options?: ReadOptions): Promise<DatasetScan>;
  /**
   * Streams tables of equal columns into one file, whose format its ending names; appears whole or not at all. Numbers
   * become doubles, the columns named in `integers` 64-bit integers and those in `floats` 32-bit floats, where the format tells
   * these apart; `metadata` is kept beside the columns, where the format has a place for it.
   */
  write(
    path: string,
    batches: AsyncIterable<Table> | Iterable<Table>,
    options?: {
      readonly integers?: readonly string[];
      readonly floats?: readonly string[];
      readonly metadata?: Readonly<Record<string, string>>;
    },
  ): Promise<{ readonly rows: number }>;
  /** Rows of one file that name a person; with `write` the file is put anew in its place, every other cell as it was. */
  erase(path: string, of: TableErasure): Promise<number>;
  /** SHA-256 of the file's bytes, streamed; MD5 to compare with DVC, which names data by it. Of several files: of their hashes and names, in order. */
  hash(path: string, algorithm?: "sha256" | "md5"): Promise<string>;
}
