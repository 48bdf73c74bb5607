// The scoring kernel: complete heaps give the bits that walking flat trees gives, for any tree and any value.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { walkerOf } from "../../src/ml/heaps.ts";
import { copyRow } from "../../src/ml/matrix.ts";
import {
  CATEGORY_MAX,
  categoriesOf,
  type FlatTrees,
  goesLeft,
  setsOf,
  sumLeaves,
  treeFault,
  wordsOf,
} from "../../src/ml/trees.ts";
import { matrixOf } from "./arbitraries.ts";

const COLUMNS = 5;
/** Categories that sets and vectors hold, the ends of the range among them. */
const CATEGORIES = [0, 1, 2, 3, 31, 32, 33, 64, 255, 256, 5411, CATEGORY_MAX];
const MANY_CATEGORIES = Array.from({ length: 600 }, (_, i) => 3 * i);
const EDGES = [Number.NaN, 0, -0, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, 1e-45];

/**
 * Random trees of up to `depth` levels, some of them single leaves, with thresholds that values hit exactly. With `sets`, nodes
 * on the first two columns ask for categories.
 */
function someTrees(
  count: number,
  options: { readonly depth: number; readonly seed: number; readonly sets?: readonly number[] },
): FlatTrees {
  const random = new Random(options.seed);
  const nodes: {
    column: number;
    threshold: number;
    left: number;
    right: number;
    missingLeft: number;
    value: number;
    set: Uint32Array | null;
  }[] = [];
  const grow = (depth: number): number => {
    const at = nodes.length;
    const leaf = depth === 0 || random.next() < 0.2;
    const threshold = Math.fround(random.next() < 0.3 ? EDGES[1 + random.integer(4)] : random.normal());
    const column = leaf ? -1 : random.integer(COLUMNS);
    const missingLeft = random.integer(2);
    const asks = options.sets !== undefined && !leaf && column < 2;
    const picked = asks ? options.sets.filter(() => random.next() < 0.3) : [];
    const set = asks ? wordsOf([options.sets[random.integer(options.sets.length)], ...picked]) : null;
    const value = leaf ? Math.fround(random.normal()) : 0;
    nodes.push({ column, threshold: asks ? 0 : threshold, left: 0, right: 0, missingLeft, value, set });
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
    sets: setsOf(nodes.map((node) => node.set)),
  };
}

test("one by one and all together, sums are those of the flat walk to the last bit", () => {
  const task = fc.record({
    count: fc.integer({ min: 1, max: 23 }),
    depth: fc.integer({ min: 0, max: 10 }),
    // More categories than a column has codes are walked another way.
    sets: fc.constantFrom(undefined, CATEGORIES, MANY_CATEGORIES),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, ({ count, depth, sets, seed }) => {
      const trees = someTrees(count, { depth, seed, sets });
      expect(treeFault(trees)).toBe(null);
      const random = new Random(seed + 1);
      const ofSets = [...(sets ?? []), ...EDGES, 0.5, -1, CATEGORY_MAX + 1, 2 ** 32, 4.5e9];
      const value = (): number => (random.next() < 0.6 ? ofSets[random.integer(ofSets.length)] : random.normal());
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

test("a set holds its categories and nothing else, and every fault of sets is told", () => {
  const tree = (words: Uint32Array, missingLeft = 0): FlatTrees => ({
    names: ["a"],
    roots: Int32Array.of(0),
    feature: Int32Array.of(0, -1, -1),
    threshold: new Float32Array(3),
    left: Int32Array.of(1, -1, -1),
    right: Int32Array.of(2, -1, -1),
    missingLeft: Uint8Array.of(missingLeft, 0, 0),
    value: Float32Array.of(0, 1, 2),
    sets: setsOf([words, null, null]),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: CATEGORY_MAX }), { minLength: 1, maxLength: 40 }),
      fc.oneof(fc.integer({ min: -3, max: CATEGORY_MAX + 3 }), fc.float(), fc.constant(Number.NaN)),
      fc.integer({ min: 0, max: 1 }),
      (categories, value, missingLeft) => {
        const trees = tree(wordsOf(categories), missingLeft);
        expect(treeFault(trees)).toBe(null);
        expect(categoriesOf(trees, 0)).toEqual([...categories].sort((a, b) => a - b));
        const left = Number.isNaN(value) ? missingLeft === 1 : categories.includes(value + 0);
        expect(goesLeft(trees, 0, value)).toBe(left);
        expect(walkerOf(trees).sum(Float32Array.of(value), 0)).toBe(left ? 1 : 2);
        for (const category of categories) expect(goesLeft(trees, 0, category)).toBe(true);
      },
    ),
  );
  const sound = tree(wordsOf([1, 40]));
  expect(treeFault({ ...sound, sets: { ...sound.sets!, starts: Int32Array.of(0, 2, 2) } })).toContain("one set a node");
  expect(treeFault({ ...sound, sets: { ...sound.sets!, starts: Int32Array.of(0, 1, 1, 1) } })).toContain(
    "all the words",
  );
  expect(treeFault({ ...sound, sets: { ...sound.sets!, starts: Int32Array.of(0, 0, 2, 2) } })).toContain(
    "a leaf has a set",
  );
  expect(treeFault(tree(Uint32Array.of(1, 0)))).toContain("last word");
  expect(treeFault(tree(new Uint32Array(2049).fill(1)))).toContain("2049 words");
});

test("a matrix of more rows than are handed to the kernel at once, in no whole block, sums as its rows do", () => {
  const trees = someTrees(5, { depth: 5, seed: 3 });
  const random = new Random(4);
  const rows = 14_003;
  const x = matrixOf(
    rows,
    Array.from({ length: COLUMNS }, () =>
      Float32Array.from({ length: rows }, () => (random.next() < 0.1 ? Number.NaN : random.normal())),
    ),
  );
  const sums = new Float64Array(rows).fill(0.25);
  walkerOf(trees).addAll(x, sums);
  const vector = new Float32Array(COLUMNS);
  for (let r = 0; r < rows; r += 7) {
    copyRow(x, r, vector);
    expect(Object.is(sums[r], sumLeaves(trees, vector, 0.25))).toBe(true);
  }
  copyRow(x, rows - 1, vector);
  expect(sums[rows - 1]).toBe(sumLeaves(trees, vector, 0.25));
});
