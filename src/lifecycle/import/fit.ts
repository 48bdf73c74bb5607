// What an imported model still needs of the pipeline's data: a forest for the anomaly score, a calibration, thresholds.

import { trainIsolationForest } from "../../ml/iforest/train/train.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import {
  decidedBy,
  decidingRows,
  type FitInput,
  type Fitted,
  fitDecisions,
  labelsAt,
  marginsOf,
  type Split,
} from "../train.ts";
import type { Engine } from "./engine.ts";
import { probeModel, turnedNote } from "./probe.ts";

/**
 * The model stays as it is; all else is learned from the same slices as in a training. It is asked about rows of the data first.
 * Errors: `ml.model-invalid`, `ml.model-unsupported` where what it answers is no score.
 */
export async function fitImported(
  engine: Engine,
  given: {
    /** Which class is fraud was said by name. */
    readonly isAsked: boolean;
    readonly x: Matrix;
    readonly labels: Uint8Array;
    /** Of every row, as cards. */
    readonly amounts: Float64Array;
    readonly cards: Int32Array;
    readonly features: FitInput["features"];
    readonly habits: FitInput["habits"];
    readonly split: Split;
    readonly forest?: FitInput["forest"];
    readonly pipeline: Pipeline;
    readonly seed: number;
  },
): Promise<Fitted & { readonly notes: readonly string[] }> {
  const { model } = engine;
  const { x, labels, split, pipeline, seed } = given;
  const notes = [...probeModel(engine, x)];
  const later = takeMatrixRows(x, split.calibrate.rows);
  const margins = marginsOf(model, later);
  const laterLabels = labelsAt(labels, split.calibrate.rows);
  const turned = turnedNote(margins, laterLabels, given);
  if (turned !== null) notes.push(turned);
  const { anomalyTrees, anomalySample } = pipeline.modelParameters;
  const forest =
    given.forest ??
    trainIsolationForest({
      x: takeMatrixRows(x, split.train.rows),
      trees: anomalyTrees,
      sample: anomalySample,
      columns: given.habits,
      seed,
    });
  const decided = fitDecisions(margins, { pipeline, ...decidingRows({ x, labels }, split.calibrate.rows, given) });
  return {
    model,
    forest,
    anomalyAsFeature: false,
    ...decidedBy(decided),
    ablation: null,
    curve: { train: [], validation: [] },
    rounds: model.kind === "trees" ? model.trees.roots.length : 0,
    notes,
  };
}
