// Scoring with the isolation forest: how easily a vector is set apart from the rest.
import { copyRow, type Matrix } from "../matrix.ts";
import { sumLeaves } from "../trees.ts";
import { type IsolationForest, meanPath } from "./model.ts";

/** Anomaly score 2^(−E[h] / c(sample)) in [0, 1]: near 1 is strange, 0.5 and below is ordinary. Allocates nothing. */
export function scoreAnomaly(forest: IsolationForest, vector: Float32Array): number {
  const meanDepth = sumLeaves(forest, vector, 0) / forest.roots.length;
  return 2 ** (-meanDepth / meanPath(forest.sample));
}

/** Anomaly scores of all rows; bit for bit what {@link scoreAnomaly} says. Columns must stand as in the forest. */
export function scoreAnomalyMatrix(forest: IsolationForest, x: Matrix): Float64Array {
  const scores = new Float64Array(x.rows);
  const vector = new Float32Array(x.names.length);
  for (let r = 0; r < x.rows; r++) {
    copyRow(x, r, vector);
    scores[r] = scoreAnomaly(forest, vector);
  }
  return scores;
}
