// The far end of a log, as its thread uses it: a vendor writes batches there, forgets, and names what went wrong.
import type { CoverageCount, LogRecord } from "./records.ts";

/** What is written in one transaction. */
export interface Batch {
  readonly records: readonly LogRecord[];
  readonly coverage: readonly CoverageCount[];
  /** Items of this writer that were written before, and those that the batch brings: records, and each set of counts. */
  readonly before: number;
  readonly items: number;
}

export interface BatchOutcome {
  /** Records that were there already and were ignored. */
  readonly duplicates: number;
  /**
   * Items after `before` that an earlier try wrote although nobody heard of it; then this batch was not written, and what is left of it is to be
   * given again. Zero where a commit cannot go unheard.
   */
  readonly already: number;
}

/** What is too much: predictions received before an instant, or more than so many of them. */
export interface PruneLimits {
  /** Milliseconds since 1970 UTC, compared with the time of arrival. */
  readonly before?: number;
  readonly rowsMax?: number;
  /** True: nothing is too much before it is archived. */
  readonly archivedOnly?: boolean;
}

/** Predictions that went, and the last entry of the log that went with them. */
export interface Pruned {
  readonly predictions: number;
  readonly through: number;
}

export interface LogEnd {
  write(batch: Batch): BatchOutcome | Promise<BatchOutcome>;
  /** After a batch: forgets a few of the oldest records where there are too many, or too old ones by the time `now`. */
  prune(now: number): Pruned | null | Promise<Pruned | null>;
  close(): Promise<void>;
}

/** A failure, in words that pass between threads. `busy`: another process writes, and a retry will help. */
export interface EndFault {
  readonly busy: boolean;
  readonly code: string;
  readonly message: string;
}

/** What a vendor gives the thread. */
export interface EndMaker {
  open(): LogEnd | Promise<LogEnd>;
  faultOf(error: unknown): EndFault;
}
