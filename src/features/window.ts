// Windows: the sweep that turns a run of transactions into counts, sums, means, deviations and extremes.
import { TILE_NUMBERS } from "./key-table.ts";
import type { ValueOutputs } from "./passes.ts";
import { AGGREGATE, VALUE_FIELDS } from "./passes.ts";

/** Where in the totals: present values, sum, first value met (NaN before), sums of (x − first) and its square, smallest, largest. */
const PRESENT = 0;
const SUM = 1;
const FIRST = 2;
const SHIFTED = 3;
const SQUARES = 4;
const MIN = 5;
const MAX = 6;
/** A result on its way out: numbers that leave a function as such are boxed, and cost an allocation each. */
const RESULT = 7;

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

  /** Adds values[from, to), the latest first, skipping missing ones: to count and sum only. */
  addSums(values: Float64Array, from: number, to: number): void {
    if (from < to) sweepSums(this.numbers, values, from, to);
  }

  /** The same, to everything. */
  addRun(values: Float64Array, from: number, to: number): void {
    if (from < to) sweepAll(this.numbers, values, from, to);
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

  /** What the outputs ask for, into values[feature]. */
  results({ of, empty }: ValueOutputs, values: Float64Array): void {
    const { numbers } = this;
    const n = numbers[PRESENT];
    for (let i = 0; i < of.length; i += VALUE_FIELDS) {
      const aggregate = of[i];
      const feature = of[i + 1];
      if (aggregate === AGGREGATE.count) values[feature] = n;
      else if (aggregate === AGGREGATE.sum) values[feature] = numbers[SUM];
      else if (n === 0 || (aggregate === AGGREGATE.std && n < 2)) values[feature] = empty[i / VALUE_FIELDS];
      else if (aggregate === AGGREGATE.mean) values[feature] = numbers[SUM] / n;
      else if (aggregate === AGGREGATE.max) values[feature] = numbers[MAX];
      else if (aggregate === AGGREGATE.min) values[feature] = numbers[MIN];
      else {
        this.settleDeviation();
        values[feature] = numbers[RESULT];
      }
    }
  }

  get present(): number {
    return this.numbers[PRESENT];
  }

  get sum(): number {
    return this.numbers[SUM];
  }

  /** −Infinity of nothing. */
  get max(): number {
    return this.numbers[MAX];
  }

  /** Mean of what was added; NaN of nothing. */
  get mean(): number {
    return this.numbers[PRESENT] === 0 ? Number.NaN : this.numbers[SUM] / this.numbers[PRESENT];
  }

  /**
   * Shifted two-sum formula (Chan, Golub, LeVeque 1983). The shift is itself one of the values, so the cancellation is at most
   * n-fold: (shift − mean)² ≤ n · variance.
   */
  private settleDeviation(): void {
    const { numbers } = this;
    const n = numbers[PRESENT];
    const shifted = numbers[SHIFTED];
    numbers[RESULT] = Math.sqrt(Math.max(0, (numbers[SQUARES] - (shifted * shifted) / n) / (n - 1)));
  }
}

// The innermost loops of all features: plain numbers, totals in registers. They first run as if nothing were missing, which a sum that is no
// number belies afterwards, and take four values per turn, because the engine checks the array again at each turn. Order matters: the sum
// of a window is defined as the sum of its values one by one, the latest first.

function sweepSums(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  let sum = numbers[SUM];
  let i = to - 1;
  for (; i >= from + 3; i -= 4) sum = sum + values[i] + values[i - 1] + values[i - 2] + values[i - 3];
  for (; i >= from; i--) sum += values[i];
  if (Number.isNaN(sum)) {
    sweepPresent(numbers, values, from, to);
    return;
  }
  numbers[PRESENT] += to - from;
  numbers[SUM] = sum;
}

/** All totals in one loop: their additions do not wait for one another, so that they cost little more than the sum alone. */
function sweepAll(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  const first = Number.isNaN(numbers[FIRST]) ? values[to - 1] : numbers[FIRST];
  let sum = numbers[SUM];
  let shifted = numbers[SHIFTED];
  let squares = numbers[SQUARES];
  let min = numbers[MIN];
  let max = numbers[MAX];
  let i = to - 1;
  for (; i >= from + 3; i -= 4) {
    const a = values[i];
    const b = values[i - 1];
    const c = values[i - 2];
    const d = values[i - 3];
    sum = sum + a + b + c + d;
    shifted = shifted + (a - first) + (b - first) + (c - first) + (d - first);
    squares =
      squares +
      (a - first) * (a - first) +
      (b - first) * (b - first) +
      (c - first) * (c - first) +
      (d - first) * (d - first);
    if (a < min) min = a;
    if (a > max) max = a;
    if (b < min) min = b;
    if (b > max) max = b;
    if (c < min) min = c;
    if (c > max) max = c;
    if (d < min) min = d;
    if (d > max) max = d;
  }
  for (; i >= from; i--) {
    const value = values[i];
    const shift = value - first;
    sum += value;
    shifted += shift;
    squares += shift * shift;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (Number.isNaN(sum)) {
    sweepPresent(numbers, values, from, to);
    return;
  }
  numbers[PRESENT] += to - from;
  numbers[SUM] = sum;
  numbers[FIRST] = first;
  numbers[SHIFTED] = shifted;
  numbers[SQUARES] = squares;
  numbers[MIN] = min;
  numbers[MAX] = max;
}

/** All totals where values are missing. */
function sweepPresent(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  for (let i = to - 1; i >= from; i--) {
    const value = values[i];
    if (Number.isNaN(value)) continue;
    if (Number.isNaN(numbers[FIRST])) numbers[FIRST] = value;
    const shift = value - numbers[FIRST];
    numbers[PRESENT]++;
    numbers[SUM] += value;
    numbers[SHIFTED] += shift;
    numbers[SQUARES] += shift * shift;
    if (value < numbers[MIN]) numbers[MIN] = value;
    if (value > numbers[MAX]) numbers[MAX] = value;
  }
}
