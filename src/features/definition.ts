// The kinds of feature a spec may hold, as plain JSON data, with their limits.
import type { DerivedValue } from "../core/window.ts";

export { FEATURES_MAX, KEY_COLUMNS_MAX, KEYS_MAX, WINDOW_DAYS_MAX } from "../core/window.ts";

/** Longest name of a spec, a feature or a column. */
export const NAME_LENGTH_MAX = 120;
/** Values a category feature may list. */
export const CATEGORY_VALUES_MAX = 10_000;
/** Values that a category may learn from a table: with the bucket of all others, as many as the trees tell apart. */
export const LEARNED_VALUES_MAX = 253;
/** Values learned, and rows that a value must have, where the feature does not say. */
export const LEARNED_DEFAULTS = { max: 50, rowsMin: 20 } as const;
/** Columns that "all numeric columns" may leave out by name. */
export const EXCEPT_MAX = 1000;

/** What a window may be over besides a numeric column; no column may have one of these names. */
export const EVENT_WORDS = ["transactions", "frauds", "genuine", "fraud-rate"] as const;
export type EventWord = (typeof EVENT_WORDS)[number];

export const AGGREGATES = ["count", "sum", "mean", "std", "min", "max", "distinct"] as const;
export type Aggregate = (typeof AGGREGATES)[number];

export const TIME_PARTS = ["hour", "dayOfWeek", "weekend", "night"] as const;
export type TimePart = (typeof TIME_PARTS)[number];

export const ELAPSED_SINCE = ["last-transaction", "first-transaction", "last-fraud", "first-fraud"] as const;
export type ElapsedSince = (typeof ELAPSED_SINCE)[number];

export const ELAPSED_UNITS = ["seconds", "days"] as const;
export type ElapsedUnit = (typeof ELAPSED_UNITS)[number];

/** The number in a column; NaN where missing. */
export interface ColumnFeature {
  readonly kind: "column";
  readonly name: string;
  readonly column: string;
}

/**
 * Which of the listed values a column holds (a number as its digits): the value's place in the list, from 0; the length of the
 * list for any other value; NaN where missing. The numbers only name the category; the trees split them into sets.
 */
export interface CategoryFeature {
  readonly kind: "category";
  readonly name: string;
  readonly column: string;
  readonly values: readonly string[];
}

/** A part of the event time in UTC: hour 0-23, dayOfWeek 1 (Monday) to 7, weekend and night (hour ≤ 6) as 0 or 1. */
export interface TimeFeature {
  readonly kind: "time";
  readonly name: string;
  readonly part: TimePart;
}

/**
 * An aggregate over the key's transactions in (t − delay − window, t − delay]. `over` an event word: count (fraud-rate: frauds
 * known at t ÷ transactions); over a numeric column: any aggregate of its present values (std with n − 1); over any
 * column: how many distinct values.
 */
export interface WindowFeature {
  readonly kind: "window";
  readonly name: string;
  readonly key: readonly string[];
  readonly over: string;
  /** Needed for a column; event words have only one. */
  readonly aggregate?: Aggregate;
  readonly window: string;
  readonly delay?: string;
  /** Whether the transaction itself counts; default true; it never does with a delay. */
  readonly current?: boolean;
  /** The value in place of NaN when nothing is in the window (mean, std, min, max, fraud-rate). */
  readonly empty?: number;
  /**
   * In place of a column: a value that each transaction has by an expression over its own columns, under the name `over`. A spec may keep
   * its `value` only, a number or a truth (1 or 0); NULL is missing.
   */
  readonly derived?: DerivedValue;
  readonly history?: History;
}

/**
 * Columns in which the history of `key` is looked for, in place of its own: an account that receives is looked for among those that sent. One
 * for one as `key`; the transaction itself is never part of it.
 */
export type History = readonly string[];

/** Time since the key's last or first earlier transaction, or last or first known fraud, at most `within` ago; NaN when none. */
export interface ElapsedFeature {
  readonly kind: "elapsed";
  readonly name: string;
  readonly key: readonly string[];
  readonly since: ElapsedSince;
  readonly within: string;
  readonly unit: ElapsedUnit;
  readonly history?: History;
}

/**
 * How many of the key's transactions, up to t − delay, came after its last known fraud; NaN when no fraud within is known.
 * With the label delay as `delay` these are the known genuine ones.
 */
