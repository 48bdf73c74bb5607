// Scoring with the isolation forest: how easily a vector is set apart from the rest.
import { walkerOf } from "../heaps.ts";
import type { Matrix } from "../matrix.ts";
import { type IsolationForest, meanPath } from "./model.ts";

/** Anomaly score 2^(−E[h] / c(sample)) in [0, 1]: near 1 is strange, 0.5 and below is ordinary. Allocates nothing. */
export function scoreAnomaly(forest: IsolationForest, vector: Float32Array): number {
  return scoreOf(forest, walkerOf(forest).sum(vector, 0));
}

/** Anomaly scores of all rows; bit for bit what {@link scoreAnomaly} says. Columns must stand as in the forest. */
export function scoreAnomalyMatrix(forest: IsolationForest, x: Matrix): Float64Array {
  const scores = new Float64Array(x.rows);
  walkerOf(forest).addAll(x, scores);
  for (let r = 0; r < x.rows; r++) scores[r] = scoreOf(forest, scores[r]);
  return scores;
}

function scoreOf(forest: IsolationForest, pathSum: number): number {
  const meanDepth = pathSum / forest.roots.length;
  return 2 ** (-meanDepth / meanPath(forest.sample));
}
