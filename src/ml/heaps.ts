// Heaps: flat trees laid out as complete binary trees for the scoring kernel, which walks them without a branch.
import { type KernelMemory, loadKernels, makeMemory } from "./kernels/load.ts";
import { copyRow, type Matrix } from "./matrix.ts";
import { type FlatTrees, leafOf, sumLeaves } from "./trees.ts";

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
/** The kernel walks the first three levels of all trees in one go. */
const HEAP_DEPTH_MIN = 3;
const HEAP_BYTES_MAX = 64 * 2 ** 20;

/** A block's values, twice, leave room for a tree in a first-level cache of 48 KB or 32 KB. */
const BLOCK_BYTES_MAX = 32 * 2 ** 10;
const BLOCK_ROWS_MIN = 8;
const BLOCK_ROWS_MAX = 256;

/** Bytes of the values that are handed to the kernel at once: few calls, and all in the second-level cache. */
const STAGED_BYTES_MAX = 256 * 2 ** 10;

interface WalkKernels {
  sumTrees(start: number, vector: number, nodes: number, trees: number, depth: number): number;
  addTrees(
    sums: number,
    count: number,
    staged: number,
    stagedRows: number,
    columns: number,
    values: number,
    blockRows: number,
    nodes: number,
    trees: number,
    depth: number,
  ): void;
}

/** Where the kernels find what; see `kernels/assembly/walk.ts` for the layout of values and nodes. A block stands at 0. */
interface Shape {
  readonly depth: number;
  readonly blockRows: number;
  readonly stagedRows: number;
  readonly staged: number;
  readonly sums: number;
  readonly nodes: number;
  readonly bytes: number;
}

/** The layout of the trees as heaps, or null where they are too deep, too many or ask what heaps cannot. */
function shapeOf(trees: FlatTrees): Shape | null {
  // A missing value goes left as −Infinity, which is not below this threshold.
  if (trees.threshold.includes(Number.NEGATIVE_INFINITY)) return null;
  const deepest = depthOf(trees);
  if (deepest > HEAP_DEPTH_MAX) return null;
  const depth = Math.max(deepest, HEAP_DEPTH_MIN);
  const rowBytes = 4 * trees.names.length;
  let blockRows = BLOCK_ROWS_MAX;
  while (blockRows > BLOCK_ROWS_MIN && 2 * rowBytes * blockRows > BLOCK_BYTES_MAX) blockRows /= 2;
  const stagedRows = blockRows * Math.max(1, Math.floor(STAGED_BYTES_MAX / (rowBytes * blockRows)));
  const staged = 2 * rowBytes * blockRows;
  const sums = staged + rowBytes * stagedRows;
  const nodes = sums + 8 * stagedRows;
  const bytes = nodes + trees.roots.length * 16 * 2 ** depth;
  return bytes > HEAP_BYTES_MAX ? null : { depth, blockRows, stagedRows, staged, sums, nodes, bytes };
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
  const floats = new Float32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);
  const columns = trees.names.length;
  const treeCount = trees.roots.length;
  const { depth, blockRows, stagedRows, staged, nodes } = shape;
  return {
    sum(vector, start) {
      for (let c = 0; c < columns; c++) writeValue(floats, vector[c], c * blockRows, (c + columns) * blockRows);
      return kernels.sumTrees(start, 0, nodes, treeCount, depth);
    },
    addAll(x, sums) {
      for (let start = 0; start < x.rows; start += stagedRows) {
        const end = Math.min(x.rows, start + stagedRows);
        for (let c = 0; c < columns; c++) {
          const column = c * x.rows;
          floats.set(x.values.subarray(column + start, column + end), staged / 4 + c * stagedRows);
        }
        const own = doubles.subarray(shape.sums / 8, shape.sums / 8 + end - start);
        own.set(sums.subarray(start, end));
        kernels.addTrees(shape.sums, end - start, staged, stagedRows, columns, 0, blockRows, nodes, treeCount, depth);
        sums.set(own, start);
      }
    },
  };
}

/**
 * A vector is written twice, missing values as +Infinity, then as −Infinity: a node that sends them right asks the first
 * copy, one that sends them left the second, and no node needs to know of them. The kernel does the same with blocks.
 */
function writeValue(values: Float32Array, value: number, first: number, second: number): void {
  const missing = Number.isNaN(value);
  values[first] = missing ? Number.POSITIVE_INFINITY : value;
  values[second] = missing ? Number.NEGATIVE_INFINITY : value;
}

/** Lays out all trees; the subtree below a leaf that stands high holds its value everywhere. */
function fillHeaps(trees: FlatTrees, shape: Shape, memory: KernelMemory): void {
  const { feature, threshold, left, right, missingLeft, value } = trees;
  const columns = trees.names.length;
  const size = 2 ** shape.depth;
  const floats = new Float32Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);
  const place = (node: number, heap: number, index: number): void => {
    const at = heap + 8 * index;
    if (index >= size) {
      doubles[at / 8] = value[node];
      return;
    }
    const inner = feature[node] >= 0;
    const column = inner ? feature[node] + (missingLeft[node] === 1 ? columns : 0) : 0;
    floats[at / 4] = inner ? threshold[node] : 0;
    words[at / 4 + 1] = 4 * shape.blockRows * column;
    place(inner ? left[node] : node, heap, 2 * index);
    place(inner ? right[node] : node, heap, 2 * index + 1);
  };
  for (let t = 0; t < trees.roots.length; t++) place(trees.roots[t], shape.nodes + 16 * size * t, 1);
}

/** Rows walked together as they are, so that a tree stays in cache. */
const FLAT_ROWS = 64;

/** For trees that are no heaps: walks them as they are. */
function walkFlat(trees: FlatTrees): Walker {
  const columns = trees.names.length;
  const vectors = Array.from({ length: FLAT_ROWS }, () => new Float32Array(columns));
  return {
    sum: (vector, start) => sumLeaves(trees, vector, start),
    addAll(x, sums) {
      // Tree by tree over a block of rows, so that a tree stays in cache.
      for (let start = 0; start < x.rows; start += FLAT_ROWS) {
        const count = Math.min(FLAT_ROWS, x.rows - start);
        for (let i = 0; i < count; i++) copyRow(x, start + i, vectors[i]);
        for (const root of trees.roots) {
          for (let i = 0; i < count; i++) sums[start + i] += trees.value[leafOf(trees, root, vectors[i])];
        }
      }
    },
  };
}
