// Growing one tree: split the open leaves with something to gain, a batch at a time, until none is left.
import { BATCH_LEAVES, COLUMN_BYTES, type RowPlaces } from "./arena.ts";
import type { Scales } from "./gradients.ts";
import type { GbdtParams } from "./params.ts";
import {
  type Bounds,
  bestSplit,
  boundsBelow,
  canSplit,
  leafValue,
  type NodeSums,
  nodeSums,
  type Split,
  searchOwn,
  sumsBeside,
  UNBOUNDED,
  writeRules,
} from "./split.ts";
import { type Range, shareOf } from "./team.ts";
import type { Workspace } from "./workspace.ts";

/** A tree as it comes out of growing: nodes in order of birth, children side by side. Leaves have column −1. */
export interface GrownTree {
  readonly nodes: readonly GrownNode[];
}

export interface GrownNode {
  column: number;
  /** Bins up to this one go left, which is the same as values below the threshold. */
  bin: number;
  threshold: number;
  /** Of categories: 256 bits, 1 for the bins that go left; null for numbers. */
  set: Uint32Array | null;
  missingLeft: boolean;
  left: number;
  gain: number;
  /** Sum of second derivatives of the node's rows. */
  cover: number;
  /** Of a leaf: what it adds to the margin, learning rate included, and its number among the leaves. */
  value: number;
  leaf: number;
}

export interface GrowTask {
  readonly params: GbdtParams;
  readonly scales: Scales;
  /** Per column, see binning. */
  readonly thresholds: readonly Float32Array[];
  /** Columns this tree may split on, ascending. */
  readonly columns: Int32Array;
  /** Rows of this thread that the tree learns from: the first so many of its list. */
  readonly kept: number;
}

/** A node and where this thread's rows of it stand in the row list. */
interface Place extends Range {
  readonly node: number;
  readonly depth: number;
  readonly bounds: Bounds;
  readonly sums: NodeSums;
}

/** A leaf that may still be split; `histogram` is the address of its sums. */
interface OpenLeaf extends Place {
  readonly histogram: number;
  readonly split: Split;
}

/** A node whose rows are summed, and the sibling that is what remains of their parent. */
interface Summed {
  readonly built: Place;
  readonly histogram: number;
  readonly sibling: { readonly place: Place; readonly histogram: number } | null;
}

/** Both sides of a split, before their rows are told apart. */
type Sides = readonly [left: Omit<Place, "from" | "to">, right: Omit<Place, "from" | "to">];

/**
 * Grows a tree, notes of all training rows which leaf they are in, and returns it; every thread returns the same. Without
 * `leavesMax` the newest open leaves are split first, so that few histograms are kept; the tree is the same in any order. With
 * it, the leaf with the largest gain goes first.
 */
