// From grown trees to the flat model that is stored and scored.
import { setsOf, wordsOf } from "../../trees.ts";
import type { GbdtModel } from "../model.ts";
import { categoriesIn } from "./category-bins.ts";
import type { GrownTree } from "./grown.ts";

export function flattenTrees(
  grown: readonly GrownTree[],
  options: {
    readonly names: readonly string[];
    readonly baseMargin: number;
    /** By column; of a column of categories, the category of each bin. */
    readonly thresholds: readonly Float32Array[];
  },
): GbdtModel {
  const total = grown.reduce((sum, tree) => sum + tree.nodes.length, 0);
  const model = {
    names: [...options.names],
    baseMargin: options.baseMargin,
    roots: new Int32Array(grown.length),
    feature: new Int32Array(total).fill(-1),
    threshold: new Float32Array(total),
    left: new Int32Array(total),
    right: new Int32Array(total),
    missingLeft: new Uint8Array(total),
    value: new Float32Array(total),
    gain: new Float32Array(total),
    cover: new Float32Array(total),
  };
  let root = 0;
  grown.forEach((tree, t) => {
    model.roots[t] = root;
    copyTree(tree, root, model);
    root += tree.nodes.length;
  });
  const words = grown.flatMap((tree) =>
    tree.nodes.map(({ set, column }) => (set === null ? null : wordsOf(categoriesIn(set, options.thresholds[column])))),
  );
  const sets = setsOf(words);
  return sets === undefined ? model : { ...model, sets };
}

/** Writes a tree's nodes from `root` on; a parent's cover is the sum of its children's, which stand after it. */
function copyTree(tree: GrownTree, root: number, model: GbdtModel): void {
  for (let i = tree.nodes.length - 1; i >= 0; i--) {
    const node = tree.nodes[i];
    const at = root + i;
    if (node.column < 0) {
      model.value[at] = node.value;
      model.cover[at] = node.cover;
      continue;
    }
    model.feature[at] = node.column;
    model.threshold[at] = node.threshold;
    model.missingLeft[at] = node.missingLeft ? 1 : 0;
    model.left[at] = root + node.left;
    model.right[at] = root + node.left + 1;
    model.gain[at] = node.gain;
    model.cover[at] = model.cover[model.left[at]] + model.cover[model.right[at]];
  }
}
