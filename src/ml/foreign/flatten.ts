// Foreign trees made ours: every node checked, laid out with parents before children, within named limits.
import { SentinelError } from "../../core/errors.ts";
import type { GbdtModel } from "../gbdt/model.ts";
import { CATEGORY_MAX, setsOf, wordsOf } from "../trees.ts";

/**
 * One tree in columns of nodes, node 0 its root. What lies in nodes that no walk reaches is never looked at. Inner nodes:
 * a value below `threshold` (Float32) goes left.
 */
export interface ForeignTree {
  /** Column an inner node asks about; −1 at leaves. */
  readonly feature: Int32Array;
  readonly threshold: Float32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly missingLeft: Uint8Array;
  /** What a leaf adds to the margin. */
  readonly value: Float64Array;
  readonly gain: Float64Array;
  readonly cover: Float64Array;
  /** Nodes that ask for categories: those that go left, whole numbers from 0 to {@link CATEGORY_MAX}, at least one. */
  readonly sets: Map<number, readonly number[]>;
}

/** A boosted model as its own library wrote it, in our words. */
export interface ForeignTrees {
  /** Names of the columns in the model's order, null when it knows none. */
  readonly names: readonly string[] | null;
  /** Columns the model takes. */
  readonly width: number;
  readonly trees: readonly ForeignTree[];
  /** Log-odds every score starts from. */
  readonly baseMargin: number;
  /** Library and version, "XGBoost 3.2.0". */
  readonly title: string;
  /** What a reader should know about the conversion, in sentences. */
  readonly notes: readonly string[];
  /** Columns whose values the file numbers itself: column → its values, the number of a value being its place. */
  readonly encoders: ReadonlyMap<number, readonly EncodedValue[]>;
  /** Labels of the classes in the file's order, the score being that of the second; null where the file names none. */
  readonly classes: readonly string[] | null;
  /** The file says where a missing value goes, as its training met such. */
  readonly knowsMissing: boolean;
}

/** A value that a file's own list of categories holds. */
export type EncodedValue = string | number | boolean;

/** Beyond these a model does not fit the latency and memory that serving promises. */
export const TREES_MAX = 20_000;
export const NODES_MAX = 4_000_000;
export const DEPTH_MAX = 256;
/** Columns are 16-bit in a bundle. */
export const COLUMNS_MAX = 32_767;

/** A tree with room for so many nodes, all of them leaves of 0. */
export function emptyTree(nodes: number): ForeignTree {
  return {
    feature: new Int32Array(nodes).fill(-1),
    threshold: new Float32Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    missingLeft: new Uint8Array(nodes),
    value: new Float64Array(nodes),
    gain: new Float64Array(nodes),
    cover: new Float64Array(nodes),
    sets: new Map(),
  };
}

/** Makes an inner node ask for categories; of an empty set nothing is left of it. Errors: `ml.model-unsupported`. */
export function askForSet(tree: ForeignTree, node: number, categories: readonly number[]): void {
  const beyond = categories.find((category) => category > CATEGORY_MAX);
  if (beyond !== undefined) {
    throw unsupportedModel(
      `the model splits on category ${beyond}; categories go up to ${CATEGORY_MAX}`,
      "number the categories from 0 and train again",
    );
  }
  if (categories.length > 0) {
    tree.sets.set(node, categories);
    // XGBoost before 3.1 writes NaN where a node asks for categories; nothing compares with it.
    tree.threshold[node] = 0;
  } else tree.threshold[node] = Number.NEGATIVE_INFINITY;
}

/**
 * The model over our columns: foreign column c is `columns[c]` of `names`. Errors: `ml.model-invalid` where a tree is none
 * (a ring, two parents, a NaN), `ml.model-unsupported` where it is beyond a limit.
 */
export function flattenForeign(
  model: Pick<ForeignTrees, "trees" | "width" | "baseMargin">,
  given: { readonly names: readonly string[]; readonly columns: readonly number[] },
): GbdtModel {
  if (model.trees.length > TREES_MAX) throw tooLarge(`${model.trees.length} trees`, `${TREES_MAX} trees`);
  if (!Number.isFinite(model.baseMargin)) throw invalidModel(`it starts from a margin of ${model.baseMargin}`);
  const orders: Int32Array[] = [];
  let nodes = 0;
  for (const [t, tree] of model.trees.entries()) {
    const order = orderOf(tree, { title: `tree ${t}`, width: model.width });
    nodes += order.length;
    if (nodes > NODES_MAX) throw tooLarge(`more than ${NODES_MAX} nodes`, `${NODES_MAX} nodes`);
    orders.push(order);
  }
  const words: (Uint32Array | null)[] = model.trees.some(({ sets }) => sets.size > 0) ? Array(nodes).fill(null) : [];
  const flat = {
    names: [...given.names],
    baseMargin: model.baseMargin,
    roots: new Int32Array(orders.length),
    feature: new Int32Array(nodes).fill(-1),
    threshold: new Float32Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    missingLeft: new Uint8Array(nodes),
    value: new Float32Array(nodes),
    gain: new Float32Array(nodes),
    cover: new Float32Array(nodes),
  };
  let root = 0;
  for (const [t, order] of orders.entries()) {
    flat.roots[t] = root;
    copyTree(model.trees[t], { order, root, columns: given.columns, flat });
    order.forEach((node, i) => {
      const categories = model.trees[t].sets.get(node);
      if (categories !== undefined) words[root + i] = wordsOf(categories);
    });
    root += order.length;
  }
  const sets = setsOf(words);
  return sets === undefined ? flat : { ...flat, sets };
}