export function growTree(space: Workspace, task: GrowTask): GrownTree {
  const { arena, kernels, trainingRows } = space;
  const { params, scales } = task;
  const nodes: GrownNode[] = [newNode()];
  const open: OpenLeaf[] = [];
  let closed = 0;
  const slots = Array.from({ length: arena.histogramSlots }, (_, i) => arena.histograms + i * arena.histogramBytes);
  slots.reverse();
  space.views.i32.set(task.columns, arena.sampledColumns / 4);
  writeRules(space, params, scales);

  startRoot();
  while (open.length > 0) {
    const batch = nextBatch(open, params.leavesMax !== undefined);
    if (params.leavesMax !== undefined && closed + open.length + 2 > params.leavesMax) batch.forEach(close);
    else settle(splitLeaves(batch));
  }
  markTree(space, nodes, {
    places: arena.training,
    rows: { from: trainingRows.from + task.kept, to: trainingRows.to },
  });
  return { nodes };

  function startRoot(): void {
    const { from } = trainingRows;
    const histogram = takeSlot(slots);
    const root = { node: 0, depth: 0, bounds: UNBOUNDED, sums: ANY_SUMS, from, to: from + task.kept };
    const [split] = searchSplits(space, task, [{ built: root, histogram, sibling: null }]);
    keepOrClose({ ...root, sums: nodeSums(space, 0), histogram }, split);
  }

  /** Sums what is new and searches it: a leaf stays open when it can be split, else it is done. */
  function settle(summed: readonly Summed[]): void {
    const splits = searchSplits(space, task, summed);
    summed.forEach(({ built, histogram, sibling }, k) => {
      keepOrClose({ ...built, histogram }, splits[2 * k]);
      if (sibling) keepOrClose({ ...sibling.place, histogram: sibling.histogram }, splits[2 * k + 1]);
    });
  }

  function keepOrClose(leaf: Omit<OpenLeaf, "split">, split: Split | null): void {
    if (split === null) close(leaf);
    else open.push({ ...leaf, split });
  }

  function close(leaf: Omit<OpenLeaf, "split">): void {
    slots.push(leaf.histogram);
    kernels.markLeaf(arena.list + 4 * leaf.from, leaf.to - leaf.from, arena.training.leaves, finish(leaf));
  }

  /** Makes a node a leaf for good; returns its number. */
  function finish({ node, sums, bounds }: Omit<Place, "from" | "to">): number {
    const leaf = nodes[node];
    leaf.cover = sums.hessian / scales.hessian;
    leaf.value = Math.fround(params.learningRate * leafValue(sums, { params, scales, bounds }));
    leaf.leaf = closed++;
    space.views.f64[space.own.factors / 8 + leaf.leaf] = Math.exp(leaf.value);
    return leaf.leaf;
  }

  /** Splits the leaves; returns what is to be summed. Sides of which neither can be split again are leaves at once. */
  function splitLeaves(batch: readonly OpenLeaf[]): Summed[] {
    const inner: { readonly leaf: OpenLeaf; readonly sides: Sides }[] = [];
    for (const leaf of batch) {
      const sides = addChildren(leaf);
      const isLast = leaf.depth + 1 >= params.depthMax || !sides.some(({ sums }) => canSplit(sums, task));
      if (isLast) closeSides(leaf, sides);
      else inner.push({ leaf, sides });
    }
    const middles = partitionLeaves(
      space,
      inner.map(({ leaf }) => leaf),
    );
    return inner.map(({ leaf, sides: [left, right] }, k) => {
      const { middle, leftSmaller } = middles[k];
      const first = { ...left, from: leaf.from, to: middle };
      const second = { ...right, from: middle, to: leaf.to };
      const [built, rest] = leftSmaller ? [first, second] : [second, first];
      return { built, histogram: takeSlot(slots), sibling: { place: rest, histogram: leaf.histogram } };
    });
  }

  /** Turns a leaf into an inner node. */
  function addChildren(leaf: OpenLeaf): Sides {
    const parent = nodes[leaf.node];
    const { column, bin, threshold, set, missingLeft, gain, leftSums } = leaf.split;
    const left = nodes.length;
    Object.assign(parent, { column, bin, threshold, set, missingLeft, gain, left });
    nodes.push(newNode(), newNode());
    const rightSums = sumsBeside(leaf.sums, leftSums);
    const depth = leaf.depth + 1;
    const bounds = boundsBelow(space, leaf, { params, scales, rightSums });
    return [
      { node: left, depth, bounds: bounds.left, sums: leftSums },
      { node: left + 1, depth, bounds: bounds.right, sums: rightSums },
    ];
  }

  /** Both sides of a split become leaves. */
  function closeSides(leaf: OpenLeaf, [left, right]: Sides): void {
    slots.push(leaf.histogram);
    markSides(space, leaf, [finish(left), finish(right)]);
  }
}

/** Of a node whose sums are not known yet. */
const ANY_SUMS: NodeSums = { gradient: 0, hessian: Number.POSITIVE_INFINITY };

/** Notes of a leaf's rows in which of two leaves they are now. */
function markSides(space: Workspace, leaf: OpenLeaf, [left, right]: readonly [left: number, right: number]): void {
  const { arena, kernels } = space;
  const { columnMajor, leaves, rows } = arena.training;
  const { column, bin, set, missingLeft } = leaf.split;
  const list = arena.list + 4 * leaf.from;
  const count = leaf.to - leaf.from;
  if (set === null) {
    kernels.markSides(list, count, columnMajor + column * rows, bin, missingLeft ? 1 : 0, leaves, left, right);
    return;
  }
  const goLeft = partRange(space, arena.training, { split: leaf.split, range: leaf });
  kernels.markLeaf(list, goLeft, leaves, left);
  kernels.markLeaf(list + 4 * goLeft, count - goLeft, leaves, right);
}

/** Puts the rows of each leaf in order of its split: where the right side begins, and which side has fewer rows in all. */
function partitionLeaves(
  space: Workspace,
  batch: readonly OpenLeaf[],
): { readonly middle: number; readonly leftSmaller: boolean }[] {
  if (batch.length === 0) return [];
  const { arena, team, views } = space;
  const counts = arena.leftCounts / 4;
  const rowCounts = counts + team.count * BATCH_LEAVES;
  const middles = batch.map((leaf, k) => {
    const count = partRange(space, arena.training, { split: leaf.split, range: leaf });
    views.i32[counts + team.index * BATCH_LEAVES + k] = count;
    views.i32[rowCounts + team.index * BATCH_LEAVES + k] = leaf.to - leaf.from;
    return leaf.from + count;
  });
  team.wait();
  return middles.map((middle, k) => {
    let left = 0;
    let all = 0;
    for (let index = 0; index < team.count; index++) {
      left += views.i32[counts + index * BATCH_LEAVES + k];
      all += views.i32[rowCounts + index * BATCH_LEAVES + k];
    }
    return { middle, leftSmaller: 2 * left <= all };
  });
}

