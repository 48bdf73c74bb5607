// The kinds of feature a spec may hold, as plain JSON data, with their limits.

/** At most this many features in one spec: a vector stays a few kilobytes. */
export const FEATURES_MAX = 1000;
/** Longest window plus delay, in days: a year and a month, so that "the same day last year" can be asked. */
export const WINDOW_DAYS_MAX = 400;
/** Longest name of a spec, a feature or a column. */
export const NAME_LENGTH_MAX = 120;
/** A key is one column or a pair. */
export const KEY_COLUMNS_MAX = 2;
/** Values a category feature may list. */
export const CATEGORY_VALUES_MAX = 10_000;
/** Different keys in one spec; each costs a table of state. */
export const KEYS_MAX = 16;

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
}

/** Time since the key's last or first earlier transaction, or last or first known fraud, at most `within` ago; NaN when none. */
export interface ElapsedFeature {
  readonly kind: "elapsed";
  readonly name: string;
  readonly key: readonly string[];
  readonly since: ElapsedSince;
  readonly within: string;
  readonly unit: ElapsedUnit;
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
}

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

/** What a column of the transaction is to an expression: a number, or a text (a number column's digits, where it is a key). */
export const COLUMN_TYPES = ["number", "text"] as const;
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
  | RatioFeature
  | DifferenceFeature
  | ExpressionFeature;

export type FeatureKind = FeatureDef["kind"];

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
