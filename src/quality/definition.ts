// What an expectation is to the evaluator: a type name, and how its arguments become a check that is fed rows batch by batch.
import type { CellValue } from "./cells.ts";
import type { Kwargs } from "./kwargs.ts";
import type { SharedMoments } from "./moments.ts";
import type { SharedOrder } from "./order-statistics.ts";
import type { Rows } from "./rows.ts";
import type { FaultRows } from "./sample.ts";
import type { TableShape } from "./shape.ts";
import type { TallyPool } from "./tally-pool.ts";

/** The part of a result that differs by expectation, spelled as Great Expectations spells it. */
export type ResultDetail = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly success: boolean;
  readonly result: ResultDetail;
  /** Why, where what Great Expectations puts into a result does not say it. */
  readonly note?: string;
  /** Which rows of the table are at fault; absent where a check judges no single row. */
  readonly faults?: FaultRows;
}

/** What a check may know besides the rows. */
export interface CheckContext {
  /** Milliseconds since 1970 UTC; null where nobody said what time it is. */
  readonly now: number | null;
  /** Where counts of different values have their memory. */
  readonly pool: TallyPool;
  /** What checks of the same rows share, so that it is worked out once. */
  readonly shared: SharedWork;
}

/** Work on one column's numbers, made by the first check that asks for it. */
export interface SharedWork {
  order(column: string): SharedOrder;
  moments(column: string): SharedMoments;
}

/**
 * One check while rows pass by. What it throws becomes an errored result. Batches come in the table's order; how they are cut changes no result
 * (but the last digits of means and standard deviations, whose parts are summed in another order).
 */
export interface Running {
  push(rows: Rows): void;
  /** Whether the rest of this pass brings nothing new; absent: never. The first pass goes on all the same. */
  isDone?(): boolean;
  /** After the last row: the outcome, or what has to see all rows once more. */
  finish(): Outcome | Running;
}

/** Begins a check on a table of this shape. Throws where the table lacks a column. */
export type StartCheck = (shape: TableShape, context: CheckContext) => Running;

export interface ExpectationDefinition {
  readonly type: string;
  /** Reads the arguments (`quality.suite-invalid` where they are wrong) and returns the check. */
  prepare(kwargs: Kwargs): StartCheck;
}

/** A row as results show it: one value, a pair, or values by column. */
export type ShownValue = CellValue | readonly CellValue[] | Readonly<Record<string, CellValue>>;

/** Whether a finished pass ended in an outcome. */
export function isOutcome(finished: Outcome | Running): finished is Outcome {
  return "success" in finished;
}
