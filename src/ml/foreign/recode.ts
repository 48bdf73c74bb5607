// A model's own numbers of categories made ours: nodes that ask about a column ask for the numbers our feature gives its values.
import { askForSet, type ForeignTree } from "./flatten.ts";

/**
 * The tree with the numbers 0 to `count` − 1 of a column replaced: by `numberOf`, which may refuse one; it is asked only for
 * numbers that nodes part from others. A value that the list does not have goes where a missing value goes: LightGBM
 * takes it for one, and XGBoost, which refuses it, knows nothing else to do with it.
 */
export function recodeColumn(
  tree: ForeignTree,
  given: { readonly column: number; readonly count: number; readonly numberOf: (code: number) => number },
): ForeignTree {
  const { column, count, numberOf } = given;
  if (!tree.feature.includes(column)) return tree;
  const made: ForeignTree = {
    ...tree,
    threshold: tree.threshold.slice(),
    left: tree.left.slice(),
    right: tree.right.slice(),
    missingLeft: tree.missingLeft.slice(),
    sets: new Map(tree.sets),
  };
  for (let node = 0; node < tree.feature.length; node++) {
    if (tree.feature[node] !== column) continue;
    const set = tree.sets.get(node);
    const goesLeft =
      set === undefined ? (code: number) => code < tree.threshold[node] : (code: number) => set.includes(code);
    const codes = Array.from({ length: count }, (_, code) => code);
    made.sets.delete(node);
    const left = codes.filter(goesLeft);
    if (tree.missingLeft[node] === 0) {
      askForSet(made, node, left.map(numberOf));
      continue;
    }
    // Left is where missing values go, and with them all that the list does not have: the set is of the others.
    made.left[node] = tree.right[node];
    made.right[node] = tree.left[node];
    made.missingLeft[node] = 0;
    askForSet(made, node, codes.filter((code) => !left.includes(code)).map(numberOf));
  }
  return made;
}
