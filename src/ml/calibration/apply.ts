// Calibration, applied: from a margin to a probability that means what it says. Plain data, so that it travels as JSON.
import { sigmoid } from "../gbdt/score.ts";

/** isotonic: probabilities `y` at margins `x`, both ascending. beta: log-odds a·ln p − b·ln(1 − p) + c, p the sigmoid. */
export type Calibration =
  | { readonly kind: "none" }
  | { readonly kind: "isotonic"; readonly x: readonly number[]; readonly y: readonly number[] }
  | { readonly kind: "beta"; readonly a: number; readonly b: number; readonly c: number };

export type CalibrationKind = Calibration["kind"];

/**
 * Probability of a margin, in [0, 1], never falling as the margin grows. Isotonic: straight lines between the knots; beyond
 * the first and last knot the log-odds go on with the margin's own slope, so that no two extreme transactions tie.
 */
export function calibrate(calibration: Calibration, margin: number): number {
  switch (calibration.kind) {
    case "none":
      return sigmoid(margin);
    case "beta":
      return sigmoid(betaLogOdds(calibration, margin));
    case "isotonic":
      return interpolate(calibration, margin);
  }
}

function interpolate(knots: { readonly x: readonly number[]; readonly y: readonly number[] }, margin: number): number {
  const { x, y } = knots;
  const last = x.length - 1;
  if (margin <= x[0]) return Math.min(y[0], sigmoid(logit(y[0]) + (margin - x[0])));
  if (margin >= x[last]) return Math.max(y[last], sigmoid(logit(y[last]) + (margin - x[last])));
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (x[middle] <= margin) low = middle;
    else high = middle;
  }
  const part = (margin - x[low]) / (x[high] - x[low]);
  return Math.min(y[high], y[low] + (y[high] - y[low]) * part);
}

function betaLogOdds(fit: { readonly a: number; readonly b: number; readonly c: number }, margin: number): number {
  return fit.c - fit.a * softplus(-margin) + fit.b * softplus(margin);
}

/** ln(1 + e^x) without overflow. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** Log-odds of a probability. */
export function logit(p: number): number {
  return Math.log(p / (1 - p));
}
