// Histograms: the packed gradients of a node's rows, summed per column and bin.
import { BIN_SLOTS } from "./binning.ts";

/** All columns' bins of one node: slot `column * 256 + bin`. Sums are integers below 2^53, so their order is no matter. */
export type Histogram = Float64Array;

/** Kernel: sums `packed` over rows[from … to) into a cleared histogram. */
export function buildHistogram(
  histogram: Histogram,
  rows: Int32Array,
  options: {
    readonly from: number;
    readonly to: number;
    readonly rowMajor: Uint8Array;
    readonly columns: number;
    readonly packed: Float64Array;
  },
): void {
  const { from, to, rowMajor, columns, packed } = options;
  histogram.fill(0);
  for (let i = from; i < to; i++) {
    const row = rows[i];
    const value = packed[row];
    const start = row * columns;
    for (let c = 0; c < columns; c++) histogram[c * BIN_SLOTS + rowMajor[start + c]] += value;
  }
}

/** Kernel: turns a parent's histogram into the second child's by taking the first child's away; exact. */
export function subtractHistogram(parent: Histogram, child: Histogram): void {
  for (let i = 0; i < parent.length; i++) parent[i] -= child[i];
}

/** Reuses histograms, so that a tree allocates only as many as are open at once. */
export function makeHistogramPool(columns: number): {
  readonly take: () => Histogram;
  readonly giveBack: (histogram: Histogram) => void;
} {
  const free: Histogram[] = [];
  return {
    take: () => free.pop() ?? new Float64Array(columns * BIN_SLOTS),
    giveBack: (histogram) => {
      free.push(histogram);
    },
  };
}
