// Histograms in WebAssembly: the packed derivatives of rows, summed by column and bin.

/** One column's histogram: 256 sums of 64 bits. */
const COLUMN_BYTES: usize = 2048;
/** Scattered rows are laid side by side so many at a time; rows and the sums of eight columns then fit the caches. */
const CHUNK_ROWS: i32 = 1024;

/**
 * Adds the rows listed (`count` of them, 32-bit numbers at `list`; none listed, `list` 0, means the first `count`) to a
 * histogram of `columns` columns: those whose 32-bit numbers are at `chosen`, or the first ones where `chosen` is 0. Row r's
 * bins begin at `bins + r * stride`, its packed derivatives are at `packed + 8 r`. `buffer` has room for 1,024 rows:
 * 8 + stride bytes each.
 */
export function addRows(
  histogram: usize,
  list: usize,
  count: i32,
  bins: usize,
  packed: usize,
  stride: i32,
  columns: i32,
  chosen: usize,
  buffer: usize,
): void {
  for (let start = 0; start < count; start += CHUNK_ROWS) {
    const rows = min(CHUNK_ROWS, count - start);
    let from = bins + <usize>start * stride;
    let values = packed + ((<usize>start) << 3);
    if (list !== 0) {
      gather(buffer, list + ((<usize>start) << 2), rows, bins, packed, stride);
      from = buffer + ((<usize>CHUNK_ROWS) << 3);
      values = buffer;
    }
    if (chosen === 0) addChunk(histogram, from, values, rows, stride, columns);
    else addChosen(histogram, from, values, rows, stride, columns, chosen);
  }
}

/** Turns a parent's histogram into the second child's by taking the first child's away; exact. Two sums at a time. */
export function subtract(parent: usize, child: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(parent + at, i64x2.sub(v128.load(parent + at), v128.load(child + at)));
  }
}

/** Adds one histogram to another: the parts that different threads summed. */
export function add(to: usize, from: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(to + at, i64x2.add(v128.load(to + at), v128.load(from + at)));
  }
}

export function clear(at: usize, bytes: usize): void {
  memory.fill(at, 0, bytes);
}

/**
 * Copies listed rows side by side: their derivatives, then their bins in strips of 32, 16 and 8 bytes. A loop for each, as short as can be, keeps
 * many rows' cache misses under way at once: two to three times as fast as one loop for all.
 */
function gather(buffer: usize, list: usize, count: i32, bins: usize, packed: usize, stride: usize): void {
  const end = list + ((<usize>count) << 2);
  let to = buffer;
  for (let at = list; at < end; at += 4, to += 8) store<i64>(to, load<i64>(packed + ((<usize>load<u32>(at)) << 3)));
  let strip: usize = 0;
  for (; strip + 32 <= stride; strip += 32) copyStrips(buffer, list, end, bins, stride, strip);
  const start = buffer + ((<usize>CHUNK_ROWS) << 3);
  if ((stride & 16) !== 0) {
    to = start + strip;
    for (let at = list; at < end; at += 4, to += stride) {
      v128.store(to, v128.load(bins + strip + <usize>load<u32>(at) * stride));
    }
    strip += 16;
  }
  if ((stride & 8) === 0) return;
  to = start + strip;
  for (let at = list; at < end; at += 4, to += stride) {
    store<u64>(to, load<u64>(bins + strip + <usize>load<u32>(at) * stride));
  }
}

/** 32 bytes of each row. */
function copyStrips(buffer: usize, list: usize, end: usize, bins: usize, stride: usize, strip: usize): void {
  let to = buffer + ((<usize>CHUNK_ROWS) << 3) + strip;
  for (let at = list; at < end; at += 4, to += stride) {
    const from = bins + strip + <usize>load<u32>(at) * stride;
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
  }
}

/** Column groups outside, rows inside: the sums of eight columns stay in the first-level cache. */
function addChunk(histogram: usize, bins: usize, packed: usize, count: i32, stride: usize, columns: i32): void {
  let column: i32 = 0;
  for (; column + 8 <= columns; column += 8) {
    addEight(histogram + <usize>column * COLUMN_BYTES, bins + column, packed, count, stride);
  }
  if (column + 4 <= columns) {
    addFour(histogram + <usize>column * COLUMN_BYTES, bins + column, packed, count, stride);
    column += 4;
  }
  if (column + 2 <= columns) {
    addTwo(histogram + <usize>column * COLUMN_BYTES, bins + column, packed, count, stride);
    column += 2;
  }
  if (column < columns) addOne(histogram + <usize>column * COLUMN_BYTES, bins + column, packed, count, stride);
}

