// TreeSHAP against the definition: Shapley values over all subsets of columns, on random trees.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { explainerOf } from "../../../src/ml/explain/shap.ts";
import type { GbdtModel } from "../../../src/ml/gbdt/model.ts";
import { scoreRow } from "../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../src/ml/gbdt/train/train.ts";
import { copyRow } from "../../../src/ml/matrix.ts";
import { goesLeft, setsOf, sumLeaves, wordsOf } from "../../../src/ml/trees.ts";
import { cell, fraudProblem } from "../arbitraries.ts";

/** Random trees of at most this depth; columns come up again below themselves, covers may be 0. */
function randomModel(
  seed: number,
  shape: { readonly columns: number; readonly trees: number; readonly depth: number; readonly sets?: boolean },
): GbdtModel {
  const random = new Random(seed);
  const nodes: { feature: number; threshold: number; left: number; right: number; value: number; cover: number }[] = [];
  const roots: number[] = [];
  const grow = (depth: number): number => {
    const at = nodes.length;
    const leaf = { feature: -1, threshold: 0, left: 0, right: 0, value: random.normal(), cover: random.integer(4) };
    nodes.push(leaf);
    if (depth === 0 || random.next() < 0.2) return at;
    const left = grow(depth - 1);
    const right = grow(depth - 1);
    const cover = nodes[left].cover + nodes[right].cover;
    nodes[at] = {
      feature: random.integer(shape.columns),
      threshold: random.integer(5) - 2,
      left,
      right,
      value: 0,
      cover,
    };
    return at;
  };
  for (let t = 0; t < shape.trees; t++) roots.push(grow(shape.depth));
  const model: GbdtModel = {
    names: Array.from({ length: shape.columns }, (_, c) => `c${c}`),
    baseMargin: random.normal(),
    roots: Int32Array.from(roots),
    feature: Int32Array.from(nodes, (node) => node.feature),
    threshold: Float32Array.from(nodes, (node) => node.threshold),
    left: Int32Array.from(nodes, (node) => node.left),
    right: Int32Array.from(nodes, (node) => node.right),
    missingLeft: Uint8Array.from(nodes, () => random.integer(2)),
    value: Float32Array.from(nodes, (node) => node.value),
    gain: new Float32Array(nodes.length),
    cover: Float32Array.from(nodes, (node) => node.cover),
  };
  if (!shape.sets) return model;
  const words = nodes.map(({ feature }) =>
    feature < 0 || random.next() < 0.3 ? null : wordsOf([random.integer(4), 4 + random.integer(60)]),
  );
  return { ...model, threshold: model.threshold.map((one, node) => (words[node] ? 0 : one)), sets: setsOf(words) };
}

/** What the trees are worth when only some columns are known: a set of columns as bits. */
function worth(model: GbdtModel, vector: Float32Array, known: number): number {
  const { feature, left, right, value, cover, roots, baseMargin } = model;
  const below = (node: number): number => {
    const column = feature[node];
    if (column < 0) return value[node];
    if ((known >> column) & 1) {
      return below(goesLeft(model, node, vector[column]) ? left[node] : right[node]);
    }
    const both = cover[left[node]] + cover[right[node]];
    const share = both > 0 ? cover[left[node]] / both : 0.5;
    return share * below(left[node]) + (1 - share) * below(right[node]);
  };
  return roots.reduce((sum, root) => sum + below(root), baseMargin);
}

/** The definition (Shapley 1953): a column's mean addition over all orders in which columns become known. */
function byDefinition(model: GbdtModel, vector: Float32Array): number[] {
  const columns = model.names.length;
  const worths = Array.from({ length: 2 ** columns }, (_, known) => worth(model, vector, known));
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
  const bits = (set: number): number => set.toString(2).replaceAll("0", "").length;
  return model.names.map((_, column) => {
    let sum = 0;
    for (let known = 0; known < worths.length; known++) {
      if ((known >> column) & 1) continue;
      const size = bits(known);
      const weight = (factorial(size) * factorial(columns - size - 1)) / factorial(columns);
      sum += weight * (worths[known | (1 << column)] - worths[known]);
    }
    return sum;
  });
}

function attributionsOf(model: GbdtModel, vector: Float32Array): Float64Array {
  const out = new Float64Array(model.names.length).fill(7);
  explainerOf(model).explain(vector, out);
  return out;
}

const vectors = (columns: number): fc.Arbitrary<Float32Array> =>
  fc.array(cell, { minLength: columns, maxLength: columns }).map((values) => Float32Array.from(values));

