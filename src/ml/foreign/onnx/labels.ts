// What an ONNX classifier says about its answer beside the numbers: labels of its classes, two scores that are one, missing values.
import { fieldsOf, repeatedNumbers } from "../../onnx/protobuf.ts";
import { attributesOf } from "./attributes.ts";
import { type OnnxModel, type OnnxNode, producerOf } from "./model.ts";

/** Numbers of TensorProto.DataType for labels. */
const LABEL_TYPES = { int32: 6, int64: 7, string: 8 } as const;
/** Fields of TensorProto. */
const TENSOR = { dims: 1, type: 2, int32: 5, texts: 6, int64: 7, raw: 9 } as const;
/** Attributes in which operators keep the labels of their classes (ai.onnx.ml). */
const NUMBER_LABELS = ["classlabels_int64s", "classlabels_ints"];
const TEXT_LABELS = ["classlabels_strings"];
/** Nodes between a label and its classes: casts, reshapes, an index into the list. */
const STEPS_MAX = 64;

/**
 * Labels of the classes in the order of the columns of `output`, null where the graph has none: a ZipMap's, the classifier's
 * that made the output, else those in the list that the graph's label output is picked from.
 */
export function labelsOf(model: OnnxModel, output: string): readonly string[] | null {
  for (const node of behind(model, output)) {
    const labels = ownLabels(node);
    if (labels !== null) return labels;
  }
  const types: readonly number[] = Object.values(LABEL_TYPES);
  for (const { name, type } of model.outputs) {
    if (!types.includes(type)) continue;
    for (const node of behind(model, name)) {
      const labels = ownLabels(node) ?? pickedLabels(model, node);
      if (labels !== null) return labels;
    }
  }
  return null;
}

/**
 * What two columns of raw scores are that are each other's negative: "decision", one decision function as scikit-learn's are
 * exported, whose probability is the sigmoid of one column; "logits", of which it is that of their difference (softmax); "unclear"
 * where exporters write the same for both. An SVM's raw scores are no log-odds either way: "none".
 */
export function mirroredKind(model: OnnxModel, output: string): "decision" | "logits" | "unclear" | "none" {
  let node = producerOf(model, output);
  for (let steps = 0; steps < STEPS_MAX && node !== undefined && PASSING.includes(node.operator); steps++) {
    node = producerOf(model, node.inputs[0]);
  }
  switch (node?.operator) {
    case "SVMClassifier":
      return "none";
    case "Concat":
    case "TreeEnsembleClassifier":
      return "decision";
    case "LinearClassifier":
      // skl2onnx writes 1 for multi_class="auto", where one column decides, and for "multinomial", where the difference does.
      return attributesOf(node).number("multi_class", 0) === 0 ? "decision" : "unclear";
    default:
      return "logits";
  }
}

/** Operators that leave an answer what it is, or turn its sign. */
const PASSING = ["Identity", "Cast", "Mul"];

/** Whether trees of skl2onnx have no side for missing values: it leaves out those that scikit-learn's forests learn. */
export function isBlindToMissing(model: OnnxModel): boolean {
  const trees = model.nodes.filter(({ operator }) => operator.startsWith("TreeEnsemble"));
  return (
    model.producer.startsWith("skl2onnx") &&
    trees.length > 0 &&
    trees.every((node) =>
      attributesOf(node)
        .numbers("nodes_missing_value_tracks_true")
        .every((side) => side === 0),
    ) &&
    !knowsMissing(model)
  );
}

/** Whether the graph itself says what becomes of a missing value: it fills it, asks for it, or its trees learned a side for it. */
export function knowsMissing(model: OnnxModel): boolean {
  return model.nodes.some((node) => {
    if (node.operator === "IsNaN") return true;
    if (node.operator === "Imputer") return Number.isNaN(attributesOf(node).float("replaced_value_float", 0));
    if (!node.operator.startsWith("TreeEnsemble")) return false;
    const sides = new Set<number>();
    const attributes = attributesOf(node);
    const modes = attributes.texts("nodes_modes");
    attributes.numbers("nodes_missing_value_tracks_true").forEach((side, i) => {
      if (modes[i] !== "LEAF") sides.add(side);
    });
    return sides.size === 2;
  });
}

/** The nodes a value comes through, nearest first, following the first input; a picker's list is that one's own matter. */
function behind(model: OnnxModel, value: string): readonly OnnxNode[] {
  const nodes: OnnxNode[] = [];
  const open = [value];
  const seen = new Set<OnnxNode>();
  for (let name = open.shift(); name !== undefined && nodes.length < STEPS_MAX; name = open.shift()) {
    const node = producerOf(model, name);
    if (node === undefined || seen.has(node)) continue;
    seen.add(node);
    nodes.push(node);
    open.push(...node.inputs);
  }
  return nodes;
}

function ownLabels(node: OnnxNode): readonly string[] | null {
  const attributes = attributesOf(node);
  for (const name of NUMBER_LABELS) {
    const numbers = attributes.numbers(name);
    if (numbers.length > 0) return Array.from(numbers, String);
  }
  for (const name of TEXT_LABELS) {
    const texts = attributes.texts(name);
    if (texts.length > 0) return texts;
  }
  return null;
}

/** The list of labels that a node picks from by an index. */
function pickedLabels(model: OnnxModel, { operator, inputs }: OnnxNode): readonly string[] | null {
  if (operator !== "ArrayFeatureExtractor" && operator !== "Gather") return null;
  const tensor = model.constants.get(inputs[0] ?? "");
  return tensor === undefined ? null : labelsIn(tensor);
}

function labelsIn(tensor: Uint8Array): readonly string[] | null {
  const type = repeatedNumbers(tensor, TENSOR.type)[0];
  const count = [...repeatedNumbers(tensor, TENSOR.dims)].reduce((product, dim) => product * dim, 1);
  const found = ((): readonly string[] => {
    if (type === LABEL_TYPES.string) return textsIn(tensor);
    const raw = bytesIn(tensor, TENSOR.raw)[0];
    if (type === LABEL_TYPES.int64) {
      if (raw === undefined) return Array.from(repeatedNumbers(tensor, TENSOR.int64), String);
      const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
      return Array.from({ length: raw.length >>> 3 }, (_, i) => String(view.getBigInt64(8 * i, true)));
    }
    if (type !== LABEL_TYPES.int32) return [];
    if (raw === undefined) return Array.from(repeatedNumbers(tensor, TENSOR.int32), String);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    return Array.from({ length: raw.length >>> 2 }, (_, i) => String(view.getInt32(4 * i, true)));
  })();
  return found.length === count && count > 1 ? found : null;
}

function textsIn(tensor: Uint8Array): readonly string[] {
  return bytesIn(tensor, TENSOR.texts).map((bytes) => new TextDecoder().decode(bytes));
}

function bytesIn(tensor: Uint8Array, wanted: number): readonly Uint8Array[] {
  return fieldsOf(tensor)
    .filter(({ number }) => number === wanted)
    .map(({ bytes }) => bytes);
}
