// Fitting: forest, trees (where asked with and without the anomaly score; the ablation decides), calibration, thresholds.
import type { Thresholds } from "../../core/decision.ts";
import type { DecisionPolicy } from "../../core/policy.ts";
import { pairedBootstrap } from "../../evidence/bootstrap.ts";
import { AVERAGE_PRECISION } from "../../metrics/ranked.ts";
import { type Calibration, calibrate } from "../../ml/calibration/apply.ts";
import type { ForeignGraph } from "../../ml/foreign/onnx/graph.ts";
import type { GbdtModel } from "../../ml/gbdt/model.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../ml/gbdt/train/threads.ts";
import type { IsolationForest } from "../../ml/iforest/model.ts";
import { scoreAnomalyMatrix } from "../../ml/iforest/score.ts";
import { trainIsolationForest } from "../../ml/iforest/train/train.ts";
import { copyRow, type Matrix, takeMatrixRows, withColumn } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Reporter } from "../../ports/ports.ts";
import { type Decided, type DecidingRows, fitDecisions } from "./decisions.ts";
import { type PolicyFeatures, policyInputs } from "./policy.ts";
import type { Split } from "./split.ts";

export const ANOMALY_FEATURE = "anomaly_score";

/** Gain in average precision on the calibration slice below which the anomaly score is not worth an input. */
const ABLATION_GAIN_MIN = 0.002;

/** Average precision on the calibration slice without and with the anomaly score among the inputs. */
export interface Ablation {
  readonly without: number;
  readonly with: number;
  /** Lower end of the gain's 95 % interval, cards resampled. */
  readonly gainLow: number;
  /** Whether the gain is worth an input, and beyond noise. */
  readonly kept: boolean;
}

/** What gives vectors their log-odds: trees, or the graph of a foreign model that is none. */
export type MarginModel =
  | { readonly kind: "trees"; readonly trees: GbdtModel }
  | { readonly kind: "graph"; readonly graph: ForeignGraph };

export interface Fitted {
  readonly model: MarginModel;
  readonly forest: IsolationForest;
  readonly anomalyAsFeature: boolean;
  readonly calibration: Calibration;
  readonly thresholds: Thresholds;
  /** Null where the thresholds hold for all. */
  readonly policy: DecisionPolicy | null;
  /** What the thresholds rest on. */
  readonly decided: Decided;
  /** null where nothing was compared: nobody asked, or an imported model has the inputs it has. */
  readonly ablation: Ablation | null;
  readonly curve: { readonly train: readonly number[]; readonly validation: readonly number[] };
  readonly rounds: number;
  /** What was seen of an imported model on the data, in sentences. */
  readonly notes?: readonly string[];
}

/** What fitting is given beside vectors and labels. */
export interface FitInput {
  /** What each column of x means to the trees; the forest takes all for numbers, codes of categories too. */
  readonly kinds: readonly ColumnKind[];
  /** Places of the columns that the forest looks at. */
  readonly habits: Int32Array;
  readonly split: Split;
  /** One per row of `x`; for thresholds that weigh costs. */
  readonly amounts: Float64Array;
  /** One per row of `x`: rows of one card stand or fall together. */
  readonly cards: Int32Array;
  /** What decisions read of the vectors. */
  readonly features: PolicyFeatures;
  /** One per row of `x`: how much it counts; absent where all count the same. */
  readonly weights?: Float32Array;
  /** The model that trees are added to. */
  readonly start?: StartModel;
  /** Grown already; absent: on the rows to learn from. */
  readonly forest?: IsolationForest;
  readonly pipeline: Pipeline;
  readonly seed: number;
  readonly threads: number;
  readonly report: Reporter;
}

/** The models of an earlier bundle. Its forest stays, since its trees may read what it says. */
export interface StartModel {
  readonly trees: GbdtModel;
  readonly forest: IsolationForest;
  readonly anomalyAsFeature: boolean;
}

/**
 * Learns from `split.train`, stops early and calibrates on `split.calibrate`. `x` holds every row. Parameters are the
 * pipeline's; the seed fixes every draw, and the number of threads changes nothing but the time.
 */
