// When a drift number is more than noise: PSI limits for the size of the window, and many features at once.
import { chiSquareQuantile, chiSquareTail } from "./chi-square.ts";
import { type BinPair, referenceShares, sum } from "./psi.ts";

/**
 * Without drift PSI / (1/n + 1/m) is close to chi-square with B − 1 degrees of freedom (Yurdakul & Naranjo 2020), so that a
 * fixed 0.1 is exceeded by 40 % of windows of 100 rows and by nothing at 10 000.
 */
export interface PsiNoise {
  /** Expected PSI without drift. */
  readonly mean: number;
  readonly pValue: number;
  /** The PSI that chance exceeds with probability alpha. */
  readonly limit: number;
}

/** `designEffect` divides the numbers of rows: rows of one card are worth fewer than as many independent ones. */
export function psiNoise(
  value: number,
  bins: BinPair,
  options: { readonly alpha: number; readonly designEffect: number },
): PsiNoise {
  const shares = referenceShares(bins)?.filter((share) => share > 0) ?? [];
  const df = shares.length - 1;
  const n = sum(bins.window) / options.designEffect;
  const m = sum(bins.reference) / options.designEffect;
  if (df < 1) return { mean: 0, pValue: 1, limit: 0 };
  const correction = skewness(shares, n);
  const scale = (1 / n + 1 / m) * correction;
  // The tail is stretched more than the mean: twice the correction keeps simulated windows at or below alpha.
  const tailScale = scale * correction;
  return {
    mean: df * scale,
    pValue: chiSquareTail(value / tailScale, df),
    limit: chiSquareQuantile(options.alpha, df) * tailScale,
  };
}

/**
 * Second-order term of the mean of Σ (p − q) ln(p / q): bins that expect few rows inflate it. From the expansion
 * q δ ln(1 + δ) with δ = p/q − 1: the mean is (1 − q)/n × (1 + 1/(2 n q)) for each bin. A bin that expects less than a
 * row adds no more than one that expects one.
 */
function skewness(shares: readonly number[], n: number): number {
  const terms = shares.map((share) => (1 - share) / (2 * Math.max(1, n * share)));
  return 1 + sum(terms) / (shares.length - 1);
}

/** Benjamini & Hochberg (1995): adjusted p values in the order given; NaN (not tested) stays NaN and does not count. */
export function benjaminiHochberg(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).filter((i) => !Number.isNaN(pValues[i]));
  order.sort((a, b) => pValues[b] - pValues[a]);
  const adjusted = new Array<number>(pValues.length).fill(Number.NaN);
  let least = 1;
  for (const [position, index] of order.entries()) {
    least = Math.min(least, (pValues[index] * order.length) / (order.length - position));
    adjusted[index] = least;
  }
  return adjusted;
}

/** Benjamini & Yekutieli (2001): as {@link benjaminiHochberg}, and it holds however the tests depend on each other. */
export function benjaminiYekutieli(pValues: readonly number[]): number[] {
  const tests = pValues.filter((pValue) => !Number.isNaN(pValue)).length;
  let harmonic = 0;
  for (let k = 1; k <= tests; k++) harmonic += 1 / k;
  return benjaminiHochberg(pValues).map((adjusted) => Math.min(1, adjusted * harmonic));
}
