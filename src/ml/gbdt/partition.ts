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
  // The missing bin is the largest, so "missing left" shifts it below all others. What decides is arithmetic, not a branch,
  // which would be guessed wrong half the time: the sign bit of limit − bin is 1 for the right side.
  const shift = options.missingLeft ? 1 : 0;
  const limit = splitBin + shift;
  let left = from;
  for (let i = from; i < to; i++) {
    const row = rows[i];
    rows[left] = row;
    scratch[i - left] = row;
    left += 1 - ((limit - ((column[row] + shift) & MISSING_BIN)) >>> 31);
  }
  rows.set(scratch.subarray(0, to - left), left);
  return left;
}