/** The nodes that walks from the root reach, parents first. */
function orderOf(tree: ForeignTree, given: { readonly title: string; readonly width: number }): Int32Array {
  const { title, width } = given;
  const nodes = tree.feature.length;
  if (nodes === 0) throw invalidModel(`${title} has no nodes`);
  const order = new Int32Array(nodes);
  const depth = new Int32Array(nodes).fill(-1);
  depth[0] = 0;
  let count = 1;
  for (let at = 0; at < count; at++) {
    const node = order[at];
    checkNode(tree, node, { title, width });
    if (tree.feature[node] < 0) continue;
    if (depth[node] >= DEPTH_MAX) throw tooLarge(`${title} is deeper than ${DEPTH_MAX}`, `depth ${DEPTH_MAX}`);
    for (const child of [tree.left[node], tree.right[node]]) {
      if (!(child >= 0 && child < nodes)) {
        throw invalidModel(`${title}: node ${node} has the child ${child}, of ${nodes} nodes`);
      }
      if (depth[child] >= 0) throw invalidModel(`${title}: node ${child} is reached twice, so this is no tree`);
      depth[child] = depth[node] + 1;
      order[count++] = child;
    }
  }
  return order.subarray(0, count);
}

function checkNode(tree: ForeignTree, node: number, given: { readonly title: string; readonly width: number }): void {
  const { title, width } = given;
  const column = tree.feature[node];
  if (column >= width) throw invalidModel(`${title}: node ${node} asks about column ${column} of ${width}`);
  if (column >= 0 && Number.isNaN(tree.threshold[node])) {
    throw invalidModel(`${title}: node ${node} has the threshold NaN`);
  }
  if (column < 0 && !Number.isFinite(Math.fround(tree.value[node]))) {
    throw invalidModel(`${title}: leaf ${node} has the value ${tree.value[node]}`);
  }
}

function copyTree(
  tree: ForeignTree,
  to: {
    readonly order: Int32Array;
    readonly root: number;
    readonly columns: readonly number[];
    readonly flat: GbdtModel;
  },
): void {
  const { order, root, columns, flat } = to;
  const place = new Int32Array(tree.feature.length);
  for (let i = 0; i < order.length; i++) place[order[i]] = root + i;
  for (let i = 0; i < order.length; i++) {
    const node = order[i];
    const at = root + i;
    flat.cover[at] = finite(tree.cover[node]);
    if (tree.feature[node] < 0) {
      flat.value[at] = tree.value[node];
      continue;
    }
    flat.feature[at] = columns[tree.feature[node]];
    flat.threshold[at] = tree.threshold[node];
    flat.missingLeft[at] = tree.missingLeft[node];
    flat.left[at] = place[tree.left[node]];
    flat.right[at] = place[tree.right[node]];
    flat.gain[at] = finite(tree.gain[node]);
  }
}

/** Gain and cover explain and decide nothing: one that is no Float32 is left out rather than refused. */
function finite(value: number): number {
  return Number.isFinite(Math.fround(value)) ? value : 0;
}

/** `ml.model-invalid`: the file is not what its format promises. */
export function invalidModel(what: string, cause?: unknown): SentinelError {
  return new SentinelError("ml.model-invalid", `the model cannot be read: ${what}`, {
    hint: "save the model again with the library that trained it, and give that file as it is",
    cause,
  });
}

/** `ml.model-unsupported`: a sound file that Sentinel cannot score. */
export function unsupportedModel(what: string, hint: string): SentinelError {
  return new SentinelError("ml.model-unsupported", what, { hint });
}

function tooLarge(what: string, limit: string): SentinelError {
  return unsupportedModel(
    `the model has ${what}; at most ${limit} are imported`,
    "train a smaller model: fewer rounds, fewer leaves, or a lower depth",
  );
}
