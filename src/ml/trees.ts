// Flat trees: the shape that scoring reads, shared by boosted trees and the isolation forest.

/**
 * Trees one after another in columns of nodes. Tree t owns the nodes from `roots[t]` up to the next root; children stand
 * after their parent and inside their tree, so that every walk ends. A leaf has feature −1.
 */
export interface FlatTrees {
  readonly names: readonly string[];
  /** Index of each tree's first node. */
  readonly roots: Int32Array;
  /** Column an inner node asks about. */
  readonly feature: Int32Array;
  /** A value below goes left, any other right. */
  readonly threshold: Float32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** 1 where a missing value (NaN) goes left. */
  readonly missingLeft: Uint8Array;
  /** What a leaf contributes; 0 at inner nodes. */
  readonly value: Float32Array;
}

/** The leaf a vector falls into, starting from a root; `vector` has one value a column. */
export function leafOf(trees: FlatTrees, root: number, vector: Float32Array): number {
  const { feature, threshold, left, right, missingLeft } = trees;
  let node = root;
  let column = feature[node];
  while (column >= 0) {
    const value = vector[column];
    const goesLeft = value < threshold[node] || (Number.isNaN(value) && missingLeft[node] === 1);
    node = goesLeft ? left[node] : right[node];
    column = feature[node];
  }
  return node;
}

/** Sum of the leaves a vector falls into, in the order of the trees, on top of `start`. */
export function sumLeaves(trees: FlatTrees, vector: Float32Array, start: number): number {
  const { roots, value } = trees;
  let sum = start;
  for (let t = 0; t < roots.length; t++) sum += value[leafOf(trees, roots[t], vector)];
  return sum;
}

/** What is wrong with the structure, in words; null when every walk is sure to end in a leaf with a finite value. */
export function treeFault(trees: FlatTrees): string | null {
  const { roots, feature } = trees;
  const nodes = feature.length;
  if (roots.length === 0) return nodes === 0 ? null : "nodes without a tree";
  if (roots[0] !== 0) return "the first tree does not begin at node 0";
  for (let t = 0; t < roots.length; t++) {
    const end = t + 1 < roots.length ? roots[t + 1] : nodes;
    if (end <= roots[t]) return `tree ${t} is empty or out of order`;
    if (end > nodes) return `tree ${t} begins outside the nodes`;
    const fault = oneTreeFault(trees, { from: roots[t], to: end });
    if (fault !== null) return `tree ${t}: ${fault}`;
  }
  return null;
}

function oneTreeFault(trees: FlatTrees, range: { readonly from: number; readonly to: number }): string | null {
  const parents = new Uint8Array(range.to - range.from);
  for (let node = range.from; node < range.to; node++) {
    const fault = nodeFault(trees, node, range.to);
    if (fault !== null) return `node ${node}: ${fault}`;
    if (trees.feature[node] < 0) continue;
    for (const child of [trees.left[node], trees.right[node]]) {
      if (parents[child - range.from]++ > 0) return `node ${child} has two parents`;
    }
  }
  for (let i = 1; i < parents.length; i++) if (parents[i] === 0) return `node ${range.from + i} has no parent`;
  return null;
}

function nodeFault(trees: FlatTrees, node: number, end: number): string | null {
  const { names, feature, threshold, left, right, missingLeft, value } = trees;
  if (feature[node] < -1 || feature[node] >= names.length) return `column ${feature[node]} does not exist`;
  if (missingLeft[node] > 1) return "the missing side is neither 0 nor 1";
  if (feature[node] < 0) return Number.isFinite(value[node]) ? null : "the leaf's value is not finite";
  if (Number.isNaN(threshold[node])) return "the threshold is NaN";
  for (const child of [left[node], right[node]]) {
    if (child <= node || child >= end) return `child ${child} is not after its parent and inside its tree`;
  }
  return null;
}
