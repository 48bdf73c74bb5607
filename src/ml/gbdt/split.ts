// Splits: the best of the candidates that threads found, its threshold, and the value of a leaf.
import { CANDIDATE_BYTES, CANDIDATES_MAX, COLUMN_BYTES } from "./arena.ts";
import type { Scales } from "./gradients.ts";
import type { GbdtParams } from "./params.ts";
import type { Range } from "./team.ts";
import type { Workspace } from "./workspace.ts";

export interface Split {
  readonly column: number;
  /** Bins up to this one go left. */
  readonly bin: number;
  /** Values below go left; +Infinity parts the missing from all others. */
  readonly threshold: number;
  readonly missingLeft: boolean;
  readonly gain: number;
}

/** As in XGBoost: a smaller gain is rounding noise. */
const GAIN_MIN = 1e-6;

/** Tells the search kernel the rules of this round. */
export function writeRules(space: Workspace, params: GbdtParams, scales: Scales): void {
  const { lambda, alpha, gamma, minChildWeight } = params;
  const gainMin = Math.max(GAIN_MIN, gamma - GAIN_MIN);
  const rules = [lambda, alpha, minChildWeight, 1 / scales.gradient, 1 / scales.hessian, gainMin];
  space.views.f64.set(rules, space.own.rules / 8);
}

/** Searches this thread's columns (a range of the sampled ones) and writes what it found as its candidate `number`. */
export function searchOwn(space: Workspace, histogram: number, options: { range: Range; number: number }): void {
  const { arena, kernels, own, team } = space;
  const { from, to } = options.range;
  const out = candidateAt(space, team.index, options.number);
  kernels.searchSplit(
    histogram + COLUMN_BYTES * from,
    arena.sampledColumns + 4 * from,
    to - from,
    arena.binCounts,
    own.rules,
    out,
  );
}

/** The best of all threads' candidates `number`, the first of equals; null when none found a split. */
export function bestSplit(space: Workspace, number: number, thresholds: readonly Float32Array[]): Split | null {
  const { f64, i32 } = space.views;
  let best = -1;
  let gain = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < space.team.count; index++) {
    const at = candidateAt(space, index, number);
    if (i32[at / 4 + 2] < 0 || f64[at / 8] <= gain) continue;
    gain = f64[at / 8];
    best = at;
  }
  if (best < 0) return null;
  const [column, bin, next, missingLeft, someMissing, leftHeavier] = i32.subarray(best / 4 + 2, best / 4 + 8);
  const found = { column, gain, bin, next, missingLeft: (someMissing === 1 ? missingLeft : leftHeavier) === 1 };
  return settle(found, thresholds[column]);
}

/** The value of a leaf before the learning rate: −T(G) / (H + λ), T shrinking by α. */
export function leafValue(gradient: number, hessian: number, rules: { lambda: number; alpha: number }): number {
  if (hessian <= 0) return 0;
  return -shrink(gradient, rules.alpha) / (hessian + rules.lambda);
}

function shrink(gradient: number, alpha: number): number {
  if (gradient > alpha) return gradient - alpha;
  if (gradient < -alpha) return gradient + alpha;
  return 0;
}

function candidateAt(space: Workspace, index: number, number: number): number {
  const { candidates } = space.arena;
  return candidates + CANDIDATE_BYTES * (index * CANDIDATES_MAX + number);
}

/**
 * Moves the threshold into the middle of the gap that the node's own rows leave: all bins between `bin` and `next` are
 * empty here. Where the node holds no missing value in the column, a later one goes to the heavier side.
 */
function settle(
  found: { column: number; gain: number; bin: number; next: number; missingLeft: boolean },
  thresholds: Float32Array,
): Split {
  const { column, gain, next, missingLeft } = found;
  if (next > thresholds.length) {
    return { column, gain, bin: thresholds.length, threshold: Number.POSITIVE_INFINITY, missingLeft: false };
  }
  const middle = (thresholds[found.bin] + thresholds[next - 1]) / 2;
  let { bin } = found;
  while (bin + 1 < next && Math.abs(thresholds[bin + 1] - middle) <= Math.abs(thresholds[bin] - middle)) bin++;
  return { column, gain, bin, threshold: thresholds[bin], missingLeft };
}
