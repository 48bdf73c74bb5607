// Distances between reference and window: Wasserstein for numbers, Jensen-Shannon for any bins, and what chance alone makes of the former.
import { chiSquareTail } from "./chi-square.ts";
import type { Grid } from "./grid.ts";
import { type BinPair, sum } from "./psi.ts";

export interface WassersteinResult {
  /** Mean distance that a value has moved, in standard deviations of the reference. */
  readonly distance: number;
  readonly pValue: number;
}

/** A reference that hardly varies has no scale of its own. */
const DEVIATION_MIN = 0.001;

/**
 * ∫ |F − G| dx over the reference's range, G the sketch's distribution function: values beyond the outermost sketch points count as
 * these, so that one absurd value moves nothing. Chance: sqrt(n m / (n + m)) (F − G) is close to a Brownian bridge; mean and variance of
 * its integrated absolute value are known, and a gamma distribution of both gives the p value. `rows` are effective ones.
 */
export function wasserstein(
  bins: ArrayLike<number>,
  reference: { readonly grid: Grid; readonly sketch: readonly number[]; readonly slack: number; readonly rows: number },
): WassersteinResult {
  const { grid, sketch, slack, rows } = reference;
  const { knots } = grid;
  let present = 0;
  for (let bin = 0; bin < grid.bins; bin++) present += bins[bin];
  if (present === 0 || sketch.length === 0) return { distance: Number.NaN, pValue: Number.NaN };
  const deviation = Math.max(DEVIATION_MIN, deviationOf(sketch));
  const steps = steppedBy(knots, sketch);
  let distance = 0;
  let certain = 0;
  let below = 0;
  for (let i = 0; i + 1 < knots.length; i++) {
    below += bins[2 * i] + bins[2 * i + 1];
    // Values between two knots lie anywhere in between: in the middle, on average.
    const apart = Math.abs((below + bins[2 * i + 2] / 2) / present - steps[i]);
    const width = knots[i + 1] - knots[i];
    distance += apart * width;
    certain += Math.max(0, apart - slack) * width;
  }
  return { distance: distance / deviation, pValue: bridgeTail(certain, { knots, steps, rows }) };
}

/** The reference's distribution function right of each knot. */
function steppedBy(knots: Float64Array, sketch: readonly number[]): Float64Array {
  let at = 0;
  return Float64Array.from(knots, (knot) => {
    while (at < sketch.length && sketch[at] <= knot) at++;
    return at / sketch.length;
  });
}

function deviationOf(sketch: readonly number[]): number {
  const mean = sum(sketch) / sketch.length;
  return Math.sqrt(sketch.reduce((total, value) => total + (value - mean) ** 2, 0) / sketch.length);
}

/** Every so many knots are enough for a mean and a variance. */
const BRIDGE_POINTS = 64;

/** P(∫ |B| dx / sqrt(rows) > value): E|X||Y| of two normals as in Kan & Robotti (2017), section 2. */
function bridgeTail(
  value: number,
  of: { readonly knots: Float64Array; readonly steps: Float64Array; readonly rows: number },
): number {
  const { knots, steps, rows } = of;
  const stride = Math.max(1, Math.ceil((knots.length - 1) / BRIDGE_POINTS));
  const points: { readonly u: number; readonly width: number; readonly deviation: number }[] = [];
  for (let i = 0; i + 1 < knots.length; i += stride) {
    const u = steps[Math.min(i + (stride >> 1), knots.length - 2)];
    const width = knots[Math.min(i + stride, knots.length - 1)] - knots[i];
    if (u > 0 && u < 1) points.push({ u, width, deviation: Math.sqrt(u * (1 - u)) });
  }
  let mean = 0;
  let second = 0;
  for (const [i, a] of points.entries()) {
    mean += a.width * a.deviation * Math.sqrt(2 / Math.PI);
    for (let j = 0; j <= i; j++) {
      const b = points[j];
      const rho = Math.min(1, (Math.min(a.u, b.u) * (1 - Math.max(a.u, b.u))) / (a.deviation * b.deviation));
      const both = (2 / Math.PI) * (Math.sqrt(1 - rho * rho) + rho * Math.asin(rho));
      second += (i === j ? 1 : 2) * a.width * b.width * a.deviation * b.deviation * both;
    }
  }
  const variance = second - mean * mean;
  if (!(variance > 0)) return 1;
  const scaled = value * Math.sqrt(rows);
  return chiSquareTail((2 * scaled * mean) / variance, (2 * mean * mean) / variance);
}

/** Square root of the Jensen-Shannon divergence in nats: 0 for equal shares, at most sqrt(ln 2). NaN when a side is empty. */
export function jensenShannon(bins: BinPair): number {
  const rows = sum(bins.window);
  if (rows === 0 || sum(bins.reference) === 0) return Number.NaN;
  const all = sum(bins.reference);
  let total = 0;
  for (let bin = 0; bin < bins.window.length; bin++) {
    const p = bins.window[bin] / rows;
    const q = bins.reference[bin] / all;
    const middle = (p + q) / 2;
    if (p > 0) total += (p * Math.log(p / middle)) / 2;
    if (q > 0) total += (q * Math.log(q / middle)) / 2;
  }
  return Math.sqrt(Math.max(0, total));
}