/** As {@link addChunk} for columns that stand apart. */
function addChosen(
  histogram: usize,
  bins: usize,
  packed: usize,
  count: i32,
  stride: usize,
  columns: i32,
  chosen: usize,
): void {
  let column: i32 = 0;
  for (; column + 8 <= columns; column += 8, chosen += 32) {
    addEightOf(histogram + <usize>column * COLUMN_BYTES, bins, packed, count, stride, chosen);
  }
  for (; column + 4 <= columns; column += 4, chosen += 16) {
    addFourOf(histogram + <usize>column * COLUMN_BYTES, bins, packed, count, stride, chosen);
  }
  for (; column < columns; column++, chosen += 4) {
    addOne(histogram + <usize>column * COLUMN_BYTES, bins + load<u32>(chosen), packed, count, stride);
  }
}

function addEightOf(sums: usize, bins: usize, packed: usize, count: i32, stride: usize, chosen: usize): void {
  let first = bins + load<u32>(chosen);
  const second = load<u32>(chosen, 4) - load<u32>(chosen);
  const third = load<u32>(chosen, 8) - load<u32>(chosen);
  const fourth = load<u32>(chosen, 12) - load<u32>(chosen);
  const fifth = load<u32>(chosen, 16) - load<u32>(chosen);
  const sixth = load<u32>(chosen, 20) - load<u32>(chosen);
  const seventh = load<u32>(chosen, 24) - load<u32>(chosen);
  const eighth = load<u32>(chosen, 28) - load<u32>(chosen);
  for (const end = packed + ((<usize>count) << 3); packed < end; packed += 8, first += stride) {
    const value = load<i64>(packed);
    let at = sums + ((<usize>load<u8>(first)) << 3);
    store<i64>(at, load<i64>(at) + value);
    at = sums + ((<usize>load<u8>(first + second)) << 3);
    store<i64>(at, load<i64>(at, 2048) + value, 2048);
    at = sums + ((<usize>load<u8>(first + third)) << 3);
    store<i64>(at, load<i64>(at, 4096) + value, 4096);
    at = sums + ((<usize>load<u8>(first + fourth)) << 3);
    store<i64>(at, load<i64>(at, 6144) + value, 6144);
    at = sums + ((<usize>load<u8>(first + fifth)) << 3);
    store<i64>(at, load<i64>(at, 8192) + value, 8192);
    at = sums + ((<usize>load<u8>(first + sixth)) << 3);
    store<i64>(at, load<i64>(at, 10240) + value, 10240);
    at = sums + ((<usize>load<u8>(first + seventh)) << 3);
    store<i64>(at, load<i64>(at, 12288) + value, 12288);
    at = sums + ((<usize>load<u8>(first + eighth)) << 3);
    store<i64>(at, load<i64>(at, 14336) + value, 14336);
  }
}

function addFourOf(sums: usize, bins: usize, packed: usize, count: i32, stride: usize, chosen: usize): void {
  let first = bins + load<u32>(chosen);
  const second = load<u32>(chosen, 4) - load<u32>(chosen);
  const third = load<u32>(chosen, 8) - load<u32>(chosen);
  const fourth = load<u32>(chosen, 12) - load<u32>(chosen);
  for (const end = packed + ((<usize>count) << 3); packed < end; packed += 8, first += stride) {
    const value = load<i64>(packed);
    let at = sums + ((<usize>load<u8>(first)) << 3);
    store<i64>(at, load<i64>(at) + value);
    at = sums + ((<usize>load<u8>(first + second)) << 3);
    store<i64>(at, load<i64>(at, 2048) + value, 2048);
    at = sums + ((<usize>load<u8>(first + third)) << 3);
    store<i64>(at, load<i64>(at, 4096) + value, 4096);
    at = sums + ((<usize>load<u8>(first + fourth)) << 3);
    store<i64>(at, load<i64>(at, 6144) + value, 6144);
  }
}

