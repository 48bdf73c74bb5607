// A small interpreter of the operators that the export writes, so that a bundle's ONNX file is checked wherever it is made.
import { messageOf, SentinelError } from "../../core/errors.ts";
import { FLOAT } from "./graph.ts";
import { type Field, fieldsOf, unpackFloats, unpackNumbers } from "./protobuf.ts";

/** One row of every value: a list of numbers. Whole numbers and truth (0, 1) are numbers too. */
type Row = ArrayLike<number>;
type Step = (inputs: readonly Row[]) => Row;

/**
 * The score of one vector, as the ONNX model in `bytes` says: its one input is the vector, its one output the score.
 * Only for files of our own export; any operator it does not write is `bundle.unsupported`, unreadable bytes `bundle.corrupt`.
 */
export function loadOnnx(bytes: Uint8Array): (vector: Float32Array) => number {
  const graph = parsed(() => fieldsOf(only(fieldsOf(bytes), 7)));
  const constants = new Map(all(graph, 5).map((tensor) => parsed(() => constantOf(fieldsOf(tensor)))));
  const steps = all(graph, 1).map((node) => parsed(() => stepOf(fieldsOf(node))));
  const input = parsed(() => text(fieldsOf(only(graph, 11)), 1));
  const output = parsed(() => text(fieldsOf(only(graph, 12)), 1));
  return (vector) => {
    const values = new Map<string, Row>(constants).set(input, vector);
    for (const { from, to, step } of steps) {
      values.set(
        to,
        step(
          from.map((name) => {
            const value = values.get(name);
            if (value === undefined) throw corrupt(`${to} needs ${name}, which nothing makes`);
            return value;
          }),
        ),
      );
    }
    return values.get(output)?.[0] ?? Number.NaN;
  };
}

interface NamedStep {
  readonly from: readonly string[];
  readonly to: string;
  readonly step: Step;
}

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Max: (a, b) => Math.max(a, b),
  Min: (a, b) => Math.min(a, b),
  LessOrEqual: (a, b) => (a <= b ? 1 : 0),
};
const UNARY: Readonly<Record<string, (a: number) => number>> = {
  Identity: (a) => a,
  Neg: (a) => -a,
  Abs: (a) => Math.abs(a),
  Exp: (a) => Math.exp(a),
  Log: (a) => Math.log(a),
  Sigmoid: (a) => 1 / (1 + Math.exp(-a)),
};

function stepOf(node: readonly Field[]): NamedStep {
  const attributes = new Map(all(node, 5).map((bytes) => [text(fieldsOf(bytes), 1), fieldsOf(bytes)]));
  const step = operatorOf(text(node, 4), attributes);
  return { from: all(node, 1).map(decode), to: text(node, 2), step };
}

type Attributes = ReadonlyMap<string, readonly Field[]>;

function operatorOf(operator: string, attributes: Attributes): Step {
  const binary = BINARY[operator];
  if (binary !== undefined) return ([a, b]) => broadcast(a, b, binary);
  const unary = UNARY[operator];
  if (unary !== undefined) return ([a]) => Float64Array.from(a, unary);
  switch (operator) {
    case "Cast":
      // Doubles hold every other type exactly.
      return attribute(attributes, "to", 3)[0].value === FLOAT ? ([a]) => Float32Array.from(a) : ([a]) => a;
    case "ReduceSum":
      return ([a]) => [Array.from(a).reduce((sum, value) => sum + value, 0)];
    case "Gather":
      return ([values, at]) => Array.from(at, (index) => values[index]);
    case "Where":
      return ([yes, a, b]) => (yes[0] === 1 ? a : b);
    case "Concat":
      return (rows) => rows.flatMap((row) => Array.from(row));
    case "TreeEnsembleRegressor":
      return ensembleOf(attributes);
  }
  throw new SentinelError("bundle.unsupported", `model.onnx uses ${operator}, which our export never writes`, {
    hint: "score a foreign ONNX model with onnxruntime",
  });
}

/** Two rows of equal length, or one of them a single number. */
function broadcast(a: Row, b: Row, combine: (a: number, b: number) => number): Row {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => combine(a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]));
}

