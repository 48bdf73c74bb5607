// What will compute an imported model's log-odds: our own trees wherever the file is trees, else ONNX Runtime.

import { Random } from "../../core/random.ts";
import type { FeatureDef } from "../../features/definition.ts";
import { fraudClassOf } from "../../ml/foreign/classes.ts";
import { flattenForeign, unsupportedModel } from "../../ml/foreign/flatten.ts";
import { bindGraph, type ForeignGraph, OPSET_MIN } from "../../ml/foreign/onnx/graph.ts";
import type { OnnxModel } from "../../ml/foreign/onnx/model.ts";
import { treesOfOnnx } from "../../ml/foreign/onnx/trees.ts";
import type { GbdtModel } from "../../ml/gbdt/model.ts";
import { scoreRow, sigmoid } from "../../ml/gbdt/score.ts";
import { hasRuntime } from "../../ml/onnx/runtime.ts";
import { goesLeft } from "../../ml/trees.ts";
import type { MarginModel } from "../train.ts";
import { type CategoryMeaning, translateCategories } from "./encoders.ts";
import type { ForeignFile, ForeignOnnx } from "./read.ts";

export interface EngineOptions {
  /** Our columns, and for each of the model's the place among them. */
  readonly names: readonly string[];
  readonly columns: readonly number[];
  /** An ONNX output is log-odds, not a probability. */
  readonly isMargin: boolean;
  /** The number that stood, as a value like any other, for a missing one in the model's training table; null: none did. */
  readonly missing: number | null;
  /** Our columns as features; absent where the file numbers no categories. */
  readonly features?: readonly FeatureDef[];
  /** What numbers in the file's own lists of categories are, where both would do. */
  readonly categories?: CategoryMeaning | null;
  /** The label of fraud; of an ONNX graph its ends have it. */
  readonly fraudClass?: string;
}

export interface Engine {
  readonly model: MarginModel;
  /** Log-odds of one vector. */
  margin(vector: Float32Array): number;
  /** Of a graph: the numbers that it answers itself, which may be no score at all. */
  readonly answers: {
    of(vector: Float32Array): ArrayLike<number> & Iterable<number>;
    readonly isMargin: boolean;
    readonly output: string;
  } | null;
  /** Our columns whose missing values it cannot score as its library does; empty where it can. */
  readonly blindTo: readonly number[];
  /** In sentences, for the card. */
  readonly notes: readonly string[];
}

const CHECKED_ROWS = 2000;
const DIFFERENCE_MAX = 1e-6;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`, and `ml.runtime-missing` for a graph that is no trees. */
export function engineOf(model: ForeignFile["model"], options: EngineOptions): Engine {
  checkMissing(model, options.missing);
  if ("onnx" in model) return onnxEngine(model, options);
  const { place, note } = fraudClassOf(model.classes, options.fraudClass);
  const translated = translateCategories(model, {
    features: options.features ?? [],
    columns: options.columns,
    meaning: options.categories ?? null,
  });
  const flat = flattenForeign(translated.model, options);
  const trees = filled(place === 1 ? flat : turned(flat), options.missing);
  return treesEngine(trees, [...translated.notes, ...(note === null ? [] : [note])]);
}

/** An option must not contradict a file that says where a missing value goes: its training met values that were missing. */
function checkMissing(model: ForeignFile["model"], missing: number | null): void {
  if (missing === null || !model.knowsMissing) return;
  throw unsupportedModel(
    `--missing ${missing} contradicts the file, which says itself what becomes of a missing value`,
    `leave --missing out: a missing value is NaN and goes the way that training learned, whatever stood for it there (XGBClassifier(missing=${missing}), NaN, an imputer). --missing is for a model that was trained on ${missing} as a value like any other; where only some columns were filled so, let features make it: COALESCE(column, ${missing})`,
  );
}

function treesEngine(trees: GbdtModel, notes: readonly string[]): Engine {
  return {
    model: { kind: "trees", trees },
    margin: (vector) => scoreRow(trees, vector),
    answers: null,
    blindTo: [],
    notes,
  };
}

function graphEngine(graph: ForeignGraph, foreign: ForeignOnnx, options: EngineOptions): Engine {
  const { isMargin, missing, columns } = options;
  return {
    blindTo: foreign.isBlindToMissing && missing === null ? columns : [],
    model: { kind: "graph", graph },
    margin: graph.margin,
    answers: { of: graph.answers, isMargin, output: foreign.ends.output },
    notes: [...graph.notes, "ONNX Runtime computes it."],
  };
}

/** The log-odds of the other class. */
function turned(trees: GbdtModel): GbdtModel {
  return { ...trees, baseMargin: -trees.baseMargin, value: trees.value.map((value) => -value) };
}

/** Trees score in microseconds and explain themselves, so they are taken where they say what the graph says. */
function onnxEngine(foreign: ForeignOnnx, options: EngineOptions): Engine {
  const found = treesOfOnnx(foreign.onnx, foreign.ends, options);
  const bind = (onnx: OnnxModel): ForeignGraph => bindGraph({ model: onnx, ends: foreign.ends, ...options });
  if (found === null) return graphEngine(bind(foreign.onnx), foreign, options);
  const flat = flattenForeign({ ...found, width: options.columns.length }, options);
  const trees = filled(flat, options.missing);
  if (!hasRuntime()) return treesEngine(trees, ["Its tree ensemble became trees of Sentinel's."]);
  // Besides the ensemble there are copies only, which mean the same in every opset: an old one need not be refused.
  const opset = Math.max(OPSET_MIN, foreign.onnx.opsets.get("") ?? 0);
  const graph = bind({ ...foreign.onnx, opsets: new Map([...foreign.onnx.opsets, ["", opset]]) });
  const difference = largestDifference(trees, graph);
  if (difference > DIFFERENCE_MAX) return graphEngine(graph, foreign, options);
  const rounded = difference.toPrecision(2);
  const note = `Its tree ensemble became trees of Sentinel's, within ${rounded} of ONNX Runtime over ${CHECKED_ROWS} vectors.`;
  const blindTo = foreign.isBlindToMissing && options.missing === null ? options.columns : [];
  return { ...treesEngine(trees, [note]), blindTo };
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
