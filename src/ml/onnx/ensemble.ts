// Flat trees as a TreeEnsembleRegressor whose sums are exact, though the operator adds in Float32.
import type { FlatTrees } from "../trees.ts";
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

/** A value below the threshold goes to the true branch, as in `leafOf`; NaN where the node says so. */
function nodesOf(trees: FlatTrees) {
  const { feature, threshold, left, right, missingLeft } = trees;
  const inner = (node: number): boolean => feature[node] >= 0;
  const places = placesOf(trees);
  const child = (children: Int32Array) =>
    Int32Array.from(children, (to, node) => (inner(node) ? to - trees.roots[places.tree[node]] : 0));
  return {
    nodes_treeids: { numbers: places.tree },
    nodes_nodeids: { numbers: places.node },
    nodes_featureids: { numbers: feature.map((column) => Math.max(0, column)) },
    nodes_modes: { texts: Array.from(feature, (column) => (column >= 0 ? "BRANCH_LT" : "LEAF")) },
    nodes_values: { floats: threshold.map((value, node) => (inner(node) ? value : 0)) },
    nodes_truenodeids: { numbers: child(left) },
    nodes_falsenodeids: { numbers: child(right) },
    nodes_missing_value_tracks_true: {
      numbers: missingLeft.map((goesLeft, node) => (inner(node) ? goesLeft : 0)),
    },
  };
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
