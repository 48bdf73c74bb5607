// Scoring with boosted trees: one vector or a whole matrix, with the same bits in the answer.
import { copyRow, type Matrix } from "../matrix.ts";
import { leafOf, sumLeaves } from "../trees.ts";
import type { GbdtModel } from "./model.ts";

/** Rows scored together, tree by tree, so that a tree stays in cache. */
const BLOCK_ROWS = 64;

/** Margin (log-odds) of one vector, which has one value a column of the model. Allocates nothing. */
export function scoreRow(model: GbdtModel, vector: Float32Array): number {
  return sumLeaves(model, vector, model.baseMargin);
}

/** Margins of all rows; bit for bit what {@link scoreRow} says. Columns must stand as in the model. */
export function scoreMatrix(model: GbdtModel, x: Matrix): Float64Array {
  const margins = new Float64Array(x.rows).fill(model.baseMargin);
  const columns = x.names.length;
  const vectors = Array.from({ length: BLOCK_ROWS }, () => new Float32Array(columns));
  for (let start = 0; start < x.rows; start += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, x.rows - start);
    for (let i = 0; i < count; i++) copyRow(x, start + i, vectors[i]);
    for (let t = 0; t < model.roots.length; t++) {
      const root = model.roots[t];
      for (let i = 0; i < count; i++) margins[start + i] += model.value[leafOf(model, root, vectors[i])];
    }
  }
  return margins;
}

/** Probability of a margin. */
export function sigmoid(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}
