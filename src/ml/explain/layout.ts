// The trees as explaining reads them: splits apart from leaves, with what the splits above on the same column let through.
import { asksForSet, type FlatTrees, goesLeft } from "../trees.ts";

/**
 * Splits of all trees one after another, each tree's in the order of its nodes, and so the leaves. Inside a tree a place is a
 * split's or a leaf's number: 0 stands for "nowhere", the splits begin at 1, the leaves follow them. Sides are 0 left, 1 right.
 */
export interface Layout {
  /** What was laid out. */
  readonly trees: FlatTrees;
  /** Where each tree's splits begin; one more for the end. */
  readonly splitsFrom: Int32Array;
  /** Where each tree's leaves begin; one more for the end. */
  readonly leavesFrom: Int32Array;
  readonly column: Int32Array;
  /** Where the spread vector (see {@link spread}) holds what the split asks for. */
  readonly asked: Int32Array;
  /** Values below go left. */
  readonly threshold: Float64Array;
  /** Nodes of the splits that ask for categories. */
  readonly setNodes: Int32Array;
  /** Two a split: the places of its children, and the share of the cover that each gets; shares of a split sum to 1. */
  readonly child: Int32Array;
  readonly share: Float64Array;
  /** Place of the nearest split above on the same column (0: none), and its side that leads here. */
  readonly above: Int32Array;
  readonly aboveSide: Uint8Array;
  /** Share of the cover that all splits above on the same column let through to here. */
  readonly aboveShare: Float64Array;
  readonly leafValue: Float64Array;
  /** Places in a tree, and different columns on a path from root to leaf, at most. */
  readonly placesMax: number;
  readonly pathColumnsMax: number;
}

/** `cover` is the weight of the training rows that reached each node. */
export function layOut(trees: FlatTrees, cover: Float32Array): Layout {
  const { roots, feature, threshold, missingLeft, value } = trees;
  const treeCount = roots.length;
  const splits = feature.reduce((count, column) => count + (column < 0 ? 0 : 1), 0);
  const setNodes = Int32Array.from([...feature.keys()].filter((node) => asksForSet(trees, node)));
  const layout = {
    trees,
    splitsFrom: new Int32Array(treeCount + 1),
    leavesFrom: new Int32Array(treeCount + 1),
    column: new Int32Array(splits),
    asked: new Int32Array(splits),
    threshold: new Float64Array(splits),
    setNodes,
    child: new Int32Array(2 * splits),
    share: new Float64Array(2 * splits),
    above: new Int32Array(splits),
    aboveSide: new Uint8Array(splits),
    aboveShare: new Float64Array(splits).fill(1),
    leafValue: new Float64Array(feature.length - splits),
    placesMax: 1,
    pathColumnsMax: 0,
  };
  let split = 0;
  let leaf = 0;
  let set = 0;
  for (let t = 0; t < treeCount; t++) {
    const nodes = { from: roots[t], to: t + 1 < treeCount ? roots[t + 1] : feature.length };
    const places = placesOf(feature, nodes);
    for (let node = nodes.from; node < nodes.to; node++) {
      if (feature[node] < 0) {
        layout.leafValue[leaf++] = value[node];
        continue;
      }
      layout.column[split] = feature[node];
      if (asksForSet(trees, node)) {
        layout.asked[split] = 2 * trees.names.length + set++;
      } else {
        layout.asked[split] = feature[node] + (missingLeft[node] === 1 ? trees.names.length : 0);
        layout.threshold[split] = within(threshold[node]);
      }
      [trees.left[node], trees.right[node]].forEach((child, side) => {
        layout.child[2 * split + side] = places[child - nodes.from];
        layout.share[2 * split + side] = shareOf(trees, cover, { node, child });
      });
      split++;
    }
    layout.splitsFrom[t + 1] = split;
    layout.leavesFrom[t + 1] = leaf;
    layout.placesMax = Math.max(layout.placesMax, 1 + nodes.to - nodes.from);
    layout.pathColumnsMax = Math.max(layout.pathColumnsMax, linkTree(layout, t));
  }
  return layout;
}

/** Numbers in a spread vector. */
export function spreadLength({ trees, setNodes }: Layout): number {
  return 2 * trees.names.length + setNodes.length;
}

/**
 * Writes a vector twice into `out`, missing values as +Infinity, then as −Infinity: a split that sends them right asks the
 * first copy, one that sends them left the second, and none needs to know of them. Infinities of the vector's own become
 * numbers beyond all others. Behind the copies stand the answers of the splits that ask for categories: −1 left, 1 right.
 */
export function spread({ trees, setNodes }: Layout, vector: Float32Array, out: Float64Array): void {
  const columns = trees.names.length;
  for (let c = 0; c < columns; c++) {
    const value = vector[c];
    const missing = Number.isNaN(value);
    out[c] = missing ? Number.POSITIVE_INFINITY : within(value);
    out[columns + c] = missing ? Number.NEGATIVE_INFINITY : out[c];
  }
  for (let i = 0; i < setNodes.length; i++) {
    const node = setNodes[i];
    out[2 * columns + i] = goesLeft(trees, node, vector[trees.feature[node]]) ? -1 : 1;
  }
}

/** Beyond every 32-bit float and inside the infinities. */
const BEYOND = 1e300;

function within(value: number): number {
  return Math.min(Math.max(value, -BEYOND), BEYOND);
}

/** Each node's place in its tree. */
function placesOf(feature: Int32Array, nodes: { readonly from: number; readonly to: number }): Int32Array {
  const own = feature.subarray(nodes.from, nodes.to);
  let split = 1;
  let leaf = 1 + own.reduce((count, column) => count + (column < 0 ? 0 : 1), 0);
  return own.map((column) => (column < 0 ? leaf++ : split++));
}

/**
 * Of the children's own covers, so that the shares of both sum to 1 whatever rounding the parent's went through. A split
 * that no row reached (imported models have such) counts as half and half; a split above it gives that way a share of 0.
 */
function shareOf(trees: FlatTrees, cover: Float32Array, of: { readonly node: number; readonly child: number }): number {
  const left = cover[trees.left[of.node]];
  const both = left + cover[trees.right[of.node]];
  const share = both > 0 ? left / both : 0.5;
  return of.child === trees.left[of.node] ? share : 1 - share;
}

/** Finds each split's nearest one above on the same column; gives the most columns on a path. */
function linkTree(layout: Layout, tree: number): number {
  const { column, child, share, above, aboveSide, aboveShare } = layout;
  const first = layout.splitsFrom[tree];
  const count = layout.splitsFrom[tree + 1] - first;
  const parent = new Int32Array(2 * count + 2);
  const side = new Uint8Array(2 * count + 2);
  const columnsAbove = new Int32Array(2 * count + 2);
  let most = 0;
  for (let place = 1; place <= count; place++) {
    const split = first + place - 1;
    let below = place;
    let at = parent[place];
    while (at > 0 && column[first + at - 1] !== column[split]) {
      below = at;
      at = parent[at];
    }
    if (at > 0) {
      above[split] = at;
      aboveSide[split] = side[below];
      aboveShare[split] = aboveShare[first + at - 1] * share[2 * (first + at - 1) + side[below]];
    }
    const columns = columnsAbove[place] + (at > 0 ? 0 : 1);
    most = Math.max(most, columns);
    for (const way of [0, 1]) {
      const to = child[2 * split + way];
      parent[to] = place;
      side[to] = way;
      columnsAbove[to] = columns;
    }
  }
  return most;
}
