// Columns in WebAssembly: sorting a column's values, numbering their bins, and the row-major copy.

const MISSING_BIN: u8 = 255;
const DIGIT_BITS: u32 = 11;
const BUCKETS: usize = 2048;
/** Rows transposed together, so that both sides stay in cache. */
const BLOCK_ROWS: i32 = 64;

/** Bits of a float, turned so that their order as unsigned integers is the order of the floats. */
function orderedBits(bits: u32): u32 {
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

/**
 * Sorts the `count` floats at `values` that are not NaN, ascending, by radix. Returns how many there are; they end up at
 * `keys`. `swap` is as long; `counts` has room for 3 × 2,048 numbers of 32 bits.
 */
export function sortPresent(values: usize, count: i32, keys: usize, swap: usize, counts: usize): i32 {
  memory.fill(counts, 0, 3 * BUCKETS * 4);
  let end = swap;
  for (let at = values, last = values + ((<usize>count) << 2); at < last; at += 4) {
    const bits = load<u32>(at);
    if ((bits & 0x7fffffff) > 0x7f800000) continue;
    const key = orderedBits(bits);
    store<u32>(end, key);
    end += 4;
    bump(counts, key & 2047);
    bump(counts + BUCKETS * 4, (key >>> DIGIT_BITS) & 2047);
    bump(counts + BUCKETS * 8, key >>> (2 * DIGIT_BITS));
  }
  const present = end - swap;
  scatter(swap, keys, present, 0, counts);
  scatter(keys, swap, present, DIGIT_BITS, counts + BUCKETS * 4);
  scatter(swap, keys, present, 2 * DIGIT_BITS, counts + BUCKETS * 8);
  for (let at = keys; at < keys + present; at += 4) {
    const key = load<u32>(at);
    store<u32>(at, key ^ (<u32>~(<i32>key >> 31) | 0x80000000));
  }
  return <i32>(present >>> 2);
}

function bump(counts: usize, digit: u32): void {
  const at = counts + ((<usize>digit) << 2);
  store<u32>(at, load<u32>(at) + 1);
}

function scatter(from: usize, to: usize, bytes: usize, shift: u32, counts: usize): void {
  let start = <u32>to;
  for (let bucket: usize = 0; bucket < BUCKETS; bucket++) {
    const size = load<u32>(counts + (bucket << 2));
    store<u32>(counts + (bucket << 2), start);
    start += size << 2;
  }
  for (let at = from; at < from + bytes; at += 4) {
    const key = load<u32>(at);
    const place = counts + ((<usize>((key >>> shift) & 2047)) << 2);
    const target = load<u32>(place);
    store<u32>(target, key);
    store<u32>(place, target + 4);
  }
}

/**
 * Bins of `count` floats: how many of the ascending `thresholds` are at most the value; 255 where it is NaN. `starts` has
 * room for 65,536 bytes: by a float's upper 16 bits, where the search begins. Returns the last place of an infinite value, −1
 * where all are finite or missing.
 */
export function binColumn(
  values: usize,
  count: i32,
  thresholds: usize,
  thresholdCount: i32,
  starts: usize,
  out: usize,
): i32 {
  let infinite = -1;
  fillStarts(thresholds, thresholdCount, starts);
  for (let r: usize = 0; r < <usize>count; r++) {
    const bits = load<u32>(values + (r << 2));
    if ((bits & 0x7fffffff) >= 0x7f800000) {
      if ((bits & 0x7fffffff) === 0x7f800000) infinite = <i32>r;
      store<u8>(out + r, MISSING_BIN);
      continue;
    }
    const value = reinterpret<f32>(bits);
    let bin = <i32>load<u8>(starts + (orderedBits(bits) >>> 16));
    while (bin < thresholdCount && load<f32>(thresholds + ((<usize>bin) << 2)) <= value) bin++;
    store<u8>(out + r, <u8>bin);
  }
  return infinite;
}

/** By upper 16 bits, how many thresholds are below all floats with those bits. */
function fillStarts(thresholds: usize, thresholdCount: i32, starts: usize): void {
  let from: u32 = 0;
  for (let bin = 0; bin < thresholdCount; bin++) {
    const upper = orderedBits(load<u32>(thresholds + ((<usize>bin) << 2))) >>> 16;
    // Thresholds may share their upper bits: the first of them stands.
    if (upper < from) continue;
    memory.fill(starts + from, <u8>bin, upper + 1 - from);
    from = upper + 1;
  }
  memory.fill(starts + from, <u8>thresholdCount, 65536 - from);
}

/** Column-major bins of rows [from, to) to row-major ones, `stride` bytes per row. */
export function transpose(
  from: i32,
  to: i32,
  columnMajor: usize,
  rowCount: i32,
  columns: i32,
  rowMajor: usize,
  stride: i32,
): void {
  for (let start = from; start < to; start += BLOCK_ROWS) {
    const end = min(to, start + BLOCK_ROWS);
    for (let column = 0; column < columns; column++) {
      const source = columnMajor + <usize>column * rowCount;
      let target = rowMajor + <usize>start * stride + column;
      for (let r = start; r < end; r++, target += stride) store<u8>(target, load<u8>(source + r));
    }
  }
}
