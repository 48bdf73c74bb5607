// The reading kernel: counts, sums, deviations and extremes of one key in all its windows, in one call.

/*
 * Where things stand in memory; `src/features/kernel.ts` has the same numbers. First the values of one vector, f64, and the same as f32. Ages are the ms between the transaction and each entry of
 * the key's run, f64, the oldest first, so that they descend. A column's values stand beside, `ENTRIES_MAX` per column, NaN where missing.
 */
const VALUES_MAX: usize = 2048;
const VALUES: usize = 0;
const VECTOR: usize = VALUES + VALUES_MAX * 8;
const ENTRIES_MAX: usize = 1024;
const AGES: usize = VECTOR + VALUES_MAX * 4;
const COLUMNS: usize = AGES + ENTRIES_MAX * 8;
const COLUMNS_MAX: usize = 8;
/** The transaction's own values, f64, one per column. */
const OWN: usize = COLUMNS + COLUMNS_MAX * ENTRIES_MAX * 8;
/** i32, by edge: the first entry younger than it. */
const PLACES: usize = OWN + COLUMNS_MAX * 8;
const EDGES_MAX: usize = 1024;
const FACTS: usize = PLACES + EDGES_MAX * 4;

/** Facts of a window, as COUNT_FACT of passes.ts has them. */
const BEFORE: usize = 0;
const AFTER: usize = 8;
const FRAUDS: usize = 16;
const GENUINE: usize = 24;
const RATE_BEFORE: usize = 32;
const RATE_AFTER: usize = 40;

/** Facts of a column in a window, as VALUE_FACT of passes.ts has them. */
const COUNT: usize = 0;
const SUM: usize = 8;
const MEAN: usize = 16;
const STD: usize = 24;
const MIN: usize = 32;
const MAX: usize = 40;
const EACH: usize = 48;

const SPREAD: i32 = 1;
const EXTREMES: i32 = 2;

/**
 * Fills the values that the program asks for. A program is made of parts, each with its length in front, i32 unless said otherwise:
 *
 * 1. edges, f64 ms of age;
 * 2. by window: the edges where it ends and where it begins, its facts, which labels it asks for (1 frauds, 2 genuine);
 * 3. by column: its place, what it asks for, the edge where its windows end, how many they are, then for each of them the edge where it
 *    begins and its facts;
 * 4. by multiple: column, facts of the usual, whether the largest is one of them, whether the transaction counts, how many outputs,
 *    then for each of them how many times the usual (f64), the edge where it begins, the value it fills;
 * 5. by time since a transaction: within and unit in ms (f64), the edge of within, 1 for the last and 0 for the first, the value, and a zero;
 * 6. facts that are values: the fact, the value;
 * 7. values that are missing where there is no known fraud;
 * 8. by value of its own where a fact is not defined: that value (f64), the fact that counts, the least it must count, the value it fills, and a zero.
 *
 * Each part begins at a multiple of 8. Facts are numbered from 0. Labels that `known` names stand among the facts already; of the others there are none.
 */
export function readKey(program: usize, entries: i32, known: i32): void {
  let at = program + 8;
  const edges = load<i32>(program);
  placeEdges(at, edges, entries);
  at += (<usize>edges) << 3;
  let left = load<i32>(at);
  at += 8;
  for (; left > 0; left--, at += 16) countWindow(at, known);
  left = load<i32>(at);
  at += 8;
  for (; left > 0; left--) {
    const column = columnOf(load<i32>(at));
    if (!sweep(at, column)) sweepPresent(at, column);
    at += 16 + ((<usize>load<i32>(at, 12)) << 3);
  }
  left = load<i32>(at);
  at += 8;
  for (; left > 0; left--) at = countMultiples(at, entries);
  left = load<i32>(at);
  at += 8;
  for (; left > 0; left--, at += 32) sinceTransaction(at, entries);
  left = load<i32>(at);
  at += 8;
  for (; left > 0; left--, at += 8) storeValue(load<i32>(at, 4), load<f64>(factAt(load<i32>(at))));
  left = load<i32>(at);
  at += 8;
  const end = at + ((((<usize>left) << 2) + 7) & ~7);
  if (!(known & 1)) for (; left > 0; left--, at += 4) storeValue(load<i32>(at), NaN);
  at = end;
  left = load<i32>(at);
  at += 8;
  for (; left > 0; left--, at += 24) {
    if (load<f64>(factAt(load<i32>(at, 8))) < <f64>load<i32>(at, 12)) storeValue(load<i32>(at, 16), load<f64>(at));
  }
}

/**
 * Takes the rest of the steps: parts of the time (0 hour, 1 day of the week, 2 weekend, 3 night), ratios (4) and differences (5), each as
 * operation, value, and the two values it is made of; then the first `width` values as nearest f32, kept finite. As in row-steps.ts.
 */
