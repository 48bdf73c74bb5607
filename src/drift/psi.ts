// The population stability index: how far a window's bins have moved from the reference's.

/** Reference and window counts over the same bins. Bins that are empty on both sides play no part. */
export interface BinPair {
  readonly reference: readonly number[];
  readonly window: readonly number[];
}

/** Rows of the reference's own mix that are added to the window, so that an empty bin is not infinitely far. */
const PRIOR_ROWS = 1;

/** Σ (p − q) ln(p / q) over the bins; 0 for equal shares. NaN when either side is empty. */
export function psi(bins: BinPair): number {
  const q = referenceShares(bins);
  const rows = sum(bins.window);
  if (q === null || rows === 0) return Number.NaN;
  let total = 0;
  for (let bin = 0; bin < q.length; bin++) {
    if (q[bin] === 0) continue;
    const p = (bins.window[bin] + PRIOR_ROWS * q[bin]) / (rows + PRIOR_ROWS);
    total += (p - q[bin]) * Math.log(p / q[bin]);
  }
  return total;
}

/**
 * Fewer rows than this in a bin, expected or in the reference, and the chi-square approximation breaks. Cochran's (1954)
 * customary 5 is too few for a logarithm's tail.
 */
const BIN_ROWS_MIN = 8;

/**
 * The same bins with the rare ones pooled into one, so that limits hold; a pool that is still too small joins the smallest
 * bin left. Movement within the pool goes unseen, which is what too few rows mean.
 */
export function poolRare({ reference, window }: BinPair, { designEffect = 1 } = {}): BinPair {
  const scale = Math.min(1, sum(window) / Math.max(1, sum(reference))) / designEffect;
  const order = reference.map((_, bin) => bin).sort((a, b) => reference[a] - reference[b]);
  let pooled = 0;
  let pool = { reference: 0, window: 0 };
  while (pooled < order.length) {
    const bin = order[pooled];
    const poolIsSmall = pool.reference * scale < BIN_ROWS_MIN && (pool.reference > 0 || pool.window > 0);
    if (reference[bin] * scale >= BIN_ROWS_MIN && !poolIsSmall) break;
    pool = { reference: pool.reference + reference[bin], window: pool.window + window[bin] };
    pooled++;
  }
  const kept = order.slice(pooled).sort((a, b) => a - b);
  const rest = pool.reference > 0 || pool.window > 0 ? [pool] : [];
  return {
    reference: [...kept.map((bin) => reference[bin]), ...rest.map((bin) => bin.reference)],
    window: [...kept.map((bin) => window[bin]), ...rest.map((bin) => bin.window)],
  };
}

/** Shares of the reference; a bin only the window has counts as half a row. Null when the reference is empty. */
export function referenceShares({ reference, window }: BinPair): number[] | null {
  const counts = reference.map((count, bin) => (count === 0 && window[bin] > 0 ? 0.5 : count));
  const rows = sum(counts);
  return sum(reference) === 0 ? null : counts.map((count) => count / rows);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
