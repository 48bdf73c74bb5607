// Split search in WebAssembly: the best column, bin and side for missing values of one histogram.

const COLUMN_BYTES: usize = 2048;
/** Keeps sign, exponent and 20 bits of a double. */
const COARSE: u64 = 0xffffffff00000000;
/** Far more than rounding can take from a score, far less than a difference that counts. */
const SLACK: f64 = 1 - 1e-12;
const MISSING: usize = 255 << 3;

/** The best split so far of the search under way; a search begins and ends within one call. Its gain is a coarse one. */
let bestGain: f64 = 0;
let bestPlace: i32 = -1;
let bestBin: i32 = 0;
let bestMissingLeft: i32 = 0;
let bestLeft: f64 = 0;

/** Rules of the search under way. */
let lambda: f64 = 0;
let alpha: f64 = 0;
let minChildWeight: f64 = 0;
let gradientUnit: f64 = 0;
let hessianUnit: f64 = 0;

/**
 * Searches `count` columns, 32-bit numbers at `columns`, whose sums stand one after another, for the split with the largest gain above `gainMin`; of gains equal
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
  bestPlace = -1;
  let total: i64 = 0;
  if (count > 0) total = columnSum(histogram);
  const parent = scoreOf(gradientOf(total), hessianOf(total));
  for (let i = 0; i < count; i++) {
    const bins = load<i32>(binCounts + (load<u32>(columns + ((<usize>i) << 2)) << 2));
    searchColumn(histogram + <usize>i * COLUMN_BYTES, i, bins, total, parent);
  }
  store<f64>(out, bestGain);
  if (bestPlace < 0) {
    store<i32>(out, -1, 8);
    return;
  }
  const sums = histogram + <usize>bestPlace * COLUMN_BYTES;
  const bestColumn = load<u32>(columns + ((<usize>bestPlace) << 2));
  store<i32>(out, bestColumn, 8);
  const bins = load<i32>(binCounts + (bestColumn << 2));
  let next = bestBin + 1;
  while (next < bins && load<i64>(sums + ((<usize>next) << 3)) === 0) next++;
  store<i32>(out, bestBin, 12);
  store<i32>(out, next, 16);
  store<i32>(out, bestMissingLeft, 20);
  store<i32>(out, load<i64>(sums + MISSING) !== 0 ? 1 : 0, 24);
  store<i32>(out, bestLeft * 2 > hessianOf(total) ? 1 : 0, 28);
}

/**
 * Tries every filled bin of a column as the last one on the left, with the missing on either side: lane 0 keeps them on the
 * right, lane 1 on the left. All sums are whole numbers below 2^31 and exact in doubles. That a gain beats the best one is
 * first asked without dividing, with some slack for rounding; few bins get to the exact question.
 */
function searchColumn(sums: usize, place: i32, bins: i32, total: i64, parent: f64): void {
  const missing = load<i64>(sums + MISSING);
  let leftG = f64x2.replace_lane(f64x2.splat(0), 1, gradientOf(missing));
  let leftH = f64x2.replace_lane(f64x2.splat(0), 1, hessianOf(missing));
  const totalG = f64x2.splat(gradientOf(total));
  const totalH = f64x2.splat(hessianOf(total));
  const shrink = f64x2.splat(alpha / gradientUnit);
  const unit = f64x2.splat(hessianUnit);
  const penalty = f64x2.splat(lambda);
  const zero = f64x2.splat(0);
  let limit = f64x2.splat(limitFor(parent));
  for (let bin = 0; bin < bins; bin++) {
    const filled = load<i64>(sums + ((<usize>bin) << 3));
    if (filled === 0) continue;
    leftG = f64x2.add(leftG, f64x2.splat(gradientOf(filled)));
    leftH = f64x2.add(leftH, f64x2.splat(hessianOf(filled)));
    const rightG = f64x2.sub(totalG, leftG);
    const rightH = f64x2.sub(totalH, leftH);
    const left = f64x2.max(f64x2.sub(f64x2.abs(leftG), shrink), zero);
    const right = f64x2.max(f64x2.sub(f64x2.abs(rightG), shrink), zero);
    const leftWeight = f64x2.add(f64x2.mul(leftH, unit), penalty);
    const rightWeight = f64x2.add(f64x2.mul(rightH, unit), penalty);
    const scores = f64x2.add(
      f64x2.mul(f64x2.mul(left, left), rightWeight),
      f64x2.mul(f64x2.mul(right, right), leftWeight),
    );
    const beats = f64x2.ge(scores, f64x2.mul(limit, f64x2.mul(leftWeight, rightWeight)));
    if (!v128.any_true(beats)) continue;
    tryBin(place, bin, 0, f64x2.extract_lane(leftG, 0), f64x2.extract_lane(leftH, 0), total, parent);
    if (missing !== 0) {
      tryBin(place, bin, 1, f64x2.extract_lane(leftG, 1), f64x2.extract_lane(leftH, 1), total, parent);
    }
    limit = f64x2.splat(limitFor(parent));
  }
}

/** What both sides' score must reach to beat the best gain, in squared units of the gradient, less some slack. */
function limitFor(parent: f64): f64 {
  return ((bestGain + parent) * SLACK) / (gradientUnit * gradientUnit);
}

/** The exact question: is this the best split so far, and is neither side too light? */
function tryBin(place: i32, bin: i32, missingLeft: i32, leftG: f64, leftH: f64, total: i64, parent: f64): void {
  const rightG = gradientOf(total) - leftG;
  const rightH = hessianOf(total) - leftH;
  const lightest = min(leftH, rightH) * hessianUnit;
  if (lightest <= 0 || lightest < minChildWeight) return;
  const gain = scoreOf(leftG, leftH) + scoreOf(rightG, rightH) - parent;
  if (gain > bestGain) keep(gain, place, bin, missingLeft, leftH);
}

function keep(gain: f64, place: i32, bin: i32, missingLeft: i32, leftHessian: f64): void {
  const coarse = reinterpret<f64>(reinterpret<u64>(gain) & COARSE);
  if (coarse <= bestGain) return;
  bestGain = coarse;
  bestPlace = place;
  bestBin = bin;
  bestMissingLeft = missingLeft;
  bestLeft = leftHessian;
}

/** T(G)² / (H + λ), T shrinking by α (Chen & Guestrin 2016, eq. 6), of sums in units. */
function scoreOf(gradient: f64, hessian: f64): f64 {
  const shrunk = max(abs(gradient * gradientUnit) - alpha, 0.0);
  return (shrunk * shrunk) / (hessian * hessianUnit + lambda);
}

function gradientOf(sum: i64): f64 {
  return <f64>(<i32>(sum >> 32));
}

function hessianOf(sum: i64): f64 {
  return <f64>(<i32>sum);
}

function columnSum(sums: usize): i64 {
  let sum: i64 = 0;
  for (let at: usize = 0; at < COLUMN_BYTES; at += 8) sum += load<i64>(sums + at);
  return sum;
}
