// Rows in WebAssembly: derivatives of the log-loss, their packing, partition, leaf sums and updates, one row after another.

/** Rows whose sums stand together, and bytes of their four sums. */
const BLOCK_ROWS: i32 = 4096;
const SUMS_BYTES: usize = 32;
/** The bin of missing values. */
const MISSING_BIN: i32 = 255;
/** As in XGBoost: keeps leaves finite where the model is certain. */
const HESSIAN_MIN: f64 = 1e-16;
/** A product of likelihoods is turned into a logarithm before it can underflow (one factor is at least 1e-16). */
const PRODUCT_MIN: f64 = 1e-280;
const LIKELIHOOD_MIN: f64 = 1e-16;
/** Odds stay finite and above 0: margins within ±667, far beyond any certainty a double can tell from 1. */
const ODDS_MIN: f64 = 1e-290;
const ODDS_MAX: f64 = 1e290;
/** In memory, each twice: the compiler at run time makes a constant of two lanes again, in three steps, each time it is needed. */
const LIMITS = memory.data<f64>([
  HESSIAN_MIN,
  HESSIAN_MIN,
  LIKELIHOOD_MIN,
  LIKELIHOOD_MIN,
  PRODUCT_MIN,
  PRODUCT_MIN,
  ODDS_MIN,
  ODDS_MIN,
  ODDS_MAX,
  ODDS_MAX,
]);
/** Golden ratio of 2^32: multiples of it, modulo 2^32, spread evenly (Weyl sequence). */
const GOLDEN: u32 = 0x9e3779b9;

/**
 * Odds of rows [from, to) times the factors of the leaves they are in (u16 per row at `leaves`, f64 per leaf at `factors`), and from
 * them first and second derivative, stored at `pairs` as two Float32 per row: hessian, gradient, those of genuine rows times
 * `unit`, of frauds times `unitPositive`. For each block of rows that begins in the range it writes four doubles to `blocks`:
 * the loss, the sum of hessians, of absolute gradients, of weights (`weights` 0: all 1). Ranges begin with a block; one that
 * ends on an odd row is the last of all, since the cells after it are written too.
 */
export function derive(
  from: i32,
  to: i32,
  odds: usize,
  leaves: usize,
  factors: usize,
  labels: usize,
  weights: usize,
  pairs: usize,
  unit: f64,
  unitPositive: f64,
  blocks: usize,
): void {
  for (let start = from; start < to; start += BLOCK_ROWS) {
    const end = min(to, start + BLOCK_ROWS);
    const sums = blocks + <usize>(start / BLOCK_ROWS) * SUMS_BYTES;
    deriveBlock(start, end, odds, leaves, factors, labels, weights, pairs, unit, unitPositive, sums);
  }
}

