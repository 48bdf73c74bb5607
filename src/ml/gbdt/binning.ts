// Binning: turns each column into at most 255 numbered bins, fine in the body and finer still in both tails.
import type { Matrix } from "../matrix.ts";
import { LANES } from "./lanes.ts";
import { makeSortSpace, orderedBits, sortPresent } from "./sorting.ts";

/** The bin of missing values, in every column; value bins are 0 … 254. */
export const MISSING_BIN = 255;

/** Slots a column has in a histogram. */
export const BIN_SLOTS = 256;

/**
 * Share of a column's bins that its body gets by quantiles; the rest goes to the two tails, whose bins shrink
 * geometrically down to single values. Plain quantiles put the rarest 1/255 of the values into one bin, where frauds of
 * unusual size hide: on the reference data they lose 0.04 average precision.
 */
const BODY_SHARE = 0.25;

/** Halvings of the step between cuts when looking for the most cuts that fit. */
const STEP_SEARCH_ROUNDS = 12;

export interface BinnedMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Per column, ascending; a value v is in the bin numbered by how many thresholds are ≤ v. */
  readonly thresholds: readonly Float32Array[];
  /** The bin of row r, column c at `columnMajor[c * rows + r]`: for partitioning. */
  readonly columnMajor: Uint8Array;
  /** The same at `rowMajor[r * stride + c]`: for histograms. */
  readonly rowMajor: Uint8Array;
  /** Columns rounded up to whole lanes; bins beyond the columns are 0. */
  readonly stride: number;
}

/** Bins every column on its own cuts. `binsMax` counts the missing bin. */
export function binMatrix(x: Matrix, binsMax: number): BinnedMatrix {
  const { rows } = x;
  const columns = x.names.length;
  const space = makeSortSpace(rows);
  const columnMajor = new Uint8Array(rows * columns);
  const thresholds: Float32Array[] = [];
  for (let c = 0; c < columns; c++) {
    const values = x.values.subarray(c * rows, (c + 1) * rows);
    const cuts = cutsOf(sortPresent(values, space), binsMax - 1);
    thresholds.push(cuts);
    binColumn(values, cuts, columnMajor.subarray(c * rows, (c + 1) * rows));
  }
  const stride = Math.ceil(columns / LANES) * LANES;
  const rowMajor = new Uint8Array(rows * stride);
  transpose(columnMajor, rowMajor, { rows, columns, stride });
  return { rows, columns, thresholds, columnMajor, rowMajor, stride };
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

/** The bin of one value. */
export function binOf(value: number, thresholds: Float32Array): number {
  if (Number.isNaN(value)) return MISSING_BIN;
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (thresholds[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Cuts between all distinct values, or null when there are too many. */
function everyCut(sorted: Float32Array, valueBins: number): Float32Array | null {
  const cuts: number[] = [];
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1]) continue;
    if (cuts.length === valueBins - 1) return null;
    cuts.push(between(sorted[i - 1], sorted[i]));
  }
  return Float32Array.from(cuts);
}

/** Ranks of the first value of each bin but the first, or null when they are more than `cutsMax`. */
function cutRanks(sorted: Float32Array, options: { readonly step: number; readonly cutsMax: number }): number[] | null {
  const count = sorted.length;
  const ranks: number[] = [];
  let rank = 0;
  while (rank < count) {
    const target = measure(rank, count) + options.step;
    // At least one value a bin, then as many as the step allows, then the rest of the last one's equals.
    const reached = firstRank(rank + 1, count, (r) => measure(r, count) >= target);
    const last = sorted[reached - 1];
    rank = firstRank(reached, count, (r) => sorted[r] > last);
    if (rank === count) return ranks;
    if (ranks.length === options.cutsMax) return null;
    ranks.push(rank);
  }
  return ranks;
}

/** Grows from 0 to 1 with the rank; steep at both ends, where a rank counts for more. */
function measure(rank: number, count: number): number {
  const whole = Math.log1p(count);
  const tails = (Math.log1p(rank) + whole - Math.log1p(count - rank)) / (2 * whole);
  return BODY_SHARE * (rank / count) + (1 - BODY_SHARE) * tails;
}

/** The first rank in [low, high) that is reached, else high; `reached` must be false, then true. */
function firstRank(low: number, high: number, reached: (rank: number) => boolean): number {
  let from = low;
  let to = high;
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

/** Kernel: bins of a column's values; {@link binOf} for many. */
function binColumn(values: Float32Array, thresholds: Float32Array, out: Uint8Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const starts = startBins(thresholds);
  const count = thresholds.length;
  for (let r = 0; r < values.length; r++) {
    const value = values[r];
    if (Number.isNaN(value)) {
      out[r] = MISSING_BIN;
      continue;
    }
    let bin = starts[orderedBits(bits[r]) >>> START_SHIFT];
    while (bin < count && thresholds[bin] <= value) bin++;
    out[r] = bin;
  }
}

/** Low bits of a float that the start table leaves to the search; 16 remain: sign, exponent and 7 bits of fraction. */
const START_SHIFT = 16;

/** By a float's upper bits, how many thresholds are below all floats with those bits: where a search may begin. */
function startBins(thresholds: Float32Array): Uint8Array {
  const bits = new Uint32Array(thresholds.buffer, thresholds.byteOffset, thresholds.length);
  const starts = new Uint8Array(2 ** (32 - START_SHIFT)).fill(thresholds.length);
  let from = 0;
  for (let bin = 0; bin < thresholds.length; bin++) {
    const upper = orderedBits(bits[bin]) >>> START_SHIFT;
    starts.fill(bin, from, upper + 1);
    from = upper + 1;
  }
  return starts;
}

/** Rows handled together, so that both sides of the transposition stay in cache. */
const TRANSPOSE_ROWS = 256;

/** Kernel: column-major bytes to row-major. */
function transpose(
  columnMajor: Uint8Array,
  rowMajor: Uint8Array,
  size: { readonly rows: number; readonly columns: number; readonly stride: number },
): void {
  const { rows, columns, stride } = size;
  for (let start = 0; start < rows; start += TRANSPOSE_ROWS) {
    const end = Math.min(rows, start + TRANSPOSE_ROWS);
    for (let c = 0; c < columns; c++) {
      for (let r = start; r < end; r++) rowMajor[r * stride + c] = columnMajor[c * rows + r];
    }
  }
}
