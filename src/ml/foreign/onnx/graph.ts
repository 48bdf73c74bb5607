// A foreign ONNX graph as the heart of a bundle's model.onnx: our vectors before it, log-odds and calibration after it.

import { Random } from "../../../core/random.ts";
import type { Calibration } from "../../calibration/apply.ts";
import { createGraph, DOUBLE, FLOAT, type Graph, ML_DOMAIN, ONNX_INPUT, ONNX_OUTPUT } from "../../onnx/graph.ts";
import { openMargins } from "../../onnx/margins.ts";
import { addProbability } from "../../onnx/probability.ts";
import { type GraphSession, openGraph } from "../../onnx/runtime.ts";
import { unsupportedModel } from "../flatten.ts";
import type { OnnxEnds } from "./ends.ts";
import { mirroredKind } from "./labels.ts";
import { type OnnxModel, reading } from "./model.ts";
import { foreignName, partsBehind } from "./rename.ts";

/** A graph bound to our columns. */
export interface ForeignGraph {
  /** Log-odds of one vector. Errors: `ml.model-invalid` where the graph answers no number. */
  margin(vector: Float32Array): number;
  /** The numbers that the graph itself answers to one vector: one, or one for each of two classes. */
  answers(vector: Float32Array): Float32Array | Float64Array;
  /** What was understood, in sentences. */
  readonly notes: readonly string[];
  /** model.onnx with this calibration, as `exportOnnx` has it; a value called `marginName` in it is the margin. */
  compose(calibration: Calibration): Uint8Array;
  readonly marginName: string;
}

export interface GraphBinding {
  readonly model: OnnxModel;
  readonly ends: OnnxEnds;
  /** Our columns. */
  readonly names: readonly string[];
  /** For each column of the graph the place among ours. */
  readonly columns: readonly number[];
  /** The output is log-odds, not a probability. */
  readonly isMargin: boolean;
  /** What stands for a missing value; null leaves it NaN. */
  readonly missing: number | null;
}

/** The oldest opset whose operators all take what calibrations need. */
export const OPSET_MIN = 13;
const IR_MIN = 7;
/** What Float32 can tell from 0 and 1; log-odds beyond are infinite. */
const PROBABILITY_MIN = 2 ** -24;
/** Squares of it are still Float32: a graph that overflows answers NaN to a value that is merely large. */
const INPUT_MAX = 1e15;
const PROBE_ROWS = 16;

/** Errors: `ml.runtime-missing`, `ml.model-unsupported`, `ml.model-invalid`. */
export function bindGraph(given: GraphBinding): ForeignGraph {
  const { model, names } = given;
  const opset = liftedOpset(model);
  if (opset < OPSET_MIN) {
    throw unsupportedModel(
      `the graph is of opset ${opset}, older than ${OPSET_MIN}`,
      "export it again with target_opset (torch: opset_version) 17",
    );
  }
  const parts = { opsets: new Map([...model.opsets, ["", opset]]), irVersion: Math.max(IR_MIN, model.irVersion) };
  const { session, shape } = answersOf(given, parts);
  const build = (): { readonly graph: Graph; readonly margin: string } => {
    const graph = createGraph();
    return { graph, margin: addMargin(graph, given, shape) };
  };
  const compose = (calibration: Calibration): Uint8Array => {
    const { graph, margin } = build();
    const output = graph.apply("Cast", [addProbability(graph, calibration, margin)], { to: { number: FLOAT } });
    return graph.encode({ input: ONNX_INPUT, columns: names, output, outputName: ONNX_OUTPUT, ...parts });
  };
  const marginName = build().margin;
  const margin = openMargins(compose({ kind: "none" }), { width: names.length, margin: marginName });
  return { margin, compose, marginName, answers: (vector) => session.run(vector, 1), notes: notesOn(shape, given) };
}

/** What the graph answers: one number, the numbers of two classes, or one decision and its negative. */
type Shape = "one" | "two" | "decision";

function notesOn(shape: Shape, { isMargin, ends }: GraphBinding): readonly string[] {
  if (shape === "one") {
    const what = isMargin ? "log-odds" : "probability";
    return [
      ends.fraudColumn === 1
        ? `The graph answers one number a row, taken for the ${what} of fraud.`
        : `The graph answers one number a row, taken for the ${what} of its class 1, which is not fraud's: turned round.`,
    ];
  }
  const place = ends.fraudColumn === 1 ? "second" : "first";
  const unnamed = ends.labels === null ? [`Of two classes without labels the ${place} counts as fraud.`] : [];
  if (!isMargin) return unnamed;
  const how =
    shape === "two"
      ? "Two logits: the log-odds are fraud's minus the other's, as softmax has it."
      : `A decision function and its negative: the log-odds are the ${place} column, as scikit-learn's own are.`;
  return [...unnamed, how];
}

