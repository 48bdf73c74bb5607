// Flat trees as a TreeEnsembleRegressor whose sums are exact, though the operator adds in Float32.
import { asksForSet, categoriesOf, type FlatTrees } from "../trees.ts";
import { DOUBLE, type Graph } from "./graph.ts";

/** Parts a leaf's value is cut into; what is left after three is less than 2⁻⁵⁰ of the largest sum. */
const PARTS_MAX = 3;
/** A Float32 significand has 24 bits; one is left free, so that rounding cannot fill it. */
const SUM_BITS = 23;

/**
 * Sum of the leaves each row falls into, as doubles [N, 1]. Runtimes add Float32 in an order of their own, which would
 * move an anomaly score across a threshold now and then. So each leaf's value is cut into parts on grids so coarse that
 * any sum of one part over trees is exact (error-free extraction: Rump, Ogita & Oishi 2008, "Accurate floating-point
 * summation", part I), one target of the regressor for each part, and the parts are added as doubles.
 */
export function addEnsemble(graph: Graph, trees: FlatTrees, input: string): string {
  const parts = exactParts(trees);
  const sums = graph.apply("TreeEnsembleRegressor", [input], {
    n_targets: { number: parts.length },
    ...nodesOf(trees),
    ...targetsOf(trees, parts),
  });
  const doubles = graph.apply("Cast", [sums], { to: { number: DOUBLE } });
  return graph.apply("ReduceSum", [doubles, graph.indices([1])]);
}

/** A node as the operator has it; `yes` and `no` are numbers within its tree. */
interface OnnxNode {
  readonly tree: number;
  readonly id: number;
  readonly feature: number;
  readonly mode: "BRANCH_LT" | "BRANCH_EQ" | "LEAF";
  readonly value: number;
  readonly yes: number;
  readonly no: number;
  /** 1 where NaN takes the yes branch. */
  readonly missingYes: number;
}

function nodesOf(trees: FlatTrees) {
  const nodes: OnnxNode[] = [];
  for (let t = 0; t < trees.roots.length; t++) nodes.push(...treeNodes(trees, t));
  return {
    nodes_treeids: { numbers: nodes.map(({ tree }) => tree) },
    nodes_nodeids: { numbers: nodes.map(({ id }) => id) },
    nodes_featureids: { numbers: nodes.map(({ feature }) => feature) },
    nodes_modes: { texts: nodes.map(({ mode }) => mode) },
    nodes_values: { floats: Float32Array.from(nodes, ({ value }) => value) },
    nodes_truenodeids: { numbers: nodes.map(({ yes }) => yes) },
    nodes_falsenodeids: { numbers: nodes.map(({ no }) => no) },
    nodes_missing_value_tracks_true: { numbers: nodes.map(({ missingYes }) => missingYes) },
  };
}

/**
 * The nodes of a tree under their own numbers, each going where `goesLeft` says. The operator knows no sets: such a node asks
 * for its categories one after the other, all but the first in nodes numbered behind the tree's own, and all that find theirs
 * go to the same left child (as converters of LightGBM have it, which runtimes therefore know).
 */
function treeNodes(trees: FlatTrees, tree: number): OnnxNode[] {
  const from = trees.roots[tree];
  const to = tree + 1 < trees.roots.length ? trees.roots[tree + 1] : trees.feature.length;
  const own: OnnxNode[] = [];
  const more: OnnxNode[] = [];
  for (let node = from; node < to; node++) {
    const id = node - from;
    const feature = trees.feature[node];
    if (feature < 0) {
      own.push({ tree, id, feature: 0, mode: "LEAF", value: 0, yes: 0, no: 0, missingYes: 0 });
      continue;
    }
    const ends = { tree, feature, yes: trees.left[node] - from, no: trees.right[node] - from };
    const missingYes = trees.missingLeft[node];
    if (!asksForSet(trees, node)) {
      own.push({ ...ends, id, mode: "BRANCH_LT", value: trees.threshold[node], missingYes });
      continue;
    }
    const categories = categoriesOf(trees, node);
    categories.forEach((value, i) => {
      const behind = to - from + more.length;
      const next = i === 0 ? behind : behind + 1;
      const no = i === categories.length - 1 ? ends.no : next;
      if (i === 0) own.push({ ...ends, id, mode: "BRANCH_EQ", value, no, missingYes });
      else more.push({ ...ends, id: behind, mode: "BRANCH_EQ", value, no, missingYes: 0 });
    });
  }
  return [...own, ...more];
}

function targetsOf(trees: FlatTrees, parts: readonly Float64Array[]) {
  const places = placesOf(trees);
  const entries: { readonly node: number; readonly part: number }[] = [];
  for (let node = 0; node < trees.feature.length; node++) {
    if (trees.feature[node] >= 0) continue;
    // Every leaf has a first part; a later one only where it says something.
    parts.forEach((values, part) => {
      if (part === 0 || values[node] !== 0) entries.push({ node, part });
    });
  }
  return {
    target_treeids: { numbers: entries.map(({ node }) => places.tree[node]) },
    target_nodeids: { numbers: entries.map(({ node }) => places.node[node]) },
    target_ids: { numbers: entries.map(({ part }) => part) },
    target_weights: { floats: Float32Array.from(entries, ({ node, part }) => parts[part][node]) },
  };
}

/** Tree of each node, and its number within that tree. */
function placesOf({ roots, feature }: FlatTrees): { readonly tree: Int32Array; readonly node: Int32Array } {
  const tree = new Int32Array(feature.length);
  for (let t = 0; t < roots.length; t++) tree.fill(t, roots[t]);
  return { tree, node: tree.map((t, at) => at - roots[t]) };
}

/** Leaf values cut into parts, by node; their sum is the value (but for what {@link PARTS_MAX} leaves out). */
function exactParts(trees: FlatTrees): Float64Array[] {
  let rest = Float64Array.from(trees.value, (value, node) => (trees.feature[node] < 0 ? value : 0));
  const parts: Float64Array[] = [];
  while (parts.length < PARTS_MAX && (parts.length === 0 || rest.some((value) => value !== 0))) {
    const largest = largestSum(trees, rest);
    const grid = largest === 0 ? 1 : 2 ** (Math.ceil(Math.log2(largest)) - SUM_BITS);
    const part = rest.map((value) => Math.round(value / grid) * grid);
    rest = rest.map((value, node) => value - part[node]);
    parts.push(part);
  }
  return parts;
}

/** No row's sum is larger, over any of the trees, in size. */
function largestSum({ roots, feature }: FlatTrees, values: Float64Array): number {
  let sum = 0;
  for (let t = 0; t < roots.length; t++) {
    const end = t + 1 < roots.length ? roots[t + 1] : feature.length;
    let largest = 0;
    for (let node = roots[t]; node < end; node++) largest = Math.max(largest, Math.abs(values[node]));
    sum += largest;
  }
  return sum;
}