export interface SinceFraudFeature {
  readonly kind: "since-fraud";
  readonly name: string;
  readonly key: readonly string[];
  readonly within: string;
  readonly delay?: string;
  readonly history?: History;
}

/**
 * The smallest of the key's values in (t − delay − window, t − delay] that at least `percent` of them do not exceed: a value that was there, by
 * nearest rank. NaN, or `empty`, where there is none.
 */
export interface PercentileFeature {
  readonly kind: "percentile";
  readonly name: string;
  readonly key: readonly string[];
  readonly over: string;
  readonly percent: number;
  readonly window: string;
  readonly delay?: string;
  readonly current?: boolean;
  readonly empty?: number;
}

/** Whether the value of a column is new to the key: 1 if none of its transactions within had it, 0 if one had; NaN without a value. */
export interface FirstSeenFeature {
  readonly kind: "first-seen";
  readonly name: string;
  readonly key: readonly string[];
  readonly column: string;
  readonly within: string;
}

/** How many values of a column the key had in (t − window, t] that it did not have in (t − within, t − window]. */
export interface NewValuesFeature {
  readonly kind: "new-values";
  readonly name: string;
  readonly key: readonly string[];
  readonly column: string;
  readonly window: string;
  readonly within: string;
  readonly current?: boolean;
}

/**
 * From the place of the key's last transaction within that has one to the transaction's own: great-circle kilometres, or kilometres an hour, where
 * less than a second counts as a second. NaN without both places. Degrees.
 */
export interface MovementFeature {
  readonly kind: "movement";
  readonly name: string;
  readonly key: readonly string[];
  readonly measure: MovementMeasure;
  readonly latitude: string;
  readonly longitude: string;
  readonly within: string;
}

/**
 * Who else was at the key: how many other values of a column its transactions in (t − delay − window, t − delay] had (`count`), how many its known frauds
 * of that time have at t (`frauds`), or the share of these among both (`share`; NaN, or `empty`, where nobody else was). The transaction's own value is
 * no other; without one all are NaN.
 */
export interface NeighboursFeature {
  readonly kind: "neighbours";
  readonly name: string;
  readonly key: readonly string[];
  readonly column: string;
  readonly measure: NeighbourMeasure;
  readonly window: string;
  readonly delay?: string;
  readonly empty?: number;
}

/**
 * Two hops: over the key's earlier transactions in (t − delay − window, t − delay], how many frauds of their other key `through` were known when each came, of
 * its transactions anywhere in the `within` before. With the key a terminal and `through` the card: how often its visitors had known frauds. A visit counts as what
 * was known at its time, so no later label moves it; one without a value of `through` is missing. The transaction itself never counts.
 */
export interface TwoHopsFeature {
  readonly kind: "two-hops";
  readonly name: string;
  readonly key: readonly string[];
  readonly through: readonly string[];
  readonly aggregate: TwoHopsAggregate;
  readonly within: string;
  readonly window: string;
  readonly delay?: string;
  /** The value in place of NaN when nothing is in the window (mean, max). */
  readonly empty?: number;
}

export const TWO_HOPS_AGGREGATES = ["mean", "sum", "max"] as const;
export type TwoHopsAggregate = (typeof TWO_HOPS_AGGREGATES)[number];

/** The smallest or largest value of a column among the key's transactions in (t − within, t] that are known as fraud at t; NaN when there is none. */
export interface FraudValueFeature {
  readonly kind: "fraud-value";
  readonly name: string;
  readonly key: readonly string[];
  readonly over: string;
  readonly aggregate: FraudValueAggregate;
  readonly within: string;
}

/** No means or sums: those of frauds in one millisecond would depend on the order in which their labels came. */
export const FRAUD_VALUE_AGGREGATES = ["min", "max"] as const;
export type FraudValueAggregate = (typeof FRAUD_VALUE_AGGREGATES)[number];

/**
 * How many of the key's newest transactions in (t − within, t − delay] are known as fraud at t, one after another without a transaction between that
 * is not (`count`), or the time since the first of them (`seconds`, `days`; NaN when there is none). Of those in one millisecond the frauds are taken
 * for the newest. With the label delay as `delay`, what is not known as fraud is genuine.
 */
export interface FraudRunFeature {
  readonly kind: "fraud-run";
  readonly name: string;
  readonly key: readonly string[];
  readonly measure: FraudRunMeasure;
  readonly within: string;
  readonly delay?: string;
}

