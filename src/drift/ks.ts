// The two-sample Kolmogorov-Smirnov test of a window against the reference's quantile sketch.
import { SKETCH_POINTS } from "./reference.ts";

export interface KsResult {
  /** Largest distance between the two distribution functions, 0 to 1. */
  readonly statistic: number;
  readonly pValue: number;
}

/**
 * `sorted` and `sketch` rise; `referenceRows` is how many values the sketch stands for. Exact statistic when the sketch holds
 * every value; else it is off by up to half a step of the sketch, which the p value makes allowance for. The p value is the
 * limiting distribution at Stephens' (1970) corrected argument; too large, never too small, where values are tied.
 * `designEffect` rows count as one.
 */
export function ksTest(
  sorted: ArrayLike<number>,
  reference: { readonly sketch: readonly number[]; readonly rows: number; readonly designEffect?: number },
): KsResult {
  const { sketch, rows, designEffect = 1 } = reference;
  if (sorted.length === 0 || sketch.length === 0) return { statistic: Number.NaN, pValue: Number.NaN };
  const statistic = largestDistance(sorted, sketch);
  const slack = rows > sketch.length ? 0.5 / SKETCH_POINTS : 0;
  const root = Math.sqrt((sorted.length * rows) / (sorted.length + rows) / designEffect);
  const pValue = kolmogorovTail(Math.max(0, statistic - slack) * (root + 0.12 + 0.11 / root));
  return { statistic, pValue };
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

function largestDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let i = 0;
  let j = 0;
  let largest = 0;
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i], b[j]);
    while (i < a.length && a[i] <= value) i++;
    while (j < b.length && b[j] <= value) j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}
