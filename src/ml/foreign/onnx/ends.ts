// The ends of a foreign ONNX graph: which inputs are its columns, which output tells the probability of fraud.
import { DOUBLE, FLOAT } from "../../onnx/graph.ts";
import { fraudClassOf } from "../classes.ts";
import { COLUMNS_MAX, unsupportedModel } from "../flatten.ts";
import { labelsOf } from "./labels.ts";
import { type OnnxModel, type OnnxValue, producerOf, reading } from "./model.ts";

/** What the graph takes and answers. */
export interface OnnxEnds {
  readonly inputs: readonly OnnxValue[];
  /** Columns over all inputs; null where the graph leaves it open. */
  readonly width: number | null;
  readonly names: readonly string[] | null;
  /** The tensor with the answer; a ZipMap before it is left out. */
  readonly output: string;
  /** Which of two columns is fraud's; of a single column, whose class 1 it tells of, 0 takes the other side. */
  readonly fraudColumn: 0 | 1;
  /** Labels of the two classes, where the graph has them. */
  readonly labels: readonly string[] | null;
  readonly notes: readonly string[];
}

/** Numbers of TensorProto.DataType that exporters write and this reader refuses by name. */
const FLOAT16 = 10;
const BFLOAT16 = 16;

/** Keys of a model's metadata that may hold its columns as a JSON list; the first is our own export's. */
const COLUMN_KEYS = ["columns", "feature_names"];

interface EndsChoice {
  readonly output?: string;
  /** The label of fraud. */
  readonly fraudClass?: string;
}

/** Errors: `ml.model-unsupported` for ends that are no table of numbers and no score, and where no class is known as fraud's. */
export function endsOf(model: OnnxModel, options: EndsChoice): OnnxEnds {
  return reading(() => findEnds(model, options));
}

function findEnds(model: OnnxModel, options: EndsChoice): OnnxEnds {
  const { inputs } = model;
  for (const input of inputs) checkInput(input);
  if (inputs.length === 0)
    throw unsupportedModel("the graph takes no input", "export the model with its columns as input");
  const chosen = outputOf(model, options);
  const single = inputs.length === 1;
  if (!single && inputs.some((input) => widthOf(input) !== 1)) {
    throw unsupportedModel(
      `the graph takes ${inputs.length} inputs, not all of one column`,
      "export it with one input [N, columns], or with one input [N, 1] for each column",
    );
  }
  const width = single ? widthOf(inputs[0]) : inputs.length;
  return {
    inputs,
    width,
    names: single ? namesOf(model, width) : inputs.map(({ name }) => name),
    ...chosen,
  };
}

function checkInput({ name, type, dims }: OnnxValue): void {
  if (type === FLOAT16 || type === BFLOAT16) {
    throw unsupportedModel(
      `the input ${name} takes ${type === FLOAT16 ? "float16" : "bfloat16"}, half-precision numbers that cannot hold our features`,
      "export the model in float32: leave its conversion out (convert_float_to_float16, .half()), or convert with keep_io_types=True",
    );
  }
  if (type !== FLOAT && type !== DOUBLE) {
    throw unsupportedModel(
      `the input ${name} takes no floating-point numbers`,
      "features are numbers: export the model with float inputs, categories encoded before it",
    );
  }
  if (dims !== null && dims.length !== 2) {
    throw unsupportedModel(
      `the input ${name} has ${dims.length} dimensions`,
      "export the model with inputs [N, columns]",
    );
  }
  if (dims !== null && dims[0] !== null && dims[0] !== 0) {
    throw unsupportedModel(
      `the input ${name} takes exactly ${dims[0]} rows`,
      "export the model with an open first dimension (torch: dynamic_axes or dynamic_shapes)",
    );
  }
}

function widthOf({ dims }: OnnxValue): number | null {
  const width = dims?.[1] ?? null;
  return width !== null && width >= 1 && width <= COLUMNS_MAX ? width : null;
}

function namesOf(model: OnnxModel, width: number | null): readonly string[] | null {
  for (const key of COLUMN_KEYS) {
    const names = parsed(model.metadata.get(key));
    if (Array.isArray(names) && names.length === width && names.every((name) => typeof name === "string")) return names;
  }
  return null;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

/** The one output that may be a probability: floating-point numbers, or the list of maps that a ZipMap makes. */
function outputOf(
  model: OnnxModel,
  { output: wanted, fraudClass }: EndsChoice,
): Pick<OnnxEnds, "output" | "fraudColumn" | "labels" | "notes"> {
  const { outputs } = model;
  const possible = outputs.filter(
    ({ name, type }) => type === FLOAT || type === DOUBLE || producerOf(model, name)?.operator === "ZipMap",
  );
  const named = wanted === undefined ? possible : possible.filter(({ name }) => name === wanted);
  const half = outputs.find(({ type }) => type === FLOAT16 || type === BFLOAT16);
  if (named.length === 0 && half !== undefined) {
    throw unsupportedModel(
      `the output ${half.name} is of half-precision numbers`,
      "export the model in float32, or convert it to float16 with keep_io_types=True",
    );
  }
  if (named.length !== 1) {
    const names = possible.map(({ name }) => name).join(", ");
    throw unsupportedModel(
      wanted === undefined
        ? `the graph has ${possible.length} outputs that may be a probability${names === "" ? "" : `: ${names}`}`
        : `the graph has no output ${wanted} of floating-point numbers`,
      possible.length === 0
        ? "export it with the probability of fraud as an output"
        : `name one of ${names} with --output`,
    );
  }
  const zip = producerOf(model, named[0].name);
  const labels = labelsOf(model, named[0].name);
  const { place, note } = fraudClassOf(labels, fraudClass);
  return {
    output: zip?.operator === "ZipMap" ? zip.inputs[0] : named[0].name,
    fraudColumn: place,
    labels,
    notes: note === null ? [] : [note],
  };
}
