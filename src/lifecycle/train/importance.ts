// What each feature is worth to a model: to its splits while it learned, and to its ranking of later rows.

import { averagePrecision } from "../../metrics/metrics.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { type Matrix, takeMatrixRows, withColumn } from "../../ml/matrix.ts";
import { permutationImportance, splitImportance } from "../../ml/train/importance.ts";
import { ANOMALY_FEATURE, type Fitted } from "./fit.ts";

export interface FeatureImportance {
  readonly name: string;
  readonly splits: number;
  /** Shares of what all splits gained, and of the second derivatives that passed through them. */
  readonly gain: number;
  readonly cover: number;
  /** Fall of the average precision on a sample of later rows when the feature is shuffled among them. */
  readonly permutation: number;
}

/** Genuine rows of the sample at most; all frauds are in it. */
const GENUINE_MAX = 5000;
const REPEATS = 2;

/** Features by gain, the largest first; none where there are no trees. */
export function importanceOf(
  fitted: Fitted,
  later: { readonly x: Matrix; readonly y: Uint8Array; readonly anomaly: Float32Array; readonly seed: number },
): FeatureImportance[] {
  if (fitted.model.kind === "graph") return [];
  const { trees } = fitted.model;
  const { x, y, anomaly, seed } = later;
  const rows = sampleRows(y);
  const input = fitted.anomalyAsFeature ? withColumn(x, ANOMALY_FEATURE, anomaly) : x;
  const labels = Uint8Array.from(rows, (row) => y[row]);
  const metric = (matrix: Matrix): number => averagePrecision(scoreMatrix(trees, matrix), labels);
  const parts = splitImportance(trees);
  const reads = (column: number): boolean => parts[column].splits > 0;
  const drops = permutationImportance(takeMatrixRows(input, rows), { metric, seed, repeats: REPEATS, reads });
  const total = (of: "gain" | "cover"): number => parts.reduce((sum, part) => sum + part[of], 0) || 1;
  const [gains, covers] = [total("gain"), total("cover")];
  return parts
    .map(({ name, splits, gain, cover }, c) => ({
      name,
      splits,
      gain: gain / gains,
      cover: cover / covers,
      permutation: drops[c].drop,
    }))
    .sort((a, b) => b.gain - a.gain);
}

/** All frauds and evenly spaced others. */
function sampleRows(y: Uint8Array): Int32Array {
  const genuine = y.reduce((count, label) => count + 1 - label, 0);
  const step = Math.max(1, genuine / GENUINE_MAX);
  let seen = 0;
  return Int32Array.from(y.keys()).filter((row) => {
    if (y[row] === 1) return true;
    const before = Math.floor(seen / step);
    seen++;
    return Math.floor(seen / step) > before;
  });
}
