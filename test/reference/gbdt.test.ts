// Boosted trees against XGBoost and LightGBM: the same splits and leaves on small problems, the same quality on a larger one.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { averagePrecision, logLoss, rocAuc } from "../../src/metrics/metrics.ts";
import type { GbdtModel } from "../../src/ml/gbdt/model.ts";
import { scoreMatrix, sigmoid } from "../../src/ml/gbdt/score.ts";
import type { ColumnKind } from "../../src/ml/gbdt/train/kinds.ts";
import { defaultGbdtParams, type GbdtParams } from "../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../src/ml/gbdt/train/train.ts";
import type { Matrix } from "../../src/ml/matrix.ts";
import { asksForSet, goesLeft } from "../../src/ml/trees.ts";
import { mediumData } from "./medium.ts";

interface XgbNode {
  readonly nodeid: number;
  readonly leaf?: number;
  readonly split?: string;
  /** Of categories: those that take the yes branch. */
  readonly split_condition?: number | readonly number[];
  readonly yes?: number;
  readonly missing?: number;
  readonly gain?: number;
  readonly cover: number;
  readonly children?: readonly [XgbNode, XgbNode];
}

interface SmallProblem {
  readonly name: string;
  readonly params: Readonly<Record<string, number | string>>;
  readonly x: readonly (readonly (number | null)[])[];
  readonly y: readonly number[];
  readonly categories: readonly number[];
  readonly weights: readonly number[] | null;
  readonly trees: readonly XgbNode[];
  readonly margins: readonly number[];
}

interface CategoryProblem {
  readonly name: string;
  readonly params: Readonly<Record<string, number>>;
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  /** Of the training rows, by number of trees. */
  readonly margins: Readonly<Record<string, readonly number[]>>;
}

const answers = JSON.parse(readFileSync(new URL("data/gbdt.json", import.meta.url), "utf8")) as {
  readonly small: readonly SmallProblem[];
  readonly categories: readonly CategoryProblem[];
  readonly medium: Readonly<Record<string, number>> & { readonly params: Readonly<Record<string, number>> };
};

for (const problem of answers.small) {
  test(`small problem, ${problem.name}: XGBoost's splits, default sides, gains, covers and leaves`, () => {
    const x = matrixOf(problem.x);
    const weights = problem.weights === null ? undefined : Float32Array.from(problem.weights);
    const params = { ...paramsOf(problem.params), trees: problem.trees.length };
    const { model } = trainGbdt({
      x,
      y: Uint8Array.from(problem.y),
      weights,
      kinds: kindsOf(problem),
      params,
      seed: 1,
    });
    const all = Array.from({ length: x.rows }, (_, r) => r);
    problem.trees.forEach((tree, t) => {
      sameNode({ model, x, node: model.roots[t] }, tree, all);
    });
    scoreMatrix(model, x).forEach((margin, r) => {
      expect(margin).toBeCloseTo(problem.margins[r], 5);
    });
  });
}

for (const { name, params: theirs, x: rows, y, margins } of answers.categories) {
  test(`categories, ${name}: LightGBM's margins`, () => {
    const x = matrixOf(rows);
    for (const [trees, expected] of Object.entries(margins)) {
      const params: GbdtParams = {
        ...defaultGbdtParams,
        trees: Number(trees),
        learningRate: theirs.learning_rate,
        depthMax: theirs.max_depth,
        lambda: theirs.lambda_l2,
        minChildWeight: theirs.min_sum_hessian_in_leaf,
        startRate: 0.5,
        categoryRowsMin: 1,
        categoryLambda: theirs.cat_l2,
        categorySmoothing: theirs.cat_smooth,
      };
      const kinds = ["category", "category", "number"] as const;
      const { model } = trainGbdt({ x, y: Uint8Array.from(y), kinds, params, seed: 1 });
      expect(Array.from(model.feature.keys()).some((node) => asksForSet(model, node))).toBe(true);
      scoreMatrix(model, x).forEach((margin, r) => {
        expect(margin).toBeCloseTo(expected[r], 5);
      });
    }
  });
}

