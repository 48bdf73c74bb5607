// Windows: the sweep that turns a run of transactions into counts, sums, means, deviations and extremes.
import { TILE_NUMBERS } from "./key-table.ts";
import type { PassColumn } from "./passes.ts";
import { VALUE_FACT, WINDOW_FIELDS } from "./passes.ts";

/** Where in the totals: present values, sum, first value met (NaN before), sums of (x − first) and its square, smallest, largest. */
const PRESENT = 0;
const SUM = 1;
const FIRST = 2;
const SHIFTED = 3;
const SQUARES = 4;
const MIN = 5;
const MAX = 6;

/** Running totals of a sweep. */
export class Totals {
  private readonly numbers = new Float64Array(8);

  clear(): void {
    this.take(0, 0);
  }

  copyFrom(other: Totals): void {
    const { numbers } = this;
    const from = other.numbers;
    numbers[PRESENT] = from[PRESENT];
    numbers[SUM] = from[SUM];
    numbers[FIRST] = from[FIRST];
    numbers[SHIFTED] = from[SHIFTED];
    numbers[SQUARES] = from[SQUARES];
    numbers[MIN] = from[MIN];
    numbers[MAX] = from[MAX];
  }

  /** Count and sum of a sweep made before; only these and the mean are right from then on. */
  take(present: number, sum: number): void {
    const { numbers } = this;
    numbers[PRESENT] = present;
    numbers[SUM] = sum;
    numbers[FIRST] = Number.NaN;
    numbers[SHIFTED] = 0;
    numbers[SQUARES] = 0;
    numbers[MIN] = Number.POSITIVE_INFINITY;
    numbers[MAX] = Number.NEGATIVE_INFINITY;
  }

  /** Adds values[at] unless it is missing. */
  add(values: Float64Array, at: number): void {
    const value = values[at];
    if (Number.isNaN(value)) return;
    const { numbers } = this;
    if (Number.isNaN(numbers[FIRST])) numbers[FIRST] = value;
    const shift = value - numbers[FIRST];
    numbers[PRESENT]++;
    numbers[SUM] += value;
    numbers[SHIFTED] += shift;
    numbers[SQUARES] += shift * shift;
    if (value < numbers[MIN]) numbers[MIN] = value;
    if (value > numbers[MAX]) numbers[MAX] = value;
  }

