// A key and the capability that uses it: the same names, limits and defaults, tried at each end of each range.
import { describe, expect, test } from "vitest";
import { DRIFT_POLICY } from "../../src/drift/policy.ts";
import { PROMOTION_POLICY } from "../../src/evidence/promotion.ts";
import { TRAINING_POLICY } from "../../src/evidence/training.ts";
import { checkGbdtParams, defaultGbdtParams, type GbdtParams, gbdtParams } from "../../src/ml/gbdt/train/params.ts";
import { trainIsolationForest } from "../../src/ml/iforest/train/train.ts";
import { pipelineOf } from "../lifecycle/world.ts";

/** Ends of what a pipeline accepts, and the nearest numbers beyond. */
const ENDS: readonly (readonly [key: string, name: keyof GbdtParams, ...values: number[]])[] = [
  ["trees", "trees", 0, 1, 10_000, 10_001, 1.5],
  ["learning_rate", "learningRate", 0, 1e-9, 1, 1.01],
  ["depth_max", "depthMax", 0, 1, 16, 17],
  ["leaves_max", "leavesMax", 1, 2, 65_536, 65_537, 2.5],
  ["lambda", "lambda", -1, 0, 1e6, 1e6 + 1],
  ["alpha", "alpha", -1, 0, 1e6, 1e6 + 1],
  ["gamma", "gamma", -1, 0, 1e6, 1e6 + 1],
  ["min_child_weight", "minChildWeight", -1, 0, 1e6 + 1, 1e9, 1e9 + 1],
  ["row_sample", "rowSample", 0, 1e-9, 1, 1.01],
  ["column_sample", "columnSample", 0, 1e-9, 1, 1.01],
  ["bins_max", "binsMax", 2, 3, 256, 257],
  ["category_rows_min", "categoryRowsMin", 0, 1, 1e6 + 1, 1e9, 1e9 + 1],
  ["category_lambda", "categoryLambda", -1, 0, 1e6, 1e6 + 1],
  ["category_smoothing", "categorySmoothing", -1, 0, 1e6, 1e6 + 1],
  ["scale_positive", "scalePositive", 0, 1e-9, 1e6, 1e6 + 1],
  ["start_rate", "startRate", 0, 1e-6, 1 - 1e-6, 1],
  ["early_stopping_rounds", "earlyStoppingRounds", -1, 0, 10_000, 10_001],
];

const accepts = (run: () => void): boolean => {
  try {
    run();
    return true;
  } catch (error) {
    expect(error).toHaveProperty("code");
    return false;
  }
};

describe("trees", () => {
  test.each(ENDS)("%s: pipeline and learner accept the same numbers", (key, name, ...values) => {
    const byPipeline = values.map((value) => accepts(() => pipelineOf(`model_parameters: { ${key}: ${value} }\n`)));
    const byLearner = values.map((value) => accepts(() => checkGbdtParams({ ...defaultGbdtParams, [name]: value })));
    expect(byPipeline).toEqual(byLearner);
    expect(new Set(byPipeline)).toEqual(new Set([true, false]));
  });

  test.each([
    [0.995, 0.004],
    [1, 0.0001],
    [0, 1e-9],
    [0.5, 0.5],
    [0.5, 0.6],
    [-0.1, 0.5],
    [0.5, 0],
  ])("goss_top %d and goss_rest %d are accepted by both or by neither", (gossTop, gossRest) => {
    const params = { ...defaultGbdtParams, rowSample: 1, gossTop, gossRest };
    expect(accepts(() => pipelineOf(`model_parameters: { goss_top: ${gossTop}, goss_rest: ${gossRest} }\n`))).toBe(
      accepts(() => checkGbdtParams(params)),
    );
  });

  test("every parameter of the learner is a key, and reaches it", () => {
    const written = { leaves_max: 9, start_rate: 0.4, goss_top: 0.2, goss_rest: 0.1, min_child_weight: 2e6 };
    const yaml = `model_parameters: ${JSON.stringify(written)}\n`;
    const params = gbdtParams(pipelineOf(yaml).modelParameters);
    expect(params).toMatchObject({ leavesMax: 9, startRate: 0.4, gossTop: 0.2, gossRest: 0.1, minChildWeight: 2e6 });
    expect(() => checkGbdtParams(params)).not.toThrow();
    expect(gbdtParams(pipelineOf().modelParameters).startRate).toBe(defaultGbdtParams.startRate);
    const observed = pipelineOf("model_parameters: { start_rate: observed }\n").modelParameters;
    expect(observed.startRate).toBe("observed");
    expect(gbdtParams(observed).startRate).toBeUndefined();
    expect(Object.keys(params).sort()).toEqual([...ENDS.map(([, name]) => name), "gossRest", "gossTop"].sort());
  });
});

test.each([
  ["anomaly_trees", "trees", 0],
  ["anomaly_trees", "trees", 1],
  ["anomaly_trees", "trees", 10_001],
  ["anomaly_sample", "sample", 1],
  ["anomaly_sample", "sample", 2],
  ["anomaly_sample", "sample", 65_536],
  ["anomaly_sample", "sample", 65_537],
])("%s (%s) %d is accepted by pipeline and forest or by neither", (key, name, value) => {
  const x = { names: ["a"], rows: 3, values: Float32Array.of(1, 2, 3) };
  expect(accepts(() => pipelineOf(`model_parameters: { ${key}: ${value} }\n`))).toBe(
    accepts(() => trainIsolationForest({ x, trees: 1, seed: 1, [name]: value })),
  );
});

test("gates and drift begin from the pipeline's defaults, under the pipeline's names", () => {
  const { gates, drift, decisions } = pipelineOf();
  const { windowMs: _, ...drifting } = drift;
  expect(PROMOTION_POLICY).toMatchObject(gates.promotion);
  expect(DRIFT_POLICY).toMatchObject(drifting);
  expect(TRAINING_POLICY).toMatchObject({
    averagePrecisionMargin: gates.training.margin,
    f1Margin: gates.training.margin,
    recallMargin: gates.training.margin,
    reviewShare: decisions.reviewShare,
    resamples: gates.promotion.resamples,
  });
});
