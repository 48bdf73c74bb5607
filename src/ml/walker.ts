// Walkers: what sums the leaves that vectors fall into, and what their layouts of heaps have in common.
import type { Matrix } from "./matrix.ts";
import type { FlatTrees } from "./trees.ts";

/** Sums the leaves that vectors fall into, in the order of the trees; the same bits one by one and all together. */
export interface Walker {
  /** On top of `start`; `vector` has one value per column. Allocates nothing. */
  sum(vector: Float32Array, start: number): number;
  /** Adds each row's leaves to its place in `sums`. Columns must stand as in the trees. */
  addAll(x: Matrix, sums: Float64Array): void;
}

/** A complete tree doubles with each level: deeper ones are walked as they are. */
export const HEAP_DEPTH_MAX = 8;
export const HEAP_BYTES_MAX = 64 * 2 ** 20;

/** Levels of the deepest tree, leaves not counted, or a number above {@link HEAP_DEPTH_MAX}. Children stand after their parent. */
export function depthOf(trees: FlatTrees): number {
  const { feature, left, right } = trees;
  const depths = new Uint16Array(feature.length);
  let deepest = 0;
  for (let node = 0; node < feature.length; node++) {
    if (feature[node] < 0) continue;
    const below = depths[node] + 1;
    if (below > HEAP_DEPTH_MAX) return below;
    depths[left[node]] = below;
    depths[right[node]] = below;
    deepest = Math.max(deepest, below);
  }
  return deepest;
}

/**
 * A vector is written twice, missing values as +Infinity, then as −Infinity: a node that sends them right asks the first
 * copy, one that sends them left the second, and no node needs to know of them. The kernel does the same with blocks.
 */
export function writeValue(values: Float32Array, value: number, first: number, second: number): void {
  const missing = Number.isNaN(value);
  values[first] = missing ? Number.POSITIVE_INFINITY : value;
  values[second] = missing ? Number.NEGATIVE_INFINITY : value;
}
