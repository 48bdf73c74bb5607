// The transaction: one event to judge, and the label that may arrive for it later.
import { SentinelError } from "./errors.ts";

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

/** An empty record for a transaction's fields, in which no name is taken: neither `constructor` nor `__proto__`. */
export function emptyFields(): Record<string, FieldValue> {
  return new Fields() as unknown as Record<string, FieldValue>;
}

/** V8 keeps an object without a prototype as a hash table; one whose prototype is empty has the shape of its keys, which is read faster. */
const Fields = function Fields() {} as unknown as new () => object;
Fields.prototype = Object.create(null);

/** Characters of a transaction's id. */
export const ID_LENGTH_MAX = 200;

/** An id as text: texts as they are, whole numbers in digits; null when it is neither. */
export function idOf(value: unknown): string | null {
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : null;
  return typeof value === "string" && value.length > 0 && value.length <= ID_LENGTH_MAX ? value : null;
}

/** A transaction id that came again, with other content. */
export function otherContent(id: string): SentinelError {
  return new SentinelError("request.duplicate", `transaction ${JSON.stringify(id)} was answered with other content`, {
    hint: "give every transaction its own id; send exactly the same content to get the same answer again",
  });
}
