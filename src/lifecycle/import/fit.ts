// What an imported model still needs of the pipeline's data: a forest for the anomaly score, a calibration, thresholds.

import { trainIsolationForest } from "../../ml/iforest/train/train.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { type Fitted, fitDecisions, labelsAt, type MarginModel, marginsOf, type Split } from "../train.ts";

/** The model stays as it is; all else is learned from the same slices as in a training. */
export async function fitImported(
  model: MarginModel,
  given: {
    readonly x: Matrix;
    readonly labels: Uint8Array;
    /** Of every row. */
    readonly amounts: Float64Array;
    readonly split: Split;
    readonly pipeline: Pipeline;
    readonly seed: number;
  },
): Promise<Fitted> {
  const { x, labels, amounts, split, pipeline, seed } = given;
  const { anomalyTrees, anomalySample } = pipeline.modelParameters;
  const forest = trainIsolationForest({
    x: takeMatrixRows(x, split.train.rows),
    trees: anomalyTrees,
    sample: anomalySample,
    seed,
  });
  const later = takeMatrixRows(x, split.calibrate.rows);
  const decisions = fitDecisions(marginsOf(model, later), labelsAt(labels, split.calibrate.rows), {
    pipeline,
    amounts: () => Float64Array.from(split.calibrate.rows, (row) => amounts[row]),
  });
  return {
    model,
    forest,
    anomalyAsFeature: false,
    ...decisions,
    ablation: null,
    curve: { train: [], validation: [] },
    rounds: model.kind === "trees" ? model.trees.roots.length : 0,
  };
}
