// Scoring with the isolation forest: how easily a vector is set apart from the rest.
import { walkerOf } from "../heaps.ts";
import type { Matrix } from "../matrix.ts";
import { type IsolationForest, meanPath } from "./model.ts";

/** Anomaly score 2^(−E[h] / c(sample)) in [0, 1]: near 1 is strange, 0.5 and below is ordinary. Allocates nothing. */
export function scoreAnomaly(forest: IsolationForest, vector: Float32Array): number {
  return Math.exp(decayOf(forest) * walkerOf(forest).sum(vector, 0));
}

/** Anomaly scores of all rows; bit for bit what {@link scoreAnomaly} says. Columns must stand as in the forest. */
export function scoreAnomalyMatrix(forest: IsolationForest, x: Matrix): Float64Array {
  const scores = new Float64Array(x.rows);
  walkerOf(forest).addAll(x, scores);
  const decay = decayOf(forest);
  for (let r = 0; r < x.rows; r++) scores[r] = Math.exp(decay * scores[r]);
  return scores;
}

/** What one unit of path, summed over the trees, does to the logarithm of the score. */
function decayOf({ roots, sample }: IsolationForest): number {
  return -Math.LN2 / (roots.length * meanPath(sample));
}