/** Sums of leaves by target in Float32, as runtimes add them. */
function ensembleOf(attributes: Attributes): Step {
  const numbers = (name: string): number[] => unpackNumbers(attribute(attributes, name, 8)[0].bytes);
  const floats = (name: string): Float32Array => unpackFloats(attribute(attributes, name, 7)[0].bytes);
  const [tree, id, feature] = [numbers("nodes_treeids"), numbers("nodes_nodeids"), numbers("nodes_featureids")];
  const modes = attribute(attributes, "nodes_modes", 9).map(({ bytes }) => decode(bytes));
  const [yes, no] = [numbers("nodes_truenodeids"), numbers("nodes_falsenodeids")];
  const missingYes = numbers("nodes_missing_value_tracks_true");
  const threshold = floats("nodes_values");
  const at = new Map(tree.map((t, node) => [`${t}/${id[node]}`, node]));
  const go = (from: number, to: number): number => at.get(`${tree[from]}/${to}`) ?? -1;
  const [left, right] = [yes.map((to, node) => go(node, to)), no.map((to, node) => go(node, to))];
  const roots = id.flatMap((number, node) => (number === 0 ? [node] : []));
  const leaves = targetsOf(numbers, floats, (t, node) => at.get(`${t}/${node}`) ?? -1);
  const targets = attribute(attributes, "n_targets", 3)[0].value;
  return ([vector]) => {
    const sums = new Float32Array(targets);
    for (const root of roots) {
      let node = root;
      while (modes[node] === "BRANCH_LT" || modes[node] === "BRANCH_EQ") {
        const value = vector[feature[node]];
        const holds = modes[node] === "BRANCH_LT" ? value < threshold[node] : value === threshold[node];
        const isYes = holds || (Number.isNaN(value) && missingYes[node] === 1);
        node = isYes ? left[node] : right[node];
      }
      if (modes[node] !== "LEAF") throw corrupt(`a node has the mode ${modes[node]}`);
      for (const { target, weight } of leaves.get(node) ?? []) sums[target] += weight;
    }
    return sums;
  };
}

interface Target {
  readonly target: number;
  readonly weight: number;
}

function targetsOf(
  numbers: (name: string) => number[],
  floats: (name: string) => Float32Array,
  nodeAt: (tree: number, node: number) => number,
): ReadonlyMap<number, readonly Target[]> {
  const [tree, node, target] = [numbers("target_treeids"), numbers("target_nodeids"), numbers("target_ids")];
  const leaves = new Map<number, Target[]>();
  floats("target_weights").forEach((weight, i) => {
    const leaf = nodeAt(tree[i], node[i]);
    leaves.set(leaf, [...(leaves.get(leaf) ?? []), { target: target[i], weight }]);
  });
  return leaves;
}

function constantOf(tensor: readonly Field[]): readonly [string, Row] {
  const name = text(tensor, 8);
  const whole = all(tensor, 7);
  if (whole.length > 0) return [name, unpackNumbers(whole[0])];
  const raw = only(tensor, 9);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return [name, Float64Array.from({ length: raw.length >>> 3 }, (_, i) => view.getFloat64(8 * i, true))];
}

function attribute(attributes: Attributes, name: string, field: number): readonly Field[] {
  const found = (attributes.get(name) ?? []).filter(({ number }) => number === field);
  if (found.length === 0) throw new RangeError(`no attribute ${name}`);
  return found;
}

function all(fields: readonly Field[], number: number): Uint8Array[] {
  return fields.filter((field) => field.number === number).map(({ bytes }) => bytes);
}

function only(fields: readonly Field[], number: number): Uint8Array {
  const found = all(fields, number);
  if (found.length !== 1) throw new RangeError(`field ${number} stands ${found.length} times`);
  return found[0];
}

function text(fields: readonly Field[], number: number): string {
  return decode(only(fields, number));
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw corrupt(messageOf(error));
  }
}

function corrupt(what: string): SentinelError {
  return new SentinelError("bundle.corrupt", `model.onnx: ${what}`, {
    hint: "register the model again with `sentinel train`",
  });
}
