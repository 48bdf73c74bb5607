// What rows belong to: the card, and whatever else the features gather by. Rows of one owner resemble each other, and count for fewer.
import { Codes } from "../../core/codes.ts";
import type { Table } from "../../core/table.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import { codesOf } from "../data/source.ts";

/** Ways of belonging that the search tries; those of more keys cost training more than they tell. */
const OWNERS_MAX = 4;

/** Codes of the owners of these rows, the card's first, then each key of the spec whose columns the table has. */
export function ownersOf(
  table: Table,
  rows: Int32Array,
  { card, spec }: { readonly card: string | null; readonly spec: FeatureSpec },
): readonly Int32Array[] {
  const keys = new Map<string, readonly string[]>();
  const add = (columns: readonly string[]): void => {
    if (columns.every((name) => table.columns.has(name))) keys.set(columns.join("\0"), columns);
  };
  if (card !== null) add([card]);
  for (const feature of spec.features) if ("key" in feature && Array.isArray(feature.key)) add(feature.key);
  return [...keys.values()]
    .slice(0, OWNERS_MAX)
    .map((columns) => columns.map((name) => of(table, rows, name)).reduce(both));
}

function of(table: Table, rows: Int32Array, name: string): Int32Array {
  const codes = codesOf(table, table.columns.get(name));
  return Int32Array.from(rows, (row) => codes[row]);
}

/** Equal numbers for equal pairs. */
function both(a: Int32Array, b: Int32Array): Int32Array {
  const known = new Codes<number>();
  let next = 0;
  return a.map((code, row) => {
    const pair = code * 2 ** 31 + b[row];
    const before = known.get(pair);
    if (before === undefined) known.set(pair, next);
    return before ?? next++;
  });
}