/** Two rows at a time. The cells after an odd last row stand in for a neighbour: genuine, and of certainty. */
function deriveBlock(
  from: i32,
  to: i32,
  odds: usize,
  leaves: usize,
  factors: usize,
  labels: usize,
  weights: usize,
  pairs: usize,
  unit: f64,
  unitPositive: f64,
  sums: usize,
): void {
  const one = f64x2.splat(1);
  const units = f64x2.splat(unit);
  const unitsPositive = f64x2.splat(unitPositive);
  let loss: f64 = 0;
  let product = one;
  let hessians = f64x2.splat(0);
  let gradients = hessians;
  let weightSums = hessians;
  for (let r = <usize>from; r < <usize>to; r += 2) {
    const place = odds + (r << 3);
    const leaf = leaves + (r << 1);
    let factor = v128.load64_zero(factors + ((<usize>load<u16>(leaf)) << 3));
    factor = v128.load64_lane(factors + ((<usize>load<u16>(leaf, 2)) << 3), factor, 1);
    const o = within(f64x2.mul(v128.load(place), factor));
    v128.store(place, o);
    const two = i16x8.extend_low_i8x16_u(v128.load16_splat(labels + r));
    const positive = i64x2.neg(i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(two)));
    const genuine = f64x2.div(one, f64x2.add(one, o));
    const fraud = f64x2.mul(o, genuine);
    const likelihood = f64x2.pmax(v128.bitselect(fraud, genuine, positive), v128.load(LIMITS, 16));
    let weight = v128.bitselect(unitsPositive, units, positive);
    if (weights === 0) {
      product = f64x2.mul(product, likelihood);
      if (v128.any_true(f64x2.lt(product, v128.load(LIMITS, 32)))) {
        loss -= logOf(product);
        product = one;
      }
    } else {
      const given = f64x2.promote_low_f32x4(v128.load64_zero(weights + (r << 2)));
      loss -= f64x2.extract_lane(given, 0) * Math.log(f64x2.extract_lane(likelihood, 0));
      loss -= f64x2.extract_lane(given, 1) * Math.log(f64x2.extract_lane(likelihood, 1));
      weightSums = f64x2.add(weightSums, given);
      weight = f64x2.mul(weight, given);
    }
    const hessian = f64x2.mul(f64x2.pmax(f64x2.mul(fraud, genuine), v128.load(LIMITS)), weight);
    const gradient = f64x2.mul(v128.bitselect(f64x2.neg(genuine), fraud, positive), weight);
    hessians = f64x2.add(hessians, hessian);
    gradients = f64x2.add(gradients, f64x2.abs(gradient));
    const narrow = v128.shuffle<i32>(f32x4.demote_f64x2_zero(hessian), f32x4.demote_f64x2_zero(gradient), 0, 4, 1, 5);
    v128.store(pairs + (r << 3), narrow);
  }
  // What stands in for a neighbour stays certain, whatever the factor of its leaf.
  if (((to - from) & 1) !== 0) store<f64>(odds + ((<usize>to) << 3), 0);
  store<f64>(sums, loss - logOf(product));
  store<f64>(sums, sumOf(hessians), 8);
  store<f64>(sums, sumOf(gradients), 16);
  store<f64>(sums, weights === 0 ? <f64>(to - from) : sumOf(weightSums), 24);
}

function within(odds: v128): v128 {
  return f64x2.pmin(f64x2.pmax(odds, v128.load(LIMITS, 48)), v128.load(LIMITS, 64));
}

function logOf(product: v128): f64 {
  return Math.log(f64x2.extract_lane(product, 0)) + Math.log(f64x2.extract_lane(product, 1));
}

function sumOf(lanes: v128): f64 {
  return f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1);
}

/** As {@link derive}, but of each block writes the summed log-loss only. */
export function lossOf(
  from: i32,
  to: i32,
  odds: usize,
  leaves: usize,
  factors: usize,
  labels: usize,
  blocks: usize,
): void {
  for (let start = from; start < to; start += BLOCK_ROWS) {
    const loss = lossOfBlock(start, min(to, start + BLOCK_ROWS), odds, leaves, factors, labels);
    store<f64>(blocks + <usize>(start / BLOCK_ROWS) * SUMS_BYTES, loss);
  }
}

function lossOfBlock(from: i32, to: i32, odds: usize, leaves: usize, factors: usize, labels: usize): f64 {
  let loss: f64 = 0;
  let product: f64 = 1;
  for (let r = <usize>from; r < <usize>to; r++) {
    const place = odds + (r << 3);
    const factor = load<f64>(factors + ((<usize>load<u16>(leaves + (r << 1))) << 3));
    const o = min(max(load<f64>(place) * factor, ODDS_MIN), ODDS_MAX);
    store<f64>(place, o);
    const genuine = 1 / (1 + o);
    product *= max(load<u8>(labels + r) !== 0 ? o * genuine : genuine, LIKELIHOOD_MIN);
    if (product < PRODUCT_MIN) {
      loss -= Math.log(product);
      product = 1;
    }
  }
  return loss - Math.log(product);
}

/**
 * Packs both derivatives of rows [from, to), where they stand at `pairs`, into one 64-bit word each: the gradient's integer above
 * the hessian's. The hessian's never reaches 2^31, so that sums of words are sums of both. Rounding is dithered, because a rare
 * class has many nearly equal, tiny gradients, whose rounding errors would all point one way.
 */
export function pack(from: i32, to: i32, pairs: usize, hessianScale: f32, gradientScale: f32, dither: u32): void {
  const scales = scalesOf(hessianScale, gradientScale);
  const step = i32x4.splat(2 * GOLDEN);
  let shifts = i32x4.splat(dither + <u32>from * GOLDEN);
  shifts = i32x4.add(shifts, v128.shuffle<i32>(i32x4.splat(0), i32x4.splat(GOLDEN), 0, 1, 4, 5));
  const end = pairs + ((<usize>to) << 3);
  let at = pairs + ((<usize>from) << 3);
  for (; at + 16 <= end; at += 16) {
    v128.store(at, packed(v128.load(at), scales, shifts));
    shifts = i32x4.add(shifts, step);
  }
  if (at < end) v128.store64_lane(at, packed(v128.load64_zero(at), scales, shifts), 0);
}

