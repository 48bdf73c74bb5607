// Windows: their limits, and the values of a transaction that a state may keep beside its columns.

/** At most this many features in one spec: a vector stays a few kilobytes. */
export const FEATURES_MAX = 1000;
/** Longest window plus delay, in days: a year and a month, so that "the same day last year" can be asked. */
export const WINDOW_DAYS_MAX = 400;
/** A key is one column or a pair. */
export const KEY_COLUMNS_MAX = 2;
/** Different keys in one spec; each costs a table of state. */
export const KEYS_MAX = 16;

/**
 * An expression over one transaction's columns, and what a state keeps of it: its `value`; the event `time` where it is true (the largest is
 * the last such time); or the `recent` value, a whole number below {@link RECENT_SCALE} behind the seconds of the event time (the largest is the
 * last value).
 */
export interface DerivedValue {
  readonly sql: string;
  /** Type of each column; a `time` is the event time. */
  readonly columns: Readonly<Record<string, "number" | "text" | "boolean" | "time">>;
  readonly keeps: "value" | "time" | "recent";
}

/** Bits below the seconds of a recent value: with 32 bits of seconds they fill what a Float64 keeps exactly. */
export const RECENT_SCALE = 2 ** 21;
