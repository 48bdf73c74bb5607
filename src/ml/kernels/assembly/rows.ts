// Rows in WebAssembly: derivatives of the log-loss, their packing, partition, leaf sums and updates, one row after another.

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
/** 1.5 × 2^52: added to a double of at most 51 bits, it leaves a whole number. */
const ROUNDER: f64 = 6755399441055744.0;
/** Golden ratio of 2^32: multiples of it, modulo 2^32, spread evenly (Weyl sequence). */
const GOLDEN: u32 = 0x9e3779b9;

/**
 * First and second derivative of rows [from, to) from their odds, stored as pairs of doubles: hessian, gradient. Writes to
 * `sums`, as doubles: the loss, the sum of hessians, the sum of absolute gradients, the sum of weights (`weights` 0: all 1).
 */
export function derive(
  from: i32,
  to: i32,
  odds: usize,
  labels: usize,
  weights: usize,
  pairs: usize,
  scalePositive: f64,
  sums: usize,
): void {
  let loss: f64 = 0;
  let product: f64 = 1;
  let hessians: f64 = 0;
  let gradients: f64 = 0;
  let weightSum: f64 = 0;
  for (let r = <usize>from; r < <usize>to; r++) {
    const o = load<f64>(odds + (r << 3));
    const genuine = 1 / (1 + o);
    const fraud = o * genuine;
    const positive = load<u8>(labels + r) !== 0;
    const given = weights === 0 ? 1.0 : <f64>load<f32>(weights + (r << 2));
    const weight = positive ? scalePositive * given : given;
    const hessian = max(fraud * genuine, HESSIAN_MIN) * weight;
    const gradient = (positive ? -genuine : fraud) * weight;
    store<f64>(pairs + (r << 4), hessian);
    store<f64>(pairs + (r << 4), gradient, 8);
    hessians += hessian;
    gradients += abs(gradient);
    const likelihood = max(positive ? fraud : genuine, LIKELIHOOD_MIN);
    if (weights !== 0) {
      loss -= given * Math.log(likelihood);
      weightSum += given;
      continue;
    }
    product *= likelihood;
    if (product < PRODUCT_MIN) {
      loss -= Math.log(product);
      product = 1;
    }
  }
  store<f64>(sums, loss - Math.log(product));
  store<f64>(sums, hessians, 8);
  store<f64>(sums, gradients, 16);
  store<f64>(sums, weights === 0 ? <f64>(to - from) : weightSum, 24);
}

/** Summed log-loss of rows [from, to); no derivatives. */
export function lossOf(from: i32, to: i32, odds: usize, labels: usize): f64 {
  let loss: f64 = 0;
  let product: f64 = 1;
  for (let r = <usize>from; r < <usize>to; r++) {
    const o = load<f64>(odds + (r << 3));
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
 * Packs both derivatives of rows [from, to) into one 64-bit word each: the gradient's integer above the hessian's. The
 * hessian's never reaches 2^31, so that sums of words are sums of both. Rounding is dithered, because a rare class has many
 * nearly equal, tiny gradients, whose rounding errors would all point one way.
 */
export function pack(
  from: i32,
  to: i32,
  pairs: usize,
  packed: usize,
  hessianScale: f64,
  gradientScale: f64,
  dither: u32,
): void {
  const scales = f64x2.replace_lane(f64x2.splat(hessianScale), 1, gradientScale);
  for (let r = from; r < to; r++) packRow(r, pairs, packed, scales, dither);
}

/** As {@link pack}, for the rows listed. */
export function packList(
  list: usize,
  count: i32,
  pairs: usize,
  packed: usize,
  hessianScale: f64,
  gradientScale: f64,
  dither: u32,
): void {
  const scales = f64x2.replace_lane(f64x2.splat(hessianScale), 1, gradientScale);
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    packRow(load<i32>(at), pairs, packed, scales, dither);
  }
}

/** Small enough for the compiler to put it into both loops. */
function packRow(r: i32, pairs: usize, packed: usize, scales: v128, dither: u32): void {
  const shift = <f64>(<i32>(dither + <u32>r * GOLDEN)) * (1.0 / 4294967296.0);
  const scaled = f64x2.add(f64x2.mul(v128.load(pairs + ((<usize>r) << 4)), scales), f64x2.splat(shift));
  // Rounded to whole numbers, whose 32 bits are then the lowest of each double.
  const whole = f64x2.add(scaled, f64x2.splat(ROUNDER));
  v128.store64_lane(packed + ((<usize>r) << 3), v128.shuffle<i32>(whole, whole, 0, 2, 0, 2), 0);
}

/**
 * The rows listed at `list` whose bin is at most `splitBin` (missing ones as `missingLeft` says) come first, both sides
 * keeping their order. Returns how many those are. `column` holds one bin a row; `scratch` is as long as the list.
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
  // branch, which would be guessed wrong half the time: the sign bit of limit − bin is 1 for the right side.
  const limit = splitBin + missingLeft;
  let left = list;
  let right = scratch;
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const bin = (<i32>load<u8>(column + row) + missingLeft) & MISSING_BIN;
    const goesRight = (<u32>(limit - bin) >>> 31) << 2;
    store<u32>(left, row);
    store<u32>(right, row);
    left += 4 - goesRight;
    right += goesRight;
  }
  memory.copy(left, scratch, right - scratch);
  return <i32>((left - list) >>> 2);
}

/** As {@link partition} for bins that are categories: those whose bit is 1 in the 256 at `bits` go left. */
export function partitionSet(list: usize, count: i32, column: usize, bits: usize, scratch: usize): i32 {
  let left = list;
  let right = scratch;
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const row = load<u32>(at);
    const bin = <u32>load<u8>(column + row);
    const goesLeft = ((load<u32>(bits + ((bin >>> 5) << 2)) >>> (bin & 31)) & 1) << 2;
    store<u32>(left, row);
    store<u32>(right, row);
    left += goesLeft;
    right += 4 - goesLeft;
  }
  memory.copy(left, scratch, right - scratch);
  return <i32>((left - list) >>> 2);
}

/**
 * Sums of both derivatives over listed rows, written to `out` in units of the scales. Each is rounded to a whole number of
 * units first (by adding and taking away 1.5 × 2^52), so that the sums are exact and their order is no matter.
 */
export function sumLeaf(
  list: usize,
  count: i32,
  pairs: usize,
  hessianScale: f64,
  gradientScale: f64,
  out: usize,
): void {
  const scales = f64x2.replace_lane(f64x2.splat(hessianScale), 1, gradientScale);
  const rounder = f64x2.splat(ROUNDER);
  let sums = f64x2.splat(0);
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const scaled = f64x2.mul(v128.load(pairs + ((<usize>load<u32>(at)) << 4)), scales);
    sums = f64x2.add(sums, f64x2.sub(f64x2.add(scaled, rounder), rounder));
  }
  v128.store(out, sums);
}

/** Lists the rows [from, from + count). */
export function listRows(list: usize, from: i32, count: i32): void {
  for (let i = 0; i < count; i++) store<i32>(list + ((<usize>i) << 2), from + i);
}

/** Multiplies the odds of listed rows: what adding to their margins is. */
export function scaleOdds(list: usize, count: i32, odds: usize, factor: f64): void {
  for (let at = list, end = list + ((<usize>count) << 2); at < end; at += 4) {
    const place = odds + ((<usize>load<u32>(at)) << 3);
    store<f64>(place, min(max(load<f64>(place) * factor, ODDS_MIN), ODDS_MAX));
  }
}