  /** Adds values[from, to), the latest first, skipping missing ones. */
  addRun(values: Float64Array, from: number, to: number): void {
    if (from === to) return;
    const { numbers } = this;
    let first = numbers[FIRST];
    let present = numbers[PRESENT];
    let sum = numbers[SUM];
    let shifted = numbers[SHIFTED];
    let squares = numbers[SQUARES];
    let min = numbers[MIN];
    let max = numbers[MAX];
    for (let i = to - 1; i >= from; i--) {
      const value = values[i];
      if (Number.isNaN(value)) continue;
      if (Number.isNaN(first)) first = value;
      const shift = value - first;
      present++;
      sum += value;
      shifted += shift;
      squares += shift * shift;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    numbers[FIRST] = first;
    numbers[PRESENT] = present;
    numbers[SUM] = sum;
    numbers[SHIFTED] = shifted;
    numbers[SQUARES] = squares;
    numbers[MIN] = min;
    numbers[MAX] = max;
  }

  /** Adds the summed-up records [from, to) of busy tiles. */
  addTiles(
    columns: readonly Float64Array[],
    span: { readonly from: number; readonly to: number; readonly column: number },
  ): void {
    const first = 1 + TILE_NUMBERS.count * span.column;
    const numbers = this.numbers;
    for (let i = span.to - 1; i >= span.from; i--) {
      const present = columns[first + TILE_NUMBERS.present][i];
      if (present === 0) continue;
      const sum = columns[first + TILE_NUMBERS.sum][i];
      if (Number.isNaN(numbers[FIRST])) numbers[FIRST] = sum / present;
      const shift = sum / present - numbers[FIRST];
      numbers[PRESENT] += present;
      numbers[SUM] += sum;
      numbers[SHIFTED] += present * shift;
      numbers[SQUARES] += columns[first + TILE_NUMBERS.squares][i] + present * shift * shift;
      numbers[MIN] = Math.min(numbers[MIN], columns[first + TILE_NUMBERS.min][i]);
      numbers[MAX] = Math.max(numbers[MAX], columns[first + TILE_NUMBERS.max][i]);
    }
  }

  /** The facts of a column about what was added, from facts[at] on; NaN where one is not defined. */
  writeFacts({ spread, extremes }: PassColumn, facts: Float64Array, at: number): void {
    const { numbers } = this;
    const n = numbers[PRESENT];
    facts[at + VALUE_FACT.count] = n;
    facts[at + VALUE_FACT.sum] = numbers[SUM];
    facts[at + VALUE_FACT.mean] = this.mean;
    if (spread) facts[at + VALUE_FACT.std] = n < 2 ? Number.NaN : deviation(n, numbers[SHIFTED], numbers[SQUARES]);
    if (extremes) {
      facts[at + VALUE_FACT.min] = n === 0 ? Number.NaN : numbers[MIN];
      facts[at + VALUE_FACT.max] = n === 0 ? Number.NaN : numbers[MAX];
    }
  }

  /** Mean of what was added; NaN of nothing. */
  get mean(): number {
    return this.numbers[PRESENT] === 0 ? Number.NaN : this.numbers[SUM] / this.numbers[PRESENT];
  }
}

/** Where a column is swept: its entries, those of the windows (`KeyReader`), and the transaction's own value own[index]. */
export interface Sweep {
  values: Float64Array;
  places: Int32Array;
  own: Float64Array;
  index: number;
  facts: Float64Array;
}

/**
 * The facts of a column in all windows of a pass, in one sweep, the latest value first: the sum of a window is defined as the sum of its values
 * one by one in that order. False, and the facts are not right, where a value is missing, which a sum that is no number belies.
 */
export function sweepWindows(column: PassColumn, on: Sweep): boolean {
  const { spread, extremes, windows } = column;
  const { values, places, facts } = on;
  const own = on.own[on.index];
  const high = places[0];
  // What the squares are shifted by.
  let first = Number.NaN;
  let sum = 0;
  let shifted = 0;
  let squares = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let i = high - 1;
  for (let w = 0; w < windows.length; w += WINDOW_FIELDS) {
    const low = places[windows[w] + 1];
    if (i === high - 1 && i >= low) first = values[i];
    if (spread || extremes) {
      // All totals in one loop: their additions do not wait for one another, so that they cost little more than the sum alone.
      for (; i >= low; i--) {
        const value = values[i];
        const shift = value - first;
        sum += value;
        shifted += shift;
        squares += shift * shift;
        if (value < min) min = value;
        if (value > max) max = value;
      }
    } else {
      for (; i >= low; i--) sum += values[i];
    }
    let n = high - low;
    let at = windows[w + 1];
    facts[at + VALUE_FACT.count] = n;
    facts[at + VALUE_FACT.sum] = sum;
    facts[at + VALUE_FACT.mean] = n === 0 ? Number.NaN : sum / n;
    if (spread) facts[at + VALUE_FACT.std] = n < 2 ? Number.NaN : deviation(n, shifted, squares);
    if (extremes) {
      facts[at + VALUE_FACT.min] = n === 0 ? Number.NaN : min;
      facts[at + VALUE_FACT.max] = n === 0 ? Number.NaN : max;
    }
    at += VALUE_FACT.each;
    let sumAfter = sum;
    let shiftedAfter = shifted;
    let squaresAfter = squares;
    let minAfter = min;
    let maxAfter = max;
    if (!Number.isNaN(own)) {
      const shift = n === 0 ? 0 : own - first;
      n++;
      sumAfter += own;
      shiftedAfter += shift;
      squaresAfter += shift * shift;
      if (own < min) minAfter = own;
      if (own > max) maxAfter = own;
    }
    facts[at + VALUE_FACT.count] = n;
    facts[at + VALUE_FACT.sum] = sumAfter;
    facts[at + VALUE_FACT.mean] = n === 0 ? Number.NaN : sumAfter / n;
    if (spread) facts[at + VALUE_FACT.std] = n < 2 ? Number.NaN : deviation(n, shiftedAfter, squaresAfter);
    if (extremes) {
      facts[at + VALUE_FACT.min] = n === 0 ? Number.NaN : minAfter;
      facts[at + VALUE_FACT.max] = n === 0 ? Number.NaN : maxAfter;
    }
  }
  return !Number.isNaN(sum);
}

/**
 * Standard deviation of n ≥ 2 values by the shifted two-sum formula (Chan, Golub, LeVeque 1983). The shift is itself one of the values, so
 * the cancellation is at most n-fold: (shift − mean)² ≤ n · variance.
 */
function deviation(n: number, shifted: number, squares: number): number {
  return Math.sqrt(Math.max(0, (squares - (shifted * shifted) / n) / (n - 1)));
}
