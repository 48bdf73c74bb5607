// Scoring with boosted trees: one vector or a whole matrix, with the same bits in the answer.
import { walkerOf } from "../heaps.ts";
import type { Matrix } from "../matrix.ts";
import type { GbdtModel } from "./model.ts";

/** Margin (log-odds) of one vector, which has one value per column of the model. Allocates nothing after the first call. */
export function scoreRow(model: GbdtModel, vector: Float32Array): number {
  return walkerOf(model).sum(vector, model.baseMargin);
}

/** Margins of all rows; bit for bit what {@link scoreRow} says. Columns must stand as in the model. */
export function scoreMatrix(model: GbdtModel, x: Matrix): Float64Array {
  const margins = new Float64Array(x.rows).fill(model.baseMargin);
  walkerOf(model).addAll(x, margins);
  return margins;
}

/** Probability of a margin. */
export function sigmoid(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}
