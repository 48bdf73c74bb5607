// Continuing: trees are added to a model that is there, on days that it has not learned.
import { assert } from "../../core/errors.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import { boost } from "./boost.ts";
import { fitDecisions } from "./decisions.ts";
import { decidedBy, decidingRows, type FitInput, type Fitted, inputsOf } from "./fit.ts";

/** Adds trees to `start`, learned from `split.train`; stops early and calibrates on `split.calibrate`. `rounds` counts the new ones. */
export async function continueModels(x: Matrix, labels: Uint8Array, given: FitInput): Promise<Fitted> {
  const { split, start, pipeline } = given;
  assert(start !== undefined, "there is a model to continue");
  const later = split.calibrate.rows;
  const params = gbdtParams(pipeline.modelParameters);
  const result = await boost(
    { x, labels, rows: split.train.rows, later },
    { ...given, by: start, params, label: "boosting" },
  );
  given.report.progress("boosting", 1, 1);
  const margins = scoreMatrix(result.model, inputsOf(takeMatrixRows(x, later), start));
  const decided = fitDecisions(margins, { pipeline, ...decidingRows({ x, labels }, later, given) });
  return {
    model: { kind: "trees", trees: result.model },
    forest: start.forest,
    anomalyAsFeature: start.anomalyAsFeature,
    ...decidedBy(decided),
    ablation: null,
    curve: result.curve,
    rounds: result.bestRound,
  };
}
