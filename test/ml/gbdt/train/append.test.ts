// Adding trees to a model: margins add up, sets of categories stay, the same bytes on threads, and new days are learned.
import { expect, test } from "vitest";
import { averagePrecision } from "../../../../src/metrics/metrics.ts";
import { decodeGbdt, encodeGbdt, type GbdtModel } from "../../../../src/ml/gbdt/model.ts";
import { scoreMatrix } from "../../../../src/ml/gbdt/score.ts";
import { appendTrees } from "../../../../src/ml/gbdt/train/append.ts";
import { defaultGbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../../../src/ml/gbdt/train/threads.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { type Matrix, withColumn } from "../../../../src/ml/matrix.ts";
import { fraudProblem } from "../../arbitraries.ts";

const old = fraudProblem(6000, 1);
const recent = fraudProblem(5000, 2);
const params = { ...defaultGbdtParams, trees: 12, depthMax: 4, startRate: undefined };

function continued(start: GbdtModel, x: Matrix, y: Uint8Array) {
  return { x, y, params: { ...params, trees: 6 }, seed: 3, margins: { x: scoreMatrix(start, x) } };
}

test("a row's margin is the sum of the model's and of the added trees", () => {
  const start = trainGbdt({ ...old, params, seed: 1 }).model;
  const added = trainGbdt(continued(start, recent.x, recent.y)).model;
  expect(added.baseMargin).toBe(0);
  const both = appendTrees(start, added);
  expect(both.roots).toHaveLength(18);
  const [a, b, sum] = [start, added, both].map((model) => scoreMatrix(model, recent.x));
  for (let row = 0; row < recent.x.rows; row++) expect(sum[row]).toBeCloseTo(a[row] + b[row], 10);
  expect(scoreMatrix(decodeGbdt(encodeGbdt(both)), recent.x)).toEqual(sum);
});

test("trees with sets of categories keep them, beside trees that have none", () => {
  const coded = (x: Matrix): Matrix =>
    withColumn(
      x,
      "country",
      Float32Array.from({ length: x.rows }, (_, r) => (r * 7) % 9),
    );
  const kinds = ["number", "number", "number", "number", "category"] as const;
  const y = Uint8Array.from({ length: old.x.rows }, (_, r) => ((r * 7) % 9 === 4 || old.y[r] === 1 ? 1 : 0));
  const many = { ...params, categoryRowsMin: 5 };
  const plain = trainGbdt({ x: coded(old.x), y: old.y, params, seed: 1 }).model;
  const sets = trainGbdt({ x: coded(old.x), y, kinds, params: many, seed: 1 }).model;
  expect(sets.sets).toBeDefined();
  for (const [first, second] of [
    [plain, sets],
    [sets, plain],
    [sets, sets],
  ] as const) {
    const both = appendTrees(first, second);
    const [a, b, sum] = [first, second, both].map((model) =>
      scoreMatrix(decodeGbdt(encodeGbdt(model)), coded(recent.x)),
    );
    for (let row = 0; row < recent.x.rows; row++) expect(sum[row]).toBeCloseTo(a[row] + b[row], 10);
  }
});

test("frauds of a new kind are learned on top, and the same bytes come from any number of threads", async () => {
  // A kind that the first model never saw: a value that says nothing in the old days.
  const y = Uint8Array.from({ length: recent.x.rows }, (_, r) => (recent.x.values[r] > 0.9 ? 1 : recent.y[r]));
  const start = trainGbdt({ ...old, params, seed: 1 }).model;
  const task = continued(start, recent.x, y);
  const one = trainGbdt(task).model;
  for (const threads of [1, 2, 3]) {
    const { model } = await trainGbdtThreads(task, { threads });
    expect(Buffer.from(encodeGbdt(model)).equals(Buffer.from(encodeGbdt(one)))).toBe(true);
  }
  const before = averagePrecision(scoreMatrix(start, recent.x), y);
  const after = averagePrecision(scoreMatrix(appendTrees(start, one), recent.x), y);
  expect(after).toBeGreaterThan(before + 0.02);
});

test("margins that do not fit are refused by name", () => {
  const margins = { x: new Float64Array(3) };
  expect(() => trainGbdt({ ...old, params, seed: 1, margins })).toThrow(/margins\.x\.length/);
  const bad = { x: new Float64Array(old.x.rows).fill(Number.NaN, 7, 8) };
  expect(() => trainGbdt({ ...old, params, seed: 1, margins: bad })).toThrow(/margins\.x, row 7/);
});
