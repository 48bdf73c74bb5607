// Sorts a column of Float32 values for binning: radix sort over their bits, several times faster than comparing.

const DIGIT_BITS = 11;
const DIGITS = 3;
const BUCKETS = 1 << DIGIT_BITS;

/** Work space for columns of up to `rows` values, so that one allocation serves every column. */
export interface SortSpace {
  readonly keys: Uint32Array;
  readonly swap: Uint32Array;
  readonly counts: Uint32Array;
}

export function makeSortSpace(rows: number): SortSpace {
  return {
    keys: new Uint32Array(rows),
    swap: new Uint32Array(rows),
    counts: new Uint32Array(DIGITS * BUCKETS),
  };
}

/** The values that are not NaN, ascending. The result lives in `space` and is valid until the next call. */
export function sortPresent(values: Float32Array, space: SortSpace): Float32Array {
  const count = fillKeys(values, space);
  let from = space.keys;
  let to = space.swap;
  for (let digit = 0; digit < DIGITS; digit++) {
    scatter(from.subarray(0, count), to, { digit, counts: space.counts });
    [from, to] = [to, from];
  }
  const sorted = from.subarray(0, count);
  for (let i = 0; i < count; i++) sorted[i] ^= sorted[i] >>> 31 ? 0x80000000 : 0xffffffff;
  return new Float32Array(sorted.buffer, sorted.byteOffset, count);
}

/** Bits of a float, turned so that their order as unsigned integers is the order of the floats. */
export function orderedBits(bits: number): number {
  return (bits >>> 31 ? ~bits : bits ^ 0x80000000) >>> 0;
}

/** Collects the keys of the values present and counts all their digits. */
function fillKeys(values: Float32Array, space: SortSpace): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const { keys, counts } = space;
  counts.fill(0);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    const key = orderedBits(bits[i]);
    keys[count++] = key;
    counts[key & (BUCKETS - 1)]++;
    counts[BUCKETS + ((key >>> DIGIT_BITS) & (BUCKETS - 1))]++;
    counts[2 * BUCKETS + (key >>> (2 * DIGIT_BITS))]++;
  }
  return count;
}

function scatter(
  from: Uint32Array,
  to: Uint32Array,
  options: { readonly digit: number; readonly counts: Uint32Array },
): void {
  const shift = options.digit * DIGIT_BITS;
  const next = options.counts.subarray(options.digit * BUCKETS, (options.digit + 1) * BUCKETS);
  let start = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const size = next[bucket];
    next[bucket] = start;
    start += size;
  }
  for (let i = 0; i < from.length; i++) {
    const key = from[i];
    to[next[(key >>> shift) & (BUCKETS - 1)]++] = key;
  }
}
