// The isolation forest: strange rows stand out, missing values are neutral, bytes come back, the seed decides.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../../src/core/errors.ts";
import { Random } from "../../../src/core/random.ts";
import { rocAuc } from "../../../src/metrics/metrics.ts";
import { decodeForest, encodeForest, meanPath } from "../../../src/ml/iforest/model.ts";
import { scoreAnomaly, scoreAnomalyMatrix } from "../../../src/ml/iforest/score.ts";
import { drawnRows, trainIsolationForest } from "../../../src/ml/iforest/train/train.ts";
import { copyRow, takeMatrixRows } from "../../../src/ml/matrix.ts";
import { matrixOf } from "../arbitraries.ts";

const ROWS = 2000;
const random = new Random(3);
const odd = Uint8Array.from({ length: ROWS }, (_, r) => (r % 50 === 0 ? 1 : 0));
const x = matrixOf(
  ROWS,
  [0, 1, 2].map(() => Float32Array.from(odd, (flag) => random.normal(0, flag === 1 ? 6 : 1))),
);
const forest = trainIsolationForest({ x, seed: 1 });

test("rows far from the rest score higher, all between 0 and 1", () => {
  const scores = scoreAnomalyMatrix(forest, x);
  expect(rocAuc(scores, odd)).toBeGreaterThan(0.9);
  for (const score of scores) expect(score > 0 && score < 1).toBe(true);
});

test("one row and all rows get the same bits", () => {
  const scores = scoreAnomalyMatrix(forest, x);
  const vector = new Float32Array(3);
  for (let r = 0; r < 200; r++) {
    copyRow(x, r, vector);
    expect(Object.is(scoreAnomaly(forest, vector), scores[r])).toBe(true);
  }
});

test("a missing value makes an ordinary row no stranger, and training copes with columns that are mostly missing", () => {
  const ordinary = scoreAnomaly(forest, Float32Array.of(0, 0, 0));
  expect(scoreAnomaly(forest, Float32Array.of(Number.NaN, 0, 0))).toBeLessThan(ordinary + 0.03);
  const holes = { ...x, values: x.values.map((value, i) => (i >= 2 * ROWS && i % 7 !== 0 ? Number.NaN : value)) };
  const patched = trainIsolationForest({ x: holes, seed: 1 });
  expect(rocAuc(scoreAnomalyMatrix(patched, holes), odd)).toBeGreaterThan(0.85);
  const empty = matrixOf(10, [new Float32Array(10).fill(Number.NaN)]);
  for (const score of scoreAnomalyMatrix(trainIsolationForest({ x: empty, seed: 1 }), empty))
    expect(score).toBeCloseTo(0.5, 6);
});

test("the seed decides the forest, byte for byte; trees hold at most their sample and depth", () => {
  const bytes = (seed: number): Uint8Array => encodeForest(trainIsolationForest({ x, trees: 20, sample: 64, seed }));
  expect(bytes(5)).toEqual(bytes(5));
  expect(bytes(5)).not.toEqual(bytes(6));
  const small = decodeForest(bytes(5));
  expect(small.roots).toHaveLength(20);
  expect(small.sample).toBe(64);
  for (let t = 0; t < 20; t++) {
    const leaves = small.feature.slice(small.roots[t], small.roots[t + 1]).filter((column) => column < 0).length;
    expect(leaves).toBeLessThanOrEqual(64);
  }
  expect(Math.max(...small.value)).toBeLessThanOrEqual(6 + meanPath(64));
});

test("mean path lengths are those of the paper", () => {
  expect([0, 1, 2].map(meanPath)).toEqual([0, 0, 1]);
  expect(meanPath(256)).toBeCloseTo(10.2448, 4);
});

test("bytes come back; damage ends in an error or a forest that scores", () => {
  const bytes = encodeForest(forest);
  expect(decodeForest(bytes)).toEqual(forest);
  const vector = Float32Array.of(1, Number.NaN, -1);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at] = value;
        try {
          const score = scoreAnomaly(decodeForest(damaged), vector);
          expect(score >= 0 && score <= 1).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(SentinelError);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("upper cuts share out the columns evenly", () => {
  const wide = matrixOf(
    64,
    Array.from({ length: 4 }, () => Float32Array.from({ length: 64 }, () => random.normal())),
  );
  const { feature, roots } = trainIsolationForest({ x: wide, trees: 20, seed: 3 });
  const counts = new Int32Array(4);
  for (const root of roots) counts[feature[root]]++;
  expect([...counts]).toEqual([5, 5, 5, 5]);
});

test("cuts only the columns that it is told, and says the same whatever stands in the others", () => {
  const column = (): Float32Array => Float32Array.from({ length: 64 }, () => random.normal());
  const [a, b, c] = [column(), column(), column()];
  const task = { trees: 20, seed: 3, columns: Int32Array.of(2, 0) };
  const forest = trainIsolationForest({ x: matrixOf(64, [a, b, c]), ...task });
  expect(new Set(forest.feature.filter((feature) => feature >= 0))).toEqual(new Set([0, 2]));
  const other = matrixOf(64, [a, column(), c]);
  expect(trainIsolationForest({ x: other, ...task })).toEqual(forest);
  expect(scoreAnomalyMatrix(forest, other)).toEqual(scoreAnomalyMatrix(forest, matrixOf(64, [a, b, c])));
  expect(() => trainIsolationForest({ x: other, ...task, columns: Int32Array.of(3) })).toThrow("columns is 1");
});

test("refuses what makes no forest", () => {
  expect(() => trainIsolationForest({ x, trees: 0, seed: 1 })).toThrow(
    "trees is 0; it must be a whole number from 1 to 10000",
  );
  expect(() => trainIsolationForest({ x, sample: 1, seed: 1 })).toThrow("sample is 1");
  expect(() => trainIsolationForest({ x: matrixOf(1, [[1]]), seed: 1 })).toThrow("x.rows is 1");
  const endless = matrixOf(4, [[1, 2, Number.NEGATIVE_INFINITY, 3]]);
  expect(() => trainIsolationForest({ x: endless, seed: 1 })).toThrow("x column c0, row 2 is -Infinity");
});

test("the rows that are drawn are all that a forest looks at: of them alone comes the same forest", () => {
  for (const [trees, sample] of [
    [5, 16],
    [20, 64],
    [3, 5000],
  ]) {
    const drawn = drawnRows({ rows: ROWS, trees, sample, seed: 3 });
    expect(drawn.length).toBeLessThanOrEqual(Math.min(ROWS, trees * sample));
    const places = new Map(Array.from(drawn, (row, place) => [row, place]));
    const part = trainIsolationForest({
      x: takeMatrixRows(x, drawn),
      trees,
      sample,
      seed: 3,
      of: { rows: ROWS, placeOf: (row) => places.get(row)! },
    });
    expect(encodeForest(part)).toEqual(encodeForest(trainIsolationForest({ x, trees, sample, seed: 3 })));
  }
  expect(() => drawnRows({ rows: 2 ** 31, trees: 1, sample: 2, seed: 1 })).toThrow(SentinelError);
});
