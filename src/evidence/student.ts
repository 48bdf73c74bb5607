// Student's t distribution: its quantile, for intervals from few groups.
import { assert } from "../core/errors.ts";
import { normalQuantile, normalTwoSidedTail } from "./normal.ts";

/** Degrees of freedom up to which the exact sum is used; the expansion in 1/ν is right to 10⁻⁹ beyond. */
const SUMMED_MAX = 100;

/** t with P(T ≤ t) = p, 0 < p < 1, for a whole number of degrees of freedom. */
export function studentQuantile(p: number, freedom: number): number {
  assert(p > 0 && p < 1 && Number.isInteger(freedom) && freedom >= 1, "a quantile has a share and degrees of freedom");
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  return freedom > SUMMED_MAX ? expanded(normalQuantile(p), freedom) : bisected(p, freedom);
}

/**
 * The share below which the percentile bootstrap of `groups` independent groups has to look, so that its interval is as wide as that of
 * Student's t: the bootstrap's spread lacks the factor √(n / (n − 1)), and its tails are the normal distribution's. The expanded percentile
 * interval of Hesterberg, "What teachers should know about the bootstrap" (The American Statistician 2015), section 3.3. `tail`, 0 to ½, is the share
 * that is to lie on that side. One group tells nothing of its spread: then `tail` itself.
 */
export function expandedTail(tail: number, groups: number): number {
  if (groups < 2) return tail;
  const reach = -studentQuantile(tail, groups - 1) * Math.sqrt(groups / (groups - 1));
  return normalTwoSidedTail(reach) / 2;
}

function bisected(p: number, freedom: number): number {
  let low = 0;
  let high = 1;
  while (centralShare(high, freedom) < 2 * p - 1) high *= 2;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (centralShare(middle, freedom) < 2 * p - 1) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(|T| ≤ t), Abramowitz & Stegun 26.7.3 and 26.7.4. */
function centralShare(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const square = Math.cos(angle) ** 2;
  const isOdd = freedom % 2 === 1;
  let term = isOdd ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let i = isOdd ? 3 : 2; i <= freedom - 2; i += 2) {
    term *= (square * (i - 1)) / i;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}

/** Abramowitz & Stegun 26.7.5. */
function expanded(x: number, freedom: number): number {
  const terms = [
    (x ** 3 + x) / 4,
    (5 * x ** 5 + 16 * x ** 3 + 3 * x) / 96,
    (3 * x ** 7 + 19 * x ** 5 + 17 * x ** 3 - 15 * x) / 384,
    (79 * x ** 9 + 776 * x ** 7 + 1482 * x ** 5 - 1920 * x ** 3 - 945 * x) / 92160,
  ];
  return terms.reduce((sum, term, i) => sum + term / freedom ** (i + 1), x);
}
