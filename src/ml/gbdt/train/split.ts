// Splits: the best of the candidates that threads found, its threshold, and the value of a leaf.
import { CANDIDATE_BYTES, CANDIDATES_MAX, COLUMN_BYTES } from "./arena.ts";
import type { Scales } from "./gradients.ts";
import { kindNumber } from "./kinds.ts";
import type { GbdtParams } from "./params.ts";
import type { Range } from "./team.ts";
import type { Workspace } from "./workspace.ts";

export interface Split {
  readonly column: number;
  /** Bins up to this one go left. */
  readonly bin: number;
  /** Values below go left; +Infinity parts the missing from all others. 0 with a set. */
  readonly threshold: number;
  /** Of categories: 256 bits, 1 for the bins that go left; null for numbers. */
  readonly set: Uint32Array | null;
  readonly missingLeft: boolean;
  readonly gain: number;
  /** Of the rows that go left. */
  readonly leftSums: NodeSums;
}

/** Sums of both derivatives over a node's rows, in units of the packed integers: whole numbers, exact. */
export interface NodeSums {
  readonly gradient: number;
  readonly hessian: number;
}

/** What turns sums into the value of a leaf. */
interface LeafRules {
  readonly params: Pick<GbdtParams, "lambda" | "alpha">;
  readonly scales: Scales;
}

/** The least and the most that leaves below a node may be worth, before the learning rate. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export const UNBOUNDED: Bounds = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/**
 * Bounds of both children: the sides of a split on a monotone column may come no nearer to each other than the middle, however
 * they are split again. All leaves on one side then stand below all on the other.
 */
export function boundsBelow(
  space: Workspace,
  node: { readonly split: Pick<Split, "column" | "threshold" | "leftSums">; readonly bounds: Bounds },
  rules: LeafRules & { readonly rightSums: NodeSums },
): { readonly left: Bounds; readonly right: Bounds } {
  const { split, bounds } = node;
  const { low, high } = bounds;
  const kind = space.views.i32[space.arena.kinds / 4 + split.column];
  if (kind !== kindNumber("increasing") && kind !== kindNumber("decreasing")) return { left: bounds, right: bounds };
  const left = leafValue(split.leftSums, { ...rules, bounds });
  const right = leafValue(rules.rightSums, { ...rules, bounds });
  const middle = (left + right) / 2;
  // A split that parts the missing from all others stands in either order; it keeps the one it has.
  const free = split.threshold === Number.POSITIVE_INFINITY && left !== right;
  const rises = free ? left < right : kind === kindNumber("increasing");
  if (rises) return { left: { low, high: middle }, right: { low: middle, high } };
  return { left: { low: middle, high }, right: { low, high: middle } };
}

/**
 * Whether a node may have a split at all: not when one of its sides must be too light. Sums are whole numbers and units powers of two,
 * so that the search would say the same.
 */
export function canSplit(
  sums: NodeSums,
  rules: { readonly params: Pick<GbdtParams, "minChildWeight">; readonly scales: Scales },
): boolean {
  return sums.hessian / rules.scales.hessian >= 2 * sideMin(rules);
}

/**
 * Units of second derivatives a side of a split must hold. With fewer, where rows weigh a billionth of others or the model is as certain of
 * them, its sums are what rounding made of its rows, and its leaf would be worth a number by chance.
 */
const SIDE_UNITS_MIN = 64;

/** Sum of second derivatives each side of a split must hold. */
function sideMin({ params, scales }: Parameters<typeof canSplit>[1]): number {
  return Math.max(params.minChildWeight, SIDE_UNITS_MIN / scales.hessian);
}

/** As in XGBoost: a smaller gain is rounding noise. */
const GAIN_MIN = 1e-6;

/** Place of a node's bounds among the rules. */
const BOUNDS_AT = 6;

/** Tells the search kernel the rules of this round. */
export function writeRules(space: Workspace, params: GbdtParams, scales: Scales): void {
  const { lambda, alpha, gamma, categoryLambda, categorySmoothing } = params;
  const gainMin = Math.max(GAIN_MIN, gamma - GAIN_MIN);
  const rules = [lambda, alpha, sideMin({ params, scales }), 1 / scales.gradient, 1 / scales.hessian, gainMin];
  const { low, high } = UNBOUNDED;
  space.views.f64.set([...rules, low, high, categoryLambda, categorySmoothing], space.own.rules / 8);
}

