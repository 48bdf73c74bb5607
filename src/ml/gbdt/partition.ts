// Partition: parts a node's rows into those that go left and those that go right, each side keeping its order.
import { MISSING_BIN } from "./binning.ts";

/**
 * Kernel: rows[from … to) whose bin is at most `splitBin` (missing: as `missingLeft` says) come first. Returns where the
 * right side begins. `column` is indexed by row; `scratch` is as long as `rows`.
 */
export function partitionRows(
  rows: Int32Array,
  column: Uint8Array,
  options: {
    readonly from: number;
    readonly to: number;
    readonly splitBin: number;
    readonly missingLeft: boolean;
    readonly scratch: Int32Array;
  },
): number {
  const { from, to, splitBin, scratch } = options;
  // One comparison decides: the missing bin is the largest, so "missing left" shifts it below all others.
  const shift = options.missingLeft ? 1 : 0;
  const limit = splitBin + shift;
  let left = from;
  let right = 0;
  for (let i = from; i < to; i++) {
    const row = rows[i];
    const goesLeft = ((column[row] + shift) & MISSING_BIN) <= limit ? 1 : 0;
    rows[left] = row;
    scratch[right] = row;
    left += goesLeft;
    right += 1 - goesLeft;
  }
  for (let i = 0; i < right; i++) rows[left + i] = scratch[i];
  return left;
}