/** Puts a range of the list in order of a split, those that go left first; returns how many they are. */
function partRange(
  space: Workspace,
  places: RowPlaces,
  given: { readonly split: Pick<Split, "column" | "bin" | "set" | "missingLeft">; readonly range: Range },
): number {
  const { arena, kernels, own, views } = space;
  const { column, bin, set, missingLeft } = given.split;
  const { from, to } = given.range;
  const list = arena.list + 4 * from;
  const scratch = arena.scratch + 4 * from;
  const bins = places.columnMajor + column * places.rows;
  if (set === null) return kernels.partition(list, to - from, bins, bin, missingLeft ? 1 : 0, scratch);
  views.i32.set(set, own.bits / 4);
  return kernels.partitionSet(list, to - from, bins, own.bits, scratch);
}

/** Splits of the built nodes (even places) and their siblings (odd places); null where there is none worth it. */
function searchSplits(space: Workspace, task: GrowTask, summed: readonly Summed[]): (Split | null)[] {
  if (summed.length === 0) return [];
  const { team } = space;
  summed.forEach((item, k) => {
    // The first thread sums where the result will stand, so that there is one part less to add.
    const histogram = team.index === 0 ? item.histogram : partAt(space, team.index, k);
    sumRows(space, item.built, { histogram, columns: task.columns.length });
  });
  team.wait();
  const range = shareOf(task.columns.length, team);
  summed.forEach((item, k) => {
    sumColumns(space, item, { part: k, range });
    const { built, histogram, sibling } = item;
    if (canSplit(built.sums, task)) searchOwn(space, histogram, { range, number: 2 * k, bounds: built.bounds });
    if (sibling === null || !canSplit(sibling.place.sums, task)) return;
    searchOwn(space, sibling.histogram, { range, number: 2 * k + 1, bounds: sibling.place.bounds });
  });
  team.wait();
  const best = (place: Place | undefined, number: number): Split | null =>
    place !== undefined && canSplit(place.sums, task) ? bestSplit(space, number, task.thresholds) : null;
  return summed.flatMap(({ built, sibling }, k) => [best(built, 2 * k), best(sibling?.place, 2 * k + 1)]);
}

/** Where a thread sums its own rows of a batch's leaf. */
function partAt(space: Workspace, index: number, number: number): number {
  return space.arena.threads[index].histograms + number * space.arena.histogramBytes;
}

/** Sums this thread's rows of a node in the columns sampled. All of its rows need no list, all columns none either. */
function sumRows(space: Workspace, place: Range, into: { readonly histogram: number; readonly columns: number }): void {
  const { arena, kernels, own, trainingRows } = space;
  const { stride, pairs, rowMajor } = arena;
  const { from, to } = place;
  const { histogram, columns } = into;
  const chosen = columns === space.columns ? 0 : arena.sampledColumns;
  kernels.clear(histogram, columns * COLUMN_BYTES);
  if (from === trainingRows.from && to === trainingRows.to) {
    const bins = rowMajor + from * stride;
    kernels.addRows(histogram, 0, to - from, bins, pairs + 8 * from, stride, columns, chosen, own.buffer);
  } else {
    kernels.addRows(histogram, arena.list + 4 * from, to - from, rowMajor, pairs, stride, columns, chosen, own.buffer);
  }
}

/** Adds what the threads summed in some columns, and takes it from the parent's to give the sibling's. */
function sumColumns(space: Workspace, item: Summed, at: { readonly part: number; readonly range: Range }): void {
  const { kernels, team } = space;
  const offset = COLUMN_BYTES * at.range.from;
  const bytes = COLUMN_BYTES * (at.range.to - at.range.from);
  const sums = item.histogram + offset;
  for (let index = 1; index < team.count; index++) kernels.add(sums, partAt(space, index, at.part) + offset, bytes);
  if (item.sibling) kernels.subtract(item.sibling.histogram + offset, sums, bytes);
}

/**
 * Notes the leaves of rows that a tree was not grown on, those of a range of the list: parts them node by node, as the tree's
 * own rows were, which is several times faster than to walk them one by one.
 */
export function markTree(
  space: Workspace,
  nodes: readonly GrownNode[],
  options: { readonly places: RowPlaces; readonly rows: Range },
): void {
  const { arena, kernels } = space;
  const { places } = options;
  if (options.rows.from === options.rows.to) return;
  const ranges: Range[] = [options.rows];
  nodes.forEach((node, i) => {
    const { from, to } = ranges[i];
    if (node.column < 0) {
      kernels.markLeaf(arena.list + 4 * from, to - from, places.leaves, node.leaf);
      return;
    }
    const middle = from + partRange(space, places, { split: node, range: ranges[i] });
    ranges[node.left] = { from, to: middle };
    ranges[node.left + 1] = { from: middle, to };
  });
}

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

function newNode(): GrownNode {
  return {
    column: -1,
    bin: 0,
    threshold: 0,
    set: null,
    missingLeft: false,
    left: -1,
    gain: 0,
    cover: 0,
    value: 0,
    leaf: -1,
  };
}
