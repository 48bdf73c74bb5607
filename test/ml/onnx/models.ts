// Models to export: hand-made trees with every kind of node, and trained ones with and without the anomaly score.
import { Random } from "../../../src/core/random.ts";
import { type Calibration, calibrate } from "../../../src/ml/calibration/apply.ts";
import { fitCalibration } from "../../../src/ml/calibration/train/fit.ts";
import type { GbdtModel } from "../../../src/ml/gbdt/model.ts";
import { scoreMatrix, scoreRow } from "../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../src/ml/gbdt/train/train.ts";
import type { IsolationForest } from "../../../src/ml/iforest/model.ts";
import { scoreAnomaly, scoreAnomalyMatrix } from "../../../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../../../src/ml/iforest/train/train.ts";
import { withColumn } from "../../../src/ml/matrix.ts";
import { CATEGORY_MAX, categoriesOf, setsOf, wordsOf } from "../../../src/ml/trees.ts";
import { fraudProblem } from "../arbitraries.ts";

export interface OnnxModel {
  readonly trees: GbdtModel;
  readonly forest: IsolationForest;
  readonly calibration: Calibration;
  readonly anomalyAsFeature: boolean;
  readonly names: readonly string[];
}

const CALIBRATIONS: Readonly<Record<string, Calibration>> = {
  none: { kind: "none" },
  beta: { kind: "beta", a: 0.8, b: 1.3, c: -0.4 },
  isotonic: { kind: "isotonic", x: [-4, -2.5, -2.4999, -1, 0.3, 2], y: [0.001, 0.01, 0.2, 0.21, 0.6, 0.97] },
  "isotonic of two knots": { kind: "isotonic", x: [-2, 1], y: [0.05, 0.7] },
  "isotonic of one knot": { kind: "isotonic", x: [-2], y: [0.05] },
};
/** One model of every kind the export meets, by what it is. */
export function exportedModels(): Readonly<Record<string, OnnxModel>> {
  return {
    ...Object.fromEntries(
      Object.entries(CALIBRATIONS).flatMap(([name, calibration]) => [
        [`hand-made, ${name}`, { ...handMade(), calibration }],
        [`trained, ${name}`, { ...trainedModel(false), calibration }],
        [`trained with the anomaly score, ${name}`, { ...trainedModel(true), calibration }],
      ]),
    ),
    "trained, isotonic as fitted": trainedModel(true),
    "hand-made with sets": handMadeSets(),
    "trained with sets": trainedSets(),
    "no trees": { ...handMade(0), calibration: { kind: "none" } },
  };
}

