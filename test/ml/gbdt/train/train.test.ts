// Training: deterministic, learns what is there, stops early, respects its limits and refuses what it cannot use.
import { expect, test } from "vitest";
import { averagePrecision, logLoss, rocAuc } from "../../../../src/metrics/metrics.ts";
import { encodeGbdt } from "../../../../src/ml/gbdt/model.ts";
import { scoreMatrix, sigmoid } from "../../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { takeMatrixRows } from "../../../../src/ml/matrix.ts";
import { fraudProblem, matrixOf } from "../../arbitraries.ts";

const problem = fraudProblem(4000, 1);
const later = fraudProblem(4000, 2);
const params: GbdtParams = { ...defaultGbdtParams, trees: 20, depthMax: 4, learningRate: 0.2 };

test("the same task gives the same bytes, another seed other bytes where chance has a part", () => {
  const sampled = { ...params, rowSample: 0.7, columnSample: 0.5 };
  const bytes = (seed: number): Uint8Array => encodeGbdt(trainGbdt({ ...problem, params: sampled, seed }).model);
  expect(bytes(1)).toEqual(bytes(1));
  expect(bytes(1)).not.toEqual(bytes(2));
});

test("learns what makes frauds, with and without sampling, limits on leaves and another start", () => {
  const variants: Partial<GbdtParams>[] = [
    {},
    { rowSample: 0.6, columnSample: 0.75 },
    { leavesMax: 6, depthMax: 8 },
    { startRate: undefined },
    { scalePositive: 5 },
  ];
  for (const variant of variants) {
    const { model } = trainGbdt({ ...problem, params: { ...params, ...variant }, seed: 3 });
    const scores = scoreMatrix(model, later.x);
    expect(rocAuc(scores, later.y)).toBeGreaterThan(0.75);
    expect(averagePrecision(scores, later.y)).toBeGreaterThan(0.4);
  }
});

test("the curve is the loss of the model, also where rows are sampled", () => {
  for (const rowSample of [1, 0.5]) {
    const rounds: number[] = [];
    const onRound = (round: number, train: number, validation: number): void => {
      rounds.push(round, train, validation);
    };
    const { model, curve } = trainGbdt({
      ...problem,
      validation: later,
      params: { ...params, rowSample },
      seed: 1,
      onRound,
    });
    expect(curve.train).toHaveLength(20);
    expect(curve.train.at(-1)!).toBeLessThan(curve.train[0]);
    expect(curve.train.at(-1)).toBeCloseTo(logLoss(scoreMatrix(model, problem.x).map(sigmoid), problem.y), 10);
    expect(curve.validation.at(-1)).toBeCloseTo(logLoss(scoreMatrix(model, later.x).map(sigmoid), later.y), 10);
    expect(rounds.slice(0, 3)).toEqual([1, curve.train[0], curve.validation[0]]);
  }
});

test("early stopping ends training and keeps the best round's trees", () => {
  const eager = { ...params, trees: 400, learningRate: 0.5, earlyStoppingRounds: 5 };
  const { model, curve, bestRound } = trainGbdt({ ...problem, validation: later, params: eager, seed: 1 });
  expect(curve.validation.length).toBeLessThan(400);
  expect(curve.validation.length).toBe(bestRound + 5);
  expect(curve.validation[bestRound - 1]).toBe(Math.min(...curve.validation));
  expect(model.roots).toHaveLength(bestRound);
});

test("depth and leaves stay within their limits", () => {
  const { model } = trainGbdt({ ...problem, params: { ...params, depthMax: 3, leavesMax: 5, trees: 5 }, seed: 1 });
  for (let t = 0; t < 5; t++) {
    const end = model.roots[t + 1] ?? model.feature.length;
    const depth = new Map([[model.roots[t], 0]]);
    let leaves = 0;
    for (let node = model.roots[t]; node < end; node++) {
      if (model.feature[node] < 0) leaves++;
      else for (const child of [model.left[node], model.right[node]]) depth.set(child, depth.get(node)! + 1);
    }
    expect(leaves).toBe(5);
    expect(Math.max(...depth.values())).toBeLessThanOrEqual(3);
  }
});

test("weights count as repeated rows do", () => {
  // Few distinct values, so that the bins are the same with repeated rows.
  const x = { ...problem.x, values: problem.x.values.map((value) => Math.round(value * 4)) };
  const weights = Float32Array.from({ length: 4000 }, (_, r) => 1 + (r % 3));
  const rows = Int32Array.from(Array.from(weights).flatMap((weight, r) => new Array<number>(weight).fill(r)));
  const few = { ...params, trees: 5, startRate: undefined };
  const weighted = trainGbdt({ x, y: problem.y, weights, params: few, seed: 1 });
  const y = Uint8Array.from(rows, (r) => problem.y[r]);
  const repeated = trainGbdt({ x: takeMatrixRows(x, rows), y, params: few, seed: 1 });
  const margins = scoreMatrix(weighted.model, x);
  scoreMatrix(repeated.model, x).forEach((margin, r) => {
    expect(margin).toBeCloseTo(margins[r], 5);
  });
  expect(weighted.curve.train.at(-1)).toBeCloseTo(repeated.curve.train.at(-1)!, 6);
});

