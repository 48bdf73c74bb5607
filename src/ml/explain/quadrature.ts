// Gauss-Legendre quadrature on [0, 1]: few points that integrate polynomials exactly.

/** `points[q]` in (0, 1), rising, with positive `weights[q]` that sum to 1. */
export interface Quadrature {
  readonly points: Float64Array;
  readonly weights: Float64Array;
}

/** Newton's method doubles the digits each time; from its start a handful of steps reaches the last one. */
const STEPS_MAX = 100;

/** With `count` points exact for every polynomial of degree up to 2·count − 1. */
export function gaussLegendre(count: number): Quadrature {
  const points = new Float64Array(count);
  const weights = new Float64Array(count);
  for (let q = 0; q < count; q++) {
    // The roots of the Legendre polynomial lie near these cosines (Abramowitz & Stegun 22.16.6).
    let x = Math.cos((Math.PI * (count - q - 0.25)) / (count + 0.5));
    for (let step = 0; step < STEPS_MAX; step++) {
      const { value, slope } = legendre(count, x);
      const next = x - value / slope;
      if (Math.abs(next - x) <= Number.EPSILON) break;
      x = next;
    }
    const { slope } = legendre(count, x);
    points[q] = (1 + x) / 2;
    weights[q] = 1 / ((1 - x * x) * slope * slope);
  }
  return { points, weights };
}

/** The Legendre polynomial of a degree at x in (−1, 1), by its three-term recurrence, with its derivative. */
function legendre(degree: number, x: number): { readonly value: number; readonly slope: number } {
  let before = 1;
  let value = x;
  for (let k = 2; k <= degree; k++) {
    const next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
    before = value;
    value = next;
  }
  return { value, slope: (degree * (before - x * value)) / (1 - x * x) };
}
