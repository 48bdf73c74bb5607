// The transaction: one event to judge, and the label that may arrive for it later.

/** A field's value as the model's features may use it: a truth is 1 or 0 as a number, a word as a key; null is missing. */
export type FieldValue = number | string | boolean | null;

/**
 * One event to judge, parsed and named canonically. `fields` has no prototype, so that names such as `__proto__` are
 * plain names; it holds every known column but the id and the time.
 */
export interface Transaction {
  readonly id: string;
  /** Event time, milliseconds since 1970 UTC. */
  readonly time: number;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** The late truth about one transaction. */
export interface Label {
  readonly transactionId: string;
  readonly fraud: boolean;
  /** When it became known, on the clock of event time. */
  readonly knownAt: number;
  /** Who says so: "analyst", "chargeback", "table". */
  readonly source: string;
}

/** An empty, prototype-free record for a transaction's fields. */
export function emptyFields(): Record<string, FieldValue> {
  return Object.create(null) as Record<string, FieldValue>;
}
