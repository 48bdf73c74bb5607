// The two-sample Kolmogorov-Smirnov test of a window against the reference's quantile sketch.
import type { Grid } from "./grid.ts";
import { SKETCH_POINTS } from "./reference.ts";

export interface KsResult {
  /** Largest distance between the two distribution functions, 0 to 1. */
  readonly statistic: number;
  readonly pValue: number;
}

/**
 * `bins` are counts in the grid's bins; `referenceRows` is how many values the sketch stands for. Exact statistic when the sketch holds
 * every value; else it is off by up to half a step of the sketch, which the p value makes allowance for. The p value is the
 * limiting distribution at Stephens' (1970) corrected argument; too large, never too small, where values are tied.
 * `designEffect` rows count as one.
 */
export function ksTest(
  bins: ArrayLike<number>,
  reference: {
    readonly grid: Grid;
    readonly sketch: readonly number[];
    readonly rows: number;
    readonly designEffect?: number;
  },
): KsResult {
  const { grid, sketch, rows, designEffect = 1 } = reference;
  let present = 0;
  for (let bin = 0; bin < grid.bins; bin++) present += bins[bin];
  if (present === 0 || sketch.length === 0) return { statistic: Number.NaN, pValue: Number.NaN };
  const statistic = largestDistance(bins, present, { knots: grid.knots, sketch });
  const slack = sketchSlack(rows, sketch);
  const root = Math.sqrt((present * rows) / (present + rows) / designEffect);
  const pValue = kolmogorovTail(Math.max(0, statistic - slack) * (root + 0.12 + 0.11 / root));
  return { statistic, pValue };
}

/** How far a sketch's distribution function may lie from that of the values it stands for. */
export function sketchSlack(rows: number, sketch: readonly number[]): number {
  return rows > sketch.length ? 0.5 / SKETCH_POINTS : 0;
}

/** P(K > t) of the Kolmogorov distribution; the second form converges for small t. */
export function kolmogorovTail(t: number): number {
  if (t <= 0) return 1;
  let total = 0;
  if (t < 1) {
    for (let k = 1; k <= 20; k++) total += Math.exp((-((2 * k - 1) ** 2) * Math.PI ** 2) / (8 * t * t));
    return 1 - (Math.sqrt(2 * Math.PI) / t) * total;
  }
  for (let k = 1; k <= 20; k++) total += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * t * t);
  return total;
}

/** Between two knots the sketch's function stands still and the window's rises: the largest distance is at a knot, left or right of it. */
function largestDistance(
  bins: ArrayLike<number>,
  present: number,
  { knots, sketch }: { readonly knots: Float64Array; readonly sketch: readonly number[] },
): number {
  let below = 0;
  let at = 0;
  let largest = 0;
  for (let i = 0; i < knots.length; i++) {
    while (at < sketch.length && sketch[at] < knots[i]) at++;
    below += bins[2 * i];
    largest = Math.max(largest, Math.abs(below / present - at / sketch.length));
    while (at < sketch.length && sketch[at] <= knots[i]) at++;
    below += bins[2 * i + 1];
    largest = Math.max(largest, Math.abs(below / present - at / sketch.length));
  }
  return largest;
}
