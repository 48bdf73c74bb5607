// Heaps of trees in which nodes ask for sets of categories: their layout, and walks of one vector after another.

import { type KernelMemory, loadKernels, makeMemory } from "../core/kernels.ts";
import { type CategoryCodes, CODE_WORDS, categoryCodes } from "./category-codes.ts";
import type { Matrix } from "./matrix.ts";
import { asksForSet, type FlatTrees } from "./trees.ts";
import { depthOf, HEAP_BYTES_MAX, HEAP_DEPTH_MAX, type Walker, writeValue } from "./walker.ts";

/**
 * A walker of trees with sets; null where the trees are too deep, too many or ask what heaps cannot. Each vector's categories
 * are coded once, before its walk. Errors: `ml.kernel-unusable`, `ml.memory-short`.
 */
export function walkSets(trees: FlatTrees): Walker | null {
  const shape = shapeOf(trees);
  if (shape === null) return null;
  const memory = makeMemory(shape.bytes, { shared: false });
  const { sumSets } = loadKernels<SetKernels>(new URL("./kernels/walk.wasm", import.meta.url), memory);
  fillHeaps(trees, shape, memory);
  const { depth, nodes, leaves, vectorBytes } = shape;
  const values = new Float32Array(memory.buffer, 0, (BLOCK_ROWS * vectorBytes) / 4);
  const words = new Uint32Array(memory.buffer, 0, (BLOCK_ROWS * vectorBytes) / 4);
  const columns = trees.names.length;
  const treeCount = trees.roots.length;
  const coded = shape.codes.columns;
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

/** Rows scored together, so that columns are read in runs. */
const BLOCK_ROWS = 64;

interface SetKernels {
  sumSets(start: number, vector: number, nodes: number, leaves: number, trees: number, depth: number): number;
}

/** Where the kernel finds what; see `kernels/assembly/walk-sets.ts` for the layout of nodes. */
interface Shape {
  readonly depth: number;
  /** How columns of categories are asked. */
  readonly codes: CategoryCodes;
  readonly vectorBytes: number;
  readonly nodes: number;
  readonly leaves: number;
  /** Where sets stand: first one of zeros, for nodes that compare. */
  readonly sets: number;
  readonly bytes: number;
}

const NODE_BYTES = 16;

/** The layout of the trees as heaps, or null where there is none. */
function shapeOf(trees: FlatTrees): Shape | null {
  // A missing value goes left as −Infinity, which is not below this threshold.
  if (trees.threshold.includes(Number.NEGATIVE_INFINITY)) return null;
  const depth = depthOf(trees);
  if (depth > HEAP_DEPTH_MAX) return null;
  const codes = categoryCodes(trees);
  if (codes === null) return null;
  // Behind both copies of the values: a code for each column of categories, and a 0.
  const vectorBytes = 8 * trees.names.length + 4 * (codes.columns.length + 1);
  const nodes = 16 * Math.ceil((BLOCK_ROWS * vectorBytes) / 16);
  const leaves = nodes + trees.roots.length * NODE_BYTES * 2 ** depth;
  const sets = leaves + trees.roots.length * 4 * 2 ** depth;
  const bytes = sets + 4 * CODE_WORDS * (1 + setNodes(trees));
  return bytes > HEAP_BYTES_MAX ? null : { depth, codes, vectorBytes, nodes, leaves, sets, bytes };
}

function setNodes(trees: FlatTrees): number {
  let count = 0;
  for (let node = 0; node < trees.feature.length; node++) if (asksForSet(trees, node)) count++;
  return count;
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
  const nodeWords = NODE_BYTES / 4;
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
