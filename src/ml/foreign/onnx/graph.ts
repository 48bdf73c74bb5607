// A foreign ONNX graph as the heart of a bundle's model.onnx: our vectors before it, log-odds and calibration after it.
import type { Calibration } from "../../calibration/apply.ts";
import { createGraph, DOUBLE, FLOAT, type Graph, ONNX_INPUT, ONNX_OUTPUT } from "../../onnx/graph.ts";
import { openMargins } from "../../onnx/margins.ts";
import { addProbability } from "../../onnx/probability.ts";
import { openGraph } from "../../onnx/runtime.ts";
import { unsupportedModel } from "../flatten.ts";
import type { OnnxEnds } from "./ends.ts";
import { type OnnxModel, reading } from "./model.ts";
import { foreignName, partsBehind } from "./rename.ts";

/** A graph bound to our columns. */
export interface ForeignGraph {
  /** Log-odds of one vector. Errors: `ml.model-invalid` where the graph answers no number. */
  margin(vector: Float32Array): number;
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
const PROBE_ROWS = 3;

/** Errors: `ml.runtime-missing`, `ml.model-unsupported`, `ml.model-invalid`. */
export function bindGraph(given: GraphBinding): ForeignGraph {
  const { model, names } = given;
  const opset = model.opsets.get("") ?? OPSET_MIN;
  if (opset < OPSET_MIN) {
    throw unsupportedModel(
      `the graph is of opset ${opset}, older than ${OPSET_MIN}`,
      "export it again with target_opset (torch: opset_version) 17",
    );
  }
  const parts = { opsets: new Map([["", opset], ...model.opsets]), irVersion: Math.max(IR_MIN, model.irVersion) };
  const width = answersOf(given, parts);
  const build = (): { readonly graph: Graph; readonly margin: string } => {
    const graph = createGraph();
    return { graph, margin: addMargin(graph, given, { width }) };
  };
  const compose = (calibration: Calibration): Uint8Array => {
    const { graph, margin } = build();
    const output = graph.apply("Cast", [addProbability(graph, calibration, margin)], { to: { number: FLOAT } });
    return graph.encode({ input: ONNX_INPUT, columns: names, output, outputName: ONNX_OUTPUT, ...parts });
  };
  const marginName = build().margin;
  const margin = openMargins(compose({ kind: "none" }), { width: names.length, margin: marginName });
  return { margin, compose, marginName };
}

/** Numbers that the graph answers for a row, by asking it: 1 or 2. */
function answersOf(given: GraphBinding, parts: Pick<Parameters<Graph["encode"]>[0], "opsets" | "irVersion">): 1 | 2 {
  const { names } = given;
  const graph = createGraph();
  const output = graph.apply("Cast", [addForeign(graph, given)], { to: { number: FLOAT } });
  const ends = { input: ONNX_INPUT, columns: names, output, outputName: ONNX_OUTPUT, outputWidth: null };
  const bytes = graph.encode({ ...ends, ...parts });
  const session = openGraph(bytes, { input: ONNX_INPUT, output: ONNX_OUTPUT, width: names.length });
  const count = session.run(new Float32Array(PROBE_ROWS * names.length), PROBE_ROWS).length;
  if (count === PROBE_ROWS) return 1;
  if (count === 2 * PROBE_ROWS) return 2;
  throw unsupportedModel(
    `the graph answers ${count} numbers to ${PROBE_ROWS} rows`,
    "export it with one probability a row, or one for each of two classes",
  );
}

/** Our vector to the graph's log-odds [N, 1], as doubles. */
function addMargin(graph: Graph, given: GraphBinding, answers: { readonly width: 1 | 2 }): string {
  const { apply, constant } = graph;
  const raw = apply("Cast", [addForeign(graph, given)], { to: { number: DOUBLE } });
  const one =
    answers.width === 2
      ? apply("Gather", [raw, graph.indices([given.ends.fraudColumn])], { axis: { number: 1 } })
      : // 0 keeps the number of rows, whether they came as [N] or [N, 1].
        apply("Reshape", [raw, graph.indices([0, 1])]);
  if (given.isMargin) return one;
  const probability = apply("Max", [apply("Min", [one, constant(1 - PROBABILITY_MIN)]), constant(PROBABILITY_MIN)]);
  return apply("Sub", [apply("Log", [probability]), apply("Log", [apply("Sub", [constant(1), probability])])]);
}

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
