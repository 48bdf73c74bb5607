// Flat trees: the shape that scoring reads, shared by boosted trees and the isolation forest.

/**
 * Trees one after another in columns of nodes. Tree t owns the nodes from `roots[t]` up to the next root; children stand
 * after their parent and inside their tree, so that every walk ends. A leaf has feature −1.
 */
export interface FlatTrees {
  readonly names: readonly string[];
  /** Index of each tree's first node. */
  readonly roots: Int32Array;
  /** Column an inner node asks about. */
  readonly feature: Int32Array;
  /** A value below goes left, any other right; 0 where a node asks for categories. */
  readonly threshold: Float32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** 1 where a missing value (NaN) goes left. */
  readonly missingLeft: Uint8Array;
  /** What a leaf contributes; 0 at inner nodes. */
  readonly value: Float32Array;
  /** Sets of the nodes that ask for categories; absent where all nodes compare. */
  readonly sets?: CategorySets;
}

/**
 * A node with a set sends the categories in it left and all others right, those it never saw included; a missing value goes
 * where `missingLeft` says. A category is a whole number from 0 to {@link CATEGORY_MAX}; any other value is in no set.
 */
export interface CategorySets {
  /** One more than nodes, rising: node n's set is in words `starts[n]` up to `starts[n + 1]`; a node without one compares. */
  readonly starts: Int32Array;
  /** Bits: category c of a node's set is bit c % 32 of its word ⌊c / 32⌋. The last word of a set is not 0. */
  readonly words: Uint32Array;
}

/** The largest number that is a category. A set of one category this large takes 8 KB. */
export const CATEGORY_MAX = 65_535;
const SET_WORDS_MAX = (CATEGORY_MAX + 1) / 32;

/** Whether a value goes to the left child of an inner node: the one rule that every walk and every export follows. */
export function goesLeft(trees: FlatTrees, node: number, value: number): boolean {
  if (Number.isNaN(value)) return trees.missingLeft[node] === 1;
  return asksForSet(trees, node) ? inSet(trees, node, value) : value < trees.threshold[node];
}

/** Whether a node asks for categories instead of comparing. */
export function asksForSet({ sets }: FlatTrees, node: number): boolean {
  return sets !== undefined && sets.starts[node] < sets.starts[node + 1];
}

/** The categories in a node's set, rising. */
export function categoriesOf({ sets }: FlatTrees, node: number): number[] {
  const categories: number[] = [];
  if (sets === undefined) return categories;
  for (let at = sets.starts[node]; at < sets.starts[node + 1]; at++) {
    for (let bit = 0; bit < 32; bit++) {
      if ((sets.words[at] >>> bit) & 1) categories.push(32 * (at - sets.starts[node]) + bit);
    }
  }
  return categories;
}

/** The set of these categories as words. */
export function wordsOf(categories: readonly number[]): Uint32Array {
  const words = new Uint32Array((Math.max(...categories) >>> 5) + 1);
  for (const category of categories) words[category >>> 5] |= 1 << (category & 31);
  return words;
}

/** Sets from the words of each node, null for nodes that compare; undefined where all do. */
export function setsOf(nodes: readonly (Uint32Array | null)[]): CategorySets | undefined {
  if (nodes.every((words) => words === null)) return undefined;
  const starts = new Int32Array(nodes.length + 1);
  nodes.forEach((words, node) => {
    starts[node + 1] = starts[node] + (words?.length ?? 0);
  });
  const words = new Uint32Array(starts[nodes.length]);
  nodes.forEach((own, node) => {
    if (own !== null) words.set(own, starts[node]);
  });
  return { starts, words };
}

function inSet({ sets }: FlatTrees, node: number, value: number): boolean {
  const { starts, words } = sets!;
  const category = value >>> 0;
  const at = starts[node] + (category >>> 5);
  return category === value && at < starts[node + 1] && ((words[at] >>> (category & 31)) & 1) === 1;
}

/** The leaf a vector falls into, starting from a root; `vector` has one value per column. */
export function leafOf(trees: FlatTrees, root: number, vector: Float32Array): number {
  const { feature, left, right } = trees;
  let node = root;
  let column = feature[node];
  while (column >= 0) {
    node = goesLeft(trees, node, vector[column]) ? left[node] : right[node];
    column = feature[node];
  }
  return node;
}

/** Sum of the leaves a vector falls into, in the order of the trees, on top of `start`. */
export function sumLeaves(trees: FlatTrees, vector: Float32Array, start: number): number {
  const { roots, value } = trees;
  let sum = start;
  for (let t = 0; t < roots.length; t++) sum += value[leafOf(trees, roots[t], vector)];
  return sum;
}

/** What is wrong with the structure, in words; null when every walk is sure to end in a leaf with a finite value. */
export function treeFault(trees: FlatTrees): string | null {
  const { roots, feature } = trees;
  const nodes = feature.length;
  const broken = setsFault(trees);
  if (broken !== null) return broken;
  if (roots.length === 0) return nodes === 0 ? null : "nodes without a tree";
  if (roots[0] !== 0) return "the first tree does not begin at node 0";
  for (let t = 0; t < roots.length; t++) {
    const end = t + 1 < roots.length ? roots[t + 1] : nodes;
    if (end <= roots[t]) return `tree ${t} is empty or out of order`;
    if (end > nodes) return `tree ${t} begins outside the nodes`;
    const fault = oneTreeFault(trees, { from: roots[t], to: end });
    if (fault !== null) return `tree ${t}: ${fault}`;
  }
  return null;
}

function oneTreeFault(trees: FlatTrees, range: { readonly from: number; readonly to: number }): string | null {
  const parents = new Uint8Array(range.to - range.from);
  for (let node = range.from; node < range.to; node++) {
    const fault = nodeFault(trees, node, range.to);
    if (fault !== null) return `node ${node}: ${fault}`;
    if (trees.feature[node] < 0) continue;
    for (const child of [trees.left[node], trees.right[node]]) {
      if (parents[child - range.from]++ > 0) return `node ${child} has two parents`;
    }
  }
  for (let i = 1; i < parents.length; i++) if (parents[i] === 0) return `node ${range.from + i} has no parent`;
  return null;
}

function nodeFault(trees: FlatTrees, node: number, end: number): string | null {
  const { names, feature, threshold, left, right, missingLeft, value } = trees;
  if (feature[node] < -1 || feature[node] >= names.length) return `column ${feature[node]} does not exist`;
  if (missingLeft[node] > 1) return "the missing side is neither 0 nor 1";
  if (feature[node] < 0) return Number.isFinite(value[node]) ? null : "the leaf's value is not finite";
  if (Number.isNaN(threshold[node])) return "the threshold is NaN";
  for (const child of [left[node], right[node]]) {
    if (child <= node || child >= end) return `child ${child} is not after its parent and inside its tree`;
  }
  return null;
}

function setsFault({ sets, feature, left }: FlatTrees): string | null {
  if (sets === undefined) return null;
  const { starts, words } = sets;
  if (starts.length !== feature.length + 1) return "there is not one set a node";
  if (starts[0] !== 0 || starts[feature.length] !== words.length) return "the sets are not all the words";
  for (let node = 0; node < left.length; node++) {
    const size = starts[node + 1] - starts[node];
    if (size === 0) continue;
    if (size < 0 || size > SET_WORDS_MAX) return `node ${node}: the set has ${size} words`;
    if (feature[node] < 0) return `node ${node}: a leaf has a set`;
    if (words[starts[node + 1] - 1] === 0) return `node ${node}: the last word of the set is 0`;
  }
  return null;
}
