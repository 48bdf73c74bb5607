// The normal distribution: tail and quantile, for tests and power.

/** Probability that |Z| of a standard normal exceeds `z` ≥ 0. */
export function normalTwoSidedTail(z: number): number {
  return z < 3 ? 1 - erfSeries(z / Math.SQRT2) : erfcFraction(z / Math.SQRT2);
}

/** z with P(Z ≤ z) = p, 0 < p < 1, found by bisection; far from any hot loop. */
export function normalQuantile(p: number): number {
  if (p < 0.5) return -normalQuantile(1 - p);
  let low = 0;
  let high = 40;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (normalTwoSidedTail(middle) / 2 > 1 - p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Abramowitz & Stegun 7.1.6. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return ((2 * sum) / Math.sqrt(Math.PI)) * Math.exp(-x * x);
}

/** Abramowitz & Stegun 7.1.14, evaluated from its far end. */
function erfcFraction(x: number): number {
  let fraction = x;
  for (let n = 100; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}
