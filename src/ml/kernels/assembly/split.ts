// Split search in WebAssembly: the best column, bin and side for missing values of one histogram.

const COLUMN_BYTES: usize = 2048;
/** Keeps sign, exponent and 20 bits of a double. */
const COARSE: u64 = 0xffffffff00000000;
const MISSING: usize = 255 << 3;

/** The best split so far of the search under way; a search begins and ends within one call. Its gain is a coarse one. */
let bestGain: f64 = 0;
let bestColumn: i32 = -1;
let bestBin: i32 = 0;
let bestMissingLeft: i32 = 0;
let bestLeft: i64 = 0;

/** Rules of the search under way. */
let lambda: f64 = 0;
let alpha: f64 = 0;
let minChildWeight: f64 = 0;
let gradientUnit: f64 = 0;
let hessianUnit: f64 = 0;

/**
 * Searches `count` columns, 32-bit numbers at `columns`, for the split with the largest gain above `gainMin`; of gains equal
 * to 20 bits, which rounding may have told apart, the first column and bin win. `rules` holds doubles: lambda, alpha, min child weight, units of gradient and
 * hessian, gainMin. `binCounts` holds one 32-bit number a column.
 *
 * Writes to `out`: gain f64, column i32 (−1: none found), last bin on the left i32, the first filled bin after it i32 (the
 * number of bins where none is), missing left i32, whether the node holds missing values there i32, whether the left side
 * is the heavier i32.
 */
export function searchSplit(
  histogram: usize,
  columns: usize,
  count: i32,
  binCounts: usize,
  rules: usize,
  out: usize,
): void {
  lambda = load<f64>(rules);
  alpha = load<f64>(rules, 8);
  minChildWeight = load<f64>(rules, 16);
  gradientUnit = load<f64>(rules, 24);
  hessianUnit = load<f64>(rules, 32);
  bestGain = load<f64>(rules, 40);
  bestColumn = -1;
  let total: i64 = 0;
  if (count > 0) total = columnSum(histogram + <usize>load<i32>(columns) * COLUMN_BYTES);
  const parent = scoreOf(total);
  for (let i: usize = 0; i < <usize>count; i++) {
    const column = load<i32>(columns + (i << 2));
    const bins = load<i32>(binCounts + ((<usize>column) << 2));
    searchColumn(histogram + <usize>column * COLUMN_BYTES, column, bins, total, parent);
  }
  store<f64>(out, bestGain);
  store<i32>(out, bestColumn, 8);
  if (bestColumn < 0) return;
  const sums = histogram + <usize>bestColumn * COLUMN_BYTES;
  const bins = load<i32>(binCounts + ((<usize>bestColumn) << 2));
  let next = bestBin + 1;
  while (next < bins && load<i64>(sums + ((<usize>next) << 3)) === 0) next++;
  store<i32>(out, bestBin, 12);
  store<i32>(out, next, 16);
  store<i32>(out, bestMissingLeft, 20);
  store<i32>(out, load<i64>(sums + MISSING) !== 0 ? 1 : 0, 24);
  store<i32>(out, hessianOf(bestLeft) * 2 > hessianOf(total) ? 1 : 0, 28);
}

/** Tries every filled bin of a column as the last one on the left, with the missing on either side. */
function searchColumn(sums: usize, column: i32, bins: i32, total: i64, parent: f64): void {
  const missing = load<i64>(sums + MISSING);
  // Both sides side by side: the left one's sum, the right one's.
  let sides = i64x2.replace_lane(i64x2.splat(0), 1, total);
  const shift = i64x2.replace_lane(i64x2.splat(missing), 1, -missing);
  for (let bin = 0; bin < bins; bin++) {
    const filled = load<i64>(sums + ((<usize>bin) << 3));
    if (filled === 0) continue;
    sides = i64x2.add(sides, i64x2.replace_lane(i64x2.splat(filled), 1, -filled));
    const missingRight = gainOf(sides) - parent;
    if (missingRight > bestGain) keep(missingRight, column, bin, 0, i64x2.extract_lane(sides, 0));
    if (missing === 0) continue;
    const moved = i64x2.add(sides, shift);
    const missingLeft = gainOf(moved) - parent;
    if (missingLeft > bestGain) keep(missingLeft, column, bin, 1, i64x2.extract_lane(moved, 0));
  }
}

function keep(gain: f64, column: i32, bin: i32, missingLeft: i32, left: i64): void {
  const coarse = reinterpret<f64>(reinterpret<u64>(gain) & COARSE);
  if (coarse <= bestGain) return;
  bestGain = coarse;
  bestColumn = column;
  bestBin = bin;
  bestMissingLeft = missingLeft;
  bestLeft = left;
}

/** Score of both sides together; −Infinity where a side is too light. */
function gainOf(sides: v128): f64 {
  const hessians = f64x2.mul(
    f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sides, sides, 0, 2, 0, 2)),
    f64x2.splat(hessianUnit),
  );
  const gradients = f64x2.mul(
    f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sides, sides, 1, 3, 1, 3)),
    f64x2.splat(gradientUnit),
  );
  const lightest = min(f64x2.extract_lane(hessians, 0), f64x2.extract_lane(hessians, 1));
  if (lightest <= 0 || lightest < minChildWeight) return -Infinity;
  const shrunk = f64x2.max(f64x2.sub(f64x2.abs(gradients), f64x2.splat(alpha)), f64x2.splat(0));
  const scores = f64x2.div(f64x2.mul(shrunk, shrunk), f64x2.add(hessians, f64x2.splat(lambda)));
  return f64x2.extract_lane(scores, 0) + f64x2.extract_lane(scores, 1);
}

/** T(G)² / (H + λ), T shrinking by α (Chen & Guestrin 2016, eq. 6). */
function scoreOf(sum: i64): f64 {
  const shrunk = max(abs(<f64>(<i32>(sum >> 32)) * gradientUnit) - alpha, 0.0);
  return (shrunk * shrunk) / (<f64>hessianOf(sum) * hessianUnit + lambda);
}

function hessianOf(sum: i64): i64 {
  return sum & 0xffffffff;
}

function columnSum(sums: usize): i64 {
  let sum: i64 = 0;
  for (let at: usize = 0; at < COLUMN_BYTES; at += 8) sum += load<i64>(sums + at);
  return sum;
}
