// The tasks that the processes of a partitioned run receive: one task per stage, plain data, the same in every process.
import type { FrameColumn } from "../../core/frame.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import type { DatasetDescription } from "../../ports/dataset.ts";
import type { EngineIds } from "../../ports/engine.ts";

/** What every task says. */
interface CommonTask {
  /** Of the package that made the task; another version may mean something else by it. */
  readonly packageVersion: string;
  readonly pipeline: { readonly name: string; readonly text: string; readonly file: string };
  readonly spec: FeatureSpec;
  /** Columns of the rows that come in and go out. */
  readonly input: readonly FrameColumn[];
  readonly output: readonly FrameColumn[];
  /** What the engine found of the ids; null where they are made of the rows' numbers, absent before it looked. */
  readonly ids?: EngineIds | null;
}

/** Reads files: rows in are splits. */
export interface ReadTask extends CommonTask {
  readonly kind: "read" | "ids";
  readonly whole: DatasetDescription;
  readonly isArchive: boolean;
  /** Columns of the whole table under their canonical names. */
  readonly columns: readonly FrameColumn[];
}

/** One pass of `keyPasses`. */
export interface KeyTask extends CommonTask {
  readonly kind: "key";
  readonly pass: number;
  readonly stateBytesMax: number;
  /** The folder that gets what is known of the partition's keys at its end; absent: nothing is kept. */
  readonly stateFolder?: string;
}

/** Writes the feature table, a folder per day. */
export interface WriteTask extends CommonTask {
  readonly kind: "write";
  readonly folder: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export type WorkerTask = ReadTask | KeyTask | WriteTask;

/** The rows of one process: whole files, the first of which has so many rows of the table before it. */
export interface Split {
  readonly files: readonly { readonly place: string; readonly before: number }[];
}

export const SPLIT_COLUMNS: readonly FrameColumn[] = [{ name: "split", type: "text" }];
export const IDS_COLUMNS: readonly FrameColumn[] = [
  { name: "id", type: "text" },
  { name: "row", type: "f64" },
  { name: "whole", type: "f64" },
];
export const WRITTEN_COLUMNS: readonly FrameColumn[] = [
  { name: "file", type: "text" },
  { name: "rows", type: "f64" },
  { name: "first", type: "f64" },
  { name: "last", type: "f64" },
];

/** The UTC day of a row, counted from 1970: rows of one day are written by one process. */
export const DAY_COLUMN = "\u0003day";

/** What brings the rows of one value of a pass's key together. */
export function hashColumn(pass: number): string {
  return `\u0003hash${pass}`;
}
