// The row list: every thread's rows in the order of the nodes they are in, divided by splits; and the note of each row's leaf.
import { BATCH_LEAVES, BLOCK_ROWS, type RowPlaces } from "./arena.ts";
import type { GrownNode } from "./grown.ts";
import type { Split } from "./split.ts";
import { type Range, shareOf } from "./team.ts";
import type { Workspace } from "./workspace.ts";

/** Where the rows of a node stand in the list: a range of each thread's. */
export type Ranges = readonly Range[];

type Parting = Pick<Split, "column" | "bin" | "set" | "missingLeft">;

/** The rows that a tree learns from: of each thread's, the first so many. Returns when all threads have said how many. */
export function keptRanges(space: Workspace, kept: number): Ranges {
  const { arena, team, views } = space;
  const counts = arena.leftCounts / 4;
  views.i32[counts + team.index * BATCH_LEAVES] = kept;
  team.wait();
  return Array.from({ length: team.count }, (_, index) => {
    const { from } = shareOf(arena.training.rows, { index, count: team.count }, BLOCK_ROWS);
    return { from, to: from + views.i32[counts + index * BATCH_LEAVES] };
  });
}

/**
 * Puts this thread's rows of each node in order of its split; returns where each side's rows stand when all threads have. The counts
 * of the batch before are overwritten: every thread has read them, since all have summed and searched that batch since.
 */
export function partRows(
  space: Workspace,
  nodes: readonly { readonly split: Parting; readonly ranges: Ranges }[],
): { readonly left: Ranges; readonly right: Ranges }[] {
  if (nodes.length === 0) return [];
  const { arena, team, views } = space;
  const counts = arena.leftCounts / 4;
  nodes.forEach(({ split, ranges }, k) => {
    views.i32[counts + team.index * BATCH_LEAVES + k] = partRange(space, split, {
      places: arena.training,
      range: ranges[team.index],
    });
  });
  team.wait();
  return nodes.map(({ ranges }, k) => {
    const middles = ranges.map(({ from }, index) => from + views.i32[counts + index * BATCH_LEAVES + k]);
    return {
      left: ranges.map(({ from }, index) => ({ from, to: middles[index] })),
      right: ranges.map(({ to }, index) => ({ from: middles[index], to })),
    };
  });
}

export function rowsIn(ranges: Ranges): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Notes of this thread's rows of a node that they are in a leaf. */
export function markLeaf(space: Workspace, ranges: Ranges, leaf: number): void {
  const { arena, kernels, team } = space;
  const { from, to } = ranges[team.index];
  kernels.markLeaf(arena.list + 4 * from, to - from, arena.training.leaves, leaf);
}

/** Notes of this thread's rows of a node in which of two leaves they are, by the side of its split. */
export function markSides(
  space: Workspace,
  node: { readonly split: Parting; readonly ranges: Ranges },
  [left, right]: readonly [left: number, right: number],
): void {
  const { arena, kernels, team } = space;
  const { columnMajor, leaves, rows } = arena.training;
  const { column, bin, set, missingLeft } = node.split;
  const range = node.ranges[team.index];
  const list = arena.list + 4 * range.from;
  const count = range.to - range.from;
  if (set === null) {
    kernels.markSides(list, count, columnMajor + column * rows, bin, missingLeft ? 1 : 0, leaves, left, right);
    return;
  }
  const goLeft = partRange(space, node.split, { places: arena.training, range });
  kernels.markLeaf(list, goLeft, leaves, left);
  kernels.markLeaf(list + 4 * goLeft, count - goLeft, leaves, right);
}

/**
 * Notes the leaves of rows that a tree was not grown on, those of a range of the list: divides them node by node, as the tree's
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
    const middle = from + partRange(space, node, { places, range: ranges[i] });
    ranges[node.left] = { from, to: middle };
    ranges[node.left + 1] = { from: middle, to };
  });
}

/** Puts a range of the list in order of a split, those that go left first; returns how many they are. */
function partRange(
  space: Workspace,
  { column, bin, set, missingLeft }: Parting,
  given: { readonly places: RowPlaces; readonly range: Range },
): number {
  const { arena, kernels, own, views } = space;
  const { from, to } = given.range;
  const list = arena.list + 4 * from;
  const scratch = arena.scratch + 4 * from;
  const bins = given.places.columnMajor + column * given.places.rows;
  if (set === null) return kernels.partition(list, to - from, bins, bin, missingLeft ? 1 : 0, scratch);
  views.i32.set(set, own.bits / 4);
  return kernels.partitionSet(list, to - from, bins, own.bits, scratch);
}
