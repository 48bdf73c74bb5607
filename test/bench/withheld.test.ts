// What the bench of withheld kinds adds: an order shared by two scores, and forests of other shapes.
import { expect, test } from "vitest";
import { extendedScores } from "../../bench/extended-forest.ts";
import { sharedRanks } from "../../bench/withheld.ts";
import { Random } from "../../src/core/random.ts";
import type { Matrix } from "../../src/ml/matrix.ts";

test("of ten places one goes to the second score's best that has none yet", () => {
  const rows = 30;
  const first = Float64Array.from({ length: rows }, (_, row) => rows - row);
  // Its best is the first's best, too: that one has its place, so the next best gets this one.
  const second = Float64Array.from({ length: rows }, (_, row) => (row === 0 ? 100 : row));
  const scores = sharedRanks(first, second, 0.1);
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
  expect(order.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 29, 9, 10]);
  expect(new Set(scores).size).toBe(rows);
  expect([...sharedRanks(first, second, 0)].map((score) => score)).toEqual([...first]);
});

test.each([
  ["plain", { columnsPerCut: 1, depthMax: 8 }],
  ["extended", { columnsPerCut: 2, depthMax: 8 }],
  ["shallow", { columnsPerCut: 1, depthMax: 4 }],
])("a %s forest finds what lies apart, and says the same of the same seed", (_, shape) => {
  const random = new Random(5);
  const rows = 300;
  const values = Float32Array.from({ length: 2 * rows }, () => random.normal());
  // Apart in both columns, and a column that says nothing of one row.
  values[0] = 8;
  values[rows] = -8;
  values[1] = Number.NaN;
  const x: Matrix = { rows, names: ["a", "b"], values };
  const asked = { trees: 50, sample: 128, ...shape };
  const scores = extendedScores({ train: x, test: x, seed: 1 }, asked);
  expect(scores.indexOf(Math.max(...scores))).toBe(0);
  expect(scores.every((score) => score > 0 && score < 1)).toBe(true);
  expect(extendedScores({ train: x, test: x, seed: 1 }, asked)).toEqual(scores);
});
