// Shares: what an explanation must know of trees besides their splits, made once a model.
import type { FlatTrees } from "../trees.ts";

/** By node. Nodes inside a tree are counted from its root, −1 is none. */
export interface SplitShares {
  /** Share of an inner node's cover that goes left, from 0 to 1. */
  readonly leftShare: Float64Array;
  /** The nearest split above that asks about the same column, and the child of it that leads here. */
  readonly above: Int32Array;
  readonly aboveChild: Int32Array;
  /** Share of the cover that all splits above on the same column let through to here; 1 where there is none. */
  readonly aboveShare: Float64Array;
  /** Mean of the trees' leaves by their cover, summed over the trees. */
  readonly expected: number;
  /** Different columns on a path from root to leaf, and nodes in a tree, at most. */
  readonly pathColumnsMax: number;
  readonly treeNodesMax: number;
}

/** `cover` is the weight of the training rows that reached each node. */
export function sharesOf(trees: FlatTrees, cover: Float32Array): SplitShares {
  const nodes = trees.feature.length;
  const leftShare = leftShares(trees, cover);
  const above = new Int32Array(nodes).fill(-1);
  const aboveChild = new Int32Array(nodes).fill(-1);
  const aboveShare = new Float64Array(nodes).fill(1);
  let pathColumnsMax = 0;
  let treeNodesMax = 0;
  trees.roots.forEach((root, t) => {
    const end = t + 1 < trees.roots.length ? trees.roots[t + 1] : nodes;
    treeNodesMax = Math.max(treeNodesMax, end - root);
    const parents = parentsOf(trees, root, end);
    const columns = new Int32Array(end - root);
    for (let i = 0; i < columns.length; i++) {
      const node = root + i;
      if (trees.feature[node] < 0) {
        pathColumnsMax = Math.max(pathColumnsMax, columns[i]);
        continue;
      }
      const found = splitAbove(trees, parents, { root, at: i });
      if (found !== null) {
        const { split, child } = found;
        above[node] = split;
        aboveChild[node] = child;
        const left = trees.left[root + split] === root + child;
        const through = left ? leftShare[root + split] : 1 - leftShare[root + split];
        aboveShare[node] = aboveShare[root + split] * through;
      }
      const known = columns[i] + (found === null ? 1 : 0);
      columns[trees.left[node] - root] = known;
      columns[trees.right[node] - root] = known;
    }
  });
  const expected = meanLeaves(trees, leftShare);
  return { leftShare, above, aboveChild, aboveShare, expected, pathColumnsMax, treeNodesMax };
}

/**
 * Of the children's own covers, so that the shares of both sum to 1 whatever rounding the parent's went through. A split
 * that no row reached (imported models have such) counts as half and half; a cover above 0 on the way to it is not there.
 */
function leftShares(trees: FlatTrees, cover: Float32Array): Float64Array {
  return Float64Array.from(trees.feature, (column, node) => {
    if (column < 0) return 0;
    const left = cover[trees.left[node]];
    const both = left + cover[trees.right[node]];
    return both > 0 ? left / both : 0.5;
  });
}

/** Each node's parent, counted from the root; −1 for the root. */
function parentsOf(trees: FlatTrees, root: number, end: number): Int32Array {
  const parents = new Int32Array(end - root).fill(-1);
  for (let node = root; node < end; node++) {
    if (trees.feature[node] < 0) continue;
    parents[trees.left[node] - root] = node - root;
    parents[trees.right[node] - root] = node - root;
  }
  return parents;
}

function splitAbove(
  trees: FlatTrees,
  parents: Int32Array,
  from: { readonly root: number; readonly at: number },
): { readonly split: number; readonly child: number } | null {
  const column = trees.feature[from.root + from.at];
  let child = from.at;
  for (let split = parents[child]; split >= 0; split = parents[split]) {
    if (trees.feature[from.root + split] === column) return { split, child };
    child = split;
  }
  return null;
}

/** Children stand after their parents, so one pass from the end meets both children before the parent. */
function meanLeaves(trees: FlatTrees, leftShare: Float64Array): number {
  const means = Float64Array.from(trees.value);
  for (let node = means.length - 1; node >= 0; node--) {
    if (trees.feature[node] < 0) continue;
    const right = means[trees.right[node]];
    means[node] = right + leftShare[node] * (means[trees.left[node]] - right);
  }
  return trees.roots.reduce((sum, root) => sum + means[root], 0);
}
