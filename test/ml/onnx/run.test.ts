// The exported graph by our own interpreter: the same scores as serving, the same bytes, and no trust in foreign ones.
import { describe, expect, test } from "vitest";
import { calibrate } from "../../../src/ml/calibration/apply.ts";
import { scoreRow } from "../../../src/ml/gbdt/score.ts";
import { scoreAnomaly } from "../../../src/ml/iforest/score.ts";
import { exportOnnx } from "../../../src/ml/onnx/export.ts";
import { createGraph } from "../../../src/ml/onnx/graph.ts";
import { loadOnnx } from "../../../src/ml/onnx/run.ts";
import { handMade, handMadeSets, trainedModel, trainedSets } from "./models.ts";

const VECTORS = [
  [0, 0, 0, 0],
  [-1, 2, Number.NaN, 1],
  [Number.NaN, Number.NaN, Number.NaN, Number.NaN],
  [Number.POSITIVE_INFINITY, 3.4e38, 1, 2 ** -149],
  [1.5, -0.5, 0.2, -3],
  [2, 0, 377, 63],
  [7, 1, 65_535, 64],
  [1, 2, 4, 32],
].map((values) => Float32Array.from(values));

const MODELS = {
  "hand-made": handMade(),
  "hand-made with sets": handMadeSets(),
  "trained with sets": trainedSets(),
  "no trees": handMade(0),
  trained: trainedModel(false),
  "trained with the anomaly score": trainedModel(true),
};

describe.each(Object.entries(MODELS))("%s", (_, model) => {
  test("scores as serving does", () => {
    const score = loadOnnx(exportOnnx(model));
    for (const vector of VECTORS) {
      const anomaly = Math.fround(scoreAnomaly(model.forest, vector));
      const input = model.anomalyAsFeature ? Float32Array.of(...vector, anomaly) : vector;
      expect(score(vector)).toBeCloseTo(calibrate(model.calibration, scoreRow(model.trees, input)), 7);
    }
  });

  test("is the same bytes each time", () => {
    expect(exportOnnx(model)).toEqual(exportOnnx(model));
  });
});

test("another model gives another score", () => {
  const model = handMade();
  const other = { ...model, trees: { ...model.trees, baseMargin: model.trees.baseMargin + 0.01 } };
  expect(loadOnnx(exportOnnx(other))(VECTORS[0])).not.toBeCloseTo(loadOnnx(exportOnnx(model))(VECTORS[0]), 6);
});

test("bytes that are no model are refused", () => {
  const bytes = exportOnnx(handMade());
  expect(() => loadOnnx(bytes.subarray(0, bytes.length - 20))).toThrow(
    expect.objectContaining({ code: "bundle.corrupt" }),
  );
});

test("an operator that the export does not write is refused", () => {
  const graph = createGraph();
  const output = graph.apply("Softmax", ["vector"]);
  const bytes = graph.encode({ input: "vector", columns: ["a"], output, outputName: "score" });
  expect(() => loadOnnx(bytes)).toThrow(expect.objectContaining({ code: "bundle.unsupported" }));
});