test("medium problem: AUC, average precision and log-loss of XGBoost within 0.002", () => {
  const { medium } = answers;
  const { x, y } = mediumData(medium.rows, 1);
  const later = mediumData(medium.laterRows, 2);
  const sum = Array.from({ length: 8000 }, (_, i) => x.values[(i % 8) * x.rows + Math.floor(i / 8)]);
  expect(sum.reduce((total, value) => total + (Number.isNaN(value) ? 0 : value), 0)).toBeCloseTo(medium.sum, 6);
  expect(y.reduce((total, label) => total + label, 0)).toBe(medium.frauds);
  expect(later.y.reduce((total, label) => total + label, 0)).toBe(medium.laterFrauds);
  const { model } = trainGbdt({ x, y, params: { ...paramsOf(medium.params), trees: medium.trees }, seed: 1 });
  const scores = scoreMatrix(model, later.x).map(sigmoid);
  expect(rocAuc(scores, later.y)).toBeGreaterThan(medium.rocAuc - 0.002);
  expect(averagePrecision(scores, later.y)).toBeGreaterThan(medium.averagePrecision - 0.002);
  expect(logLoss(scores, later.y)).toBeLessThan(medium.logLoss + 0.002);
  expect(Math.abs(rocAuc(scores, later.y) - medium.rocAuc)).toBeLessThan(0.002);
});

/** Compares a node with XGBoost's: where the training rows go, not which of equivalent thresholds sends them there. */
function sameNode(
  at: { readonly model: GbdtModel; readonly x: Matrix; readonly node: number },
  theirs: XgbNode,
  rows: readonly number[],
): void {
  const { model, x, node } = at;
  close(model.cover[node], theirs.cover);
  if (theirs.leaf !== undefined) {
    expect(model.feature[node]).toBe(-1);
    expect(Math.abs(model.value[node] - theirs.leaf)).toBeLessThan(1e-5);
    return;
  }
  expect(`f${model.feature[node]}`).toBe(theirs.split);
  close(model.gain[node], theirs.gain!);
  const valueIn = (r: number): number => x.values[model.feature[node] * x.rows + r];
  const someMissing = rows.some((r) => Number.isNaN(valueIn(r)));
  const ours = rows.filter((r) => goesLeft(model, node, valueIn(r)));
  const yes = rows.filter((r) => saysYes(theirs, valueIn(r)));
  const no = rows.filter((r) => !yes.includes(r));
  // Sets have no order, nor have the missing and all others: what XGBoost has on one side may stand on our other one.
  const isSet = Array.isArray(theirs.split_condition);
  expect(asksForSet(model, node)).toBe(isSet);
  const free = isSet || model.threshold[node] === Number.POSITIVE_INFINITY;
  const turned = free && ours[0] !== yes[0];
  expect(ours).toEqual(turned ? no : yes);
  if (someMissing && !free) expect(model.missingLeft[node] === 1).toBe(theirs.missing === theirs.yes);
  const [first, second] = theirs.children!;
  const [their, other] = first.nodeid === theirs.yes ? [first, second] : [second, first];
  const { left, right } = model;
  sameNode({ model, x, node: turned ? right[node] : left[node] }, their, yes);
  sameNode({ model, x, node: turned ? left[node] : right[node] }, other, no);
}

function saysYes({ missing, yes, split_condition: condition }: XgbNode, value: number): boolean {
  if (Number.isNaN(value)) return missing === yes;
  return typeof condition === "number" ? value < condition : condition!.includes(value);
}

function kindsOf({ x, params, categories }: SmallProblem): ColumnKind[] {
  const directions = String(params.monotone_constraints ?? "").match(/-?\d/g) ?? [];
  return x[0].map((_, c) => {
    if (categories.includes(c)) return "category";
    return directions[c] === "1" ? "increasing" : directions[c] === "-1" ? "decreasing" : "number";
  });
}

/** XGBoost sums in 32-bit floats. */
function close(ours: number, theirs: number): void {
  expect(Math.abs(ours - theirs)).toBeLessThan(1e-3 * Math.max(1, Math.abs(theirs)));
}

function paramsOf(given: Readonly<Record<string, number | string>>): GbdtParams {
  const theirs = given as Readonly<Record<string, number>>;
  return {
    ...defaultGbdtParams,
    learningRate: theirs.eta,
    depthMax: theirs.max_depth,
    lambda: theirs.lambda,
    alpha: theirs.alpha ?? 0,
    gamma: theirs.gamma ?? 0,
    minChildWeight: theirs.min_child_weight,
    scalePositive: theirs.scale_pos_weight ?? 1,
    startRate: theirs.base_score,
    // XGBoost orders categories by what each would be worth as a leaf.
    categoryRowsMin: 1,
    categoryLambda: 0,
    categorySmoothing: theirs.lambda,
  };
}

function matrixOf(rows: readonly (readonly (number | null)[])[]): Matrix {
  const columns = rows[0].length;
  const values = new Float32Array(rows.length * columns);
  rows.forEach((row, r) => {
    row.forEach((value, c) => {
      values[c * rows.length + r] = value ?? Number.NaN;
    });
  });
  return { rows: rows.length, names: Array.from({ length: columns }, (_, c) => `f${c}`), values };
}
