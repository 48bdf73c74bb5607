// An ONNX model read as far as it is understood: nodes, constants and ends by name, all else kept as bytes.
import { messageOf } from "../../../core/errors.ts";
import { eachField, type Field, fieldsOf } from "../../onnx/protobuf.ts";
import { COLUMNS_MAX, invalidModel, unsupportedModel } from "../flatten.ts";

export interface OnnxNode {
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The whole NodeProto. */
  readonly bytes: Uint8Array;
}

/** An end of the graph. */
export interface OnnxValue {
  readonly name: string;
  /** TensorProto.DataType of a tensor; 0 for what is none, such as a list of maps. */
  readonly type: number;
  /** null where a dimension is open; none at all where the shape is not told. */
  readonly dims: readonly (number | null)[] | null;
}

export interface OnnxModel {
  readonly irVersion: number;
  /** Domain → version; the default domain is "". */
  readonly opsets: ReadonlyMap<string, number>;
  /** "skl2onnx 1.20.0". */
  readonly producer: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly nodes: readonly OnnxNode[];
  /** TensorProto by name. */
  readonly constants: ReadonlyMap<string, Uint8Array>;
  /** Without constants. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const NODES_MAX = 100_000;

/** Fields of the messages (onnx.proto). */
const MODEL = { ir: 1, producer: 2, producerVersion: 3, graph: 7, opset: 8, metadata: 14, functions: 25 } as const;
const GRAPH = { node: 1, constant: 5, input: 11, output: 12, sparse: 15 } as const;
const NODE = { input: 1, output: 2, operator: 4, domain: 7 } as const;
const TENSOR = { name: 8, location: 14 } as const;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`. */
export function readOnnx(bytes: Uint8Array): OnnxModel {
  return reading(() => read(bytes));
}

/** The node that makes a value. */
export function producerOf(model: OnnxModel, value: string): OnnxNode | undefined {
  return model.nodes.find(({ outputs }) => outputs.includes(value));
}

/** Bytes within a model are read where they are wanted; those that are no message are `ml.model-invalid` there too. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw invalidModel(`it is no ONNX file: ${messageOf(error)}`, error);
    throw error;
  }
}

function read(bytes: Uint8Array): OnnxModel {
  const fields = fieldsOf(bytes);
  const graph = fields.filter(({ number }) => number === MODEL.graph);
  if (graph.length !== 1) throw invalidModel("it is no ONNX file: there is no graph in it");
  if (fields.some(({ number }) => number === MODEL.functions)) {
    throw unsupportedModel(
      "the graph calls functions of its own",
      "inline them first: onnx.inliner.inline_local_functions",
    );
  }
  const parts = fieldsOf(graph[0].bytes);
  if (parts.some(({ number }) => number === GRAPH.sparse)) {
    throw unsupportedModel("the graph has sparse constants", "export the model with dense ones");
  }
  const nodes = parts.filter(({ number }) => number === GRAPH.node);
  if (nodes.length > NODES_MAX) throw unsupportedModel(`the graph has ${nodes.length} nodes`, "export a smaller model");
  const constants = new Map(parts.filter(({ number }) => number === GRAPH.constant).map((field) => constantOf(field)));
  const ends = (number: number): OnnxValue[] =>
    parts.filter((field) => field.number === number).map((field) => endOf(field.bytes));
  return {
    irVersion: fields.find(({ number }) => number === MODEL.ir)?.value ?? 0,
    opsets: new Map(fields.filter(({ number }) => number === MODEL.opset).map((field) => opsetOf(field.bytes))),
    producer: [MODEL.producer, MODEL.producerVersion]
      .map((number) => textOf(fields, number))
      .join(" ")
      .trim(),
    metadata: new Map(
      fields
        .filter(({ number }) => number === MODEL.metadata)
        .map(({ bytes }) => [textOf(fieldsOf(bytes), 1), textOf(fieldsOf(bytes), 2)]),
    ),
    nodes: nodes.map((field) => nodeOf(field.bytes)),
    constants,
    inputs: ends(GRAPH.input).filter(({ name }) => !constants.has(name)),
    outputs: ends(GRAPH.output),
  };
}

function nodeOf(bytes: Uint8Array): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  let operator = "";
  let domain = "";
  eachField(bytes, ({ number, from, to }) => {
    const text = (): string => decode(bytes.subarray(from, to));
    if (number === NODE.input) inputs.push(text());
    else if (number === NODE.output) outputs.push(text());
    else if (number === NODE.operator) operator = text();
    else if (number === NODE.domain) domain = text();
  });
  return { operator, domain: domain === "ai.onnx" ? "" : domain, inputs, outputs, bytes };
}

function constantOf({ bytes }: Field): readonly [string, Uint8Array] {
  let name = "";
  eachField(bytes, ({ number, value, from, to }) => {
    if (number === TENSOR.name) name = decode(bytes.subarray(from, to));
    if (number === TENSOR.location && value === 1) {
      throw unsupportedModel(
        "its constants are in other files",
        "save it as one file: onnx.save(model, file) without external data",
      );
    }
  });
  return [name, bytes];
}

/** A ValueInfoProto: name, and of a tensor its type and dimensions. */
function endOf(bytes: Uint8Array): OnnxValue {
  const fields = fieldsOf(bytes);
  const type = fields.find(({ number }) => number === 2);
  const tensor = type === undefined ? undefined : fieldsOf(type.bytes).find(({ number }) => number === 1);
  const inner = tensor === undefined ? [] : fieldsOf(tensor.bytes);
  const shape = inner.find(({ number }) => number === 2);
  return {
    name: textOf(fields, 1),
    type: inner.find(({ number }) => number === 1)?.value ?? 0,
    dims: shape === undefined ? null : fieldsOf(shape.bytes).map((dim) => dimOf(dim.bytes)),
  };
}

function dimOf(bytes: Uint8Array): number | null {
  const value = fieldsOf(bytes).find(({ number }) => number === 1)?.value ?? null;
  if (value !== null && !(value >= 0 && value <= COLUMNS_MAX)) throw invalidModel(`a dimension is ${value}`);
  return value;
}

function opsetOf(bytes: Uint8Array): readonly [string, number] {
  const fields = fieldsOf(bytes);
  const domain = textOf(fields, 1);
  return [domain === "ai.onnx" ? "" : domain, fields.find(({ number }) => number === 2)?.value ?? 0];
}

function textOf(fields: readonly Field[], number: number): string {
  const found = fields.find((field) => field.number === number);
  return found === undefined ? "" : decode(found.bytes);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
