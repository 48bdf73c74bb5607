// Attributions against XGBoost's pred_contribs, on models XGBoost made; stored by scripts/reference/shap.py.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { explainerOf } from "../../src/ml/explain/shap.ts";
import type { GbdtModel } from "../../src/ml/gbdt/model.ts";
import { scoreRow } from "../../src/ml/gbdt/score.ts";
import { treeFault } from "../../src/ml/trees.ts";

/** A tree as XGBoost's JSON has it; a leaf has no children and its value among the conditions. */
interface XgbTree {
  readonly left_children: readonly number[];
  readonly right_children: readonly number[];
  readonly split_indices: readonly number[];
  readonly split_conditions: readonly number[];
  readonly default_left: readonly number[];
  readonly sum_hessian: readonly number[];
}

interface Problem {
  readonly name: string;
  readonly baseScore: number;
  readonly columns: number;
  readonly trees: readonly XgbTree[];
  readonly x: readonly (readonly (number | null)[])[];
  /** One a column, then the expected margin. */
  readonly contributions: readonly (readonly number[])[];
  readonly margins: readonly number[];
}

const { problems } = JSON.parse(readFileSync(new URL("data/shap.json", import.meta.url), "utf8")) as {
  readonly problems: readonly Problem[];
};

/** XGBoost sums in 32-bit floats: so much may come off a margin of a few log-odds. */
const ROUNDING = 5e-6;

test.each(problems)("$name: XGBoost's attributions, expected margin and margins", (problem) => {
  const model = modelOf(problem);
  expect(treeFault(model)).toBeNull();
  const explainer = explainerOf(model);
  const out = new Float64Array(problem.columns);
  problem.x.forEach((row, r) => {
    const vector = Float32Array.from(row, (value) => value ?? Number.NaN);
    explainer.explain(vector, out);
    const theirs = problem.contributions[r];
    [...out, explainer.expected].forEach((value, c) => {
      expect(Math.abs(value - theirs[c]), `row ${r}, column ${c}`).toBeLessThan(ROUNDING);
    });
    const margin = scoreRow(model, vector);
    expect(Math.abs(margin - problem.margins[r])).toBeLessThan(ROUNDING);
    expect(Math.abs(out.reduce((sum, value) => sum + value, explainer.expected) - margin)).toBeLessThan(1e-10);
  });
});

/** XGBoost numbers nodes from the root of each tree, children after their parent. */
function modelOf({ trees, columns, baseScore }: Problem): GbdtModel {
  const roots: number[] = [];
  let total = 0;
  for (const tree of trees) {
    roots.push(total);
    total += tree.left_children.length;
  }
  const flat = (of: (tree: XgbTree, node: number, root: number) => number): number[] =>
    trees.flatMap((tree, t) => tree.left_children.map((_, node) => of(tree, node, roots[t])));
  const isLeaf = (tree: XgbTree, node: number): boolean => tree.left_children[node] < 0;
  const child = (tree: XgbTree, node: number, to: number, root: number): number => (isLeaf(tree, node) ? 0 : root + to);
  return {
    names: Array.from({ length: columns }, (_, c) => `f${c}`),
    baseMargin: Math.log(baseScore / (1 - baseScore)),
    roots: Int32Array.from(roots),
    feature: Int32Array.from(flat((tree, node) => (isLeaf(tree, node) ? -1 : tree.split_indices[node]))),
    threshold: Float32Array.from(flat((tree, node) => (isLeaf(tree, node) ? 0 : tree.split_conditions[node]))),
    left: Int32Array.from(flat((tree, node, root) => child(tree, node, tree.left_children[node], root))),
    right: Int32Array.from(flat((tree, node, root) => child(tree, node, tree.right_children[node], root))),
    missingLeft: Uint8Array.from(flat((tree, node) => tree.default_left[node])),
    value: Float32Array.from(flat((tree, node) => (isLeaf(tree, node) ? tree.split_conditions[node] : 0))),
    gain: new Float32Array(total),
    cover: Float32Array.from(flat((tree, node) => tree.sum_hessian[node])),
  };
}
