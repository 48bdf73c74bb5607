// Which rows and columns a tree sees.
import { Random } from "../../core/random.ts";
import { BLOCK_ROWS } from "./arena.ts";

/**
 * Fills `list` with the rows from `from` on: those kept from the front, ascending, the others from the back. Each row is
 * kept with probability `share`, one row in any case. Each block of rows has draws of its own, so that threads that fill
 * different parts draw what one thread would. Returns how many are kept here. `from` begins a block.
 */
export function sampleRows(
  list: Int32Array,
  draw: { readonly share: number; readonly random: Random; readonly from: number; readonly rows: number },
): number {
  const { share, random, from, rows } = draw;
  const last = list.length - 1;
  const seed = random.bits();
  const always = random.integer(rows);
  if (share >= 1) {
    for (let i = 0; i <= last; i++) list[i] = from + i;
    return list.length;
  }
  const limit = share * 2 ** 32;
  let kept = 0;
  for (let start = 0; start <= last; start += BLOCK_ROWS) {
    const block = new Random(seed).fork((from + start) / BLOCK_ROWS);
    const end = Math.min(list.length, start + BLOCK_ROWS);
    for (let i = start; i < end; i++) {
      if (block.bits() < limit || from + i === always) list[kept++] = from + i;
      else list[last - (i - kept)] = from + i;
    }
  }
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
