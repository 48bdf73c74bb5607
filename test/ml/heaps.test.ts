// The scoring kernel: complete heaps give the bits that walking flat trees gives, for any tree and any value.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { walkerOf } from "../../src/ml/heaps.ts";
import { copyRow } from "../../src/ml/matrix.ts";
import { type FlatTrees, sumLeaves, treeFault } from "../../src/ml/trees.ts";
import { matrixOf } from "./arbitraries.ts";

const COLUMNS = 5;
const EDGES = [Number.NaN, 0, -0, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, 1e-45];

/** Random trees of up to `depth` levels, some of them single leaves, with thresholds that values hit exactly. */
function someTrees(count: number, options: { readonly depth: number; readonly seed: number }): FlatTrees {
  const random = new Random(options.seed);
  const nodes: {
    column: number;
    threshold: number;
    left: number;
    right: number;
    missingLeft: number;
    value: number;
  }[] = [];
  const grow = (depth: number): number => {
    const at = nodes.length;
    const leaf = depth === 0 || random.next() < 0.2;
    const threshold = Math.fround(random.next() < 0.3 ? EDGES[1 + random.integer(4)] : random.normal());
    const column = leaf ? -1 : random.integer(COLUMNS);
    const missingLeft = random.integer(2);
    nodes.push({ column, threshold, left: 0, right: 0, missingLeft, value: leaf ? Math.fround(random.normal()) : 0 });
    if (!leaf) {
      nodes[at].left = grow(depth - 1);
      nodes[at].right = grow(depth - 1);
    }
    return at;
  };
  const roots = Int32Array.from({ length: count }, () => grow(options.depth));
  return {
    names: Array.from({ length: COLUMNS }, (_, c) => `c${c}`),
    roots,
    feature: Int32Array.from(nodes, (node) => node.column),
    threshold: Float32Array.from(nodes, (node) => node.threshold),
    left: Int32Array.from(nodes, (node) => node.left),
    right: Int32Array.from(nodes, (node) => node.right),
    missingLeft: Uint8Array.from(nodes, (node) => node.missingLeft),
    value: Float32Array.from(nodes, (node) => node.value),
  };
}

test("one by one and all together, sums are those of the flat walk to the last bit", () => {
  const task = fc.record({
    count: fc.integer({ min: 1, max: 23 }),
    depth: fc.integer({ min: 0, max: 10 }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, ({ count, depth, seed }) => {
      const trees = someTrees(count, { depth, seed });
      expect(treeFault(trees)).toBe(null);
      const random = new Random(seed + 1);
      const value = (): number => (random.next() < 0.4 ? EDGES[random.integer(EDGES.length)] : random.normal());
      const x = matrixOf(
        150,
        Array.from({ length: COLUMNS }, () => Float32Array.from({ length: 150 }, value)),
      );
      const walker = walkerOf(trees);
      const sums = new Float64Array(150).fill(-2.5);
      walker.addAll(x, sums);
      const vector = new Float32Array(COLUMNS);
      for (let r = 0; r < 150; r++) {
        copyRow(x, r, vector);
        const expected = sumLeaves(trees, vector, -2.5);
        expect(Object.is(sums[r], expected)).toBe(true);
        expect(Object.is(walker.sum(vector, -2.5), expected)).toBe(true);
      }
    }),
    { numRuns: 150 },
  );
});

test("a threshold below all values still sends the missing where they belong", () => {
  const trees = { ...someTrees(3, { depth: 3, seed: 8 }) };
  const low = { ...trees, threshold: trees.threshold.map(() => Number.NEGATIVE_INFINITY) };
  for (const value of EDGES) {
    const vector = new Float32Array(COLUMNS).fill(value);
    expect(walkerOf(low).sum(vector, 0)).toBe(sumLeaves(low, vector, 0));
  }
});

test("many models may be loaded one after the other", () => {
  const vector = new Float32Array(COLUMNS);
  for (let seed = 0; seed < 1000; seed++) {
    const trees = someTrees(2, { depth: 2, seed });
    expect(walkerOf(trees).sum(vector, 0)).toBe(sumLeaves(trees, vector, 0));
  }
});
