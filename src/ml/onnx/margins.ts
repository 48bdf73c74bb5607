// The log-odds of a bundle whose model.onnx is a foreign graph: a value within it becomes what a run answers.

import { joined } from "../../core/bytes.ts";
import { SentinelError } from "../../core/errors.ts";
import { DOUBLE, ONNX_INPUT, ONNX_OUTPUT, tensorValue } from "./graph.ts";
import { bytesField, copyField, eachField } from "./protobuf.ts";
import { openGraph } from "./runtime.ts";

/** Fields of ModelProto and GraphProto (onnx.proto). */
const MODEL_GRAPH = 7;
const GRAPH_OUTPUT = 12;

/**
 * The margin of one vector. `margin` names a value of doubles [N, 1] in the graph. Errors: `ml.runtime-missing`,
 * `ml.model-invalid`; asking, `ml.model-invalid` where the graph answers no number.
 */
export function openMargins(
  bytes: Uint8Array,
  given: { readonly width: number; readonly margin: string },
): (vector: Float32Array) => number {
  const { width, margin } = given;
  const session = openGraph(withOutput(bytes, margin), { input: ONNX_INPUT, output: margin, width });
  return (vector) => {
    const value = session.run(vector, 1)[0];
    if (!Number.isNaN(value)) return value;
    const missing = vector.some(Number.isNaN);
    throw new SentinelError(
      "ml.model-invalid",
      `the graph answers NaN to a vector${missing ? " with missing values" : ""}`,
      {
        hint: missing
          ? "import it with --missing and the value that stood for missing ones in its training"
          : "check the graph with these values: its arithmetic overflows",
      },
    );
  };
}

/** The score of one vector, by the file as a whole. Errors: `ml.runtime-missing`, `ml.model-invalid`. */
export function openScores(bytes: Uint8Array, width: number): (vector: Float32Array) => number {
  const session = openGraph(bytes, { input: ONNX_INPUT, output: ONNX_OUTPUT, width });
  return (vector) => session.run(vector, 1)[0];
}

/** The model with one output, a value of doubles [N, 1] that it computes on its way. */
function withOutput(model: Uint8Array, name: string): Uint8Array {
  const parts: Uint8Array[] = [];
  eachField(model, (field) => {
    const graph = model.subarray(field.from, field.to);
    parts.push(
      field.number === MODEL_GRAPH ? bytesField(MODEL_GRAPH, graphWithOutput(graph, name)) : copyField(model, field),
    );
  });
  return joined(parts);
}

function graphWithOutput(graph: Uint8Array, name: string): Uint8Array {
  const parts: Uint8Array[] = [];
  eachField(graph, (field) => {
    if (field.number !== GRAPH_OUTPUT) parts.push(copyField(graph, field));
  });
  return joined([...parts, bytesField(GRAPH_OUTPUT, joined(tensorValue(name, { width: 1, type: DOUBLE })))]);
}
