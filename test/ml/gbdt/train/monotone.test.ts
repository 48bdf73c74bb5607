// Monotone columns: the margin never goes the wrong way, whatever the data say and however a tree is grown.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { rocAuc } from "../../../../src/metrics/metrics.ts";
import { encodeGbdt } from "../../../../src/ml/gbdt/model.ts";
import { scoreMatrix, scoreRow } from "../../../../src/ml/gbdt/score.ts";
import type { ColumnKind } from "../../../../src/ml/gbdt/train/kinds.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { copyRow, type Matrix } from "../../../../src/ml/matrix.ts";
import { cell, fraudProblem, matrixOf } from "../../arbitraries.ts";

const params: GbdtParams = { ...defaultGbdtParams, trees: 12, depthMax: 5, learningRate: 0.5, minChildWeight: 0 };

/** The largest step in the wrong direction among rows in which only column `c` differs, over its values and extremes. */
function worstStep(
  train: Matrix,
  task: { readonly margin: (vector: Float32Array) => number; readonly c: number },
): number {
  const values = new Set(train.values.subarray(task.c * train.rows, (task.c + 1) * train.rows));
  const grid = Float32Array.from([...values, -3.4e38, 3.4e38])
    .filter((value) => !Number.isNaN(value))
    .sort();
  const vector = new Float32Array(train.names.length);
  let worst = 0;
  for (let r = 0; r < train.rows; r++) {
    copyRow(train, r, vector);
    let before = Number.NEGATIVE_INFINITY;
    for (const value of grid) {
      vector[task.c] = value;
      const margin = task.margin(vector);
      worst = Math.max(worst, before - margin);
      before = margin;
    }
  }
  return worst;
}

test("margins follow the column in its direction, on any data with missing values and under every way to grow", () => {
  const variants: Partial<GbdtParams>[] = [
    {},
    { leavesMax: 7 },
    { alpha: 0.3, lambda: 0 },
    { rowSample: 0.6, columnSample: 0.7 },
    { gossTop: 0.2, gossRest: 0.3 },
  ];
  const task = fc.record({
    columns: fc.array(fc.array(cell, { minLength: 60, maxLength: 60 }), { minLength: 3, maxLength: 3 }),
    labels: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 60, maxLength: 60 }),
    kinds: fc.tuple(...[0, 1, 2].map(() => fc.constantFrom<ColumnKind>("number", "increasing", "decreasing"))),
    variant: fc.constantFrom(...variants),
    seed: fc.nat(),
  });
  let split = 0;
  fc.assert(
    fc.property(task, ({ columns, labels, kinds, variant, seed }) => {
      const x = matrixOf(60, columns);
      const y = Uint8Array.from([0, 1, ...labels.slice(2)]);
      const { model } = trainGbdt({ x, y, kinds, params: { ...params, ...variant }, seed });
      const margin = (vector: Float32Array): number => scoreRow(model, vector);
      kinds.forEach((kind, c) => {
        if (kind === "increasing") expect(worstStep(x, { margin, c })).toBe(0);
        if (kind === "decreasing") expect(worstStep(x, { margin: (vector) => -margin(vector), c })).toBe(0);
        if (kind !== "number" && model.feature.includes(c)) split++;
      });
    }),
    { numRuns: 60 },
  );
  expect(split).toBeGreaterThan(20);
});

test("without the constraint the same data do step the wrong way, and the property would see it", () => {
  const { x, y } = fraudProblem(400, 2);
  const margin = (kinds?: ColumnKind[]) => {
    const { model } = trainGbdt({ x, y, kinds, params, seed: 1 });
    return (vector: Float32Array): number => scoreRow(model, vector);
  };
  expect(worstStep(x, { margin: margin(), c: 0 })).toBeGreaterThan(0);
  expect(worstStep(x, { margin: margin(["increasing", "number", "number", "number"]), c: 0 })).toBe(0);
});

test("a right direction costs nothing, a wrong one silences the column", () => {
  const random = new Random(3);
  const rows = 4000;
  const amount = Float32Array.from({ length: rows }, () => random.normal());
  const noise = Float32Array.from({ length: rows }, () => random.normal());
  const y = Uint8Array.from(amount, (value) => (random.next() < 1 / (1 + Math.exp(2 - 2 * value)) ? 1 : 0));
  const x = matrixOf(rows, [amount, noise]);
  const auc = (kind: ColumnKind): number => {
    const { model } = trainGbdt({ x, y, kinds: [kind, "number"], params: { ...params, minChildWeight: 5 }, seed: 1 });
    return rocAuc(scoreMatrix(model, x), y);
  };
  expect(auc("increasing")).toBeGreaterThan(auc("number") - 0.03);
  expect(auc("decreasing")).toBeLessThan(0.75);
});

test("kinds that are all numbers change nothing", () => {
  const { x, y } = fraudProblem(1000, 1);
  const bytes = (kinds?: ColumnKind[]) => encodeGbdt(trainGbdt({ x, y, kinds, params, seed: 1 }).model);
  expect(bytes(["number", "number", "number", "number"])).toEqual(bytes());
});

test("kinds that fit no columns are refused by name", () => {
  const { x, y } = fraudProblem(200, 1);
  const train = (kinds: readonly string[]) => () => trainGbdt({ x, y, kinds: kinds as ColumnKind[], params, seed: 1 });
  expect(train(["number"])).toThrow("kinds.length is 1; it must be the number of columns, 4");
  expect(train(["number", "rising", "number", "number"])).toThrow("the kind of c1 is rising; it must be one of number");
});
