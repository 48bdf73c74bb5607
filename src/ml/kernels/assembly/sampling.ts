// Sampling in WebAssembly: which rows a tree sees, drawn block by block, so that threads draw what one thread would.

/** Bits of a gradient's size that tell sizes apart: all of a Float32's exponent and 7 of its digits. */
const SIZE_SHIFT: u32 = 16;

/** State of the current generator; a block begins and ends within one call. */
let a: u32 = 0;
let b: u32 = 0;
let c: u32 = 0;
let d: u32 = 0;
let splitState: u32 = 0;

/**
 * Draws among rows [from, to): each is kept with probability limit / 2^32, row `always` in any case. Numbers of those kept are
 * written to `kept`, of the others to `leftOut`, both ascending. Returns how many are kept.
 */
export function drawRows(from: i32, to: i32, seed: u32, limit: f64, always: i32, kept: usize, leftOut: usize): i32 {
  startDraws(seed);
  const first = kept;
  for (let row = from; row < to; row++) {
    const keeps = (<usize>(<f64>nextBits() < limit) | <usize>(row === always)) << 2;
    store<i32>(kept, row);
    store<i32>(leftOut, row);
    kept += keeps;
    leftOut += 4 - keeps;
  }
  return <i32>((kept - first) >>> 2);
}

/** Counts rows [from, to) by the size of their gradient; `counts` has room for 32,768 numbers of 32 bits. */
export function countSizes(from: i32, to: i32, pairs: usize, counts: usize): void {
  for (let row = from; row < to; row++) {
    const at = counts + ((<usize>sizeOf(load<f32>(pairs + ((<usize>row) << 3), 4))) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
}

/**
 * As {@link drawRows}, but rows whose gradient is larger than those counted at `cut` are all kept, and both derivatives of the
 * others that are drawn are multiplied by `amplify`. Writes to `sums`, as doubles: (unused), the sum of hessians kept, of
 * absolute gradients kept.
 */
export function drawBySize(
  from: i32,
  to: i32,
  seed: u32,
  limit: f64,
  cut: i32,
  amplify: f32,
  pairs: usize,
  kept: usize,
  leftOut: usize,
  sums: usize,
): i32 {
  startDraws(seed);
  const first = kept;
  let hessians: f64 = 0;
  let gradients: f64 = 0;
  for (let row = from; row < to; row++) {
    const pair = pairs + ((<usize>row) << 3);
    let hessian = load<f32>(pair);
    let gradient = load<f32>(pair, 4);
    const large: bool = <i32>sizeOf(gradient) > cut;
    const drawn: bool = <f64>nextBits() < limit;
    if (!large && drawn) {
      hessian *= amplify;
      gradient *= amplify;
      store<f32>(pair, hessian);
      store<f32>(pair, gradient, 4);
    }
    const isKept = <i32>large | <i32>drawn;
    hessians += <f64>hessian * <f64>isKept;
    gradients += <f64>abs(gradient) * <f64>isKept;
    const keeps = <usize>(isKept << 2);
    store<i32>(kept, row);
    store<i32>(leftOut, row);
    kept += keeps;
    leftOut += 4 - keeps;
  }
  store<f64>(sums, hessians, 8);
  store<f64>(sums, gradients, 16);
  return <i32>((kept - first) >>> 2);
}

function sizeOf(gradient: f32): u32 {
  return reinterpret<u32>(abs(gradient)) >>> SIZE_SHIFT;
}

/** As a `Random` (core/random.ts) made from this 32-bit seed: xoshiro128**, seeded by splitmix32. */
function startDraws(seed: u32): void {
  splitState = seed ^ 0x9e3779b9;
  a = split();
  b = split();
  c = split();
  d = split() | 1;
}

function split(): u32 {
  splitState += 0x9e3779b9;
  let z = splitState;
  z = (z ^ (z >>> 16)) * 0x85ebca6b;
  z = (z ^ (z >>> 13)) * 0xc2b2ae35;
  return z ^ (z >>> 16);
}

function nextBits(): u32 {
  const result = rotl<u32>(b * 5, 7) * 9;
  const t = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= t;
  d = rotl<u32>(d, 11);
  return result;
}