test("weights of any size give finite leaves, and splits where the penalty allows them", () => {
  for (const weight of [1e-30, 1e-3, 1e30]) {
    const weights = new Float32Array(4000).fill(weight);
    const few = { ...params, trees: 3, lambda: 0, minChildWeight: 0 };
    const { model, curve } = trainGbdt({ ...problem, weights, params: few, seed: 1 });
    for (const number of [...model.value, ...model.cover, ...curve.train]) expect(Number.isFinite(number)).toBe(true);
    expect(model.feature.some((column) => column >= 0)).toBe(weight > 1e-20);
  }
});

test("a column that says nothing is never split on, and a constant problem gives single leaves", () => {
  const rows = 100;
  const y = Uint8Array.from({ length: rows }, (_, r) => r % 2);
  const x = matrixOf(rows, [new Float32Array(rows).fill(3), new Float32Array(rows).fill(Number.NaN)]);
  const { model } = trainGbdt({ x, y, params: { ...params, trees: 3 }, seed: 1 });
  expect([...model.feature]).toEqual([-1, -1, -1]);
});

test("a split between missing and present values is learned and scored", () => {
  const rows = 200;
  const y = Uint8Array.from({ length: rows }, (_, r) => r % 2);
  const x = matrixOf(rows, [Float32Array.from(y, (label) => (label === 1 ? Number.NaN : 5))]);
  const { model } = trainGbdt({ x, y, params: { ...params, trees: 1, depthMax: 1 }, seed: 1 });
  const scores = scoreMatrix(model, matrixOf(3, [[Number.NaN, 5, -1e30]]));
  expect(scores[0]).toBeGreaterThan(scores[1]);
  expect(scores[2]).toBe(scores[1]);
});

test("refuses parameters out of range, naming parameter, value and range", () => {
  const train = (change: Partial<GbdtParams>) => () =>
    trainGbdt({ ...problem, params: { ...params, ...change }, seed: 1 });
  expect(train({ learningRate: 0 })).toThrow("learningRate is 0; it must be a number above 0, up to 1");
  expect(train({ trees: 1.5 })).toThrow("trees is 1.5; it must be a whole number from 1 to 10000");
  expect(train({ lambda: Number.NaN })).toThrow("lambda is NaN");
  expect(train({ leavesMax: 1 })).toThrow("leavesMax is 1");
  expect(train({ earlyStoppingRounds: 3 })).toThrow(
    "earlyStoppingRounds is 3; it must be 0 when there are no validation rows",
  );
});

test("refuses data that do not fit together, naming the place", () => {
  const { x, y } = problem;
  expect(() => trainGbdt({ x, y: y.slice(1), params, seed: 1 })).toThrow("y.length is 3999");
  expect(() => trainGbdt({ x, y: new Uint8Array(4000).fill(2), params, seed: 1 })).toThrow("y, row 0 is 2");
  const infinite = { ...x, values: x.values.slice() };
  infinite.values[4005] = Number.POSITIVE_INFINITY;
  expect(() => trainGbdt({ x: infinite, y, params, seed: 1 })).toThrow("x column c1, row 5 is Infinity");
  expect(() => trainGbdt({ x, y, weights: new Float32Array(3), params, seed: 1 })).toThrow("weights.length is 3");
  const weights = new Float32Array(4000).fill(1);
  weights[7] = -1;
  expect(() => trainGbdt({ x, y, weights, params, seed: 1 })).toThrow("weights, row 7 is -1");
  const renamed = { ...later.x, names: ["a", "b", "c", "d"] };
  expect(() => trainGbdt({ x, y, validation: { x: renamed, y: later.y }, params, seed: 1 })).toThrow(
    "validation.x.names",
  );
});

test("one class only is an error of its own", () => {
  const genuine = new Uint8Array(4000);
  expect(() => trainGbdt({ x: problem.x, y: genuine, params, seed: 1 })).toThrow(
    expect.objectContaining({ code: "ml.one-class" }),
  );
  const weights = Float32Array.from(problem.y, (label) => 1 - label);
  expect(() => trainGbdt({ ...problem, weights, params, seed: 1 })).toThrow(
    expect.objectContaining({ code: "ml.one-class" }),
  );
});