export async function fitModels(x: Matrix, labels: Uint8Array, given: FitInput): Promise<Fitted> {
  const { kinds, split, pipeline, seed, threads, report } = given;
  const { modelParameters: parameters } = pipeline;
  const trainX = takeMatrixRows(x, split.train.rows);
  const laterX = takeMatrixRows(x, split.calibrate.rows);
  const trainY = labelsAt(labels, split.train.rows);
  const laterY = labelsAt(labels, split.calibrate.rows);
  const forest = trainIsolationForest({
    x: trainX,
    trees: parameters.anomalyTrees,
    sample: parameters.anomalySample,
    columns: given.habits,
    seed,
  });

  const boost = (label: string, trainInput: Matrix, laterInput: Matrix) =>
    trainGbdtThreads(
      {
        x: trainInput,
        y: trainY,
        ...weightsAt(given.weights, split.train.rows),
        validation: { x: laterInput, y: laterY },
        kinds: kindsOf(trainInput, kinds),
        params: gbdtParams(parameters),
        seed,
        onRound: (round) => report.progress(label, round, parameters.trees),
      },
      { threads },
    );
  const plain = await boost("boosting", trainX, laterX);
  const without: Boosted = { ...plain, margins: scoreMatrix(plain.model, laterX), anomalyAsFeature: false };
  const compare = async (): Promise<{ readonly chosen: Boosted; readonly ablation: Ablation }> => {
    const withAnomaly = (slice: Matrix): Matrix => withColumn(slice, ANOMALY_FEATURE, anomalyOf(forest, slice));
    const laterWith = withAnomaly(laterX);
    const extended = await boost("boosting with the anomaly score", withAnomaly(trainX), laterWith);
    const reading: Boosted = {
      ...extended,
      margins: scoreMatrix(extended.model, laterWith),
      anomalyAsFeature: true,
    };
    const card = Int32Array.from(split.calibrate.rows, (row) => given.cards[row]);
    const ablation = anomalyAblation({ y: laterY, card, a: without.margins, b: reading.margins, seed });
    return { chosen: ablation.kept ? reading : without, ablation };
  };
  const { chosen, ablation } =
    parameters.anomalyFeature === "choose" ? await compare() : { chosen: without, ablation: null };
  report.progress("boosting", 1, 1);
  const rows = decidingRows({ x, labels }, split.calibrate.rows, given);
  return {
    model: { kind: "trees", trees: chosen.model },
    forest,
    anomalyAsFeature: chosen.anomalyAsFeature,
    ...decidedBy(fitDecisions(chosen.margins, { pipeline, ...rows })),
    ablation,
    curve: chosen.curve,
    rounds: chosen.bestRound,
  };
}

/** Trees, and their log-odds on the calibration slice. */
type Boosted = Awaited<ReturnType<typeof trainGbdtThreads>> & {
  readonly margins: Float64Array;
  readonly anomalyAsFeature: boolean;
};

/** Whether log-odds `b`, of trees that read the anomaly score, are better than `a` by more than noise: with other draws it would be the same. */
export function anomalyAblation(rows: {
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly seed: number;
}): Ablation {
  const { observedA, observedB, difference, low } = pairedBootstrap({ ...rows, metric: AVERAGE_PRECISION });
  return {
    without: observedA,
    with: observedB,
    gainLow: low,
    kept: difference >= ABLATION_GAIN_MIN && low > 0,
  };
}

/** Calibrated Float32 scores and anomaly scores of a matrix, as serving computes them row by row. */
export function scoresOf(fitted: Fitted, x: Matrix): { readonly scores: Float32Array; readonly anomaly: Float32Array } {
  const { margins, anomaly } = vectorMargins(fitted, x);
  return { scores: Float32Array.from(margins, (margin) => calibrate(fitted.calibration, margin)), anomaly };
}

/** Log-odds before calibration, and anomaly scores, of vectors without the anomaly score. */
export function vectorMargins(
  fitted: Pick<Fitted, "model" | "forest" | "anomalyAsFeature">,
  x: Matrix,
): { readonly margins: Float64Array; readonly anomaly: Float32Array } {
  const anomaly = anomalyOf(fitted.forest, x);
  const input = fitted.anomalyAsFeature ? withColumn(x, ANOMALY_FEATURE, anomaly) : x;
  return { margins: marginsOf(fitted.model, input), anomaly };
}

/** Log-odds of all rows, bit for bit as one by one. */
export function marginsOf(model: MarginModel, x: Matrix): Float64Array {
  if (model.kind === "trees") return scoreMatrix(model.trees, x);
  const vector = new Float32Array(x.names.length);
  return Float64Array.from({ length: x.rows }, (_, row) => {
    copyRow(x, row, vector);
    return model.graph.margin(vector);
  });
}

/** Labels, amounts, cards and what decisions read of these rows; `x` and `labels` hold every row. */
export function decidingRows(
  { x, labels }: { readonly x: Matrix; readonly labels: Uint8Array },
  rows: Int32Array,
  { amounts, cards, features }: Pick<FitInput, "amounts" | "cards" | "features">,
): DecidingRows {
  return {
    y: labelsAt(labels, rows),
    amounts: Float64Array.from(rows, (row) => amounts[row]),
    cards: Int32Array.from(rows, (row) => cards[row]),
    features,
    inputs: policyInputs(x, rows, features),
  };
}

/** What was decided, as part of what was fitted. */
export function decidedBy(decided: Decided): Pick<Fitted, "calibration" | "thresholds" | "policy" | "decided"> {
  const { calibration, thresholds, policy } = decided;
  return { calibration, thresholds, policy, decided };
}

export function labelsAt(labels: Uint8Array, rows: Int32Array): Uint8Array {
  return Uint8Array.from(rows, (row) => labels[row]);
}

/** Kinds of the trees' inputs: the anomaly score, where it is among them, is the last. */
export function kindsOf({ names }: Matrix, kinds: readonly ColumnKind[]): ColumnKind[] {
  return names.map((_, c) => kinds[c] ?? "number");
}

export function weightsAt(weights: Float32Array | undefined, rows: Int32Array): { readonly weights?: Float32Array } {
  return weights === undefined ? {} : { weights: Float32Array.from(rows, (row) => weights[row]) };
}

/** The inputs of trees: with the forest's score where they read it. */
export function inputsOf(x: Matrix, by: Pick<StartModel, "forest" | "anomalyAsFeature">): Matrix {
  return by.anomalyAsFeature ? withColumn(x, ANOMALY_FEATURE, anomalyOf(by.forest, x)) : x;
}

function anomalyOf(forest: IsolationForest, x: Matrix): Float32Array {
  return Float32Array.from(scoreAnomalyMatrix(forest, x));
}
