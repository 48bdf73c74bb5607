// What an expectation is to the evaluator: a type name and how its arguments become a check over rows.
import type { CellValue } from "./cells.ts";
import type { Kwargs } from "./kwargs.ts";
import type { Rows } from "./rows.ts";

/** The part of a result that differs by expectation, spelled as Great Expectations spells it. */
export type ResultDetail = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly success: boolean;
  readonly result: ResultDetail;
  /** Why, where what Great Expectations puts into a result does not say it. */
  readonly note?: string;
}

/** What a check may know besides the rows. */
export interface CheckContext {
  /** Milliseconds since 1970 UTC; null where nobody said what time it is. */
  readonly now: number | null;
}

export type RunCheck = (rows: Rows, context: CheckContext) => Outcome;

export interface ExpectationDefinition {
  readonly type: string;
  /** Reads the arguments (`quality.suite-invalid` where they are wrong) and returns the check. */
  prepare(kwargs: Kwargs): RunCheck;
}

/** A row as results show it: one value, a pair, or values by column. */
export type ShownValue = CellValue | readonly CellValue[] | Readonly<Record<string, CellValue>>;
