// Split search in WebAssembly: the best column, bin and side for missing values of one histogram.

const COLUMN_BYTES: usize = 2048;
/** A gain counts as larger from a millionth on: rounding of derivatives tells equal splits apart by less. As in ../../gbdt/split.ts. */
const LARGER: f64 = 1 + 1.0 / 1048576.0;
/** Far more than rounding can take from a score, far less than a difference that counts. */
const SLACK: f64 = 1 - 1e-12;
const MISSING: usize = 255 << 3;
/** Kind of a column whose bins are categories. */
const CATEGORY: i32 = 2;

/** The best split so far of the current search; a search begins and ends within one call. */
let bestGain: f64 = 0;
let bestPlace: i32 = -1;
let bestBin: i32 = 0;
let bestMissingLeft: i32 = 0;
let bestLeftGradient: f64 = 0;
let bestLeft: f64 = 0;

/** Rules of the current search. */
let lambda: f64 = 0;
let alpha: f64 = 0;
let minChildWeight: f64 = 0;
let gradientUnit: f64 = 0;
let hessianUnit: f64 = 0;
/** Of columns of categories: added to lambda, and to a category's hessian when categories are ordered. */
let categoryLambda: f64 = 0;
let categorySmoothing: f64 = 0;
/** What leaves below the node may be worth: infinite without monotone columns above it. */
let low: f64 = 0;
let high: f64 = 0;

/**
 * Searches `count` columns, 32-bit numbers at `columns`, whose sums stand one after another, for the split with the largest gain above `gainMin`; of gains that
 * differ by less than a millionth, as rounding may have made of equal ones, the first column and bin win. `rules` holds doubles: lambda, alpha, min child weight, units of gradient and
 * hessian, gainMin, the least and the most that leaves here may be worth, and for columns of categories an additional lambda and the
 * smoothing of their order. `binCounts` and `kinds` hold one 32-bit number per column; a kind is 0, 1 or −1 where the margin
 * must not fall or not rise with the column, 2 where bins are categories. `order` has room for 5 KB.
 *
 * Writes to `out`: gain f64, column i32 (−1: none found), last bin on the left i32, the first filled bin after it i32 (the
 * number of bins where none is), missing left i32, whether the node holds missing values there i32, whether the left side
 * is the heavier i32, sums of gradients and hessians in whole units, f64 each: of the left side, then of the node. Of
 * categories the bins stand in an order of their own, and 256 bits say which of those filled go left, 256 more which right.
 */
export function searchSplit(
  histogram: usize,
  columns: usize,
  count: i32,
  binCounts: usize,
  kinds: usize,
  rules: usize,
  order: usize,
  out: usize,
): void {
  lambda = load<f64>(rules);
  alpha = load<f64>(rules, 8);
  minChildWeight = load<f64>(rules, 16);
  gradientUnit = load<f64>(rules, 24);
  hessianUnit = load<f64>(rules, 32);
  bestGain = load<f64>(rules, 40);
  low = load<f64>(rules, 48);
  high = load<f64>(rules, 56);
  categoryLambda = load<f64>(rules, 64);
  categorySmoothing = load<f64>(rules, 72);
  bestPlace = -1;
  let total: i64 = 0;
  if (count > 0) total = columnSum(histogram);
  const bounded = low > -Infinity || high < Infinity;
  const totalG = gradientOf(total);
  const totalH = hessianOf(total);
  const parent = bounded ? boundedScore(totalG, totalH, leafValue(totalG, totalH)) : scoreOf(totalG, totalH);
  for (let i = 0; i < count; i++) {
    const column = load<u32>(columns + ((<usize>i) << 2));
    const bins = load<i32>(binCounts + (column << 2));
    const kind = load<i32>(kinds + (column << 2));
    const sums = histogram + <usize>i * COLUMN_BYTES;
    if (kind === CATEGORY) searchCategories(sums, i, bins, total, parent, bounded, order);
    else if (kind !== 0 || bounded) searchBounded(sums, i, bins, total, parent, kind);
    else searchColumn(sums, i, bins, total, parent);
  }
  store<f64>(out, bestGain);
  store<f64>(out, totalG, 48);
  store<f64>(out, totalH, 56);
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
  store<i32>(out, bestLeft * 2 > totalH ? 1 : 0, 28);
  store<f64>(out, bestLeftGradient, 32);
  store<f64>(out, bestLeft, 40);
  if (load<i32>(kinds + (bestColumn << 2)) === CATEGORY)
    writeSides(order, orderCategories(sums, bins, order), out + 64);
}

/**
 * Categories in the order of their mean, G / (H + smoothing): the best of all ways to make two sets of them is then a cut through
 * that order (Fisher 1958), which is searched as the bins of numbers are.
 */
function searchCategories(
  sums: usize,
  place: i32,
  bins: i32,
  total: i64,
  parent: f64,
  bounded: bool,
  order: usize,
): void {
  const filled = orderCategories(sums, bins, order);
  const given = lambda;
  lambda += categoryLambda;
  if (bounded) searchBounded(order, place, filled, total, parent, 0);
  else searchColumn(order, place, filled, total, parent);
  lambda = given;
}

