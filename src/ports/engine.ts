// The engine port: stages that are computed in partitions, by this machine's threads or by a cluster's executors.
import type { FrameColumn } from "../core/frame.ts";
import type { Table } from "../core/table.ts";

/** One stage: rows in, other rows out, partition by partition, each in a process of its own. */
export interface EngineStage {
  readonly name: string;
  /** What the stage does with its rows: handed to the worker as it is, but for `ids`, which is what was found of them. */
  readonly task: object;
  /** Columns of the rows that come out. */
  readonly columns: readonly FrameColumn[];
  /** How the rows that go in are brought together; absent: they stay where the stage before made them. */
  readonly shuffle?: {
    /** A number column: rows of equal numbers are in one partition. */
    readonly by: string;
    /** Number columns by which a partition is sorted, ascending; together they tell all rows apart. */
    readonly sort: readonly string[];
  };
}

export interface EngineJob {
  /** One text each: what the first stage is given, one partition for each of them. */
  readonly splits: readonly string[];
  /** Partitions of a shuffle. */
  readonly partitions: number;
  /**
   * Asked before anything else is computed: rows with the columns `id` (a text), `row` (a number) and `whole` (1 or 0), of which it counts the
   * rows, whether `whole` is 1 in all, and the rows of an id that stands twice: those whose second row comes first. null: nothing is asked.
   */
  readonly ids: EngineStage | null;
  readonly stages: readonly EngineStage[];
}

/** What was found of the ids. */
export interface EngineIds {
  readonly rows: number;
  readonly whole: boolean;
  readonly twice: { readonly id: string; readonly rows: readonly [number, number] } | null;
}

export interface EngineResult {
  /** null where nothing was asked. */
  readonly ids: EngineIds | null;
  /** The rows of the last stage; none where an id stands twice. */
  readonly result: Table | null;
  /** What the engine calls itself, with its version. */
  readonly engine: string;
}

/** A feature table whose rows trees learn from, where it lies. */
export interface BoostJob {
  /** Parquet files that all machines reach, in the table's order. */
  readonly files: readonly string[];
  readonly columns: {
    /** Tells rows apart, and with `time` orders them. */
    readonly id: string;
    readonly time: string;
    /** 1, 0, or nothing where not known. */
    readonly label: string;
    /** What trees read, in the model's order. */
    readonly features: readonly string[];
  };
  /** A row without a label is genuine; false: it is left out. */
  readonly isGenuine: boolean;
  /** Rows to learn from and rows that say when to stop, by whole milliseconds, [from, to). */
  readonly train: { readonly from: number; readonly to: number };
  readonly validation: { readonly from: number; readonly to: number };
  /** The library's own, by its own names. */
  readonly parameters: Readonly<Record<string, number | string | readonly (number | string)[]>>;
  /** Processes that boost at once, at most; fewer where the engine has less room. */
  readonly workersMax: number;
  /** Vectors that the model is asked about when it is there; columns are the features. */
  readonly probe: Table;
}

export interface Boosted {
  /** The model's file as the library writes it. */
  readonly model: Uint8Array;
  /** The engine and the library, each with its version. */
  readonly engine: string;
  readonly library: string;
  readonly workers: number;
  /** What it learned from. */
  readonly rows: number;
  readonly frauds: number;
  /** Loss by round. */
  readonly curve: { readonly train: readonly number[]; readonly validation: readonly number[] };
  /** The library's own probability of fraud for each row of the probe. */
  readonly scores: readonly number[];
}

export interface EngineProgress {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface Engine {
  /** Runs a job of stages, one job at a time. Errors: those of the stages, `engine.unreachable`, `engine.failed`. */
  run(job: EngineJob, onProgress: (progress: EngineProgress) => void): Promise<EngineResult>;
  /** Boosts trees by the engine's library, in as many processes as it has. Errors: `engine.unreachable`, `engine.failed`. */
  boost(job: BoostJob, onProgress: (progress: EngineProgress) => void): Promise<Boosted>;
  /** Ends what the engine has started; nothing where it has not run. */
  close(): Promise<void>;
}
