// Limits that every question keeps to.
import { SentinelError } from "../../../core/errors.ts";
import { PAGE_MAX, STORE_JSON_MAX, STORE_TEXT_MAX } from "../../../ports/store.ts";

/** Errors: store.invalid. */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= PAGE_MAX) return;
  throw new SentinelError("store.invalid", `a page of ${limit} records cannot be had`, {
    hint: `ask for 1 to ${PAGE_MAX}`,
  });
}

/** Errors: store.invalid. */
export function checkText(what: string, text: string, { min = 1 } = {}): void {
  if (text.length >= min && text.length <= STORE_TEXT_MAX) return;
  throw new SentinelError("store.invalid", `${what} has ${text.length} characters`, {
    hint: `give it ${min} to ${STORE_TEXT_MAX}`,
  });
}

/** Errors: store.invalid. */
export function checkJson(what: string, json: string): void {
  if (json.length <= STORE_JSON_MAX) return;
  throw new SentinelError("store.invalid", `${what} is ${json.length} characters of JSON`, {
    hint: `at most ${STORE_JSON_MAX} are kept`,
  });
}

/** A time or a count, as databases keep it: a whole number that a double says exactly. Errors: store.invalid. */
export function whole(what: string, value: number): number {
  const rounded = Math.round(value);
  if (Number.isSafeInteger(rounded)) return rounded;
  throw new SentinelError("store.invalid", `${what} is ${value}`, {
    hint: "give a whole number of milliseconds since 1970",
  });
}