export function finishRow(steps: usize, count: i32, width: i32, time: f64): void {
  const day = floor<f64>(time / 86400000);
  const hour = floor<f64>((time - day * 86400000) / 3600000);
  for (let i = 0, at = steps; i < count; i++, at += 16) {
    const op = load<i32>(at);
    const value = load<i32>(at, 4);
    if (op >= 4) {
      const a = load<f64>(valueAt(load<i32>(at, 8)));
      const b = load<f64>(valueAt(load<i32>(at, 12)));
      storeValue(value, op === 5 ? a - b : b === 0 ? NaN : a / b);
    } else if (op === 0) storeValue(value, hour);
    else if (op === 3) storeValue(value, hour <= 6 ? 1 : 0);
    else {
      const ofWeek = day + 3 - floor<f64>((day + 3) / 7) * 7 + 1;
      storeValue(value, op === 1 ? ofWeek : ofWeek >= 6 ? 1 : 0);
    }
  }
  for (let i = 0; i < width; i++) {
    const value = load<f64>(valueAt(i));
    // Only what is larger than the largest f32 is taken for it: what is missing stays so.
    let nearest = <f32>value;
    if (value > F32_MAX) nearest = <f32>F32_MAX;
    if (value < -F32_MAX) nearest = <f32>-F32_MAX;
    store<f32>(VECTOR + ((<usize>i) << 2), nearest);
  }
}

const F32_MAX: f64 = 3.4028234663852886e38;

/** Whether it is not NaN. */
function isNumber(value: f64): bool {
  return value <= Infinity;
}

function valueAt(value: i32): usize {
  return VALUES + ((<usize>value) << 3);
}

function storeValue(value: i32, number: f64): void {
  store<f64>(valueAt(value), number);
}

function factAt(fact: i32): usize {
  return FACTS + ((<usize>fact) << 3);
}

function columnOf(column: i32): usize {
  return COLUMNS + <usize>column * (ENTRIES_MAX * 8);
}

/** How often a multiple of the usual mean was exceeded; few values exceed even the lowest limit, so that the inner loop rarely runs. Gives the next. */
function countMultiples(step: usize, entries: i32): usize {
  const column = load<i32>(step);
  const kept = factAt(load<i32>(step, 4));
  const largest = load<i32>(step, 8) ? load<f64>(kept + MAX) : Infinity;
  const own = load<i32>(step, 12) ? load<f64>(OWN + ((<usize>column) << 3)) : NaN;
  const outputs = load<i32>(step, 16);
  let n = load<f64>(kept + COUNT);
  let sum = load<f64>(kept + SUM);
  if (isNumber(own)) {
    n++;
    sum += own;
  }
  const usual = n === 0 ? NaN : sum / n;
  const values = columnOf(column);
  let at = step + 24;
  for (let o = 0; o < outputs; o++, at += 16) {
    const limit = load<f64>(at) * usual;
    let count = own > limit ? 1.0 : 0.0;
    if (!isNumber(limit)) count = NaN;
    else if (largest > limit) {
      const low = placeOf(load<i32>(at, 8));
      for (let i = entries - 1; i >= low; i--) if (load<f64>(values + ((<usize>i) << 3)) > limit) count++;
    }
    storeValue(load<i32>(at, 12), count);
  }
  return at;
}

/** Ms since the last or first transaction within; NaN when there is none. */
function sinceTransaction(step: usize, entries: i32): void {
  const within = load<f64>(step);
  const at = load<i32>(step, 20) ? entries - 1 : placeOf(load<i32>(step, 16));
  let age: f64 = NaN;
  if (at >= 0 && at < entries) age = load<f64>(AGES + ((<usize>at) << 3));
  storeValue(load<i32>(step, 24), (age < within ? age : NaN) / load<f64>(step, 8));
}

/** A binary search without a branch for each edge: none waits for another, and no turn is guessed. */
function placeEdges(from: usize, edges: i32, entries: i32): void {
  for (let e = 0; e < edges; e++) {
    const edge = load<f64>(from + ((<usize>e) << 3));
    let place = 0;
    let left = entries;
    while (left > 1) {
      const half = left >> 1;
      place += half & -(<i32>(load<f64>(AGES + ((<usize>(place + half - 1)) << 3)) >= edge));
      left -= half;
    }
    if (left === 1) place += <i32>(load<f64>(AGES + ((<usize>place) << 3)) >= edge);
    store<i32>(PLACES + ((<usize>e) << 2), place);
  }
}

function placeOf(edge: i32): i32 {
  return load<i32>(PLACES + ((<usize>edge) << 2));
}

function countWindow(window: usize, known: i32): void {
  const weight = <f64>(placeOf(load<i32>(window)) - placeOf(load<i32>(window, 4)));
  const facts = factAt(load<i32>(window, 8));
  const asked = load<i32>(window, 12);
  store<f64>(facts + BEFORE, weight);
  store<f64>(facts + AFTER, weight + 1);
  if (asked & 2 & ~known) store<f64>(facts + GENUINE, 0);
  if (!(asked & 1)) return;
  let frauds: f64 = 0;
  if (known & 1) frauds = load<f64>(facts + FRAUDS);
  else store<f64>(facts + FRAUDS, 0);
  store<f64>(facts + RATE_BEFORE, weight === 0 ? NaN : frauds / weight);
  store<f64>(facts + RATE_AFTER, frauds / (weight + 1));
}

