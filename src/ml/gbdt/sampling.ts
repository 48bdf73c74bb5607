// Which rows and columns a tree sees.
import { Random } from "../../core/random.ts";
import { BLOCK_ROWS } from "./arena.ts";

/**
 * Reorders a list of rows that ascends by 1: those kept come first, ascending, then the others. Each row is kept with
 * probability `share`, one of all `rows` in any case. Each block of rows has draws of its own, so that threads with parts of
 * the rows draw what one thread would. Returns how many are kept here. The list begins with a block's first row.
 */
export function sampleRows(
  list: Int32Array,
  draw: { readonly share: number; readonly random: Random; readonly rows: number },
): number {
  const { share, random, rows } = draw;
  const seed = random.bits();
  const always = random.integer(rows);
  if (share >= 1 || list.length === 0) return list.length;
  const limit = share * 2 ** 32;
  const first = list[0];
  const leftOut = new Int32Array(list.length);
  let kept = 0;
  let block = new Random(seed);
  for (let i = 0; i < list.length; i++) {
    const row = first + i;
    if (row % BLOCK_ROWS === 0) block = new Random(seed).fork(row / BLOCK_ROWS);
    if (block.bits() < limit || row === always) list[kept++] = row;
    else leftOut[i - kept] = row;
  }
  list.set(leftOut.subarray(0, list.length - kept), kept);
  return kept;
}

/** Column numbers, ascending: `share` of them, at least one, drawn without putting back. */
export function sampleColumns(columns: number, draw: { readonly share: number; readonly random: Random }): Int32Array {
  const all = Int32Array.from({ length: columns }, (_, c) => c);
  const count = Math.max(1, Math.round(draw.share * columns));
  if (count === columns) return all;
  draw.random.shuffle(all);
  return all.slice(0, count).sort();
}
