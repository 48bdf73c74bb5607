// Kinds of column: what a column's numbers mean to the trees.
import { refuseParameter } from "../../faults.ts";

/**
 * `number`: ordered. `increasing` and `decreasing`: ordered, and the margin never falls, or never rises, while the column's
 * present value grows and all else stays (a missing value is free). `category`: whole numbers from 0 to 65,535 that only
 * say which; a split makes two sets of them. Any other value in such a column counts as missing.
 */
export const COLUMN_KINDS = ["number", "increasing", "decreasing", "category"] as const;
export type ColumnKind = (typeof COLUMN_KINDS)[number];

/** A kind as the kernels have it. */
export function kindNumber(kind: ColumnKind): number {
  return { number: 0, increasing: 1, decreasing: -1, category: 2 }[kind];
}

/** Throws `ml.parameter-invalid` where there is not one known kind per column. */
export function checkKinds(kinds: readonly ColumnKind[], names: readonly string[]): void {
  if (kinds.length !== names.length) {
    refuseParameter("kinds.length", { value: kinds.length, wanted: `the number of columns, ${names.length}` });
  }
  kinds.forEach((kind, c) => {
    if (COLUMN_KINDS.includes(kind)) return;
    refuseParameter(`the kind of ${names[c]}`, { value: kind, wanted: `one of ${COLUMN_KINDS.join(", ")}` });
  });
}
