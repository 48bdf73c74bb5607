// Cursors: where a page ended, as a short text that whoever turns pages hands back unread.
import { SentinelError } from "../../../core/errors.ts";

/** Numbers of a place, such as a time and an id. */
export function cursorOf(place: readonly number[]): string {
  return place.map((number) => number.toString(36)).join(".");
}

/** The place that a cursor names; null without one. Errors: store.invalid. */
export function placeOf(cursor: string | null, length: number): readonly number[] | null {
  if (cursor === null || cursor === "") return null;
  const parts = cursor.length > 100 ? [] : cursor.split(".");
  const place = parts.map((part) => (/^-?[0-9a-z]{1,11}$/.test(part) ? Number.parseInt(part, 36) : Number.NaN));
  if (place.length === length && place.every(Number.isSafeInteger)) return place;
  throw new SentinelError("store.invalid", "the cursor is none of this question", {
    hint: "begin without one, then give `next` of the page before, unchanged",
  });
}
