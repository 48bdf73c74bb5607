// Histograms: the packed gradients of a node's rows, summed per column and bin.
import { BIN_SLOTS, type BinnedMatrix } from "./binning.ts";
import { LANES, laneSums, sumLanes } from "./lanes.ts";

/** All columns' bins of one node: slot `column * 256 + bin`. Sums are integers below 2^53, so their order is no matter. */
export type Histogram = Float64Array;

/** Where scattered rows are laid side by side before they are summed; holds up to `rows` of them. */
export interface Gathered {
  readonly bins: Uint8Array;
  readonly packed: Float64Array;
}

export function makeGathered(rows: number, stride: number): Gathered {
  return { bins: new Uint8Array(rows * stride), packed: new Float64Array(rows) };
}

/** Sums `packed` over rows[from … to) into a histogram. All rows of the matrix need no gathering. */
export function buildHistogram(
  histogram: Histogram,
  rows: Int32Array,
  options: {
    readonly from: number;
    readonly to: number;
    readonly binned: BinnedMatrix;
    readonly packed: Float64Array;
    readonly gathered: Gathered;
  },
): void {
  const { from, to, binned, packed, gathered } = options;
  const { stride } = binned;
  const count = to - from;
  if (count === binned.rows) {
    sumColumns(histogram, { packed, bins: binned.rowMajor }, { count, stride, columns: binned.columns });
    return;
  }
  gatherRows(rows.subarray(from, to), gathered, { packed, bins: binned.rowMajor, stride });
  sumColumns(histogram, gathered, { count, stride, columns: binned.columns });
}

function sumColumns(
  histogram: Histogram,
  rows: Gathered,
  size: { readonly count: number; readonly stride: number; readonly columns: number },
): void {
  for (let first = 0; first < size.columns; first += LANES) {
    sumLanes(rows.packed, rows.bins, { count: size.count, stride: size.stride, first });
    const lanes = Math.min(LANES, size.columns - first);
    for (let lane = 0; lane < lanes; lane++) histogram.set(laneSums(lane), (first + lane) * BIN_SLOTS);
  }
}

/** Kernel: copies the rows named, four bins at a time. */
function gatherRows(
  rows: Int32Array,
  to: Gathered,
  from: { readonly packed: Float64Array; readonly bins: Uint8Array; readonly stride: number },
): void {
  const words = from.stride / Uint32Array.BYTES_PER_ELEMENT;
  const source = new Uint32Array(from.bins.buffer, from.bins.byteOffset, from.bins.length / 4);
  const target = new Uint32Array(to.bins.buffer, to.bins.byteOffset, to.bins.length / 4);
  const { packed } = from;
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    to.packed[i] = packed[row];
    let word = row * words;
    for (const end = word + words; word < end; word++) target[at++] = source[word];
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
