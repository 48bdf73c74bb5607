// Binning: turns each column into at most 255 numbered bins, fine in the body and finer still in both tails.
import { refuseValue } from "../faults.ts";
import type { Matrix } from "../matrix.ts";
import type { Arena, RowPlaces } from "./arena.ts";
import { BIN_SLOTS } from "./bins.ts";
import { binCategories, frequentCategories } from "./category-bins.ts";
import { type ColumnKind, kindNumber } from "./kinds.ts";
import type { GbdtParams } from "./params.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Share of a column's bins that its body gets by quantiles; the rest goes to the two tails, whose bins shrink
 * geometrically down to single values. Plain quantiles put the rarest 1/255 of the values into one bin, where frauds of
 * unusual size hide: on the reference data they lose 0.04 average precision.
 */
const BODY_SHARE = 0.25;

/** Halvings of the step between cuts when looking for the most cuts that fit. */
const STEP_SEARCH_ROUNDS = 12;

/** The matrices as messages name them. */
const TRAINING = "x";
const VALIDATION = "validation.x";

/**
 * Bins every column of the training matrix on its own cuts, and the validation matrix on the same; returns the thresholds
 * of each column. A value v is in the bin numbered by how many thresholds are ≤ v; of a column of categories, bin b holds
 * the category at place b instead. `binsMax` counts the missing bin. Errors: `ml.parameter-invalid` naming a value that is infinite.
 */
export function binMatrices(
  space: Workspace,
  data: {
    readonly x: Matrix;
    readonly validation: Matrix | null;
    readonly kinds?: readonly ColumnKind[];
    readonly params: Pick<GbdtParams, "binsMax" | "categoryRowsMin">;
  },
): Float32Array[] {
  const { team, arena, views } = space;
  const kindOf = (column: number): ColumnKind => data.kinds?.[column] ?? "number";
  team.share(space.columns, (c) => {
    views.i32[arena.kinds / 4 + c] = kindNumber(kindOf(c));
    if (kindOf(c) === "category") binCategoryColumn(space, data, c);
    else binNumberColumn(space, data, c);
  });
  team.wait();
  transpose(space);
  return Array.from({ length: space.columns }, (_, c) => {
    const start = thresholdsAt(arena, c) / 4;
    const bins = views.i32[arena.binCounts / 4 + c];
    return views.f32.slice(start, start + (kindOf(c) === "category" ? bins : bins - 1));
  });
}

type BinTask = Parameters<typeof binMatrices>[1];

function binNumberColumn(space: Workspace, { x, validation, params }: BinTask, column: number): void {
  const { arena, views } = space;
  const cuts = cutColumn(space, { x, column, valueBins: params.binsMax - 1 });
  views.f32.set(cuts, thresholdsAt(arena, column) / 4);
  views.i32[arena.binCounts / 4 + column] = cuts.length + 1;
  binColumn(space, arena.training, { name: TRAINING, x, column });
  if (validation === null) return;
  copyColumn(space, validation, column);
  binColumn(space, arena.validation, { name: VALIDATION, x: validation, column });
}

function binCategoryColumn(space: Workspace, { x, validation, params }: BinTask, column: number): void {
  const { arena, views } = space;
  const { binsMax, categoryRowsMin } = params;
  const categories = frequentCategories(columnOf(x, column), { binsMax, rowsMin: categoryRowsMin });
  views.f32.set(categories, thresholdsAt(arena, column) / 4);
  views.i32[arena.binCounts / 4 + column] = categories.length;
  const bin = ({ columnMajor, rows }: RowPlaces, name: string, from: Matrix): void => {
    const values = columnOf(from, column);
    const row = values.findIndex((value) => Math.abs(value) === Number.POSITIVE_INFINITY);
    if (row >= 0) refuseValue(name, { x: from, column, row });
    const out = views.u8.subarray(columnMajor + column * rows, columnMajor + (column + 1) * rows);
    binCategories(values, categories, out);
  };
  bin(arena.training, TRAINING, x);
  if (validation !== null) bin(arena.validation, VALIDATION, validation);
}

function thresholdsAt(arena: Arena, column: number): number {
  return arena.thresholds + 4 * BIN_SLOTS * column;
}

/** Copies a column's values to the kernels' memory. */
function copyColumn(space: Workspace, x: Matrix, column: number): void {
  space.views.f32.set(columnOf(x, column), space.own.values / 4);
}

function columnOf({ rows, values }: Matrix, column: number): Float32Array {
  return values.subarray(column * rows, (column + 1) * rows);
}

function cutColumn(
  space: Workspace,
  given: { readonly x: Matrix; readonly column: number; readonly valueBins: number },
): Float32Array {
  const { own, kernels, views } = space;
  copyColumn(space, given.x, given.column);
  const present = kernels.sortPresent(own.values, given.x.rows, own.keys, own.swap, own.counts);
  return cutsOf(views.f32.subarray(own.keys / 4, own.keys / 4 + present), given.valueBins);
}

