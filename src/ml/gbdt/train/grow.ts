// Growing one tree: split the open leaves with something to gain, a batch at a time, until none is left.
import { BATCH_LEAVES } from "./arena.ts";
import type { Scales } from "./gradients.ts";
import { type GrownNode, type GrownTree, newNode } from "./grown.ts";
import { keptRanges, markLeaf, markSides, markTree, partRows, type Ranges, rowsIn } from "./list.ts";
import type { GbdtParams } from "./params.ts";
import {
  type Bounds,
  boundsBelow,
  canSplit,
  leafValue,
  type NodeSums,
  nodeSums,
  type Split,
  sumsBeside,
  UNBOUNDED,
  writeRules,
} from "./split.ts";
import { columnGroups, searchNodes } from "./sums.ts";
import type { Workspace } from "./workspace.ts";

export interface GrowTask {
  readonly params: GbdtParams;
  readonly scales: Scales;
  /** Per column, see binning. */
  readonly thresholds: readonly Float32Array[];
  /** Columns this tree may split on, ascending. */
  readonly columns: Int32Array;
  /** Rows of this thread that the tree learns from, of those it lists the first. */
  readonly kept: number;
}

/** A leaf so far. All have the same fields in the same order, and are changed, not copied: thousands of them are made per second. */
interface Leaf {
  readonly node: number;
  readonly depth: number;
  readonly bounds: Bounds;
  sums: NodeSums;
  ranges: Ranges;
  /** Address of its histogram; 0 before it has one. */
  histogram: number;
  /** What it is split by while it is open. */
  split: Split | null;
}

type OpenLeaf = Leaf & { readonly split: Split };

type Sides = readonly [left: Leaf, right: Leaf];

/**
 * Grows a tree, notes of all training rows which leaf they are in, and returns it; every thread returns the same. Without
 * `leavesMax` the newest open leaves are split first, so that few histograms are kept; the tree is the same in any order. With
 * it, the leaf with the largest gain goes first.
 */