/** Searches a group of the sampled columns and writes what it found as the group's candidate `number`. */
export function searchColumns(
  space: Workspace,
  histogram: number,
  options: { readonly columns: Range; readonly group: number; readonly number: number; readonly bounds: Bounds },
): void {
  const { arena, kernels, own, views } = space;
  const { from, to } = options.columns;
  views.f64[own.rules / 8 + BOUNDS_AT] = options.bounds.low;
  views.f64[own.rules / 8 + BOUNDS_AT + 1] = options.bounds.high;
  const out = candidateAt(space, options.group, options.number);
  const columns = arena.sampledColumns + 4 * from;
  const sums = histogram + COLUMN_BYTES * from;
  kernels.searchSplit(sums, columns, to - from, arena.binCounts, arena.kinds, own.rules, own.order, out);
}

/** A gain counts as larger from a millionth on: rounding of derivatives tells equal splits apart by less. */
const LARGER = 1 + 2 ** -20;

/**
 * The best of all groups' candidates `number`, the first of equals; null when none found a split. Groups are the same whatever
 * the threads, and so is what is found one after the other.
 */
export function bestSplit(
  space: Workspace,
  of: { readonly number: number; readonly groups: number; readonly thresholds: readonly Float32Array[] },
): Split | null {
  const { f64, i32 } = space.views;
  let best = -1;
  let gain = Number.NEGATIVE_INFINITY;
  for (let group = 0; group < of.groups; group++) {
    const at = candidateAt(space, group, of.number);
    if (i32[at / 4 + 2] < 0 || f64[at / 8] <= gain * LARGER) continue;
    gain = f64[at / 8];
    best = at;
  }
  if (best < 0) return null;
  const [column, bin, next] = [i32[best / 4 + 2], i32[best / 4 + 3], i32[best / 4 + 4]];
  const [missingLeft, someMissing, leftHeavier] = [i32[best / 4 + 5], i32[best / 4 + 6], i32[best / 4 + 7]];
  const leftSums = { gradient: f64[best / 8 + 4], hessian: f64[best / 8 + 5] };
  // Where the node holds no missing value in the column, a later one goes to the heavier side.
  const goesLeft = (someMissing === 1 ? missingLeft : leftHeavier) === 1;
  if (i32[space.arena.kinds / 4 + column] === kindNumber("category")) {
    // A set can name only what training saw, so that what it never saw takes the other side: the one of missing values. Sides of
    // categories have no order, and theirs is made the right one.
    const side = (best + (goesLeft ? 96 : 64)) / 4;
    const set = Uint32Array.from(i32.subarray(side, side + 8));
    const rest = sumsBeside(nodeSums(space, of.number), leftSums);
    return { column, bin: 0, threshold: 0, set, missingLeft: false, gain, leftSums: goesLeft ? rest : leftSums };
  }
  const thresholds = of.thresholds[column];
  if (next > thresholds.length) {
    const threshold = Number.POSITIVE_INFINITY;
    return { column, bin: thresholds.length, threshold, set: null, missingLeft: false, gain, leftSums };
  }
  const middle = middleBin(thresholds, bin, next);
  return { column, bin: middle, threshold: thresholds[middle], set: null, missingLeft: goesLeft, gain, leftSums };
}

/** What remains of a node's sums without one side's. */
export function sumsBeside(node: NodeSums, side: NodeSums): NodeSums {
  return { gradient: node.gradient - side.gradient, hessian: node.hessian - side.hessian };
}

/** The sums of the node that was searched as `number`. */
export function nodeSums(space: Workspace, number: number): NodeSums {
  const at = candidateAt(space, 0, number) / 8;
  return { gradient: space.views.f64[at + 6], hessian: space.views.f64[at + 7] };
}

/** The value of a leaf before the learning rate: −T(G) / (H + λ), T shrinking by α, within the bounds. */
export function leafValue(sums: NodeSums, rules: LeafRules & { readonly bounds: Bounds }): number {
  const { params, scales, bounds } = rules;
  if (sums.hessian <= 0) return clip(0, bounds);
  const best = -shrink(sums.gradient / scales.gradient, params.alpha) / (sums.hessian / scales.hessian + params.lambda);
  return clip(best, bounds);
}

function clip(value: number, { low, high }: Bounds): number {
  return Math.min(Math.max(value, low), high);
}

function shrink(gradient: number, alpha: number): number {
  if (gradient > alpha) return gradient - alpha;
  if (gradient < -alpha) return gradient + alpha;
  return 0;
}

function candidateAt(space: Workspace, group: number, number: number): number {
  const { candidates } = space.arena;
  return candidates + CANDIDATE_BYTES * (group * CANDIDATES_MAX + number);
}

/** The bin whose threshold is in the middle of the gap that the node's own rows leave: all bins between `bin` and `next` are empty. */
function middleBin(thresholds: Float32Array, bin: number, next: number): number {
  const gap = (thresholds[bin] + thresholds[next - 1]) / 2;
  let middle = bin;
  while (middle + 1 < next && Math.abs(thresholds[middle + 1] - gap) <= Math.abs(thresholds[middle] - gap)) middle++;
  return middle;
}
