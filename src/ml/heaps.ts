// Heaps: flat trees laid out as complete binary trees for the scoring kernel, which walks them without a branch.
import { type CategoryCodes, CODE_WORDS, categoryCodes } from "./category-codes.ts";
import { type KernelMemory, loadKernels, makeMemory } from "./kernels/load.ts";
import { copyRow, type Matrix } from "./matrix.ts";
import { asksForSet, type FlatTrees, leafOf, sumLeaves } from "./trees.ts";

/** Sums the leaves that vectors fall into, in the order of the trees; the same bits one by one and all together. */
export interface Walker {
  /** On top of `start`; `vector` has one value a column. Allocates nothing. */
  sum(vector: Float32Array, start: number): number;
  /** Adds each row's leaves to its place in `sums`. Columns must stand as in the trees. */
  addAll(x: Matrix, sums: Float64Array): void;
}

/** Walkers of the trees in use; gone when the trees are. */
const walkers = new WeakMap<FlatTrees, Walker>();

/** The walker of trees, made when they are first scored with. Errors: `ml.kernel-unusable`, `ml.memory-short`. */
export function walkerOf(trees: FlatTrees): Walker {
  let walker = walkers.get(trees);
  if (walker === undefined) {
    const shape = shapeOf(trees);
    walker = shape === null ? walkFlat(trees) : walkHeaps(trees, shape);
    walkers.set(trees, walker);
  }
  return walker;
}

/** A complete tree doubles with each level: deeper ones are walked as they are. */
const HEAP_DEPTH_MAX = 8;
const HEAP_BYTES_MAX = 64 * 2 ** 20;

/** Rows scored together, so that columns are read in runs. */
const BLOCK_ROWS = 64;

type SumTrees = (start: number, vector: number, nodes: number, leaves: number, trees: number, depth: number) => number;

interface WalkKernels {
  readonly sumTrees: SumTrees;
  /** The same for trees with sets of categories; its nodes are larger and ask twice. */
  readonly sumSets: SumTrees;
}

/** Where the kernel finds what; see `kernels/assembly/walk.ts` for the layout of nodes. */
interface Shape {
  readonly depth: number;
  /** Of a node: 8, with sets 16. */
  readonly nodeBytes: number;
  /** How columns of categories are asked; null where no node has a set. */
  readonly codes: CategoryCodes | null;
  readonly vectorBytes: number;
  readonly nodes: number;
  readonly leaves: number;
  /** Where sets stand: first one of zeros, for nodes that compare. */
  readonly sets: number;
  readonly bytes: number;
}

/** The layout of the trees as heaps, or null where they are too deep, too many or ask what heaps cannot. */
function shapeOf(trees: FlatTrees): Shape | null {
  // A missing value goes left as −Infinity, which is not below this threshold.
  if (trees.threshold.includes(Number.NEGATIVE_INFINITY)) return null;
  const depth = depthOf(trees);
  if (depth > HEAP_DEPTH_MAX) return null;
  const codes = trees.sets === undefined ? null : categoryCodes(trees);
  if (trees.sets !== undefined && codes === null) return null;
  const nodeBytes = codes === null ? 8 : 16;
  // Behind both copies of the values: a code for each column of categories, and a 0.
  const vectorBytes = 8 * trees.names.length + (codes === null ? 0 : 4 * (codes.columns.length + 1));
  const nodes = 16 * Math.ceil((BLOCK_ROWS * vectorBytes) / 16);
  const leaves = nodes + trees.roots.length * nodeBytes * 2 ** depth;
  const sets = leaves + trees.roots.length * 4 * 2 ** depth;
  const bytes = sets + (codes === null ? 0 : 4 * CODE_WORDS * (1 + setNodes(trees)));
  return bytes > HEAP_BYTES_MAX ? null : { depth, nodeBytes, codes, vectorBytes, nodes, leaves, sets, bytes };
}

function setNodes(trees: FlatTrees): number {
  let count = 0;
  for (let node = 0; node < trees.feature.length; node++) if (asksForSet(trees, node)) count++;
  return count;
}

