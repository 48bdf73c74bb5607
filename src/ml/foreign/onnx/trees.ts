// Tree ensembles in ONNX as trees of ours, where the graph is one ensemble whose leaves add up to the log-odds.

import { FLOAT } from "../../onnx/graph.ts";
import { repeatedFloats, repeatedNumbers } from "../../onnx/protobuf.ts";
import { emptyTree, type ForeignTree, invalidModel, NODES_MAX } from "../flatten.ts";
import { atMost } from "../float32.ts";
import { type Attributes, attributesOf } from "./attributes.ts";
import type { OnnxEnds } from "./ends.ts";
import { type OnnxModel, type OnnxNode, producerOf, reading } from "./model.ts";

/** Trees and what their sum begins with. */
export interface OnnxTrees {
  readonly trees: readonly ForeignTree[];
  readonly baseMargin: number;
}

/**
 * The ensemble, or null where the graph does more, or where the leaves are no log-odds (a forest's are probabilities): such a
 * graph is for the runtime. Errors: `ml.model-invalid` where the ensemble is broken.
 */
export function treesOfOnnx(
  model: OnnxModel,
  ends: OnnxEnds,
  options: { readonly isMargin: boolean },
): OnnxTrees | null {
  return reading(() => findTrees(model, ends, options.isMargin));
}

function findTrees(model: OnnxModel, ends: OnnxEnds, isMargin: boolean): OnnxTrees | null {
  const { node, isSigmoid } = behindScore(model, ends.output);
  if (node === undefined || !isGraphInput(model, ends, node.inputs[0])) return null;
  // A tree that tells of the other class: rare enough for the runtime.
  if (ends.fraudColumn !== 1) return null;
  const attributes = attributesOf(node);
  if (["nodes_values", "base_values"].some((name) => attributes.has(`${name}_as_tensor`))) return null;
  const transform = attributes.text("post_transform", "NONE");
  if (node.operator === "TreeEnsembleClassifier") {
    return isBoosted(attributes, transform) && !isSigmoid && !isMargin ? read(attributes, "class") : null;
  }
  if (node.operator !== "TreeEnsembleRegressor" || attributes.number("n_targets", 1) !== 1) return null;
  if (attributes.text("aggregate_function", "SUM") !== "SUM") return null;
  const isLogistic = (transform === "LOGISTIC") !== isSigmoid && (transform === "LOGISTIC" || transform === "NONE");
  const isPlain = transform === "NONE" && !isSigmoid;
  return (isMargin ? isPlain : isLogistic) ? read(attributes, "target") : null;
}

/** The node whose output reaches the score through nothing but copies and at most one Sigmoid. */
function behindScore(
  model: OnnxModel,
  output: string,
): { readonly node: OnnxNode | undefined; readonly isSigmoid: boolean } {
  let isSigmoid = false;
  let node = producerOf(model, output);
  for (let steps = 0; node !== undefined && steps < model.nodes.length; steps++) {
    if (node.operator === "Sigmoid" && !isSigmoid) isSigmoid = true;
    else if (!isCopy(model, node)) break;
    node = producerOf(model, node.inputs[0]);
  }
  return { node, isSigmoid };
}

function isGraphInput(model: OnnxModel, ends: OnnxEnds, value: string): boolean {
  let at = value;
  for (let steps = 0; steps <= model.nodes.length; steps++) {
    if (ends.inputs.length === 1 && ends.inputs[0].name === at) return true;
    const node = producerOf(model, at);
    if (node === undefined || !isCopy(model, node)) return false;
    at = node.inputs[0];
  }
  return false;
}

/** Identity, a cast to Float32, or LightGBM's converter's multiplication by one. */
function isCopy(model: OnnxModel, node: OnnxNode): boolean {
  if (node.operator === "Identity") return true;
  if (node.operator === "Cast") return attributesOf(node).number("to", 0) === FLOAT;
  return node.operator === "Mul" && isOne(model.constants.get(node.inputs[1] ?? ""));
}

/** A TensorProto whose only content is the Float32 1, as numbers or as raw bytes. */
function isOne(tensor: Uint8Array | undefined): boolean {
  if (tensor === undefined) return false;
  const raw = repeatedFloats(tensor, 9);
  const listed = repeatedFloats(tensor, 4);
  return (
    raw.length + listed.length === 1 &&
    (raw[0] ?? listed[0]) === 1 &&
    !repeatedNumbers(tensor, 1).some((dim) => dim > 1)
  );
}

/**
 * Two classes and all leaves given to the first, which runtimes take for the log-odds of the second. Where no leaf is below 0
 * they take the sum for the probability itself (onnxruntime, "add_second_class"), so such an ensemble is none.
 */
function isBoosted(attributes: Attributes, transform: string): boolean {
  const labels = attributes.numbers("classlabels_int64s").length + attributes.texts("classlabels_strings").length;
  const classes = new Set(attributes.numbers("class_ids"));
  const negative = attributes.floats("class_weights").some((weight) => weight < 0);
  const single = classes.size === 1 && classes.has(0);
  return transform === "LOGISTIC" && labels === 2 && single && negative;
}

function read(attributes: Attributes, leaves: "class" | "target"): OnnxTrees | null {
  const starts = attributes.floats("base_values");
  if (starts.length > 1) return null;
  const modes = attributes.texts("nodes_modes");
  if (modes.length > NODES_MAX) throw invalidModel(`the ensemble has more than ${NODES_MAX} nodes`);
  if (modes.some((mode) => !(mode in MODES))) return null;
  const columns = columnsOf(attributes, modes);
  const at = placesOf(columns);
  const trees = at.sizes.map((size) => emptyTree(size));
  for (let i = 0; i < modes.length; i++) setNode(i, { columns, at, trees, mode: MODES[modes[i]] });
  if (!trees.every(beginsAtItsRoot)) return null;
  addLeaves(attributes, { leaves, at, trees });
  return { trees, baseMargin: starts[0] ?? 0 };
}