/** The graph by itself, and what it answers for a row, by asking it. */
function answersOf(
  given: GraphBinding,
  parts: Pick<Parameters<Graph["encode"]>[0], "opsets" | "irVersion">,
): { readonly session: GraphSession; readonly shape: Shape } {
  const { names, model, ends } = given;
  const graph = createGraph();
  const output = graph.apply("Cast", [addForeign(graph, given)], { to: { number: FLOAT } });
  const open = { input: ONNX_INPUT, columns: names, output, outputName: ONNX_OUTPUT, outputWidth: null };
  const bytes = graph.encode({ ...open, ...parts });
  const session = openGraph(bytes, { input: ONNX_INPUT, output: ONNX_OUTPUT, width: names.length });
  const random = new Random(1);
  const rows = Float32Array.from({ length: PROBE_ROWS * names.length }, () => random.normal());
  const answers = session.run(rows, PROBE_ROWS);
  const count = answers.length;
  if (count === PROBE_ROWS) return { session, shape: "one" };
  if (count === 2 * PROBE_ROWS) {
    // Exact negatives, which the logits of a network are not even where its weights are symmetric.
    const mirrored = answers.every((value, i) => i % 2 === 1 || value === -answers[i + 1]);
    const kind = given.isMargin ? mirroredKind(model, ends.output) : "logits";
    if (kind === "none" || (mirrored && kind === "unclear")) throw unclearScores(ends.output, kind);
    return { session, shape: mirrored && kind === "decision" ? "decision" : "two" };
  }
  throw unsupportedModel(
    count % PROBE_ROWS === 0
      ? `the output ${ends.output} has ${count / PROBE_ROWS} numbers for a row`
      : `the output ${ends.output} has ${count} numbers for ${PROBE_ROWS} rows`,
    "Sentinel scores fraud or not: export the model with one probability a row, or one for each of two classes",
  );
}

function unclearScores(output: string, kind: "none" | "unclear"): Error {
  return unsupportedModel(
    kind === "none"
      ? `the output ${output} is the raw score of an SVM, which is no log-odds`
      : `the two columns of the output ${output} are a decision and its negative, and whether the log-odds are one of them or their difference cannot be told`,
    "export the model with its probabilities (skl2onnx: without raw_scores) and leave --margin out",
  );
}

/** Our vector to the graph's log-odds [N, 1], as doubles. */
function addMargin(graph: Graph, given: GraphBinding, shape: Shape): string {
  const { apply, constant } = graph;
  const { fraudColumn } = given.ends;
  const raw = apply("Cast", [addForeign(graph, given)], { to: { number: DOUBLE } });
  const column = (at: number): string => apply("Gather", [raw, graph.indices([at])], { axis: { number: 1 } });
  // 0 keeps the number of rows, whether they came as [N] or [N, 1].
  const single = (): string => apply("Reshape", [raw, graph.indices([0, 1])]);
  if (given.isMargin) {
    if (shape === "two") return apply("Sub", [column(fraudColumn), column(1 - fraudColumn)]);
    if (shape === "decision") return column(fraudColumn);
    return fraudColumn === 1 ? single() : apply("Neg", [single()]);
  }
  const one =
    shape !== "one" ? column(fraudColumn) : fraudColumn === 1 ? single() : apply("Sub", [constant(1), single()]);
  const probability = apply("Max", [apply("Min", [one, constant(1 - PROBABILITY_MIN)]), constant(PROBABILITY_MIN)]);
  return apply("Sub", [apply("Log", [probability]), apply("Log", [apply("Sub", [constant(1), probability])])]);
}

/** Operators that mean in opset 13 what they meant in opset 7, all their inputs and attributes included. */
const UNCHANGED = new Set(
  (
    "Abs Add And ArgMax ArgMin Cast Concat Constant ConstantOfShape Div Equal Exp Flatten Gather Gemm Greater GreaterOrEqual " +
    "Identity IsNaN Less LessOrEqual Log MatMul Max Min Mul Neg Not Or Pow Reciprocal Relu Reshape Shape Sigmoid Sqrt Sub Tanh " +
    "Transpose Where ZipMap"
  ).split(" "),
);

/**
 * The opset to run a graph in: exporters name the oldest that has all its operators, skl2onnx 9 for a forest even where 17 is asked
 * for. Where all of them mean the same in {@link OPSET_MIN}, that one will do.
 */
function liftedOpset(model: OnnxModel): number {
  const opset = model.opsets.get("") ?? OPSET_MIN;
  const unchanged = model.nodes.every(({ domain, operator }) => domain === ML_DOMAIN || UNCHANGED.has(operator));
  return opset >= OPSET_OLDEST && opset < OPSET_MIN && unchanged ? OPSET_MIN : opset;
}

const OPSET_OLDEST = 7;

/** Our vector to the graph's own answer. */
function addForeign(graph: Graph, given: GraphBinding): string {
  const { model, ends, columns } = given;
  const vector = addInput(graph, given);
  let at = 0;
  for (const input of ends.inputs) {
    const count = ends.inputs.length === 1 ? columns.length : 1;
    const own = graph.indices(columns.slice(at, at + count));
    const picked = graph.apply("Gather", [vector, own], { axis: { number: 1 } });
    graph.alias(graph.apply("Cast", [picked], { to: { number: input.type } }), foreignName(input.name));
    at += count;
  }
  graph.include(reading(() => partsBehind(model, ends.output)));
  return foreignName(ends.output);
}

/**
 * Our vector as the graph may see it: missing values filled where it wants them so, and huge ones cut, which would overflow to
 * NaN within. NaN passes both comparisons untouched.
 */
function addInput(graph: Graph, { missing }: GraphBinding): string {
  const { apply, constant } = graph;
  const cut = (value: string, bound: number): string => {
    const inside = bound > 0 ? [value, constant(bound)] : [constant(bound), value];
    const isMissing = apply("IsNaN", [value]);
    return apply("Where", [
      apply("LessOrEqual", inside),
      value,
      apply("Where", [isMissing, missing === null ? value : constant(missing), constant(bound)]),
    ]);
  };
  const doubles = apply("Cast", [ONNX_INPUT], { to: { number: DOUBLE } });
  return apply("Cast", [cut(cut(doubles, INPUT_MAX), -INPUT_MAX)], { to: { number: FLOAT } });
}
