// What will compute an imported model's log-odds: our own trees wherever the file is trees, else ONNX Runtime.

import { Random } from "../../core/random.ts";
import { flattenForeign } from "../../ml/foreign/flatten.ts";
import { bindGraph, type ForeignGraph, OPSET_MIN } from "../../ml/foreign/onnx/graph.ts";
import type { OnnxModel } from "../../ml/foreign/onnx/model.ts";
import { treesOfOnnx } from "../../ml/foreign/onnx/trees.ts";
import type { GbdtModel } from "../../ml/gbdt/model.ts";
import { scoreRow, sigmoid } from "../../ml/gbdt/score.ts";
import { hasRuntime } from "../../ml/onnx/runtime.ts";
import { goesLeft } from "../../ml/trees.ts";
import type { MarginModel } from "../train.ts";
import type { ForeignFile, ForeignOnnx } from "./read.ts";

export interface EngineOptions {
  /** Our columns, and for each of the model's the place among them. */
  readonly names: readonly string[];
  readonly columns: readonly number[];
  /** An ONNX output is log-odds, not a probability. */
  readonly isMargin: boolean;
  /** What stood for a missing value in the model's training; null: NaN. */
  readonly missing: number | null;
}

export interface Engine {
  readonly model: MarginModel;
  /** In sentences, for the card. */
  readonly notes: readonly string[];
}

const CHECKED_ROWS = 2000;
const DIFFERENCE_MAX = 1e-6;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`, and `ml.runtime-missing` for a graph that is no trees. */
export function engineOf(model: ForeignFile["model"], options: EngineOptions): Engine {
  if ("onnx" in model) return onnxEngine(model, options);
  const trees = filled(flattenForeign(model, options), options.missing);
  return { model: { kind: "trees", trees }, notes: [] };
}

/** Trees score in microseconds and explain themselves, so they are taken where they say what the graph says. */
function onnxEngine(foreign: ForeignOnnx, options: EngineOptions): Engine {
  const found = treesOfOnnx(foreign.onnx, foreign.ends, options);
  const bind = (onnx: OnnxModel): ForeignGraph => bindGraph({ model: onnx, ends: foreign.ends, ...options });
  if (found === null)
    return { model: { kind: "graph", graph: bind(foreign.onnx) }, notes: ["ONNX Runtime computes it."] };
  const width = options.columns.length;
  const flat = flattenForeign({ ...found, names: null, width, title: foreign.title, notes: [] }, options);
  const trees = filled(flat, options.missing);
  const asTrees: MarginModel = { kind: "trees", trees };
  if (!hasRuntime()) return { model: asTrees, notes: ["Its tree ensemble became trees of Sentinel's."] };
  // Besides the ensemble there are copies only, which mean the same in every opset: an old one need not be refused.
  const opset = Math.max(OPSET_MIN, foreign.onnx.opsets.get("") ?? 0);
  const graph = bind({ ...foreign.onnx, opsets: new Map([...foreign.onnx.opsets, ["", opset]]) });
  const difference = largestDifference(trees, graph);
  if (difference > DIFFERENCE_MAX) return { model: { kind: "graph", graph }, notes: ["ONNX Runtime computes it."] };
  const rounded = difference.toPrecision(2);
  const note = `Its tree ensemble became trees of Sentinel's, within ${rounded} of ONNX Runtime over ${CHECKED_ROWS} vectors.`;
  return { model: asTrees, notes: [note] };
}

/** A missing value goes where the value goes that stood for it. */
function filled(trees: GbdtModel, missing: number | null): GbdtModel {
  if (missing === null) return trees;
  const value = Math.fround(missing);
  const missingLeft = trees.missingLeft.map((_, node) =>
    trees.feature[node] >= 0 && goesLeft(trees, node, value) ? 1 : 0,
  );
  return { ...trees, missingLeft };
}

/** Between probabilities, over vectors of thresholds, their neighbourhood, missing and large values. */
function largestDifference(trees: GbdtModel, graph: ForeignGraph): number {
  const random = new Random(1);
  const vector = new Float32Array(trees.names.length);
  let largest = 0;
  for (let row = 0; row < CHECKED_ROWS; row++) {
    for (let c = 0; c < vector.length; c++) vector[c] = random.normal() * 10 ** random.integer(4);
    for (let draws = 0; draws < vector.length; draws++) {
      const node = random.integer(trees.feature.length);
      if (trees.feature[node] >= 0) vector[trees.feature[node]] = trees.threshold[node];
    }
    for (let c = 0; c < vector.length; c++) if (random.next() < 0.1) vector[c] = Number.NaN;
    largest = Math.max(largest, Math.abs(sigmoid(scoreRow(trees, vector)) - sigmoid(graph.margin(vector))));
  }
  return largest;
}