/**
 * All windows of a column in one sweep, the latest value first, as if none were missing: false where one is, which a sum that is no number
 * belies. Two totals a register: the additions of each are in the order in which the sum is defined.
 */
function sweep(asked: usize, column: usize): bool {
  const flags = load<i32>(asked, 4);
  const high = placeOf(load<i32>(asked, 8));
  const windows = load<i32>(asked, 12);
  const own = load<f64>(OWN + ((<usize>load<i32>(asked)) << 3));
  const first: f64 = high > 0 ? load<f64>(column + ((<usize>(high - 1)) << 3)) : 0;
  const shiftBy = f64x2(0, first);
  const negative = f64x2(0, -0.0);
  // Sum and sum of (x − first); the sum of its square in the second half; the largest and the smallest, negated.
  let sums = f64x2(0, 0);
  let squares = f64x2(0, 0);
  let bounds = f64x2(-Infinity, -Infinity);
  let at = column + ((<usize>high) << 3);
  for (let w = 0; w < windows; w++) {
    const window = asked + 16 + ((<usize>w) << 3);
    const low = placeOf(load<i32>(window));
    const end = column + ((<usize>low) << 3);
    while (at > end) {
      at -= 8;
      const value = v128.load_splat<f64>(at);
      const shifted = f64x2.sub(value, shiftBy);
      sums = f64x2.add(sums, shifted);
      squares = f64x2.add(squares, f64x2.mul(shifted, shifted));
      bounds = f64x2.pmax(bounds, v128.xor(value, negative));
    }
    const facts = factAt(load<i32>(window, 4));
    const n = high - low;
    const sum = f64x2.extract_lane(sums, 0);
    const shifted = f64x2.extract_lane(sums, 1);
    const square = f64x2.extract_lane(squares, 1);
    const max = f64x2.extract_lane(bounds, 0);
    const min = -f64x2.extract_lane(bounds, 1);
    writeFacts(facts, flags, n, sum, shifted, square, min, max);
    writeWithOwn(facts + EACH, flags, own, first, n, sum, shifted, square, min, max);
  }
  const total = f64x2.extract_lane(sums, 0);
  return isNumber(total);
}

/** As {@link sweep}, where values are missing. */
function sweepPresent(asked: usize, column: usize): void {
  const flags = load<i32>(asked, 4);
  const high = placeOf(load<i32>(asked, 8));
  const windows = load<i32>(asked, 12);
  const own = load<f64>(OWN + ((<usize>load<i32>(asked)) << 3));
  let first: f64 = 0;
  let n = 0;
  let sum: f64 = 0;
  let shifted: f64 = 0;
  let squares: f64 = 0;
  let min: f64 = Infinity;
  let max: f64 = -Infinity;
  let at = column + ((<usize>high) << 3);
  for (let w = 0; w < windows; w++) {
    const window = asked + 16 + ((<usize>w) << 3);
    const end = column + ((<usize>placeOf(load<i32>(window))) << 3);
    while (at > end) {
      at -= 8;
      const value = load<f64>(at);
      if (!isNumber(value)) continue;
      if (n === 0) first = value;
      const shift = value - first;
      n++;
      sum += value;
      shifted += shift;
      squares += shift * shift;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    const facts = factAt(load<i32>(window, 4));
    writeFacts(facts, flags, n, sum, shifted, squares, min, max);
    writeWithOwn(facts + EACH, flags, own, first, n, sum, shifted, squares, min, max);
  }
}

/** The facts with the transaction's own value, as if it had come last. */
function writeWithOwn(
  facts: usize,
  flags: i32,
  own: f64,
  first: f64,
  n: i32,
  sum: f64,
  shifted: f64,
  squares: f64,
  min: f64,
  max: f64,
): void {
  if (isNumber(own)) {
    const shift: f64 = n === 0 ? 0 : own - first;
    n++;
    sum += own;
    shifted += shift;
    squares += shift * shift;
    if (own < min) min = own;
    if (own > max) max = own;
  }
  writeFacts(facts, flags, n, sum, shifted, squares, min, max);
}

/** The deviation by the shifted two-sum formula (Chan, Golub, LeVeque 1983), as in window.ts. */
function writeFacts(facts: usize, flags: i32, n: i32, sum: f64, shifted: f64, squares: f64, min: f64, max: f64): void {
  const count = <f64>n;
  store<f64>(facts + COUNT, count);
  store<f64>(facts + SUM, sum);
  store<f64>(facts + MEAN, n === 0 ? NaN : sum / count);
  if (flags & SPREAD) {
    const variance = (squares - (shifted * shifted) / count) / (count - 1);
    store<f64>(facts + STD, n < 2 ? NaN : sqrt<f64>(variance < 0 ? 0 : variance));
  }
  if (flags & EXTREMES) {
    store<f64>(facts + MIN, n === 0 ? NaN : min);
    store<f64>(facts + MAX, n === 0 ? NaN : max);
  }
}