/** As {@link pack}, for the rows listed. */
export function packList(
  list: usize,
  count: i32,
  pairs: usize,
  hessianScale: f32,
  gradientScale: f32,
  dither: u32,
): void {
  const scales = scalesOf(hessianScale, gradientScale);
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const place = pairs + ((<usize>row) << 3);
    v128.store64_lane(place, packed(v128.load64_zero(place), scales, i32x4.splat(dither + row * GOLDEN)), 0);
  }
}

function scalesOf(hessianScale: f32, gradientScale: f32): v128 {
  return v128.shuffle<i32>(f32x4.splat(hessianScale), f32x4.splat(gradientScale), 0, 4, 0, 4);
}

/** Two rows' derivatives as integers, rounded to the nearest after a shift of at most half a unit. Small enough to be inlined. */
function packed(pairs: v128, scales: v128, shifts: v128): v128 {
  const shift = f32x4.mul(f32x4.convert_i32x4_s(shifts), f32x4.splat(1.0 / 4294967296.0));
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.add(f32x4.mul(pairs, scales), shift)));
}

/**
 * The rows listed at `list` whose bin is at most `splitBin` (missing ones as `missingLeft` says) come first, both sides
 * keeping their order. Returns how many those are. `column` holds one bin per row; `scratch` is as long as the list.
 */
export function partition(
  list: usize,
  count: i32,
  column: usize,
  splitBin: i32,
  missingLeft: i32,
  scratch: usize,
): i32 {
  // The missing bin is the largest, so "missing left" shifts it below all others. What decides is arithmetic, not a
  // branch, which would be guessed wrong half the time. Both sides have had as many rows as were looked at.
  const limit = splitBin + missingLeft;
  let left = list;
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const bin = (<i32>load<u8>(column + row) + missingLeft) & MISSING_BIN;
    store<u32>(left, row);
    store<u32>(scratch + at - left, row);
    left += (<usize>(bin <= limit)) << 2;
  }
  const goLeft = left - list;
  memory.copy(left, scratch, ((<usize>count) << 2) - goLeft);
  return <i32>(goLeft >>> 2);
}

/** As {@link partition} for bins that are categories: those whose bit is 1 in the 256 at `bits` go left. */
export function partitionSet(list: usize, count: i32, column: usize, bits: usize, scratch: usize): i32 {
  let left = list;
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const bin = <u32>load<u8>(column + row);
    store<u32>(left, row);
    store<u32>(scratch + at - left, row);
    left += ((load<u32>(bits + ((bin >>> 5) << 2)) >>> (bin & 31)) & 1) << 2;
  }
  const goLeft = left - list;
  memory.copy(left, scratch, ((<usize>count) << 2) - goLeft);
  return <i32>(goLeft >>> 2);
}

/** Lists the rows [from, from + count). */
export function listRows(list: usize, from: i32, count: i32): void {
  for (let i = 0; i < count; i++) store<i32>(list + ((<usize>i) << 2), from + i);
}

/** Notes that listed rows are in a leaf. */
export function markLeaf(list: usize, count: i32, leaves: usize, leaf: i32): void {
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    store<u16>(leaves + ((<usize>load<u32>(at)) << 1), <u16>leaf);
  }
}

/**
 * Notes of listed rows that they are in leaf `left` or `right`: on the side of a split, told as {@link partition} does, that each goes to.
 * Where both sides are leaves, no row need be moved.
 */
export function markSides(
  list: usize,
  count: i32,
  column: usize,
  splitBin: i32,
  missingLeft: i32,
  leaves: usize,
  left: i32,
  right: i32,
): void {
  const limit = splitBin + missingLeft;
  const between = right - left;
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const bin = (<i32>load<u8>(column + row) + missingLeft) & MISSING_BIN;
    store<u16>(leaves + ((<usize>row) << 1), <u16>(left + (((limit - bin) >> 31) & between)));
  }
}
