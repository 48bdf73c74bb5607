// The chi-square test of two samples of categories.
import { chiSquareTail, logGamma } from "./chi-square.ts";
import { type BinPair, sum } from "./psi.ts";

export interface Events {
  readonly events: number;
  readonly rows: number;
}

export interface ChiSquareResult {
  readonly statistic: number;
  readonly df: number;
  readonly pValue: number;
}

/**
 * Two-sided p value that two shares are equal: Fisher's exact test, the smaller tail doubled, so that it holds for rare
 * events too. `designEffect` rows count as one.
 */
export function shareTest(reference: Events, window: Events, { designEffect = 1 } = {}): number {
  const [a, b, n, m] = [reference.events, window.events, reference.rows, window.rows].map((count) =>
    Math.round(count / designEffect),
  );
  if (n === 0 || m === 0) return Number.NaN;
  const events = a + b;
  const moreThanExpected = b * (n + m) >= events * m;
  return Math.min(1, 2 * hypergeometricTail({ hits: b, events, draws: m, rows: n + m }, moreThanExpected ? 1 : -1));
}

/** P(X ≥ hits) for step 1, P(X ≤ hits) for step −1, of the events among `draws` of `rows`. */
function hypergeometricTail(
  of: { readonly hits: number; readonly events: number; readonly draws: number; readonly rows: number },
  step: 1 | -1,
): number {
  const { events, draws, rows } = of;
  const others = rows - events;
  const choose = (n: number, k: number): number => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
  let hits = of.hits;
  let term = Math.exp(choose(events, hits) + choose(others, draws - hits) - choose(rows, draws));
  let tail = 0;
  // Terms fall away from the middle of the distribution, so the walk is short.
  while (term > tail * 1e-17 && term > 0) {
    tail += term;
    const [up, down] = [(events - hits) * (draws - hits), hits * (others - draws + hits)];
    if (step === 1) term *= up / ((hits + 1) * (others - draws + hits + 1));
    else term *= down / ((events - hits + 1) * (draws - hits + 1));
    hits += step;
  }
  return tail;
}

/**
 * Pearson's statistic of the 2 × B table, without correction; bins empty on both sides are left out. `designEffect`
 * rows count as one (Rao & Scott 1981, first order).
 */
export function chiSquareTest(bins: BinPair, { designEffect = 1 } = {}): ChiSquareResult {
  const rows = [sum(bins.reference), sum(bins.window)];
  if (rows[0] === 0 || rows[1] === 0) return { statistic: Number.NaN, df: 0, pValue: Number.NaN };
  let statistic = 0;
  let filled = 0;
  for (let bin = 0; bin < bins.window.length; bin++) {
    const both = bins.reference[bin] + bins.window[bin];
    if (both === 0) continue;
    filled++;
    for (const [side, count] of [bins.reference[bin], bins.window[bin]].entries()) {
      const expected = (both * rows[side]) / (rows[0] + rows[1]);
      statistic += (count - expected) ** 2 / expected;
    }
  }
  return { statistic, df: filled - 1, pValue: chiSquareTail(statistic / designEffect, filled - 1) };
}
