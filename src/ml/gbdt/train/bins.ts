// Bins: their numbers, the one of missing values, and the bin of a value.

/** The bin of missing values, in every column; value bins are 0 … 254. */
export const MISSING_BIN = 255;

/** Slots a column has in a histogram. */
export const BIN_SLOTS = 256;

/** The bin of one value. */
export function binOf(value: number, thresholds: Float32Array): number {
  if (Number.isNaN(value)) return MISSING_BIN;
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (thresholds[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
