// What an imported model answers on real rows: answers that are no scores are refused with words, odd ones are said.
import { describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import type { Engine } from "../../src/lifecycle/import/engine.ts";
import { PROBE_ROWS, probeModel, turnedNote } from "../../src/lifecycle/import/probe.ts";
import { askForSet, emptyTree, flattenForeign } from "../../src/ml/foreign/flatten.ts";
import { scoreRow } from "../../src/ml/gbdt/score.ts";
import type { Matrix } from "../../src/ml/matrix.ts";
import { errorOf } from "../reference/tables.ts";

const ROWS = 5000;
const random = new Random(5);
const values = Float32Array.from({ length: 2 * ROWS }, () => random.normal());
const x: Matrix = { names: ["a", "b"], rows: ROWS, values };

function graph(
  of: (row: Float32Array) => number[],
  more: { isMargin?: boolean; margin?: Engine["margin"] } = {},
): Engine {
  const { isMargin = false, margin = (row: Float32Array) => of(row)[0] } = more;
  return {
    model: { kind: "graph" } as Engine["model"],
    margin,
    answers: { of, isMargin, output: "p" },
    blindTo: [],
    notes: [],
  };
}

const logistic = (value: number): number => 1 / (1 + Math.exp(-value));

describe("what a graph answers", () => {
  const refused: readonly (readonly [name: string, engine: Engine, says: RegExp, hint: RegExp])[] = [
    ["raw scores", graph(([a]) => [3 * a]), /numbers from -.* to .* no probabilities/, /--margin/],
    ["two raw scores", graph(([a]) => [-a, 3 * a]), /no probabilities/, /--margin/],
    ["percentages", graph(([a]) => [100 * logistic(a)]), /no probabilities/, /--margin/],
    [
      "two columns that are no pair",
      graph(([a, b]) => [logistic(a), logistic(b)]),
      /do not add up to 1/,
      /predict_proba/,
    ],
    [
      "probabilities taken for log-odds",
      graph(([a]) => [logistic(-a), logistic(a)], { isMargin: true }),
      /two probabilities/,
      /leave --margin out/,
    ],
    ["NaN", graph(([a]) => [a > 0 ? Number.NaN : 0.2]), /is NaN for row/, /--missing/],
    ["infinity", graph(([a]) => [a > 0 ? Number.POSITIVE_INFINITY : 0.2]), /is Infinity for row/, /--missing/],
    ["one constant", graph(() => [0.25]), /answers the same to each of 2000 rows/, /--columns, --features/],
  ];
  test.each(refused)("%s are refused", (_, engine, says, hint) => {
    const error = errorOf(() => probeModel(engine, x));
    expect(error.code).toMatch(/^ml\.model-/);
    expect(error.message).toMatch(says);
    expect(error.hint).toMatch(hint);
  });

  test("probabilities, pairs of them and log-odds pass", () => {
    expect(
      probeModel(
        graph(([a]) => [logistic(a)]),
        x,
      ),
    ).toEqual([]);
    expect(
      probeModel(
        graph(([a]) => [1 - logistic(a), logistic(a)]),
        x,
      ),
    ).toEqual([]);
    expect(
      probeModel(
        graph(([a]) => [a], { isMargin: true }),
        x,
      ),
    ).toEqual([]);
    expect(
      probeModel(
        graph(([a, b]) => [a, b], { isMargin: true }),
        x,
      ),
    ).toEqual([]);
  });

  test("log-odds between 0 and 1 are said", () => {
    expect(
      probeModel(
        graph(([a]) => [logistic(a)], { isMargin: true }),
        x,
      ),
    ).toEqual([expect.stringMatching(/as --margin says, though .* as probabilities are/)]);
  });
});

test("rows from all over the data are asked, a bounded number of them", () => {
  const seen: number[] = [];
  probeModel(
    graph((row) => {
      seen.push(row[0]);
      return [logistic(row[0])];
    }),
    x,
  );
  expect(new Set(seen).size).toBe(PROBE_ROWS);
  const places = seen.map((value) => values.indexOf(value));
  expect(Math.max(...places)).toBeGreaterThan(0.99 * ROWS);
});

test("trees that are one constant are refused too", () => {
  const engine: Engine = { ...graph(() => []), answers: null, margin: () => -2 };
  expect(errorOf(() => probeModel(engine, x)).message).toMatch(/answers the same .*: 0\.119/);
});

test("a column that trees take for categories must hold whole numbers", () => {
  const tree = emptyTree(3);
  tree.feature[0] = 1;
  [tree.left[0], tree.right[0], tree.value[1]] = [1, 2, 1];
  askForSet(tree, 0, [0, 2]);
  const trees = flattenForeign({ trees: [tree], width: 2, baseMargin: 0 }, { names: ["a", "b"], columns: [0, 1] });
  const engine: Engine = {
    model: { kind: "trees", trees },
    margin: (row) => scoreRow(trees, row),
    answers: null,
    blindTo: [],
    notes: [],
  };
  const error = errorOf(() => probeModel(engine, x));
  expect(error.message).toMatch(/takes b for a category, a whole number, and the pipeline's data hold -?\d+\.\d/);
  const whole: Matrix = { ...x, values: values.map((value, i) => (i % 11 === 0 ? Number.NaN : Math.floor(3 * value))) };
  expect(probeModel(engine, whole)).toEqual([]);
});

test("trees without a side for missing values are refused where the data has such", () => {
  const holes: Matrix = { ...x, values: values.map((value, i) => (i % 7 === 0 ? Number.NaN : value)) };
  const engine = { ...graph(([a]) => [Number.isNaN(a) ? 0.5 : logistic(a)]), blindTo: [0] };
  expect(probeModel(engine, x)).toEqual([]);
  const error = errorOf(() => probeModel(engine, holes));
  expect(error.message).toMatch(/\d+ of 2000 rows .* missing values .* skl2onnx leaves out/);
  expect(error.hint).toMatch(/--missing/);
  expect(probeModel({ ...engine, blindTo: [] }, holes)).toEqual([]);
});

describe("the order of frauds and genuine transactions", () => {
  const labels = Uint8Array.from({ length: 2000 }, (_, i) => (i % 20 === 0 ? 1 : 0));
  const margins = (pull: number): Float64Array => {
    const draws = new Random(3);
    return Float64Array.from(labels, (label) => pull * label + draws.normal());
  };

  test("the wrong way round beyond doubt is a question, unless the class was named", () => {
    const error = errorOf(() => turnedNote(margins(-3), labels, { isAsked: false }));
    expect(error.message).toMatch(/frauds score lower .* the other class/);
    expect(error.hint).toMatch(/--fraud-class/);
    expect(turnedNote(margins(-3), labels, { isAsked: true })).toMatch(/frauds score lower/);
  });

  test("a weak order the wrong way is said, the right way or none is not", () => {
    expect(turnedNote(margins(-0.6), labels, { isAsked: false })).toMatch(/frauds score lower/);
    expect(turnedNote(margins(0), labels, { isAsked: false })).toBeNull();
    expect(turnedNote(margins(2), labels, { isAsked: false })).toBeNull();
    expect(turnedNote(margins(-3), new Uint8Array(2000), { isAsked: false })).toBeNull();
  });
});
