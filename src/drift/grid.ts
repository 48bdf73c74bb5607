// The fine bins that logged values are counted in: fixed by the reference, so that counts of any hours add up.
import type { FeatureReference, Reference } from "./reference.ts";

/** Quarter octaves of |value| from 2^-32 to 2^64, outer ones open: what tells a changed unit from a changed world. */
export const MAGNITUDES = 384;
const MAGNITUDE_BITS = 21;
/** Bits 30 to 21 of the Float32 2^-32. */
const MAGNITUDE_FIRST = (127 - 32) << 2;

/**
 * Numbers: `knots` rise, and bin 2i holds what lies between knots i − 1 and i, bin 2i + 1 what equals knot i; so a distribution
 * function is known on both sides of every knot, which is all that KS asks. Categories: as in the reference, then unlisted values.
 */
export interface Grid {
  readonly knots: Float64Array;
  readonly codes: ReadonlyMap<number, number> | null;
  /** Bin of the categories that the reference does not name. */
  readonly others: number;
  readonly bins: number;
  /** Where this column begins in a tally: missing, infinite, `bins` bins, then the magnitudes of a number. */
  readonly offset: number;
}

/** Grids of all features, and of the score as the last. */
export interface Grids {
  readonly columns: readonly Grid[];
  readonly length: number;
}

export const MISSING = 0;
export const INFINITE = 1;
export const FIRST_BIN = 2;

/** `unlisted`: by category feature, the number that stands for every value that its list does not have; counted apart. */
export function gridsOf(reference: Reference, unlisted: ReadonlyMap<string, number> = new Map()): Grids {
  const columns: Grid[] = [];
  let offset = 0;
  for (const feature of [...reference.features, reference.score]) {
    const grid = gridOf(feature, { offset, unlisted: unlisted.get(feature.name) });
    columns.push(grid);
    offset += FIRST_BIN + grid.bins + (grid.codes === null ? MAGNITUDES : 0);
  }
  return { columns, length: offset };
}

function gridOf(
  feature: FeatureReference,
  { offset, unlisted }: { readonly offset: number; readonly unlisted: number | undefined },
): Grid {
  if (feature.kind === "category") {
    const codes = new Map(feature.categories.map((category, bin) => [category, bin]));
    const others = feature.categories.length;
    if (unlisted !== undefined && !codes.has(unlisted)) codes.set(unlisted, others + 1);
    return { knots: new Float64Array(0), codes, others, bins: others + 2, offset };
  }
  const knots = Float64Array.from(new Set([...feature.sketch, ...feature.edges])).sort();
  return { knots, codes: null, others: 0, bins: 2 * knots.length + 1, offset };
}

/** The bin of a value that is present. */
export function binOf(grid: Grid, value: number): number {
  const { knots, codes } = grid;
  if (codes !== null) return codes.get(value) ?? grid.others;
  let low = 0;
  let high = knots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (knots[middle] < value) low = middle + 1;
    else high = middle;
  }
  return knots[low] === value ? 2 * low + 1 : 2 * low;
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Quarter octave of a value; zero is in the lowest. */
export function magnitudeOf(value: number): number {
  float[0] = value;
  const magnitude = ((bits[0] & 0x7fffffff) >> MAGNITUDE_BITS) - MAGNITUDE_FIRST;
  return magnitude < 0 ? 0 : magnitude >= MAGNITUDES ? MAGNITUDES - 1 : magnitude;
}

/** Counts of the fine bins in the reference's own coarse ones. */
export function coarse(feature: FeatureReference, grid: Grid, counts: ArrayLike<number>): number[] {
  if (feature.kind === "category") {
    const { others } = grid;
    return Array.from({ length: others + 1 }, (_, bin) => counts[bin] + (bin === others ? counts[others + 1] : 0));
  }
  const out = new Array<number>(feature.edges.length + 1).fill(0);
  let at = 0;
  for (let bin = 0; bin < grid.bins; bin++) {
    // An edge is a knot and the last value of its coarse bin; what lies beyond it belongs to the next.
    if (bin % 2 === 0)
      while (at < feature.edges.length && bin > 0 && grid.knots[bin / 2 - 1] >= feature.edges[at]) at++;
    out[at] += counts[bin];
  }
  return out;
}
