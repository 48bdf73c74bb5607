// Growing one tree: split the open leaf with the most to gain until none is worth splitting.
import type { BinnedMatrix } from "./binning.ts";
import { BIN_SLOTS } from "./binning.ts";
import type { Gradients } from "./gradients.ts";
import {
  buildHistogram,
  type Gathered,
  type Histogram,
  type makeHistogramPool,
  subtractHistogram,
} from "./histogram.ts";
import type { GbdtParams } from "./params.ts";
import { partitionRows } from "./partition.ts";
import { columnSum, findSplit, leafValue, type Split, type SplitRules } from "./split.ts";

/** A tree as it comes out of growing: nodes in order of birth, children side by side. Leaves have column −1. */
export interface GrownTree {
  readonly nodes: readonly GrownNode[];
  /** Where each leaf's rows stand in the row list after growing. */
  readonly leaves: readonly { readonly node: number; readonly from: number; readonly to: number }[];
}

export interface GrownNode {
  column: number;
  threshold: number;
  missingLeft: boolean;
  left: number;
  gain: number;
  /** Sum of second derivatives of the node's rows. */
  cover: number;
  /** Of a leaf: what it adds to the margin, learning rate included. */
  value: number;
}

export interface GrowTask {
  readonly binned: BinnedMatrix;
  readonly gradients: Gradients;
  readonly params: GbdtParams;
  /** Columns this tree may split on, ascending. */
  readonly columns: Int32Array;
  /** Rows this tree learns from; put in leaf order. */
  readonly rows: Int32Array;
  readonly scratch: Int32Array;
  readonly gathered: Gathered;
  readonly pool: HistogramPool;
}

export type HistogramPool = ReturnType<typeof makeHistogramPool>;

/** A leaf that may still be split; `rows[from … to)` are its rows. */
interface OpenLeaf {
  readonly node: number;
  readonly depth: number;
  readonly from: number;
  readonly to: number;
  readonly histogram: Histogram;
  readonly split: Split;
}

type Place = Pick<OpenLeaf, "node" | "depth" | "from" | "to">;

/**
 * Grows a tree. Without `leavesMax` the newest open leaf is split first, so that at most one histogram a level is kept;
 * the tree is the same in any order. With it, the leaf with the largest gain goes first.
 */
export function growTree(task: GrowTask): GrownTree {
  const nodes: GrownNode[] = [newNode()];
  const leaves: { node: number; from: number; to: number }[] = [];
  const open: OpenLeaf[] = [];
  const rules = rulesOf(task);
  const leavesMax = task.params.leavesMax ?? Number.POSITIVE_INFINITY;

  const root = { node: 0, depth: 0, from: 0, to: task.rows.length };
  const histogram = task.pool.take();
  buildFor(task, root, histogram);
  settleLeaf(root, histogram);
  while (open.length > 0) {
    const leaf = nextLeaf(open, task.params.leavesMax !== undefined);
    if (leaves.length + open.length + 2 > leavesMax) close(leaf, leaf.histogram);
    else splitLeaf(leaf);
  }
  return { nodes, leaves };

  /** A new leaf stays open when it can be split, else it is done. */
  function settleLeaf(place: Place, filled: Histogram | null): void {
    const split = filled === null ? null : searchSplit(task, filled, rules);
    if (filled === null || split === null) close(place, filled);
    else open.push({ ...place, histogram: filled, split });
  }

  function close(place: Place, filled: Histogram | null): void {
    if (filled !== null) task.pool.giveBack(filled);
    leaves.push({ node: place.node, from: place.from, to: place.to });
    finishLeaf(task, nodes[place.node], place);
  }

  function splitLeaf(leaf: OpenLeaf): void {
    const { node, split, from, to } = leaf;
    const middle = partition(task, leaf);
    const left = nodes.length;
    nodes.push(newNode(), newNode());
    const parent = nodes[node];
    parent.column = split.column;
    parent.threshold = split.threshold;
    parent.missingLeft = split.missingLeft;
    parent.gain = split.gain;
    parent.left = left;
    const depth = leaf.depth + 1;
    const first = { node: left, depth, from, to: middle };
    const second = { node: left + 1, depth, from: middle, to };
    const [firstFilled, secondFilled] = childHistograms(task, leaf.histogram, [first, second]);
    settleLeaf(first, firstFilled);
    settleLeaf(second, secondFilled);
  }
}

/** Histograms of two children: the smaller is summed, the larger is what remains of the parent. Null at the last level. */
function childHistograms(
  task: GrowTask,
  parent: Histogram,
  children: readonly [Place, Place],
): readonly [Histogram | null, Histogram | null] {
  const [first, second] = children;
  if (first.depth >= task.params.depthMax) {
    task.pool.giveBack(parent);
    return [null, null];
  }
  const firstSmaller = first.to - first.from <= second.to - second.from;
  const built = task.pool.take();
  buildFor(task, firstSmaller ? first : second, built);
  subtractHistogram(parent, built);
  return firstSmaller ? [built, parent] : [parent, built];
}

function buildFor(task: GrowTask, place: Place, histogram: Histogram): void {
  buildHistogram(histogram, task.rows, {
    from: place.from,
    to: place.to,
    binned: task.binned,
    packed: task.gradients.packed,
    gathered: task.gathered,
  });
}

function searchSplit(task: GrowTask, histogram: Histogram, rules: SplitRules): Split | null {
  const total = columnSum(histogram, task.columns[0] * BIN_SLOTS);
  return findSplit(histogram, total, { columns: task.columns, thresholds: task.binned.thresholds, rules });
}

function partition(task: GrowTask, leaf: OpenLeaf): number {
  const { split, from, to } = leaf;
  const { columnMajor, rows } = task.binned;
  const column = columnMajor.subarray(split.column * rows, (split.column + 1) * rows);
  return partitionRows(task.rows, column, {
    from,
    to,
    splitBin: split.bin,
    missingLeft: split.missingLeft,
    scratch: task.scratch,
  });
}

/** A leaf's value from its rows' unrounded derivatives. */
function finishLeaf(task: GrowTask, node: GrownNode, place: Place): void {
  const { gradient, hessian } = task.gradients;
  let gradientSum = 0;
  let hessianSum = 0;
  for (let i = place.from; i < place.to; i++) {
    gradientSum += gradient[task.rows[i]];
    hessianSum += hessian[task.rows[i]];
  }
  node.cover = hessianSum;
  node.value = Math.fround(task.params.learningRate * leafValue(gradientSum, hessianSum, task.params));
}

/** The open leaf to split next, taken out of the list. */
function nextLeaf(open: OpenLeaf[], byGain: boolean): OpenLeaf {
  let at = open.length - 1;
  if (byGain) {
    at = 0;
    for (let i = 1; i < open.length; i++) if (open[i].split.gain > open[at].split.gain) at = i;
  }
  return open.splice(at, 1)[0];
}

function rulesOf(task: GrowTask): SplitRules {
  const { lambda, alpha, gamma, minChildWeight } = task.params;
  const { gradientScale, hessianScale } = task.gradients;
  return { lambda, alpha, gamma, minChildWeight, gradientUnit: 1 / gradientScale, hessianUnit: 1 / hessianScale };
}

function newNode(): GrownNode {
  return { column: -1, threshold: 0, missingLeft: false, left: -1, gain: 0, cover: 0, value: 0 };
}
