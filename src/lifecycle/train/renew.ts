// Renewal: a judged training once more on all days, held against the newest answers, and trees added to a model that is there.
import { assert } from "../../core/errors.ts";
import { budgetThreshold, rank } from "../../metrics/ranking.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { appendTrees } from "../../ml/gbdt/train/append.ts";
import { type GbdtParams, gbdtParams } from "../../ml/gbdt/train/params.ts";
import { type GbdtResult, trainGbdtThreads } from "../../ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import { fitDecisions } from "./decisions.ts";
import {
  decidedBy,
  decidingRows,
  type FitInput,
  type Fitted,
  inputsOf,
  kindsOf,
  labelsAt,
  marginsOf,
  type StartModel,
  scoresOf,
  weightsAt,
} from "./fit.ts";
import { learnableRows, unlearnedRows } from "./split.ts";

/**
 * Trains once more as `fitted` was, with as many trees, on all labelled days that the split has, those it was judged on included. Calibration
 * and thresholds come from what the judged model said about days it had not learned: what the new one says of these would be by heart.
 */
export async function renew(
  x: Matrix,
  labels: Uint8Array,
  given: FitInput & {
    readonly fitted: Fitted;
    readonly times: Float64Array;
    /** Transactions after all of them, which nobody has learned: what a budget flags of these is what it will flag. */
    readonly newest: Matrix;
  },
): Promise<Fitted> {
  const { fitted, split, times, pipeline, newest } = given;
  const rows = learnableRows(times, labels, split);
  const params = { ...gbdtParams(pipeline.modelParameters), trees: fitted.rounds, earlyStoppingRounds: 0 };
  const result = await boost({ x, labels, rows, later: null }, { ...given, by: fitted, params });
  const heldOut = unlearnedRows(times, labels, split);
  const margins = marginsOf(fitted.model, inputsOf(takeMatrixRows(x, heldOut), fitted));
  const decided = fitDecisions(margins, { pipeline, ...decidingRows(labels, heldOut, given) });
  const again: Fitted = { ...fitted, ...decidedBy(decided), model: { kind: "trees", trees: result.model } };
  const review = withinBudget(again, newest, pipeline.decisions);
  return review === null ? again : { ...again, thresholds: { ...again.thresholds, review } };
}

/** Newest transactions below which nothing is refitted: its scores would have no reference. */
export const NEWEST_ROWS_MIN = 1000;

/** Alerts that a threshold must rest on: fewer are mostly luck. */
const ALERTS_MIN = 10;

/**
 * The review threshold by the budget on transactions that the model has not learned; null where another policy sets it, or too few are known. The
 * judged model cannot tell how much the refitted one flags of a world that only the latter has learned.
 */
function withinBudget(fitted: Fitted, newest: Matrix, decisions: FitInput["pipeline"]["decisions"]): number | null {
  const { reviewPolicy, reviewShare } = decisions;
  if (reviewPolicy !== "budget" || newest.rows * reviewShare < ALERTS_MIN) return null;
  const { scores } = scoresOf(fitted, newest);
  return budgetThreshold(rank(scores, new Uint8Array(newest.rows)), reviewShare, fitted.thresholds.block);
}

/** Adds trees to `start`, learned from `split.train`; stops early and calibrates on `split.calibrate`. `rounds` counts the new ones. */
export async function continueModels(x: Matrix, labels: Uint8Array, given: FitInput): Promise<Fitted> {
  const { split, start, pipeline } = given;
  assert(start !== undefined, "there is a model to continue");
  const later = split.calibrate.rows;
  const params = gbdtParams(pipeline.modelParameters);
  const result = await boost({ x, labels, rows: split.train.rows, later }, { ...given, by: start, params });
  given.report.progress("boosting", 1, 1);
  const margins = scoreMatrix(result.model, inputsOf(takeMatrixRows(x, later), start));
  const decided = fitDecisions(margins, { pipeline, ...decidingRows(labels, later, given) });
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

/** Boosts, on top of the start model where there is one; the model has its trees then too. */
async function boost(
  data: {
    readonly x: Matrix;
    readonly labels: Uint8Array;
    readonly rows: Int32Array;
    readonly later: Int32Array | null;
  },
  given: FitInput & { readonly by: Pick<StartModel, "forest" | "anomalyAsFeature">; readonly params: GbdtParams },
): Promise<GbdtResult> {
  const { labels, rows, later } = data;
  const { kinds, weights, start, params, seed, threads, report, by } = given;
  const inputs = (wanted: Int32Array): Matrix => inputsOf(takeMatrixRows(data.x, wanted), by);
  const x = inputs(rows);
  const validation = later === null ? null : { x: inputs(later), y: labelsAt(labels, later) };
  const margins =
    start === undefined
      ? undefined
      : {
          x: scoreMatrix(start.trees, x),
          ...(validation === null ? {} : { validation: scoreMatrix(start.trees, validation.x) }),
        };
  const result = await trainGbdtThreads(
    {
      x,
      y: labelsAt(labels, rows),
      ...weightsAt(weights, rows),
      ...(validation === null ? {} : { validation }),
      ...(margins === undefined ? {} : { margins }),
      kinds: kindsOf(x, kinds),
      params,
      seed,
      onRound: (round) => report.progress("boosting", round, params.trees),
    },
    { threads },
  );
  return start === undefined ? result : { ...result, model: appendTrees(start.trees, result.model) };
}
