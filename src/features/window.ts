// Windows: the sweep that turns a run of transactions into counts, sums, means, deviations and extremes.
import type { Aggregate } from "./definition.ts";
import { TILE_NUMBERS } from "./key-table.ts";
import type { ValueOutput } from "./plan.ts";

/** Running totals of a sweep: present values, sum, first value met, sums of (x − first) and its square, smallest, largest. */
export class Totals {
  readonly numbers = new Float64Array(7);

  clear(): void {
    for (let i = 0; i < 5; i++) this.numbers[i] = 0;
    this.numbers[5] = Number.POSITIVE_INFINITY;
    this.numbers[6] = Number.NEGATIVE_INFINITY;
  }

  copyFrom(other: Totals): void {
    for (let i = 0; i < this.numbers.length; i++) this.numbers[i] = other.numbers[i];
  }

  add(value: number): void {
    if (Number.isNaN(value)) return;
    const { numbers } = this;
    if (numbers[0] === 0) numbers[2] = value;
    const shift = value - numbers[2];
    numbers[0]++;
    numbers[1] += value;
    numbers[3] += shift;
    numbers[4] += shift * shift;
    if (value < numbers[5]) numbers[5] = value;
    if (value > numbers[6]) numbers[6] = value;
  }

  /** Adds values[from, to), the latest first, skipping missing ones. */
  addRun(values: Float64Array, from: number, to: number): void {
    sweep(this.numbers, values, from, to);
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
      if (numbers[0] === 0) numbers[2] = sum / present;
      const shift = sum / present - numbers[2];
      numbers[0] += present;
      numbers[1] += sum;
      numbers[3] += present * shift;
      numbers[4] += columns[first + TILE_NUMBERS.squares][i] + present * shift * shift;
      numbers[5] = Math.min(numbers[5], columns[first + TILE_NUMBERS.min][i]);
      numbers[6] = Math.max(numbers[6], columns[first + TILE_NUMBERS.max][i]);
    }
  }

  results(outputs: readonly ValueOutput[], out: Float64Array): void {
    for (let i = 0; i < outputs.length; i++) {
      out[outputs[i].feature] = this.result(outputs[i].aggregate, outputs[i].empty);
    }
  }

  /** An aggregate of what was added; `empty` where it is not defined. */
  result(aggregate: Aggregate, empty: number): number {
    const n = this.numbers[0];
    const sum = this.numbers[1];
    if (aggregate === "count") return n;
    if (aggregate === "sum") return sum;
    if (aggregate === "std") return n < 2 ? empty : this.deviation();
    if (n === 0) return empty;
    if (aggregate === "mean") return sum / n;
    return aggregate === "min" ? this.numbers[5] : this.numbers[6];
  }

  /**
   * Shifted two-sum formula (Chan, Golub, LeVeque 1983). The shift is itself one of the values, so the cancellation is at most
   * n-fold: (shift − mean)² ≤ n · variance.
   */
  private deviation(): number {
    const n = this.numbers[0];
    const shifted = this.numbers[3];
    return Math.sqrt(Math.max(0, (this.numbers[4] - (shifted * shifted) / n) / (n - 1)));
  }
}

function sweep(numbers: Float64Array, values: Float64Array, from: number, to: number): void {
  let n = numbers[0];
  let sum = numbers[1];
  let first = numbers[2];
  let shifted = numbers[3];
  let squares = numbers[4];
  let min = numbers[5];
  let max = numbers[6];
  for (let i = to - 1; i >= from; i--) {
    const value = values[i];
    if (Number.isNaN(value)) continue;
    if (n === 0) first = value;
    const shift = value - first;
    n++;
    sum += value;
    shifted += shift;
    squares += shift * shift;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  numbers[0] = n;
  numbers[1] = sum;
  numbers[2] = first;
  numbers[3] = shifted;
  numbers[4] = squares;
  numbers[5] = min;
  numbers[6] = max;
}