/** Bytes into `order`: the sums of the filled bins as a column of their own, their means, their numbers. */
const MEANS: usize = COLUMN_BYTES;
const NUMBERS: usize = 2 * COLUMN_BYTES;

/** Sorts the filled bins by their means, equals by their numbers; returns how many there are. */
function orderCategories(sums: usize, bins: i32, order: usize): i32 {
  store<i64>(order + MISSING, load<i64>(sums + MISSING));
  let filled = 0;
  for (let bin = 0; bin < bins; bin++) {
    const own = load<i64>(sums + ((<usize>bin) << 3));
    if (own === 0) continue;
    const mean = (gradientOf(own) * gradientUnit) / (hessianOf(own) * hessianUnit + categorySmoothing);
    let at = order + ((<usize>filled) << 3);
    let number = order + NUMBERS + ((<usize>filled) << 2);
    while (at > order && load<f64>(at - 8 + MEANS) > mean) {
      store<i64>(at, load<i64>(at - 8));
      store<f64>(at + MEANS, load<f64>(at - 8 + MEANS));
      store<i32>(number, load<i32>(number - 4));
      at -= 8;
      number -= 4;
    }
    store<i64>(at, own);
    store<f64>(at + MEANS, mean);
    store<i32>(number, bin);
    filled++;
  }
  // Bins are searched two at a time: nothing stands beside the last one. The last of all stands beside the missing.
  const end = order + ((<usize>filled) << 3);
  if (end !== order + MISSING) store<i64>(end, 0);
  return filled;
}

/** Bits of the filled bins up to the best one in their order, then of the others. */
function writeSides(order: usize, filled: i32, out: usize): void {
  memory.fill(out, 0, 64);
  for (let i = 0; i < filled; i++) {
    const bin = load<u32>(order + NUMBERS + ((<usize>i) << 2));
    const word = out + (i <= bestBin ? 0 : 32) + ((<usize>(bin >>> 5)) << 2);
    store<u32>(word, load<u32>(word) | ((<u32>1) << (bin & 31)));
  }
}

/**
 * Tries every filled bin of a column as the last one on the left, two bins at a time; where rows miss a value, once with those on the
 * right and once with them on the left. All sums are whole numbers below 2^31 and exact in doubles. That a gain beats the best
 * one is first asked without dividing, with some slack for rounding; few bins get to the exact question.
 */
function searchColumn(sums: usize, place: i32, bins: i32, total: i64, parent: f64): void {
  const missing = load<i64>(sums + MISSING);
  // The second bin of the last two may be that of the missing, which is no bin to cut at.
  store<i64>(sums + MISSING, 0);
  totalG = f64x2.splat(gradientOf(total));
  totalH = f64x2.splat(hessianOf(total));
  shrink = f64x2.splat(alpha / gradientUnit);
  penalty = f64x2.splat(lambda / hessianUnit);
  const missingG = f64x2.splat(gradientOf(missing));
  const missingH = f64x2.splat(hessianOf(missing));
  let limit = f64x2.splat(limitFor(parent));
  let running = i64x2.splat(0);
  for (let bin = 0; bin < bins; bin += 2) {
    const filled = v128.load(sums + ((<usize>bin) << 3));
    if (!v128.any_true(filled)) continue;
    // Lane 0: all bins before and the first one; lane 1: the second one too.
    running = i64x2.add(running, v128.shuffle<i64>(filled, filled, 0, 0));
    running = i64x2.add(running, v128.shuffle<i64>(i64x2.splat(0), filled, 0, 3));
    const leftG = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(running, running, 1, 3, 1, 3));
    const leftH = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(running, running, 0, 2, 0, 2));
    let beats = beatsLimit(leftG, leftH, limit);
    if (missing !== 0) {
      beats = v128.or(beats, beatsLimit(f64x2.add(leftG, missingG), f64x2.add(leftH, missingH), limit));
    }
    if (v128.any_true(beats)) {
      if (i64x2.extract_lane(filled, 0) !== 0) {
        tryBin(place, bin, i64x2.extract_lane(running, 0), missing, total, parent);
      }
      if (i64x2.extract_lane(filled, 1) !== 0) {
        tryBin(place, bin + 1, i64x2.extract_lane(running, 1), missing, total, parent);
      }
      limit = f64x2.splat(limitFor(parent));
    }
    running = v128.shuffle<i64>(running, running, 1, 1);
  }
  store<i64>(sums + MISSING, missing);
}

/** Of the current column, in every lane: sums of the node, α and λ, all in whole units. */
let totalG: v128 = f64x2.splat(0);
let totalH: v128 = f64x2.splat(0);
let shrink: v128 = f64x2.splat(0);
let penalty: v128 = f64x2.splat(0);

