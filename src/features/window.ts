// Windows: the sweep that turns a run of transactions into counts, sums, means, deviations and extremes.
import type { Aggregate } from "./definition.ts";
import { TILE_NUMBERS } from "./key-table.ts";
import type { ValueOutput } from "./plan.ts";

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
  readonly numbers = new Float64Array(7);

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

  add(value: number): void {
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
  addRun(values: Float64Array, from: number, to: number): void {
    if (from < to) sweepSums(this.numbers, values, from, to);
  }

  /** Adds what deviations need; after {@link addRun} of the same values. */
  addSpread(values: Float64Array, from: number, to: number): void {
    if (from < to) sweepSpread(this.numbers, values, from, to);
  }

  /** Adds smallest and largest. */
  addExtremes(values: Float64Array, from: number, to: number): void {
    if (from < to) sweepExtremes(this.numbers, values, from, to);
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

  results(outputs: readonly ValueOutput[], out: Float64Array): void {
    for (let i = 0; i < outputs.length; i++) {
      out[outputs[i].feature] = this.result(outputs[i].aggregate, outputs[i].empty);
    }
  }

  /** An aggregate of what was added; `empty` where it is not defined. */
  result(aggregate: Aggregate, empty: number): number {
    const n = this.numbers[PRESENT];
    const sum = this.numbers[SUM];
    if (aggregate === "count") return n;
    if (aggregate === "sum") return sum;
    if (aggregate === "std") return n < 2 ? empty : this.deviation();
    if (n === 0) return empty;
    if (aggregate === "mean") return sum / n;
    return aggregate === "min" ? this.numbers[MIN] : this.numbers[MAX];
  }

  /**
   * Shifted two-sum formula (Chan, Golub, LeVeque 1983). The shift is itself one of the values, so the cancellation is at most
   * n-fold: (shift − mean)² ≤ n · variance.
   */
  private deviation(): number {
    const n = this.numbers[PRESENT];
    const shifted = this.numbers[SHIFTED];
    return Math.sqrt(Math.max(0, (this.numbers[SQUARES] - (shifted * shifted) / n) / (n - 1)));
  }
}

// The innermost loops of all features: plain numbers, totals in registers, and each does only what somebody asked for.

function sweepSums(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  let n = 0;
  let sum = numbers[SUM];
  for (let i = to - 1; i >= from; i--) {
    const value = values[i];
    if (Number.isNaN(value)) continue;
    n++;
    sum += value;
  }
  numbers[PRESENT] += n;
  numbers[SUM] = sum;
}

function sweepSpread(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  let i = to - 1;
  if (Number.isNaN(numbers[FIRST])) {
    while (i >= from && Number.isNaN(values[i])) i--;
    if (i < from) return;
    numbers[FIRST] = values[i];
  }
  const first = numbers[FIRST];
  let shifted = numbers[SHIFTED];
  let squares = numbers[SQUARES];
  for (; i >= from; i--) {
    const shift = values[i] - first;
    if (Number.isNaN(shift)) continue;
    shifted += shift;
    squares += shift * shift;
  }
  numbers[SHIFTED] = shifted;
  numbers[SQUARES] = squares;
}

function sweepExtremes(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  let min = numbers[MIN];
  let max = numbers[MAX];
  for (let i = to - 1; i >= from; i--) {
    const value = values[i];
    // Never true of a missing one.
    if (value < min) min = value;
    if (value > max) max = value;
  }
  numbers[MIN] = min;
  numbers[MAX] = max;
}
