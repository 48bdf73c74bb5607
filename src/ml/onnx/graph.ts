// An ONNX graph in the making: constants and operators under generated names, and the whole as a model's bytes.
import { joined } from "../../core/bytes.ts";
import { bytesField, floatsField, messageField, numberField, numbersField, textField } from "./protobuf.ts";

/** The ends of a bundle's model. */
export const ONNX_INPUT = "vector";
export const ONNX_OUTPUT = "score";

/** Numbers of TensorProto.DataType. */
export const FLOAT = 1;
export const INT64 = 7;
export const DOUBLE = 11;

/** ONNX 1.8 (2020): the oldest whose operators all take doubles where this export needs them. */
const IR_VERSION = 7;
const OPSET = 13;
/** The first opset of ai.onnx.ml has all of TreeEnsembleRegressor that is used here. */
const OPSET_ML = 1;
export const ML_DOMAIN = "ai.onnx.ml";
const OPSETS: ReadonlyMap<string, number> = new Map([
  ["", OPSET],
  [ML_DOMAIN, OPSET_ML],
]);

/** Numbers of AttributeProto.AttributeType. */
const ATTRIBUTE = { number: 2, floats: 6, numbers: 7, texts: 8 } as const;

/** An operator's attribute; `floats` are Float32. */
export type Attribute =
  | { readonly number: number }
  | { readonly floats: Float32Array }
  | { readonly numbers: ArrayLike<number> }
  | { readonly texts: readonly string[] };

/** A graph that grows; every call returns the name of the value it added. */
export interface Graph {
  /** A constant of doubles: a scalar, or a list. */
  constant(value: number | readonly number[]): string;
  /** A constant list of 64-bit whole numbers ≥ 0. */
  indices(values: readonly number[]): string;
  apply(operator: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  /** Another name for a value. */
  alias(value: string, name: string): void;
  /** Operators (NodeProto) and constants (TensorProto) of another graph, under names that are none of these. */
  include(parts: { readonly nodes: readonly Uint8Array[]; readonly constants: readonly Uint8Array[] }): void;
  /** The model's bytes, with one input [N, columns] and one output [N, 1], both Float32; `output` must be an operator's. */
  encode(ends: GraphEnds): Uint8Array;
}

interface GraphEnds {
  readonly input: string;
  readonly columns: readonly string[];
  /** The value that is the answer, and the name it gets. */
  readonly output: string;
  readonly outputName: string;
  /** Numbers the output has for a row; null leaves it open (default 1). */
  readonly outputWidth?: number | null;
  /** Of an included graph: domain → version, and the version of the format. */
  readonly opsets?: ReadonlyMap<string, number>;
  readonly irVersion?: number;
}

export function createGraph(): Graph {
  const nodes: Uint8Array[] = [];
  const constants: Uint8Array[] = [];
  const keep = (tensor: (name: string) => Uint8Array[]): string => {
    const name = `c${constants.length}`;
    constants.push(messageField(5, tensor(name)));
    return name;
  };
  return {
    constant: (value) => keep((name) => doubleTensor(name, value)),
    indices: (values) =>
      keep((name) => [
        numberField(1, values.length),
        numberField(2, INT64),
        numbersField(7, values),
        textField(8, name),
      ]),
    apply: (operator, inputs, attributes = {}) => {
      const name = `v${nodes.length}`;
      nodes.push(messageField(1, nodeOf(operator, { inputs, name, attributes })));
      return name;
    },
    alias: (value, name) => {
      nodes.push(messageField(1, nodeOf("Identity", { inputs: [value], name, attributes: {} })));
    },
    include: (parts) => {
      nodes.push(...parts.nodes.map((node) => bytesField(1, node)));
      constants.push(...parts.constants.map((constant) => bytesField(5, constant)));
    },
    encode: (ends) => modelOf({ nodes, constants, ends }),
  };
}

/** Whether an operator lives in the domain of classical models. */
export function isMlOperator(operator: string): boolean {
  return operator === "TreeEnsembleRegressor";
}

function doubleTensor(name: string, value: number | readonly number[]): Uint8Array[] {
  const values = typeof value === "number" ? [value] : value;
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((number, i) => {
    view.setFloat64(8 * i, number, true);
  });
  const dims = typeof value === "number" ? [] : [numberField(1, values.length)];
  return [...dims, numberField(2, DOUBLE), textField(8, name), bytesField(9, new Uint8Array(view.buffer))];
}

function nodeOf(
  operator: string,
  parts: {
    readonly inputs: readonly string[];
    readonly name: string;
    readonly attributes: Readonly<Record<string, Attribute>>;
  },
): Uint8Array[] {
  return [
    ...parts.inputs.map((input) => textField(1, input)),
    textField(2, parts.name),
    textField(3, `${operator} ${parts.name}`),
    textField(4, operator),
    ...Object.entries(parts.attributes).map(([name, attribute]) =>
      messageField(5, [textField(1, name), ...attributeOf(attribute)]),
    ),
    ...(isMlOperator(operator) ? [textField(7, ML_DOMAIN)] : []),
  ];
}

function attributeOf(attribute: Attribute): Uint8Array[] {
  if ("number" in attribute) return [numberField(3, attribute.number), numberField(20, ATTRIBUTE.number)];
  if ("floats" in attribute) return [floatsField(7, attribute.floats), numberField(20, ATTRIBUTE.floats)];
  if ("numbers" in attribute) return [numbersField(8, attribute.numbers), numberField(20, ATTRIBUTE.numbers)];
  return [...attribute.texts.map((text) => textField(9, text)), numberField(20, ATTRIBUTE.texts)];
}

function modelOf(parts: {
  readonly nodes: readonly Uint8Array[];
  readonly constants: readonly Uint8Array[];
  readonly ends: GraphEnds;
}): Uint8Array {
  const { input, columns, output, outputName, outputWidth = 1, irVersion = IR_VERSION } = parts.ends;
  const { opsets = OPSETS } = parts.ends;
  const last = messageField(1, nodeOf("Identity", { inputs: [output], name: outputName, attributes: {} }));
  return joined([
    numberField(1, irVersion),
    textField(2, "sentinel"),
    messageField(7, [
      ...parts.nodes,
      last,
      textField(2, "score"),
      ...parts.constants,
      messageField(11, tensorValue(input, { width: columns.length })),
      messageField(12, tensorValue(outputName, { width: outputWidth })),
    ]),
    ...[...opsets].map(([domain, version]) => messageField(8, [textField(1, domain), numberField(2, version)])),
    messageField(14, [textField(1, "columns"), textField(2, JSON.stringify(columns))]),
  ]);
}

/** A ValueInfoProto: a tensor [N, width], or of a shape that is not told where that is null; Float32 unless said. */
export function tensorValue(
  name: string,
  { width, type = FLOAT }: { readonly width: number | null; readonly type?: number },
): Uint8Array[] {
  const dims = [messageField(1, [textField(2, "N")]), messageField(1, [numberField(1, width ?? 0)])];
  const shape = width === null ? [] : [messageField(2, dims)];
  return [textField(1, name), messageField(2, [messageField(1, [numberField(1, type), ...shape])])];
}