test("attributions are the Shapley values; missing values, categories and repeated columns included", () => {
  const shapes = fc.record({
    columns: fc.integer({ min: 1, max: 6 }),
    trees: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 0, max: 6 }),
    sets: fc.boolean(),
  });
  fc.assert(
    fc.property(
      shapes.chain((shape) => fc.tuple(fc.constant(shape), fc.nat(), vectors(shape.columns))),
      ([shape, seed, vector]) => {
        const model = randomModel(seed, shape);
        const attributions = attributionsOf(model, vector);
        byDefinition(model, vector).forEach((value, column) => {
          expect(Math.abs(attributions[column] - value)).toBeLessThan(1e-12);
        });
        expect(explainerOf(model).expected).toBeCloseTo(worth(model, vector, 0), 12);
      },
    ),
    { numRuns: 500 },
  );
});

test("a path of thirteen different columns is explained exactly", () => {
  const model = randomModel(5, { columns: 1, trees: 1, depth: 0 });
  const depth = 13;
  const nodes = 2 * depth + 1;
  // Inner nodes stand at even places, each with a leaf to its left.
  const inner = (node: number): boolean => node % 2 === 0 && node < 2 * depth;
  const chain: GbdtModel = {
    ...model,
    names: Array.from({ length: depth }, (_, c) => `c${c}`),
    feature: Int32Array.from({ length: nodes }, (_, node) => (inner(node) ? node / 2 : -1)),
    threshold: new Float32Array(nodes),
    left: Int32Array.from({ length: nodes }, (_, node) => (inner(node) ? node + 1 : 0)),
    right: Int32Array.from({ length: nodes }, (_, node) => (inner(node) ? node + 2 : 0)),
    missingLeft: new Uint8Array(nodes),
    value: Float32Array.from({ length: nodes }, (_, node) => (inner(node) ? 0 : 1 + (node % 7))),
    gain: new Float32Array(nodes),
    cover: Float32Array.from({ length: nodes }, (_, node) => nodes - node),
  };
  const vector = Float32Array.from({ length: depth }, (_, c) => (c % 5 === 0 ? -1 : 1));
  const attributions = attributionsOf(chain, vector);
  byDefinition(chain, vector).forEach((value, column) => {
    expect(Math.abs(attributions[column] - value)).toBeLessThan(1e-12);
  });
});

test("on deep and trained models attributions and the expected margin sum to the margin", () => {
  const { x, y } = fraudProblem(3000, 8);
  const params = { ...defaultGbdtParams, trees: 60, depthMax: 7 };
  const { model: trained } = trainGbdt({ x, y, params, seed: 1 });
  const vector = new Float32Array(4);
  for (const model of [trained, randomModel(11, { columns: 4, trees: 4, depth: 14 })]) {
    const { expected } = explainerOf(model);
    for (let row = 0; row < 200; row++) {
      copyRow(x, row, vector);
      const sum = attributionsOf(model, vector).reduce((total, one) => total + one, expected);
      expect(Math.abs(sum - scoreRow(model, vector))).toBeLessThan(1e-9);
    }
  }
});

test("infinite values and thresholds go where scoring sends them", () => {
  const extremes = [Number.NEGATIVE_INFINITY, -3.4e38, 0, 3.4e38, Number.POSITIVE_INFINITY, Number.NaN];
  for (const threshold of extremes.slice(0, 5)) {
    const model = randomModel(21, { columns: 2, trees: 6, depth: 3 });
    model.threshold.fill(threshold);
    for (const a of extremes) {
      const vector = Float32Array.of(a, 0);
      const sum = attributionsOf(model, vector).reduce((total, one) => total + one, explainerOf(model).expected);
      expect(sum).toBeCloseTo(sumLeaves(model, vector, model.baseMargin), 10);
    }
  }
});

test("a column no tree asks about adds nothing, and one explanation leaves nothing behind for the next", () => {
  const model = { ...randomModel(3, { columns: 3, trees: 5, depth: 5 }), names: ["c0", "c1", "c2", "unasked"] };
  const [a, b] = [Float32Array.of(1, Number.NaN, -1, 5), Float32Array.of(-2, 0, 2, Number.NaN)];
  const first = attributionsOf(model, a);
  expect(first[3]).toBe(0);
  expect(attributionsOf(model, b)).not.toEqual(first);
  expect(attributionsOf(model, a)).toEqual(first);
});

test("a model without trees, or of single leaves, expects what it answers", () => {
  const stumps = randomModel(1, { columns: 2, trees: 3, depth: 0 });
  const vector = Float32Array.of(1, Number.NaN);
  expect([...attributionsOf(stumps, vector)]).toEqual([0, 0]);
  expect(explainerOf(stumps).expected).toBeCloseTo(sumLeaves(stumps, vector, stumps.baseMargin), 12);
  const empty = { ...stumps, roots: new Int32Array(0), feature: new Int32Array(0), value: new Float32Array(0) };
  expect([...attributionsOf(empty, vector)]).toEqual([0, 0]);
  expect(explainerOf(empty).expected).toBe(stumps.baseMargin);
});