/** Two rows at a time: what a loop costs besides its sums is then shared by sixteen of them. */
function addEight(sums: usize, bins: usize, packed: usize, count: i32, stride: usize): void {
  let at: usize = 0;
  for (const end = packed + ((<usize>(count & ~1)) << 3); packed < end; packed += 16, bins += 2 * stride) {
    const next = bins + stride;
    const first = load<i64>(packed);
    const second = load<i64>(packed, 8);
    at = sums + ((<usize>load<u8>(bins)) << 3);
    store<i64>(at, load<i64>(at) + first);
    at = sums + ((<usize>load<u8>(next)) << 3);
    store<i64>(at, load<i64>(at) + second);
    at = sums + ((<usize>load<u8>(bins, 1)) << 3);
    store<i64>(at, load<i64>(at, 2048) + first, 2048);
    at = sums + ((<usize>load<u8>(next, 1)) << 3);
    store<i64>(at, load<i64>(at, 2048) + second, 2048);
    at = sums + ((<usize>load<u8>(bins, 2)) << 3);
    store<i64>(at, load<i64>(at, 4096) + first, 4096);
    at = sums + ((<usize>load<u8>(next, 2)) << 3);
    store<i64>(at, load<i64>(at, 4096) + second, 4096);
    at = sums + ((<usize>load<u8>(bins, 3)) << 3);
    store<i64>(at, load<i64>(at, 6144) + first, 6144);
    at = sums + ((<usize>load<u8>(next, 3)) << 3);
    store<i64>(at, load<i64>(at, 6144) + second, 6144);
    at = sums + ((<usize>load<u8>(bins, 4)) << 3);
    store<i64>(at, load<i64>(at, 8192) + first, 8192);
    at = sums + ((<usize>load<u8>(next, 4)) << 3);
    store<i64>(at, load<i64>(at, 8192) + second, 8192);
    at = sums + ((<usize>load<u8>(bins, 5)) << 3);
    store<i64>(at, load<i64>(at, 10240) + first, 10240);
    at = sums + ((<usize>load<u8>(next, 5)) << 3);
    store<i64>(at, load<i64>(at, 10240) + second, 10240);
    at = sums + ((<usize>load<u8>(bins, 6)) << 3);
    store<i64>(at, load<i64>(at, 12288) + first, 12288);
    at = sums + ((<usize>load<u8>(next, 6)) << 3);
    store<i64>(at, load<i64>(at, 12288) + second, 12288);
    at = sums + ((<usize>load<u8>(bins, 7)) << 3);
    store<i64>(at, load<i64>(at, 14336) + first, 14336);
    at = sums + ((<usize>load<u8>(next, 7)) << 3);
    store<i64>(at, load<i64>(at, 14336) + second, 14336);
  }
  if ((count & 1) === 0) return;
  addLast(sums, bins, packed);
  addLast(sums + 4 * COLUMN_BYTES, bins + 4, packed);
}

function addFour(sums: usize, bins: usize, packed: usize, count: i32, stride: usize): void {
  let at: usize = 0;
  for (const end = packed + ((<usize>(count & ~1)) << 3); packed < end; packed += 16, bins += 2 * stride) {
    const next = bins + stride;
    const first = load<i64>(packed);
    const second = load<i64>(packed, 8);
    at = sums + ((<usize>load<u8>(bins)) << 3);
    store<i64>(at, load<i64>(at) + first);
    at = sums + ((<usize>load<u8>(next)) << 3);
    store<i64>(at, load<i64>(at) + second);
    at = sums + ((<usize>load<u8>(bins, 1)) << 3);
    store<i64>(at, load<i64>(at, 2048) + first, 2048);
    at = sums + ((<usize>load<u8>(next, 1)) << 3);
    store<i64>(at, load<i64>(at, 2048) + second, 2048);
    at = sums + ((<usize>load<u8>(bins, 2)) << 3);
    store<i64>(at, load<i64>(at, 4096) + first, 4096);
    at = sums + ((<usize>load<u8>(next, 2)) << 3);
    store<i64>(at, load<i64>(at, 4096) + second, 4096);
    at = sums + ((<usize>load<u8>(bins, 3)) << 3);
    store<i64>(at, load<i64>(at, 6144) + first, 6144);
    at = sums + ((<usize>load<u8>(next, 3)) << 3);
    store<i64>(at, load<i64>(at, 6144) + second, 6144);
  }
  if ((count & 1) !== 0) addLast(sums, bins, packed);
}

/** Four columns of a row that has no other beside it. */
function addLast(sums: usize, bins: usize, packed: usize): void {
  const value = load<i64>(packed);
  let at = sums + ((<usize>load<u8>(bins)) << 3);
  store<i64>(at, load<i64>(at) + value);
  at = sums + ((<usize>load<u8>(bins, 1)) << 3);
  store<i64>(at, load<i64>(at, 2048) + value, 2048);
  at = sums + ((<usize>load<u8>(bins, 2)) << 3);
  store<i64>(at, load<i64>(at, 4096) + value, 4096);
  at = sums + ((<usize>load<u8>(bins, 3)) << 3);
  store<i64>(at, load<i64>(at, 6144) + value, 6144);
}

function addTwo(sums: usize, bins: usize, packed: usize, count: i32, stride: usize): void {
  for (const end = packed + ((<usize>count) << 3); packed < end; packed += 8, bins += stride) {
    const value = load<i64>(packed);
    let at = sums + ((<usize>load<u8>(bins)) << 3);
    store<i64>(at, load<i64>(at) + value);
    at = sums + ((<usize>load<u8>(bins, 1)) << 3);
    store<i64>(at, load<i64>(at, 2048) + value, 2048);
  }
}

function addOne(sums: usize, bins: usize, packed: usize, count: i32, stride: usize): void {
  for (const end = packed + ((<usize>count) << 3); packed < end; packed += 8, bins += stride) {
    const at = sums + ((<usize>load<u8>(bins)) << 3);
    store<i64>(at, load<i64>(at) + load<i64>(packed));
  }
}