/** Numbers the bins of the column whose values were copied last. */
function binColumn(
  space: Workspace,
  places: RowPlaces,
  from: { readonly name: string; readonly x: Matrix; readonly column: number },
): void {
  const { own, kernels, arena, views } = space;
  const { name, x, column } = from;
  const count = views.i32[arena.binCounts / 4 + column] - 1;
  const out = places.columnMajor + column * places.rows;
  const row = kernels.binColumn(own.values, places.rows, thresholdsAt(arena, column), count, own.starts, out);
  if (row >= 0) refuseValue(name, { x, column, row });
}

/** Histograms are summed row by row: this thread's rows once more, side by side. */
function transpose(space: Workspace): void {
  const { arena, columns, kernels, trainingRows } = space;
  const { columnMajor, rows } = arena.training;
  kernels.transpose(trainingRows.from, trainingRows.to, columnMajor, rows, columns, arena.rowMajor, arena.stride);
}

/**
 * Thresholds that split ascending values (no NaN) into at most `valueBins` bins. With few distinct values each gets its
 * own bin; otherwise cuts stand at equal steps of a measure that is a quarter rank (quantiles) and three quarters the logarithm of the
 * rank from either end (tails). Equal values are never parted.
 */
export function cutsOf(sorted: Float32Array, valueBins: number): Float32Array {
  const every = everyCut(sorted, valueBins);
  if (every !== null) return every;
  // More cuts than fit at `fine`, as many as fit or fewer at `coarse`.
  let fine = 0;
  let coarse = 1;
  let ranks = cutRanks(sorted, { step: coarse, cutsMax: valueBins - 1 }) ?? [];
  for (let round = 0; round < STEP_SEARCH_ROUNDS; round++) {
    const step = fine === 0 ? coarse / 2 : (fine + coarse) / 2;
    const found = cutRanks(sorted, { step, cutsMax: valueBins - 1 });
    if (found === null) fine = step;
    else {
      coarse = step;
      ranks = found;
    }
  }
  return Float32Array.from(ranks, (rank) => between(sorted[rank - 1], sorted[rank]));
}

/** Cuts between all distinct values, or null when there are too many. Leaps over equal values. */
function everyCut(sorted: Float32Array, valueBins: number): Float32Array | null {
  const count = sorted.length;
  const cuts: number[] = [];
  for (let rank = nextValue(sorted, 0); rank < count; rank = nextValue(sorted, rank)) {
    if (cuts.length === valueBins - 1) return null;
    cuts.push(between(sorted[rank - 1], sorted[rank]));
  }
  return Float32Array.from(cuts);
}

/** The first rank whose value is above that of `rank`, or the number of values. */
function nextValue(sorted: Float32Array, rank: number): number {
  return firstRank(rank, sorted.length, (r) => sorted[r] > sorted[rank]);
}

/** Ranks of the first value of each bin but the first, or null when they are more than `cutsMax`. */
function cutRanks(sorted: Float32Array, options: { readonly step: number; readonly cutsMax: number }): number[] | null {
  const count = sorted.length;
  const whole = Math.log1p(count);
  /** Grows from 0 to 1 with the rank; steep at both ends, where a rank counts for more. */
  const measure = (r: number): number => {
    const tails = (Math.log1p(r) + whole - Math.log1p(count - r)) / (2 * whole);
    return BODY_SHARE * (r / count) + (1 - BODY_SHARE) * tails;
  };
  const ranks: number[] = [];
  let rank = 0;
  while (rank < count) {
    const target = measure(rank) + options.step;
    // At least one value a bin, then as many as the step allows, then the rest of the last one's equals.
    const reached = firstRank(rank + 1, count, (r) => measure(r) >= target);
    const last = sorted[reached - 1];
    rank = firstRank(reached, count, (r) => sorted[r] > last);
    if (rank === count) return ranks;
    if (ranks.length === options.cutsMax) return null;
    ranks.push(rank);
  }
  return ranks;
}

/**
 * The first rank in [low, high) that is reached, else high; `reached` must be false, then true. It is mostly near: steps that double
 * find it before halves do.
 */
function firstRank(low: number, high: number, reached: (rank: number) => boolean): number {
  let from = low;
  let to = high;
  for (let step = 1; from + step - 1 < to; step *= 2) {
    const rank = from + step - 1;
    if (reached(rank)) to = rank;
    else from = rank + 1;
  }
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (reached(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** A Float32 threshold t with low < t ≤ high, the midpoint where Float32 has one. */
function between(low: number, high: number): number {
  const middle = Math.fround(low / 2 + high / 2);
  return middle > low && middle <= high ? middle : high;
}