export const FRAUD_RUN_MEASURES = ["count", "seconds", "days"] as const;
export type FraudRunMeasure = (typeof FRAUD_RUN_MEASURES)[number];

export const NEIGHBOUR_MEASURES = ["count", "frauds", "share"] as const;
export type NeighbourMeasure = (typeof NEIGHBOUR_MEASURES)[number];

export const MOVEMENT_MEASURES = ["distance", "speed"] as const;
export type MovementMeasure = (typeof MOVEMENT_MEASURES)[number];

/** How many of the key's values in the window are over `times` their mean over `usual`; NaN when there is no mean. */
export interface MultipleFeature {
  readonly kind: "multiple";
  readonly name: string;
  readonly key: readonly string[];
  readonly over: string;
  readonly times: number;
  readonly window: string;
  readonly usual: string;
  readonly current?: boolean;
}

/** One earlier feature ÷ another; NaN when the denominator is 0. */
export interface RatioFeature {
  readonly kind: "ratio";
  readonly name: string;
  readonly numerator: string;
  readonly denominator: string;
}

/** One earlier feature − another. */
export interface DifferenceFeature {
  readonly kind: "difference";
  readonly name: string;
  readonly of: string;
  readonly minus: string;
}

/** Longest expression that a window is over: it is part of the name of what a state keeps. */
export const DERIVED_LENGTH_MAX = 1000;
/** What a column is to such an expression; a `time` is the event time, whatever its name. */
export const DERIVED_TYPES = ["number", "text", "time"] as const;

/** The name of the event time in an expression that a window is over. */
export const EVENT_TIME = "event_time";

/**
 * What a column of the transaction is to an expression: a number, or a text (a number column's digits, where it is a key); a `time` is the
 * event time, whatever its name.
 */
export const COLUMN_TYPES = ["number", "text", "time"] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/**
 * A SQL expression (docs/expressions.md) over earlier features, which are numbers, and the columns declared in `columns`; an earlier feature
 * hides a column of its name. A truth is 1 or 0, NULL is NaN.
 */
export interface ExpressionFeature {
  readonly kind: "expression";
  readonly name: string;
  readonly sql: string;
  readonly columns?: Readonly<Record<string, ColumnType>>;
}

export type FeatureDef =
  | ColumnFeature
  | CategoryFeature
  | TimeFeature
  | WindowFeature
  | ElapsedFeature
  | SinceFraudFeature
  | MultipleFeature
  | PercentileFeature
  | FirstSeenFeature
  | NewValuesFeature
  | MovementFeature
  | NeighboursFeature
  | TwoHopsFeature
  | FraudValueFeature
  | FraudRunFeature
  | RatioFeature
  | DifferenceFeature
  | ExpressionFeature;

export type FeatureKind = FeatureDef["kind"];

/**
 * A category whose values the training rows tell: the `max` most frequent ones among those that at least `rowsMin` training rows have.
 * Defaults: {@link LEARNED_DEFAULTS}. In a bundle it is a {@link CategoryFeature} that lists them.
 */
export interface LearnedCategory {
  readonly kind: "category";
  readonly name: string;
  readonly column: string;
  readonly values: "learned";
  readonly max?: number;
  readonly rowsMin?: number;
}

/**
 * All numeric columns of the training table, without the pipeline's id, time, label and card, those in `except`, and those that the
 * spec's other features read as keys or texts. In a bundle it is a {@link ColumnFeature} a column.
 */
export interface NumericColumns {
  readonly kind: "columns";
  readonly all: "numeric";
  readonly except?: readonly string[];
}

/** What a feature file may hold: features, and what the training table makes features of. */
export type OpenFeature = FeatureDef | LearnedCategory | NumericColumns;

/** A spec as a feature file gives it. Where nothing is left open it is a {@link FeatureSpec}. */
export interface OpenSpec extends Omit<FeatureSpec, "features"> {
  readonly features: readonly OpenFeature[];
}

/** All features of a pipeline, in the order of the vector. Plain data: it travels inside the bundle as JSON. */
export interface FeatureSpec {
  readonly name: string;
  readonly version: number;
  readonly timeZone?: "UTC";
  readonly features: readonly FeatureDef[];
}

export function isEventWord(over: string): over is EventWord {
  return (EVENT_WORDS as readonly string[]).includes(over);
}