/** Ordinary values, missing ones, the ends of Float32, infinities, and exactly the values that trees ask about. */
export function extremeRows(model: OnnxModel, rows: number): Float32Array {
  const random = new Random(5);
  const width = model.names.length;
  const sets = Array.from(model.trees.feature, (_, node) => categoriesOf(model.trees, node)).flat();
  const asked = [...model.trees.threshold, ...model.forest.threshold, ...sets, ...sets.map((value) => value + 1)];
  const ends = [3.4e38, -3.4e38, 1e-38, -1e-45, 0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return Float32Array.from({ length: rows * width }, () => {
    const kind = random.next();
    if (kind < 0.15) return Number.NaN;
    if (kind < 0.2) return ends[random.integer(ends.length)];
    if (kind < 0.35) return asked[random.integer(asked.length)];
    return random.normal();
  });
}

/** The served score of one vector, by the code that serves. */
export function ourScore(model: OnnxModel, vector: Float32Array): number {
  const anomaly = Math.fround(scoreAnomaly(model.forest, vector));
  const input = model.anomalyAsFeature ? Float32Array.of(...vector, anomaly) : vector;
  return Math.fround(calibrate(model.calibration, scoreRow(model.trees, input)));
}

/**
 * Three trees over c0…c3: both sides for missing values, a threshold of +Infinity ("missing against the rest"), thresholds
 * of 0 and of the smallest Float32, and a tree that is one leaf. `trees` may be 0.
 */
export function handMade(trees: 0 | 3 = 3): OnnxModel {
  const infinity = Number.POSITIVE_INFINITY;
  const feature = [0, 1, 2, -1, -1, -1, -1, 3, -1, 0, -1, -1, -1];
  const threshold = [0, 0.5, infinity, 0, 0, 0, 0, 2 ** -149, 0, infinity, 0, 0, 0];
  const missingLeft = [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
  const left = [1, 3, 5, -1, -1, -1, -1, 8, -1, 10, -1, -1, -1];
  const right = [2, 4, 6, -1, -1, -1, -1, 9, -1, 11, -1, -1, -1];
  const value = [0, 0, 0, 0.1, -3.3, 1.7, 0.45, 0, 1e-7, 0, 12.25, -0.3, 0.7];
  const nodes = trees === 0 ? 0 : feature.length;
  const { forest, names } = trainedModel(false);
  return {
    trees: {
      names,
      roots: Int32Array.from(trees === 0 ? [] : [0, 7, 12]),
      feature: Int32Array.from(feature.slice(0, nodes)),
      threshold: Float32Array.from(threshold.slice(0, nodes)),
      left: Int32Array.from(left.slice(0, nodes)),
      right: Int32Array.from(right.slice(0, nodes)),
      missingLeft: Uint8Array.from(missingLeft.slice(0, nodes)),
      value: Float32Array.from(value.slice(0, nodes)),
      baseMargin: -1.1,
      gain: new Float32Array(nodes),
      cover: new Float32Array(nodes),
    },
    forest,
    calibration: { kind: "none" },
    anomalyAsFeature: false,
    names,
  };
}

/**
 * The same with sets of categories at four nodes: one category, many, the largest, on both sides of missing values, and one
 * set below another.
 */
export function handMadeSets(): OnnxModel {
  const model = handMade();
  const nodes: (Uint32Array | null)[] = Array.from(model.trees.feature, () => null);
  nodes[0] = wordsOf([2]);
  nodes[2] = wordsOf([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, CATEGORY_MAX]);
  nodes[7] = wordsOf([0, 31, 32, 63]);
  nodes[9] = wordsOf([7, 1]);
  const threshold = model.trees.threshold.map((value, node) => (nodes[node] === null ? value : 0));
  return { ...model, trees: { ...model.trees, threshold, sets: setsOf(nodes) } };
}

/** 30 trees that part the first two columns, made whole numbers, as categories. */
export function trainedSets(): OnnxModel {
  const { x, y } = fraudProblem(3000, 6);
  const values = x.values.map((value, i) => (i < 2 * x.rows ? Math.abs(Math.round(9 * value)) : value));
  const input = { ...x, values };
  const forest = trainIsolationForest({ x: input, trees: 20, seed: 4 });
  const kinds = ["category", "category", "number", "number"] as const;
  const params = { ...defaultGbdtParams, trees: 30, depthMax: 5 };
  const { model: trees } = trainGbdt({ x: input, y, kinds, params, seed: 5 });
  return { trees, forest, calibration: { kind: "none" }, anomalyAsFeature: false, names: x.names };
}

/** 60 trees of depth 5 and a forest of 50, with the isotonic calibration fitted to them. */
export function trainedModel(anomalyAsFeature: boolean): OnnxModel {
  const { x, y } = fraudProblem(3000, 3);
  const forest = trainIsolationForest({ x, trees: 50, seed: 4 });
  const anomaly = Float32Array.from(scoreAnomalyMatrix(forest, x));
  const input = anomalyAsFeature ? withColumn(x, "anomaly_score", anomaly) : x;
  const { model: trees } = trainGbdt({
    x: input,
    y,
    params: { ...defaultGbdtParams, trees: 60, depthMax: 5 },
    seed: 5,
  });
  const calibration = fitCalibration({ margins: scoreMatrix(trees, input), y, kind: "isotonic" });
  return { trees, forest, calibration, anomalyAsFeature, names: x.names };
}
