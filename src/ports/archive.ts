// The archive port: Parquet files of decided transactions, written, read and merged on this machine.
import type { ObjectStore } from "./objects.ts";

/** `time` in milliseconds since 1970 UTC; `floats` are 32-bit. */
export type ArchiveType = "text" | "number" | "integer" | "time" | "boolean" | "floats" | "texts";

export interface ArchiveColumn {
  readonly name: string;
  readonly type: ArchiveType;
}

export type ArchiveCell = string | number | boolean | null | Float32Array | readonly string[];

/** Rows as columns of cells, in the order of their columns. */
export interface ArchiveRows {
  readonly rows: number;
  readonly cells: readonly (readonly ArchiveCell[])[];
}

/** The label that counts for a transaction. */
export interface ArchivedLabel {
  readonly transactionId: string;
  readonly fraud: boolean;
  readonly knownAt: number;
  readonly source: string;
}

/** How a file is written. */
export interface ArchiveFormat {
  readonly rowGroupRows: number;
  /** Kept beside the columns. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Errors: archive.unwritable, archive.unreadable. */
export interface ArchiveFiles {
  /** Writes rows into one file per day, at the path that `fileOf` gives; `days` has a day per row. Gives the rows per day. */
  write(
    batches: AsyncIterable<ArchiveRows & { readonly days: readonly string[] }>,
    options: ArchiveFormat & { readonly columns: readonly ArchiveColumn[]; fileOf(day: string): string },
  ): Promise<ReadonlyMap<string, number>>;
  /**
   * Several files of one day as one, in the order of `order`, with the labels that are known now. Columns that a file lacks are null there. Null, and no
   * file, where a column is of another type in one of them, because making them one would change values.
   */
  merge(
    files: readonly string[],
    options: ArchiveFormat & {
      readonly file: string;
      readonly order: readonly string[];
      readonly labels: {
        readonly id: string;
        readonly known: readonly ArchivedLabel[];
        /** Columns: the label as 0 or 1, when it became known, who said so. */
        readonly columns: readonly [label: string, knownAt: string, source: string];
      };
    },
  ): Promise<{ readonly rows: number } | null>;
  /** The rows of files, column by column, some thousand at a time. */
  read(
    files: readonly string[],
  ): AsyncIterable<{ readonly columns: readonly ArchiveColumn[]; readonly rows: ArchiveRows }>;
}

/** Where a pipeline's archive is, and who makes its files. */
export interface Archive {
  readonly objects: ObjectStore;
  readonly files: ArchiveFiles;
}

/** How an archive stands. */
export interface ArchiveStatus {
  /** Everything in the log up to it is archived. */
  readonly position: number;
  /** Entries of the log beyond. */
  readonly behind: number;
  /** When everything was archived last, by the clock, else when following began; null before it began. */
  readonly completeAt: number | null;
  /** Since the start. */
  readonly rows: number;
  readonly files: number;
  readonly failures: number;
  /** Why the last try failed; null when it did not. */
  readonly fault: { readonly code: string; readonly message: string; readonly hint: string } | null;
}