/** Levels of the deepest tree, leaves not counted. Children stand after their parent. */
function depthOf(trees: FlatTrees): number {
  const { feature, left, right } = trees;
  const depths = new Uint16Array(feature.length);
  let deepest = 0;
  for (let node = 0; node < feature.length; node++) {
    if (feature[node] < 0) continue;
    const below = depths[node] + 1;
    if (below > HEAP_DEPTH_MAX) return below;
    depths[left[node]] = below;
    depths[right[node]] = below;
    deepest = Math.max(deepest, below);
  }
  return deepest;
}

function walkHeaps(trees: FlatTrees, shape: Shape): Walker {
  const memory = makeMemory(shape.bytes, { shared: false });
  const kernels = loadKernels<WalkKernels>(new URL("./kernels/walk.wasm", import.meta.url), memory);
  fillHeaps(trees, shape, memory);
  return shape.codes === null
    ? walkComparing(trees, { shape, memory, sumTrees: kernels.sumTrees })
    : walkSets(trees, { shape, memory, sumSets: kernels.sumSets, codes: shape.codes });
}

function walkComparing(
  trees: FlatTrees,
  given: { readonly shape: Shape; readonly memory: KernelMemory; readonly sumTrees: SumTrees },
): Walker {
  const { shape, memory, sumTrees } = given;
  const values = new Float32Array(memory.buffer, 0, (BLOCK_ROWS * shape.vectorBytes) / 4);
  const columns = trees.names.length;
  const treeCount = trees.roots.length;
  const { depth, nodes, leaves, vectorBytes } = shape;
  return {
    sum(vector, start) {
      for (let c = 0; c < columns; c++) writeValue(values, vector[c], c, c + columns);
      return sumTrees(start, 0, nodes, leaves, treeCount, depth);
    },
    addAll(x, sums) {
      for (let start = 0; start < x.rows; start += BLOCK_ROWS) {
        const count = Math.min(BLOCK_ROWS, x.rows - start);
        writeBlock(values, x, { start, count, width: vectorBytes / 4 });
        for (let i = 0; i < count; i++) {
          sums[start + i] = sumTrees(sums[start + i], i * vectorBytes, nodes, leaves, treeCount, depth);
        }
      }
    },
  };
}

/** As {@link walkComparing}; each vector's categories are coded once, before its walk. */
function walkSets(
  trees: FlatTrees,
  given: {
    readonly shape: Shape;
    readonly memory: KernelMemory;
    readonly sumSets: SumTrees;
    readonly codes: CategoryCodes;
  },
): Walker {
  const { memory, sumSets } = given;
  const { depth, nodes, leaves, vectorBytes } = given.shape;
  const values = new Float32Array(memory.buffer, 0, (BLOCK_ROWS * vectorBytes) / 4);
  const words = new Uint32Array(memory.buffer, 0, (BLOCK_ROWS * vectorBytes) / 4);
  const columns = trees.names.length;
  const treeCount = trees.roots.length;
  const coded = given.codes.columns;
  const width = vectorBytes / 4;
  return {
    sum(vector, start) {
      for (let c = 0; c < columns; c++) writeValue(values, vector[c], c, c + columns);
      for (let i = 0; i < coded.length; i++) words[2 * columns + i] = coded[i].codeOf(vector[coded[i].column]);
      return sumSets(start, 0, nodes, leaves, treeCount, depth);
    },
    addAll(x, sums) {
      for (let start = 0; start < x.rows; start += BLOCK_ROWS) {
        const count = Math.min(BLOCK_ROWS, x.rows - start);
        writeBlock(values, x, { start, count, width });
        for (let i = 0; i < coded.length; i++) {
          const source = coded[i].column * x.rows + start;
          for (let r = 0; r < count; r++) words[r * width + 2 * columns + i] = coded[i].codeOf(x.values[source + r]);
        }
        for (let i = 0; i < count; i++) {
          sums[start + i] = sumSets(sums[start + i], i * vectorBytes, nodes, leaves, treeCount, depth);
        }
      }
    },
  };
}

