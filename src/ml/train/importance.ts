// Importance of columns: what splits gained, how many rows they judged, and what a column's loss costs.
import { Random } from "../../core/random.ts";
import { refuseParameter } from "../faults.ts";
import type { GbdtModel } from "../gbdt/model.ts";
import type { Matrix } from "../matrix.ts";

export interface SplitImportance {
  readonly name: string;
  /** Splits on the column. */
  readonly splits: number;
  /** Total loss reduction of those splits. */
  readonly gain: number;
  /** Total second derivative that passed through them. */
  readonly cover: number;
}

/** One entry per column of the model, in its order. */
export function splitImportance(model: GbdtModel): SplitImportance[] {
  const sums = model.names.map((name) => ({ name, splits: 0, gain: 0, cover: 0 }));
  for (let node = 0; node < model.feature.length; node++) {
    if (model.feature[node] < 0) continue;
    const sum = sums[model.feature[node]];
    sum.splits++;
    sum.gain += model.gain[node];
    sum.cover += model.cover[node];
  }
  return sums;
}

export interface PermutationImportance {
  readonly name: string;
  /** Mean fall of the metric when the column is shuffled. */
  readonly drop: number;
  /** Smallest and largest fall seen. */
  readonly low: number;
  readonly high: number;
}

/**
 * Permutation importance (Breiman 2001): how far a metric, where more is better, falls when one column's values are
 * shuffled among the rows. `metric` is given a matrix that is valid during the call only. Of a column that `reads` denies, the metric is not
 * asked: it falls by nothing.
 */
export function permutationImportance(
  x: Matrix,
  options: {
    readonly metric: (x: Matrix) => number;
    readonly seed: number;
    readonly repeats?: number;
    readonly reads?: (column: number) => boolean;
  },
): PermutationImportance[] {
  const { metric, seed, repeats = 3, reads = () => true } = options;
  if (!Number.isInteger(repeats) || repeats < 1) refuseParameter("repeats", { value: repeats, wanted: "1 or more" });
  const untouched = metric(x);
  const shuffled = { ...x, values: x.values.slice() };
  const random = new Random(seed);
  return x.names.map((name, c) => {
    const drops = Array.from({ length: repeats }, () => {
      // Also where nobody reads it: what is drawn for the columns behind it stays the same.
      shuffleColumn(shuffled, c, random);
      return reads(c) ? untouched - metric(shuffled) : 0;
    });
    shuffled.values.set(x.values.subarray(c * x.rows, (c + 1) * x.rows), c * x.rows);
    const drop = drops.reduce((sum, value) => sum + value, 0) / repeats;
    return { name, drop, low: Math.min(...drops), high: Math.max(...drops) };
  });
}

function shuffleColumn(x: Matrix, column: number, random: Random): void {
  const order = new Int32Array(x.rows);
  for (let r = 0; r < order.length; r++) order[r] = r;
  random.shuffle(order);
  const values = x.values.subarray(column * x.rows, (column + 1) * x.rows);
  const before = values.slice();
  for (let r = 0; r < x.rows; r++) values[r] = before[order[r]];
}
