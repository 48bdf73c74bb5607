// Which rows and columns a tree sees.
import { Random } from "../../../core/random.ts";
import { BLOCK_ROWS, SIZES, SUMS_BYTES } from "./arena.ts";
import { type DerivativeSums, sumBlocks } from "./gradients.ts";
import type { GbdtParams } from "./params.ts";
import type { Workspace } from "./workspace.ts";

/** Rows of this thread that a tree learns from, the first `kept` of its list, and the sums of their derivatives over all threads. */
export interface SampledRows {
  readonly kept: number;
  readonly sums: DerivativeSums;
}

/**
 * Lists this thread's rows: those a tree learns from first, ascending, then the others. Each block of rows has draws of its own,
 * so that threads with parts of the rows draw what one thread would.
 */
export function sampleRows(
  space: Workspace,
  draw: {
    readonly params: GbdtParams;
    readonly random: Random;
    readonly round: number;
    readonly sums: DerivativeSums;
  },
): SampledRows {
  const { params, random, round, sums } = draw;
  const seed = random.bits();
  const always = random.integer(space.arena.training.rows);
  const { gossTop, gossRest } = params;
  if (gossTop !== undefined && gossRest !== undefined && round > 1 / params.learningRate) {
    return sampleBySize(space, { gossTop, gossRest, seed });
  }
  const { from, to } = space.trainingRows;
  if (params.rowSample >= 1) {
    space.kernels.listRows(space.arena.list + 4 * from, from, to - from);
    return { kept: to - from, sums };
  }
  // One row in any case; the packed integers must hold all rows, so their scale is that of all.
  const limit = params.rowSample * 2 ** 32;
  const { drawRows } = space.kernels;
  const kept = drawBlocks(space, seed, (block, places) =>
    drawRows(block.from, block.to, block.seed, limit, always, places.kept, places.leftOut),
  );
  return { kept, sums };
}

/**
 * Gradient-based one-side sampling (Ke et al. 2017, algorithm 2). One cut goes through all threads' rows: counted by size, the
 * largest sizes whose rows all fit into the share are kept whole; a size that fits in part is drawn from like the rest, so
 * that ties need no order. Sums over the rows kept are then right in the mean.
 */
function sampleBySize(
  space: Workspace,
  draw: { readonly gossTop: number; readonly gossRest: number; readonly seed: number },
): SampledRows {
  const { kernels, arena, own, team, trainingRows, views } = space;
  const { rows } = arena.training;
  views.i32.fill(0, own.sizes / 4, own.sizes / 4 + SIZES);
  kernels.countSizes(trainingRows.from, trainingRows.to, arena.pairs, own.sizes);
  team.wait();
  const { cut, larger } = cutSizes(space, Math.floor(draw.gossTop * rows));
  const share = Math.min(1, (draw.gossRest * rows) / (rows - larger));
  const { drawBySize } = kernels;
  const kept = drawBlocks(space, draw.seed, ({ from, to, seed }, places) => {
    const sums = arena.keptBlocks + SUMS_BYTES * (from / BLOCK_ROWS);
    const limit = share * 2 ** 32;
    return drawBySize(from, to, seed, limit, cut, 1 / share, arena.pairs, places.kept, places.leftOut, sums);
  });
  team.wait();
  const [, hessians, gradients] = sumBlocks(space, { blocks: arena.keptBlocks, rows });
  return { kept, sums: { hessians, gradients } };
}

/** The largest size of which not all rows fit among the first `most`, which are not all; and how many rows are larger. */
function cutSizes(space: Workspace, most: number): { readonly cut: number; readonly larger: number } {
  const { threads } = space.arena;
  let cut = SIZES;
  let larger = 0;
  let counted = 0;
  while (counted <= most && cut > 0) {
    cut--;
    larger = counted;
    for (let index = 0; index < threads.length; index++) counted += space.views.i32[threads[index].sizes / 4 + cut];
  }
  return { cut, larger };
}

/** Draws block by block into this thread's list; returns how many rows are kept. */
function drawBlocks(
  space: Workspace,
  seed: number,
  drawBlock: (
    block: { readonly from: number; readonly to: number; readonly seed: number },
    places: { readonly kept: number; readonly leftOut: number },
  ) => number,
): number {
  const { arena, trainingRows, views } = space;
  const { from, to } = trainingRows;
  let kept = 0;
  for (let start = from; start < to; start += BLOCK_ROWS) {
    const block = { from: start, to: Math.min(to, start + BLOCK_ROWS), seed: blockSeed(seed, start) };
    const leftOut = arena.scratch + 4 * (start - kept);
    kept += drawBlock(block, { kept: arena.list + 4 * (from + kept), leftOut });
  }
  // Those left out begin where the scratch does for this thread; they follow in the list.
  const others = arena.scratch / 4 + from;
  views.i32.copyWithin(arena.list / 4 + from + kept, others, others + (to - from - kept));
  return kept;
}

function blockSeed(seed: number, row: number): number {
  return new Random(seed).forkSeed(row / BLOCK_ROWS);
}

/** Column numbers, ascending: `share` of them, at least one, drawn without putting back. */
export function sampleColumns(columns: number, draw: { readonly share: number; readonly random: Random }): Int32Array {
  const all = Int32Array.from({ length: columns }, (_, c) => c);
  const count = Math.max(1, Math.round(draw.share * columns));
  if (count === columns) return all;
  draw.random.shuffle(all);
  return all.slice(0, count).sort();
}
