// Content of two transactions of one id, compared member by member: nothing stands for it that other content could forge.
import type { FieldValue } from "../../core/transaction.ts";

export interface Content {
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Equal when JSON would say the same of both, whatever the order of members. */
export function isSameContent(a: Content, b: Content): boolean {
  return isSame(a.fields, b.fields) && isSame(a.extra, b.extra);
}

function isSame(a: unknown, b: unknown): boolean {
  // Minus zero is zero, as in the log's JSON.
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => isSame(item, b[index]));
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key]));
}
