// Heaps of trees whose nodes all compare: their layout, and walks of one vector or of blocks of rows.
import { type KernelMemory, loadKernels, makeMemory } from "../core/kernels.ts";
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
  const { depth, blockRows, stagedRows, staged, values } = shape;
  return {
    sum(vector, start) {
      for (let c = 0, at = values / 4; c < columns; c++, at += blockRows) {
        writeValue(floats, vector[c], at, at + columns * blockRows);
      }
      return kernels.sumTrees(start, values, treeCount, depth);
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
        kernels.addTrees(shape.sums, end - start, staged, stagedRows, columns, values, blockRows, treeCount, depth);
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
  sumTrees(start: number, vector: number, trees: number, depth: number): number;
  addTrees(
    sums: number,
    count: number,
    staged: number,
    stagedRows: number,
    columns: number,
    values: number,
    blockRows: number,
    trees: number,
    depth: number,
  ): void;
}

/** Where the kernels find what; see `kernels/assembly/walk.ts` for the layout of values and nodes. Nodes stand at 0. */
interface Shape {
  readonly depth: number;
  readonly blockRows: number;
  readonly stagedRows: number;
  readonly staged: number;
  readonly sums: number;
  readonly values: number;
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
  const values = 16 * trees.roots.length * 2 ** depth;
  // Twice a block's values, and a node per row.
  const staged = values + (2 * rowBytes + 4) * blockRows;
  const sums = staged + rowBytes * stagedRows;
  const bytes = sums + 8 * stagedRows;
  return bytes > HEAP_BYTES_MAX ? null : { depth, blockRows, stagedRows, staged, sums, values, bytes };
}

/** Lays out all trees as one heap; the subtree below a leaf that stands high holds its value everywhere. */
function fillHeaps(trees: FlatTrees, shape: Shape, memory: KernelMemory): void {
  const { feature, threshold, left, right, missingLeft, value } = trees;
  const columns = trees.names.length;
  const floats = new Float32Array(memory.buffer);
  const words = new Uint32Array(memory.buffer);
  const doubles = new Float64Array(memory.buffer);
  const place = (node: number, index: number, levels: number): void => {
    if (levels === 0) {
      doubles[index] = value[node];
      return;
    }
    const inner = feature[node] >= 0;
    const column = inner ? feature[node] + (missingLeft[node] === 1 ? columns : 0) : 0;
    floats[2 * index] = inner ? threshold[node] : 0;
    words[2 * index + 1] = 4 * shape.blockRows * column;
    place(inner ? left[node] : node, 2 * index, levels - 1);
    place(inner ? right[node] : node, 2 * index + 1, levels - 1);
  };
  for (let t = 0; t < trees.roots.length; t++) place(trees.roots[t], trees.roots.length + t, shape.depth);
}