export function growTree(space: Workspace, task: GrowTask): GrownTree {
  const { arena, trainingRows } = space;
  const { params, scales, thresholds } = task;
  const groups = columnGroups(space, task.columns.length);
  const rules = {
    thresholds,
    columns: task.columns.length,
    groups,
    canSplit: (sums: NodeSums): boolean => canSplit(sums, task),
  };
  const nodes: GrownNode[] = [newNode()];
  const open: OpenLeaf[] = [];
  let closed = 0;
  const slots = Array.from({ length: arena.histogramSlots }, (_, i) => arena.histograms + i * arena.histogramBytes);
  slots.reverse();
  // Every thread writes the same numbers, after all have searched with those of the last tree and before any sums with these.
  space.views.i32.set(task.columns, arena.sampledColumns / 4);
  writeRules(space, params, scales);

  startRoot();
  while (open.length > 0) {
    const batch = nextBatch(open, params.leavesMax !== undefined);
    if (params.leavesMax !== undefined && closed + open.length + 2 > params.leavesMax) batch.forEach(close);
    else splitLeaves(batch);
  }
  const { from, to } = trainingRows;
  markTree(space, nodes, { places: arena.training, rows: { from: from + task.kept, to } });
  return { nodes };

  function startRoot(): void {
    const root = newLeaf({ node: 0, depth: 0, bounds: UNBOUNDED, sums: ANY_SUMS });
    root.ranges = keptRanges(space, task.kept);
    root.histogram = takeSlot(slots);
    const [{ built }] = searchNodes(space, [{ built: root, sibling: null }], rules);
    root.sums = nodeSums(space, 0);
    keepOrClose(root, built);
  }

  /** A leaf stays open when it can be split, else it is done. */
  function keepOrClose(leaf: Leaf, split: Split | null): void {
    leaf.split = split;
    if (isOpen(leaf)) open.push(leaf);
    else close(leaf);
  }

  function close(leaf: Leaf): void {
    slots.push(leaf.histogram);
    markLeaf(space, leaf.ranges, finish(leaf));
  }

  /** Makes a node a leaf, which is final; returns its number. */
  function finish({ node, sums, bounds }: Leaf): number {
    const leaf = nodes[node];
    leaf.cover = sums.hessian / scales.hessian;
    leaf.value = Math.fround(params.learningRate * leafValue(sums, { params, scales, bounds }));
    leaf.leaf = closed++;
    space.views.f64[space.own.factors / 8 + leaf.leaf] = Math.exp(leaf.value);
    return leaf.leaf;
  }

  /** Splits the leaves and searches both sides of each. Sides of which neither can be split again are leaves at once. */
  function splitLeaves(batch: readonly OpenLeaf[]): void {
    const inner: OpenLeaf[] = [];
    const sidesOf: Sides[] = [];
    for (const leaf of batch) {
      const sides = addChildren(leaf);
      const [left, right] = sides;
      if (leaf.depth + 1 >= params.depthMax || !(rules.canSplit(left.sums) || rules.canSplit(right.sums))) {
        closeSides(leaf, sides);
      } else {
        inner.push(leaf);
        sidesOf.push(sides);
      }
    }
    const summed = partRows(space, inner).map((parts, k) => {
      const [left, right] = sidesOf[k];
      left.ranges = parts.left;
      right.ranges = parts.right;
      const [built, sibling] = rowsIn(left.ranges) <= rowsIn(right.ranges) ? [left, right] : [right, left];
      built.histogram = takeSlot(slots);
      sibling.histogram = inner[k].histogram;
      return { built, sibling };
    });
    searchNodes(space, summed, rules).forEach((splits, k) => {
      keepOrClose(summed[k].built, splits.built);
      keepOrClose(summed[k].sibling, splits.sibling);
    });
  }

  /** Turns a leaf into an inner node. */
  function addChildren(leaf: OpenLeaf): Sides {
    const parent = nodes[leaf.node];
    const { split } = leaf;
    parent.column = split.column;
    parent.bin = split.bin;
    parent.threshold = split.threshold;
    parent.set = split.set;
    parent.missingLeft = split.missingLeft;
    parent.gain = split.gain;
    parent.left = nodes.length;
    nodes.push(newNode(), newNode());
    const rightSums = sumsBeside(leaf.sums, split.leftSums);
    const depth = leaf.depth + 1;
    const bounds = boundsBelow(space, leaf, { params, scales, rightSums });
    return [
      newLeaf({ node: parent.left, depth, bounds: bounds.left, sums: split.leftSums }),
      newLeaf({ node: parent.left + 1, depth, bounds: bounds.right, sums: rightSums }),
    ];
  }

  /** Both sides of a split become leaves. */
  function closeSides(leaf: OpenLeaf, [left, right]: Sides): void {
    slots.push(leaf.histogram);
    markSides(space, leaf, [finish(left), finish(right)]);
  }
}

function newLeaf({ node, depth, bounds, sums }: Pick<Leaf, "node" | "depth" | "bounds" | "sums">): Leaf {
  return { node, depth, bounds, sums, ranges: [], histogram: 0, split: null };
}

function isOpen(leaf: Leaf): leaf is OpenLeaf {
  return leaf.split !== null;
}

/** Of a node whose sums are not known yet. */
const ANY_SUMS: NodeSums = { gradient: 0, hessian: Number.POSITIVE_INFINITY };

/** The open leaves to split next, taken out of the list: the newest ones, or the one with the largest gain. */
function nextBatch(open: OpenLeaf[], byGain: boolean): OpenLeaf[] {
  if (!byGain) return open.splice(Math.max(0, open.length - BATCH_LEAVES));
  let at = 0;
  for (let i = 1; i < open.length; i++) if (open[i].split.gain > open[at].split.gain) at = i;
  return open.splice(at, 1);
}

function takeSlot(slots: number[]): number {
  const slot = slots.pop();
  if (slot === undefined) throw new Error("assertion failed: there is room for every open leaf's histogram");
  return slot;
}