/**
 * A vector is written twice, missing values as +Infinity, then as −Infinity: a node that sends them right asks the first
 * copy, one that sends them left the second, and no node needs to know of them.
 */
function writeValue(values: Float32Array, value: number, first: number, second: number): void {
  const missing = Number.isNaN(value);
  values[first] = missing ? Number.POSITIVE_INFINITY : value;
  values[second] = missing ? Number.NEGATIVE_INFINITY : value;
}

function writeBlock(
  values: Float32Array,
  x: Matrix,
  block: { readonly start: number; readonly count: number; readonly width: number },
): void {
  const columns = x.names.length;
  for (let c = 0; c < columns; c++) {
    let source = c * x.rows + block.start;
    let at = c;
    for (let i = 0; i < block.count; i++, at += block.width) writeValue(values, x.values[source++], at, at + columns);
  }
}

/** Lays out all trees; the subtree below a leaf that stands high holds its value everywhere. */
function fillHeaps(trees: FlatTrees, shape: Shape, memory: KernelMemory): void {
  const { feature, left, right, value } = trees;
  const size = 2 ** shape.depth;
  const nodeWords = shape.nodeBytes / 4;
  const floats = new Float32Array(memory.buffer);
  const writeNode = nodeWriter(trees, shape, memory);
  const place = (node: number, to: { heap: number; leaves: number; index: number }): void => {
    const { heap, leaves, index } = to;
    if (index >= size) {
      floats[leaves + index - size] = value[node];
      return;
    }
    const inner = feature[node] >= 0;
    writeNode(node, heap + nodeWords * index);
    place(inner ? left[node] : node, { heap, leaves, index: 2 * index });
    place(inner ? right[node] : node, { heap, leaves, index: 2 * index + 1 });
  };
  for (let t = 0; t < trees.roots.length; t++) {
    place(trees.roots[t], {
      heap: shape.nodes / 4 + nodeWords * size * t,
      leaves: shape.leaves / 4 + size * t,
      index: 1,
    });
  }
}

/** Writes a node as the kernel reads it; `at` counts words. A leaf asks what it likes: both of its sides hold its value. */
function nodeWriter(trees: FlatTrees, shape: Shape, memory: KernelMemory): (node: number, at: number) => void {
  const { feature, threshold, missingLeft } = trees;
  const { codes } = shape;
  const columns = trees.names.length;
  const floats = new Float32Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  const compare = (node: number, at: number): void => {
    const inner = feature[node] >= 0;
    floats[at] = inner ? threshold[node] : 0;
    words[at + 1] = inner ? 4 * (feature[node] + (missingLeft[node] === 1 ? columns : 0)) : 0;
  };
  if (codes === null) return compare;
  const codePlaces = new Map(codes.columns.map(({ column }, i) => [column, 4 * (2 * columns + i)]));
  const zero = 4 * (2 * columns + codes.columns.length);
  let next = shape.sets + 4 * CODE_WORDS;
  return (node, at) => {
    compare(node, at);
    words[at + 2] = zero;
    words[at + 3] = shape.sets;
    if (!asksForSet(trees, node)) return;
    floats[at] = Number.NaN;
    words[at + 2] = codePlaces.get(feature[node])!;
    words[at + 3] = next;
    words.set(codes.rightBits(node), next / 4);
    next += 4 * CODE_WORDS;
  };
}

/** For trees that are no heaps: walks them as they are. */
function walkFlat(trees: FlatTrees): Walker {
  const columns = trees.names.length;
  const vectors = Array.from({ length: BLOCK_ROWS }, () => new Float32Array(columns));
  return {
    sum: (vector, start) => sumLeaves(trees, vector, start),
    addAll(x, sums) {
      // Tree by tree over a block of rows, so that a tree stays in cache.
      for (let start = 0; start < x.rows; start += BLOCK_ROWS) {
        const count = Math.min(BLOCK_ROWS, x.rows - start);
        for (let i = 0; i < count; i++) copyRow(x, start + i, vectors[i]);
        for (const root of trees.roots) {
          for (let i = 0; i < count; i++) sums[start + i] += trees.value[leafOf(trees, root, vectors[i])];
        }
      }
    },
  };
}
