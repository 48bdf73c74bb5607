// Category codes: each column's categories numbered densely, and a node's set as 256 bits over those numbers.
import { asksForSet, CATEGORY_MAX, categoriesOf, type FlatTrees } from "./trees.ts";

/** Codes that no category has: of all that a column's sets do not name, and of missing values. */
const CODE_OTHER = 254;
const CODE_MISSING = 255;

/** 32-bit words of a node's bits. */
export const CODE_WORDS = 8;

/** The codes of one column. */
export interface CodedColumn {
  readonly column: number;
  /** The code of a value. */
  codeOf(value: number): number;
}

export interface CategoryCodes {
  /** The columns that sets are asked of, rising. */
  readonly columns: readonly CodedColumn[];
  /** A node's set: {@link CODE_WORDS} words, of which the bit of a code is 1 where it goes right. */
  rightBits(node: number): Uint32Array;
}

/** Codes of all sets in the trees; null where one column's sets name more categories than there are codes. */
export function categoryCodes(trees: FlatTrees): CategoryCodes | null {
  const named = new Map<number, Set<number>>();
  for (let node = 0; node < trees.feature.length; node++) {
    if (!asksForSet(trees, node)) continue;
    const column = named.get(trees.feature[node]) ?? new Set();
    for (const category of categoriesOf(trees, node)) column.add(category);
    if (column.size > CODE_OTHER) return null;
    named.set(trees.feature[node], column);
  }
  const tables = new Map([...named].sort(([a], [b]) => a - b).map(([column, set]) => [column, tableOf(set)]));
  return {
    columns: Array.from(tables, ([column, table]) => ({ column, codeOf: (value) => codeIn(table, value) })),
    rightBits: (node) => {
      const table = tables.get(trees.feature[node])!;
      const bits = new Uint32Array(CODE_WORDS).fill(0xffffffff);
      const clear = (code: number): void => {
        bits[code >>> 5] &= ~(1 << (code & 31));
      };
      for (const category of categoriesOf(trees, node)) clear(table[category]);
      if (trees.missingLeft[node] === 1) clear(CODE_MISSING);
      return bits;
    },
  };
}

/** Code by category; short where no large category is named. */
function tableOf(categories: ReadonlySet<number>): Uint8Array {
  const sorted = Int32Array.from(categories).sort();
  const table = new Uint8Array(Math.min(CATEGORY_MAX, sorted[sorted.length - 1]) + 1).fill(CODE_OTHER);
  sorted.forEach((category, code) => {
    table[category] = code;
  });
  return table;
}

function codeIn(table: Uint8Array, value: number): number {
  if (Number.isNaN(value)) return CODE_MISSING;
  const category = value >>> 0;
  return category === value && category < table.length ? table[category] : CODE_OTHER;
}
