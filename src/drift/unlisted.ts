// Unlisted values: which share of a category's values its list does not have, now and when the model learned.
import type { Grid } from "./grid.ts";
import type { Reference } from "./reference.ts";
import type { ColumnTally } from "./tally.ts";

export interface UnlistedShare {
  readonly name: string;
  /** Of the window's present values; NaN when there are none. */
  readonly share: number;
  /** The same in the reference; null where the reference counts them together with rare values of the list. */
  readonly atTraining: number | null;
}

/** `other` is the number that stands for every value that the feature does not list; the grid counts it apart. */
export function unlistedShare(
  reference: Reference,
  feature: { readonly name: string; readonly other: number; readonly grid: Grid; readonly window: ColumnTally },
): UnlistedShare {
  const { name, other, grid, window } = feature;
  const present = window.rows - window.missing;
  const unlisted = window.bins[grid.codes?.get(other) ?? grid.others];
  const share = present === 0 ? Number.NaN : unlisted / present;
  return { name, share, atTraining: shareIn(reference, name, other) };
}

function shareIn({ features }: Reference, name: string, other: number): number | null {
  const found = features.find((feature) => feature.name === name);
  if (found === undefined || found.kind !== "category") return null;
  const present = found.counts.reduce((sum, count) => sum + count, 0);
  const bin = found.categories.indexOf(other);
  if (present === 0) return null;
  if (bin >= 0) return found.counts[bin] / present;
  return found.counts[found.categories.length] === 0 ? 0 : null;
}
