// Split search: the best column, bin and side for missing values, by XGBoost's gain (Chen & Guestrin 2016, eq. 7).
import { BIN_SLOTS, MISSING_BIN } from "./binning.ts";
import { HESSIAN_SPAN } from "./gradients.ts";
import type { Histogram } from "./histogram.ts";

/** What the search needs to know beside the histogram. */
export interface SplitRules {
  readonly lambda: number;
  readonly alpha: number;
  readonly gamma: number;
  readonly minChildWeight: number;
  /** What one unit of the packed integers stands for. */
  readonly gradientUnit: number;
  readonly hessianUnit: number;
}

export interface Split {
  readonly column: number;
  /** Bins up to this one go left. */
  readonly bin: number;
  /** Values below go left; +Infinity parts the missing from all others. */
  readonly threshold: number;
  readonly missingLeft: boolean;
  readonly gain: number;
  /** Packed sum of the left side. */
  readonly left: number;
}

/** As in XGBoost: a smaller gain is rounding noise. */
const GAIN_MIN = 1e-6;

/** Exact, as the span is a power of two; multiplying is faster than dividing. */
const SPAN_INVERSE = 1 / HESSIAN_SPAN;

/**
 * The split with the largest gain, or null when none reaches gamma. Of equal gains the first column and bin win. Where the
 * node holds no missing value in the column, a later one goes to the heavier side.
 */
export function findSplit(
  histogram: Histogram,
  total: number,
  options: { readonly columns: Int32Array; readonly thresholds: readonly Float32Array[]; readonly rules: SplitRules },
): Split | null {
  const { columns, thresholds, rules } = options;
  const best: Candidate = {
    gain: Math.max(GAIN_MIN, rules.gamma - GAIN_MIN),
    column: -1,
    bin: 0,
    left: 0,
    missingLeft: false,
  };
  const parentScore = leafScore(gradientOf(total) * rules.gradientUnit, hessianOf(total) * rules.hessianUnit, rules);
  for (let i = 0; i < columns.length; i++) {
    scanColumn(histogram, best, {
      column: columns[i],
      bins: thresholds[columns[i]].length + 1,
      total,
      parentScore,
      rules,
    });
  }
  return best.column < 0 ? null : settle(best, histogram, thresholds[best.column]);
}

/** The value of a leaf before the learning rate: −T(G) / (H + λ), T shrinking by α. */
export function leafValue(gradient: number, hessian: number, rules: { lambda: number; alpha: number }): number {
  if (hessian <= 0) return 0;
  return -shrink(gradient, rules.alpha) / (hessian + rules.lambda);
}

/** The gradient part of a packed sum. */
export function gradientOf(packed: number): number {
  return Math.floor(packed / HESSIAN_SPAN);
}

/** The hessian part of a packed sum. */
export function hessianOf(packed: number): number {
  return packed - Math.floor(packed / HESSIAN_SPAN) * HESSIAN_SPAN;
}

interface Candidate {
  gain: number;
  column: number;
  bin: number;
  left: number;
  missingLeft: boolean;
}

/** Kernel: tries every filled bin of a column as the last one on the left, with the missing on either side. */
function scanColumn(
  histogram: Histogram,
  best: Candidate,
  options: {
    readonly column: number;
    readonly bins: number;
    readonly total: number;
    readonly parentScore: number;
    readonly rules: SplitRules;
  },
): void {
  const { column, bins, total, parentScore, rules } = options;
  const start = column * BIN_SLOTS;
  const missing = histogram[start + MISSING_BIN];
  let values = 0;
  for (let bin = 0; bin < bins; bin++) {
    const filled = histogram[start + bin];
    if (filled === 0) continue;
    values += filled;
    const missingRight = gainOf(values, total, rules) - parentScore;
    if (missingRight > best.gain) keep(best, { gain: missingRight, column, bin, left: values, missingLeft: false });
    if (missing === 0) continue;
    const missingLeft = gainOf(values + missing, total, rules) - parentScore;
    if (missingLeft > best.gain)
      keep(best, { gain: missingLeft, column, bin, left: values + missing, missingLeft: true });
  }
}

function keep(best: Candidate, found: Candidate): void {
  best.gain = found.gain;
  best.column = found.column;
  best.bin = found.bin;
  best.left = found.left;
  best.missingLeft = found.missingLeft;
}

/** Score of both sides together; −Infinity where a side is too light. */
function gainOf(left: number, total: number, rules: SplitRules): number {
  const { gradientUnit, hessianUnit, minChildWeight } = rules;
  const right = total - left;
  const leftHigh = Math.floor(left * SPAN_INVERSE);
  const rightHigh = Math.floor(right * SPAN_INVERSE);
  const leftHessian = (left - leftHigh * HESSIAN_SPAN) * hessianUnit;
  const rightHessian = (right - rightHigh * HESSIAN_SPAN) * hessianUnit;
  if (leftHessian <= 0 || rightHessian <= 0) return Number.NEGATIVE_INFINITY;
  if (leftHessian < minChildWeight || rightHessian < minChildWeight) return Number.NEGATIVE_INFINITY;
  return (
    leafScore(leftHigh * gradientUnit, leftHessian, rules) + leafScore(rightHigh * gradientUnit, rightHessian, rules)
  );
}

function leafScore(gradient: number, hessian: number, rules: SplitRules): number {
  const shrunk = shrink(gradient, rules.alpha);
  return (shrunk * shrunk) / (hessian + rules.lambda);
}

function shrink(gradient: number, alpha: number): number {
  if (gradient > alpha) return gradient - alpha;
  if (gradient < -alpha) return gradient + alpha;
  return 0;
}

/**
 * Moves the threshold into the middle of the gap that the node's own rows leave (all bins in it are empty here), and
 * decides where later missing values go when there are none now.
 */
function settle(best: Candidate, histogram: Histogram, thresholds: Float32Array): Split {
  const start = best.column * BIN_SLOTS;
  const noneMissing = histogram[start + MISSING_BIN] === 0;
  let next = best.bin + 1;
  while (next <= thresholds.length && histogram[start + next] === 0) next++;
  const { column, gain, left } = best;
  if (next > thresholds.length) {
    return { column, gain, left, bin: thresholds.length, threshold: Number.POSITIVE_INFINITY, missingLeft: false };
  }
  const middle = (thresholds[best.bin] + thresholds[next - 1]) / 2;
  let bin = best.bin;
  while (bin + 1 < next && Math.abs(thresholds[bin + 1] - middle) <= Math.abs(thresholds[bin] - middle)) bin++;
  const total = columnSum(histogram, start);
  const missingLeft = noneMissing ? hessianOf(left) * 2 > hessianOf(total) : best.missingLeft;
  return { column, gain, left, bin, threshold: thresholds[bin], missingLeft };
}

/** Packed sum of a node, read off one column. */
export function columnSum(histogram: Histogram, start: number): number {
  let sum = 0;
  for (let bin = 0; bin < BIN_SLOTS; bin++) sum += histogram[start + bin];
  return sum;
}
