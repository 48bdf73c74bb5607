// Content hashes: SHA-256 of bytes, and of JSON in one canonical spelling.
import crypto from "node:crypto";

export function sha256(bytes: Uint8Array | string): string {
  // In one call where Node has it (20.12 and newer): for short texts, of which a journal has thousands, twice as fast.
  if (crypto.hash !== undefined) return crypto.hash("sha256", bytes);
  return crypto.createHash("sha256").update(bytes).digest("hex");
}

/** JSON with sorted keys and no white space: equal values give equal text. Undefined members are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  const ordered = inOrder(value);
  return ordered === ODD ? spelled(value) : (JSON.stringify(ordered) ?? "null");
}

/** Stands for a value with a key that an object would not keep in its place. */
const ODD = Symbol("odd");
/** Keys of objects as they were met, and sorted: thousands of entries have the same ones, and sorting them each time took most of the time. */
const orders = new Map<string, readonly string[] | null>();
const ORDERS_MAX = 1_000;

/** The same value, its members in order of their keys; ODD when that cannot be. */
function inOrder(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const items = value.map(inOrder);
    return items.includes(ODD) ? ODD : items;
  }
  const order = orderOf(Object.keys(value));
  if (order === null) return ODD;
  const ordered: Record<string, unknown> = {};
  for (const key of order) {
    const member = inOrder((value as Readonly<Record<string, unknown>>)[key]);
    if (member === ODD) return ODD;
    ordered[key] = member;
  }
  return ordered;
}

/** Null for keys that objects treat in their own way: numbers come first there, and __proto__ is no member. */
function orderOf(keys: string[]): readonly string[] | null {
  // Quoted: joined by any mark, the keys of one object could spell those of another.
  const met = JSON.stringify(keys);
  let order = orders.get(met);
  if (order === undefined) {
    if (orders.size === ORDERS_MAX) orders.clear();
    order = keys.some((key) => /^\d|^__proto__$/.test(key)) ? null : keys.sort();
    orders.set(met, order);
  }
  return order;
}

function spelled(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(spelled).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${spelled(member)}`);
  return `{${members.join(",")}}`;
}
