// Sums of nodes: their rows' derivatives by column and bin, added up and searched for splits by all threads together.
import { COLUMN_BYTES, PAIR_BYTES } from "./arena.ts";
import { type Ranges, rowsIn } from "./list.ts";
import { type Bounds, bestSplit, type NodeSums, type Split, searchColumns } from "./split.ts";
import type { Range } from "./team.ts";
import type { Workspace } from "./workspace.ts";

/** Rows summed by one thread before it looks for more: few enough that none waits long for the last. */
const UNIT_ROWS = 2048;

/** A node to search, and the address of its histogram. */
export interface Searched {
  readonly ranges: Ranges;
  readonly bounds: Bounds;
  readonly sums: NodeSums;
  readonly histogram: number;
}

/** A node whose rows are summed, and its sibling, which is what remains of the parent: that histogram becomes the sibling's. */
export interface Summed {
  readonly built: Searched;
  readonly sibling: Searched | null;
}

/** What all nodes of a tree have in common. */
export interface SearchRules {
  readonly thresholds: readonly Float32Array[];
  /** How many columns were sampled. */
  readonly columns: number;
  /** They, in groups that are searched together. */
  readonly groups: readonly Range[];
  /** A node that says no here is not searched. */
  readonly canSplit: (sums: NodeSums) => boolean;
}

/**
 * Splits of each node and of its sibling; null where there is none worth it. The first wait stands between sums and their readers. The
 * second one stands between the candidates and theirs; behind it nobody reads another thread's list, derivatives or part of a
 * histogram, so that all of them, and the slots of closed leaves, may be written for the next batch or tree. The candidates
 * themselves are read until the next wait, that of `partRows` or of the next derivatives, before which nobody searches.
 */
export function searchNodes(
  space: Workspace,
  summed: readonly Summed[],
  rules: SearchRules,
): { readonly built: Split | null; readonly sibling: Split | null }[] {
  if (summed.length === 0) return [];
  const { team } = space;
  const { groups, thresholds, canSplit } = rules;
  const parts = sumRows(space, summed, rules.columns);
  team.wait();
  team.share(summed.length * groups.length, (unit) => {
    const k = Math.floor(unit / groups.length);
    const group = unit % groups.length;
    const { built, sibling } = summed[k];
    finishSums(space, summed[k], { part: parts[k], columns: groups[group] });
    search(built, { group, number: 2 * k });
    if (sibling !== null) search(sibling, { group, number: 2 * k + 1 });
  });
  team.wait();
  return summed.map(({ built, sibling }, k) => ({ built: best(built, 2 * k), sibling: best(sibling, 2 * k + 1) }));

  function search(node: Searched, { group, number }: { readonly group: number; readonly number: number }): void {
    if (!canSplit(node.sums)) return;
    searchColumns(space, node.histogram, { columns: groups[group], group, number, bounds: node.bounds });
  }

  function best(node: Searched | null, number: number): Split | null {
    if (node === null || !canSplit(node.sums)) return null;
    return bestSplit(space, { number, groups: groups.length, thresholds });
  }
}

/**
 * Sums the rows of all nodes. A small node is summed by whoever takes it; of a large one each thread sums a part, the first where
 * the result will stand. Returns each node's number among the parts, null for the small ones.
 */
function sumRows(space: Workspace, summed: readonly Summed[], columns: number): (number | null)[] {
  const { kernels, team } = space;
  const bytes = columns * COLUMN_BYTES;
  // The root's rows are listed in their order, and need no list when none is left out.
  const isAll = rowsIn(summed[0].built.ranges) === space.arena.training.rows;
  const units: { readonly histogram: number; readonly ranges: Ranges; readonly isWhole: boolean }[] = [];
  let large = 0;
  const parts = summed.map(({ built: { ranges, histogram } }) => {
    if (rowsIn(ranges) <= UNIT_ROWS || team.count === 1) {
      units.push({ histogram, ranges, isWhole: true });
      return null;
    }
    const own = team.index === 0 ? histogram : partAt(space, team.index, large);
    kernels.clear(own, bytes);
    for (const range of unitsOf(ranges)) units.push({ histogram: own, ranges: [range], isWhole: false });
    return large++;
  });
  team.share(units.length, (unit) => {
    const { histogram, ranges, isWhole } = units[unit];
    if (isWhole) kernels.clear(histogram, bytes);
    for (const range of ranges) addRows(space, range, { histogram, columns, isAll });
  });
  return parts;
}

function unitsOf(ranges: Ranges): Range[] {
  return ranges.flatMap(({ from, to }) =>
    Array.from({ length: Math.ceil((to - from) / UNIT_ROWS) }, (_, i) => ({
      from: from + i * UNIT_ROWS,
      to: Math.min(to, from + (i + 1) * UNIT_ROWS),
    })),
  );
}

/** Where a thread sums its part of a large node. */
function partAt(space: Workspace, index: number, part: number): number {
  return space.arena.threads[index].histograms + part * space.arena.histogramBytes;
}

/** Sums a range of the list in the columns sampled; all rows in their order need no list, all columns none either. */
function addRows(
  space: Workspace,
  { from, to }: Range,
  into: { readonly histogram: number; readonly columns: number; readonly isAll: boolean },
): void {
  const { arena, kernels, own } = space;
  const { stride, pairs, rowMajor } = arena;
  const { histogram, columns, isAll } = into;
  const chosen = columns === space.columns ? 0 : arena.sampledColumns;
  const list = isAll ? 0 : arena.list + 4 * from;
  const first = isAll ? from : 0;
  const bins = rowMajor + first * stride;
  kernels.addRows(histogram, list, to - from, bins, pairs + PAIR_BYTES * first, stride, columns, chosen, own.buffer);
}

/** Some columns of a node: adds what the threads summed, and takes it from the parent's to give the sibling's. */
function finishSums(
  space: Workspace,
  { built, sibling }: Summed,
  of: { readonly part: number | null; readonly columns: Range },
): void {
  const { kernels, team } = space;
  const offset = COLUMN_BYTES * of.columns.from;
  const bytes = COLUMN_BYTES * (of.columns.to - of.columns.from);
  const sums = built.histogram + offset;
  if (of.part !== null) {
    for (let index = 1; index < team.count; index++) kernels.add(sums, partAt(space, index, of.part) + offset, bytes);
  }
  if (sibling) kernels.subtract(sibling.histogram + offset, sums, bytes);
}

/** So many sampled columns in groups that are searched together. */
export function columnGroups({ arena }: Workspace, columns: number): Range[] {
  const { groupColumns } = arena;
  return Array.from({ length: Math.ceil(columns / groupColumns) }, (_, i) => ({
    from: i * groupColumns,
    to: Math.min(columns, (i + 1) * groupColumns),
  }));
}
