// After a tree is grown: its leaves added to the margins of the rows, and the loss there.
import type { Matrix } from "../matrix.ts";
import type { GrownTree } from "./grow.ts";

/** Kernel: rows of each leaf get its value; no walk is needed for the rows that grew the tree. */
export function addLeaves(tree: GrownTree, rows: Int32Array, margins: Float64Array): void {
  for (const leaf of tree.leaves) {
    const { value } = tree.nodes[leaf.node];
    for (let i = leaf.from; i < leaf.to; i++) margins[rows[i]] += value;
  }
}

/** Kernel: walks the rows named through one tree. */
export function addTree(
  tree: GrownTree,
  to: { readonly x: Matrix; readonly rows: Int32Array; readonly margins: Float64Array },
): void {
  const { nodes } = tree;
  const { rows, values } = to.x;
  for (const r of to.rows) {
    let node = nodes[0];
    while (node.column >= 0) {
      const value = values[node.column * rows + r];
      const goesLeft = value < node.threshold || (Number.isNaN(value) && node.missingLeft);
      node = nodes[goesLeft ? node.left : node.left + 1];
    }
    to.margins[r] += node.value;
  }
}

/** Mean log-loss of margins, without ever taking the logarithm of 0. */
export function logLossOfMargins(margins: Float64Array, y: Uint8Array): number {
  let loss = 0;
  for (let r = 0; r < margins.length; r++) {
    const against = y[r] === 1 ? -margins[r] : margins[r];
    loss += Math.max(against, 0) + Math.log1p(Math.exp(-Math.abs(against)));
  }
  return loss / margins.length;
}