/** How a node compares: which side is the yes side, and whether equal values count. null: a leaf. */
const MODES: Readonly<Record<string, { readonly yesLeft: boolean; readonly equal: boolean } | null>> = {
  LEAF: null,
  BRANCH_LT: { yesLeft: true, equal: false },
  BRANCH_LEQ: { yesLeft: true, equal: true },
  // x ≥ t is not x < t, and x > t is not x ≤ t: the sides change places.
  BRANCH_GTE: { yesLeft: false, equal: false },
  BRANCH_GT: { yesLeft: false, equal: true },
};

interface Columns {
  readonly tree: Float64Array;
  readonly id: Float64Array;
  readonly feature: Float64Array;
  readonly value: Float64Array;
  readonly yes: Float64Array;
  readonly no: Float64Array;
  readonly missingYes: Float64Array;
}

function columnsOf(attributes: Attributes, modes: readonly string[]): Columns {
  const whole = (name: string): Float64Array => sameLength(attributes.numbers(name), name);
  const sameLength = (list: Float64Array, name: string): Float64Array => {
    if (list.length === modes.length) return list;
    throw invalidModel(`${name} has ${list.length} entries, and there are ${modes.length} nodes`);
  };
  return {
    tree: whole("nodes_treeids"),
    id: whole("nodes_nodeids"),
    feature: whole("nodes_featureids"),
    value: sameLength(attributes.floats("nodes_values"), "nodes_values"),
    yes: whole("nodes_truenodeids"),
    no: whole("nodes_falsenodeids"),
    missingYes: attributes.has("nodes_missing_value_tracks_true")
      ? whole("nodes_missing_value_tracks_true")
      : new Float64Array(modes.length),
  };
}

/** The first node is no node's child, and every other is: the file lists the root first, as exporters do. */
function beginsAtItsRoot({ feature, left, right }: ForeignTree): boolean {
  const isChild = new Uint8Array(feature.length);
  for (let node = 0; node < feature.length; node++) {
    if (feature[node] >= 0) isChild[left[node]] = isChild[right[node]] = 1;
  }
  return isChild.every((child, node) => (child === 0) === (node === 0));
}

/** Where each node goes: its tree, and its place there in the order of the file. */
interface Places {
  readonly sizes: readonly number[];
  readonly tree: Int32Array;
  readonly place: Int32Array;
  /** The place of node `id` of a tree, by the tree's own number. */
  find(tree: number, id: number): { readonly tree: number; readonly place: number };
}

function placesOf({ tree, id }: Columns): Places {
  const trees = new Map<number, { readonly index: number; readonly ids: Map<number, number> }>();
  const own = new Int32Array(tree.length);
  const place = new Int32Array(tree.length);
  for (let i = 0; i < tree.length; i++) {
    let known = trees.get(tree[i]);
    if (known === undefined) {
      known = { index: trees.size, ids: new Map() };
      trees.set(tree[i], known);
    }
    if (known.ids.has(id[i])) throw invalidModel(`tree ${tree[i]} has two nodes ${id[i]}`);
    own[i] = known.index;
    place[i] = known.ids.size;
    known.ids.set(id[i], place[i]);
  }
  return {
    sizes: [...trees.values()].map(({ ids }) => ids.size),
    tree: own,
    place,
    find: (number, wanted) => {
      const known = trees.get(number);
      const found = known?.ids.get(wanted);
      if (known === undefined || found === undefined) throw invalidModel(`tree ${number} has no node ${wanted}`);
      return { tree: known.index, place: found };
    },
  };
}

function setNode(
  i: number,
  given: {
    readonly columns: Columns;
    readonly at: Places;
    readonly trees: readonly ForeignTree[];
    readonly mode: (typeof MODES)[string];
  },
): void {
  const { columns, at, trees, mode } = given;
  if (mode === null) return;
  const tree = trees[at.tree[i]];
  const node = at.place[i];
  const yes = at.find(columns.tree[i], columns.yes[i]).place;
  const no = at.find(columns.tree[i], columns.no[i]).place;
  tree.feature[node] = columns.feature[i];
  tree.threshold[node] = mode.equal ? atMost(columns.value[i]) : columns.value[i];
  tree.left[node] = mode.yesLeft ? yes : no;
  tree.right[node] = mode.yesLeft ? no : yes;
  tree.missingLeft[node] = (columns.missingYes[i] === 1) === mode.yesLeft ? 1 : 0;
}

function addLeaves(
  attributes: Attributes,
  given: { readonly leaves: "class" | "target"; readonly at: Places; readonly trees: readonly ForeignTree[] },
): void {
  const { leaves, at, trees } = given;
  const [tree, id] = [attributes.numbers(`${leaves}_treeids`), attributes.numbers(`${leaves}_nodeids`)];
  const weight = attributes.floats(`${leaves}_weights`);
  if (tree.length !== weight.length || id.length !== weight.length) {
    throw invalidModel(`${leaves}_weights has ${weight.length} entries, and ${tree.length} leaves are named`);
  }
  for (let i = 0; i < weight.length; i++) {
    const found = at.find(tree[i], id[i]);
    trees[found.tree].value[found.place] += weight[i];
  }
}
