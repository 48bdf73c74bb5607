// Heaps of trees whose nodes all compare: their layout, and walks of one vector or of blocks of rows.
import { type KernelMemory, loadKernels, makeMemory } from "./kernels/load.ts";
import type { FlatTrees } from "./trees.ts";
import { depthOf, HEAP_BYTES_MAX, HEAP_DEPTH_MAX, type Walker, writeValue } from "./walker.ts";

/**
 * A walker of trees whose nodes all compare, in blocks of rows; null where the trees are too deep, too many or ask what heaps
 * cannot. Errors: `ml.kernel-unusable`, `ml.memory-short`.
 */
export function walkComparing(trees: FlatTrees): Walker | null {
  const shape = shapeOf(trees);
  if (shape === null) return null;
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

/** The kernel walks the first three levels of all trees in one go. */
const HEAP_DEPTH_MIN = 3;

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
