// ONNX export: the whole scoring function, forest, trees and calibration, as one graph of standard operators.
import type { Calibration } from "../calibration/apply.ts";
import type { GbdtModel } from "../gbdt/model.ts";
import { type IsolationForest, meanPath } from "../iforest/model.ts";
import type { FlatTrees } from "../trees.ts";
import { addEnsemble } from "./ensemble.ts";
import { createGraph, FLOAT, type Graph, ONNX_INPUT, ONNX_OUTPUT } from "./graph.ts";
import { addProbability } from "./probability.ts";

/**
 * The bytes of an ONNX model (opset 13, ai.onnx.ml 1). Input `vector`: Float32 [N, F], columns as in `names`, NaN where
 * missing. Output `score`: Float32 [N, 1], the calibrated probability. There is no second output: MLflow (3.17) flattens
 * every output into a column, and a caller who reads the first one would depend on their order. Same models, same bytes.
 */
export function exportOnnx(model: {
  readonly trees: GbdtModel;
  readonly forest: IsolationForest;
  readonly calibration: Calibration;
  /** The trees' last input is the anomaly score; else the forest stays out of the graph. */
  readonly anomalyAsFeature: boolean;
  /** The F columns of the input. */
  readonly names: readonly string[];
}): Uint8Array {
  const { trees, forest, calibration, anomalyAsFeature, names } = model;
  const graph = createGraph();
  const input = anomalyAsFeature
    ? graph.apply("Concat", [ONNX_INPUT, addAnomaly(graph, forest)], { axis: { number: 1 } })
    : ONNX_INPUT;
  const sum = addEnsemble(graph, atLeastOne(trees), input);
  const margin = graph.apply("Add", [sum, graph.constant(trees.baseMargin)]);
  const probability = addProbability(graph, calibration, margin);
  const output = graph.apply("Cast", [probability], { to: { number: FLOAT } });
  return graph.encode({ input: ONNX_INPUT, columns: names, output, outputName: ONNX_OUTPUT });
}

/** 2^(−E[h] / c) as `scoreAnomaly` has it, rounded to Float32 as the trees have seen it in training. */
function addAnomaly(graph: Graph, forest: IsolationForest): string {
  const depth = addEnsemble(graph, forest, ONNX_INPUT);
  const mean = graph.apply("Div", [depth, graph.constant(forest.roots.length)]);
  const share = graph.apply("Div", [graph.apply("Neg", [mean]), graph.constant(meanPath(forest.sample))]);
  return graph.apply("Cast", [graph.apply("Pow", [graph.constant(2), share])], { to: { number: FLOAT } });
}

/** Boosting may stop before its first tree, and an ensemble of none is no valid operator: a leaf of 0 stands in. */
function atLeastOne(trees: GbdtModel): FlatTrees {
  if (trees.roots.length > 0) return trees;
  return {
    names: trees.names,
    roots: Int32Array.of(0),
    feature: Int32Array.of(-1),
    threshold: Float32Array.of(0),
    left: Int32Array.of(-1),
    right: Int32Array.of(-1),
    missingLeft: Uint8Array.of(0),
    value: Float32Array.of(0),
  };
}
