// Heaps: the walker of trees, by complete binary trees laid out for the scoring kernels where that can be done.
import { walkComparing } from "./heaps-comparing.ts";
import { walkSets } from "./heaps-sets.ts";
import { copyRow } from "./matrix.ts";
import { type FlatTrees, leafOf, sumLeaves } from "./trees.ts";
import type { Walker } from "./walker.ts";

/** Walkers of the trees in use; gone when the trees are. */
const walkers = new WeakMap<FlatTrees, Walker>();

/** The walker of trees, made when they are first scored with. Errors: `ml.kernel-unusable`, `ml.memory-short`. */
export function walkerOf(trees: FlatTrees): Walker {
  let walker = walkers.get(trees);
  if (walker === undefined) {
    walker = (trees.sets === undefined ? walkComparing(trees) : walkSets(trees)) ?? walkFlat(trees);
    walkers.set(trees, walker);
  }
  return walker;
}

/** Rows walked together as they are, so that a tree stays in cache. */
const FLAT_ROWS = 64;

/** For trees that are no heaps: walks them as they are. */
function walkFlat(trees: FlatTrees): Walker {
  const columns = trees.names.length;
  const vectors = Array.from({ length: FLAT_ROWS }, () => new Float32Array(columns));
  return {
    sum: (vector, start) => sumLeaves(trees, vector, start),
    addAll(x, sums) {
      // Tree by tree over a block of rows, so that a tree stays in cache.
      for (let start = 0; start < x.rows; start += FLAT_ROWS) {
        const count = Math.min(FLAT_ROWS, x.rows - start);
        for (let i = 0; i < count; i++) copyRow(x, start + i, vectors[i]);
        for (const root of trees.roots) {
          for (let i = 0; i < count; i++) sums[start + i] += trees.value[leafOf(trees, root, vectors[i])];
        }
      }
    },
  };
}