/** Whether the scores of both sides, each over its weight, come to the limit; multiplied by both weights. */
function beatsLimit(leftG: v128, leftH: v128, limit: v128): v128 {
  let left = leftG;
  let right = f64x2.sub(totalG, leftG);
  if (alpha !== 0) {
    const zero = f64x2.splat(0);
    left = f64x2.max(f64x2.sub(f64x2.abs(left), shrink), zero);
    right = f64x2.max(f64x2.sub(f64x2.abs(right), shrink), zero);
  }
  const leftWeight = f64x2.add(leftH, penalty);
  const rightWeight = f64x2.add(f64x2.sub(totalH, leftH), penalty);
  const scores = f64x2.add(
    f64x2.mul(f64x2.mul(left, left), rightWeight),
    f64x2.mul(f64x2.mul(right, right), leftWeight),
  );
  return f64x2.ge(scores, f64x2.mul(limit, f64x2.mul(leftWeight, rightWeight)));
}

/** What both sides' scores must come to to beat the best gain, in whole units, less some slack. */
function limitFor(parent: f64): f64 {
  return ((bestGain + parent) * SLACK * hessianUnit) / (gradientUnit * gradientUnit);
}

/** The exact question for a filled bin, with the missing on either side. */
function tryBin(place: i32, bin: i32, left: i64, missing: i64, total: i64, parent: f64): void {
  trySides(place, bin, 0, left, total, parent);
  if (missing !== 0) trySides(place, bin, 1, left + missing, total, parent);
}

/** Is this the best split so far, and is neither side too light? */
function trySides(place: i32, bin: i32, missingLeft: i32, left: i64, total: i64, parent: f64): void {
  const leftG = gradientOf(left);
  const leftH = hessianOf(left);
  const rightG = gradientOf(total) - leftG;
  const rightH = hessianOf(total) - leftH;
  const lightest = min(leftH, rightH) * hessianUnit;
  if (lightest <= 0 || lightest < minChildWeight) return;
  const gain = scoreOf(leftG, leftH) + scoreOf(rightG, rightH) - parent;
  if (gain > bestGain) keep(gain, place, bin, missingLeft, leftG, leftH);
}

/**
 * As {@link searchColumn}, where leaves are bounded or the column is monotone: each side is worth what it may be worth, and a
 * split whose sides stand in the wrong order is none (the "basic" method of LightGBM, which is XGBoost's).
 */
function searchBounded(sums: usize, place: i32, bins: i32, total: i64, parent: f64, kind: i32): void {
  const missing = load<i64>(sums + MISSING);
  let filled: i64 = 0;
  for (let bin = 0; bin < bins; bin++) {
    const own = load<i64>(sums + ((<usize>bin) << 3));
    if (own === 0) continue;
    filled += own;
    // What parts the missing from all others has no direction.
    tryBounded(place, bin, 0, filled, total, parent, filled + missing === total ? 0 : kind);
    if (missing !== 0) tryBounded(place, bin, 1, filled + missing, total, parent, kind);
  }
}

function tryBounded(place: i32, bin: i32, missingLeft: i32, left: i64, total: i64, parent: f64, kind: i32): void {
  const leftG = gradientOf(left);
  const leftH = hessianOf(left);
  const rightG = gradientOf(total) - leftG;
  const rightH = hessianOf(total) - leftH;
  const lightest = min(leftH, rightH) * hessianUnit;
  if (lightest <= 0 || lightest < minChildWeight) return;
  const leftValue = leafValue(leftG, leftH);
  const rightValue = leafValue(rightG, rightH);
  if ((kind === 1 && leftValue > rightValue) || (kind === -1 && leftValue < rightValue)) return;
  const gain = boundedScore(leftG, leftH, leftValue) + boundedScore(rightG, rightH, rightValue) - parent;
  if (gain > bestGain) keep(gain, place, bin, missingLeft, leftG, leftH);
}

function keep(gain: f64, place: i32, bin: i32, missingLeft: i32, leftGradient: f64, leftHessian: f64): void {
  if (gain <= bestGain * LARGER) return;
  bestGain = gain;
  bestPlace = place;
  bestBin = bin;
  bestMissingLeft = missingLeft;
  bestLeftGradient = leftGradient;
  bestLeft = leftHessian;
}

/** T(G)² / (H + λ), T shrinking by α (Chen & Guestrin 2016, eq. 6), of sums in units. */
function scoreOf(gradient: f64, hessian: f64): f64 {
  const shrunk = max(abs(gradient * gradientUnit) - alpha, 0.0);
  return (shrunk * shrunk) / (hessian * hessianUnit + lambda);
}

/** −T(G) / (H + λ) within the bounds, of sums in units: the value of a leaf before the learning rate. */
function leafValue(gradient: f64, hessian: f64): f64 {
  const g = gradient * gradientUnit;
  const shrunk = max(abs(g) - alpha, 0.0);
  const value = shrunk === 0 ? 0.0 : -copysign(shrunk, g) / (hessian * hessianUnit + lambda);
  return min(max(value, low), high);
}

/** The score of a leaf of this value: −(2 G w + (H + λ) w² + 2 α |w|), which is {@link scoreOf} for the best value. */
function boundedScore(gradient: f64, hessian: f64, value: f64): f64 {
  const slope = 2 * (gradient * gradientUnit * value + alpha * abs(value));
  return -(slope + (hessian * hessianUnit + lambda) * value * value);
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
