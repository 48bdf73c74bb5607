// Which rows and columns a tree sees.
import type { Random } from "../../core/random.ts";

interface Draw {
  readonly share: number;
  readonly random: Random;
}

export interface RowSample {
  /** Ascending. */
  readonly kept: Int32Array;
  readonly leftOut: Int32Array;
}

/** Parts the rows: each is kept with probability `share`; all of them at 1 or when none was kept. */
export function sampleRows(rows: number, draw: Draw): RowSample {
  // Kept rows fill the list from the front, the others from the back.
  const list = new Int32Array(rows);
  const limit = draw.share * 2 ** 32;
  let count = 0;
  for (let r = 0; r < rows; r++) {
    if (draw.share >= 1 || draw.random.bits() < limit) list[count++] = r;
    else list[rows - 1 - (r - count)] = r;
  }
  if (count === 0) return { kept: list.reverse(), leftOut: new Int32Array(0) };
  return { kept: list.subarray(0, count), leftOut: list.subarray(count) };
}

/** Column numbers, ascending: `share` of them, at least one, drawn without putting back. */
export function sampleColumns(columns: number, draw: Draw): Int32Array {
  const all = Int32Array.from({ length: columns }, (_, c) => c);
  const count = Math.max(1, Math.round(draw.share * columns));
  if (count === columns) return all;
  draw.random.shuffle(all);
  return all.slice(0, count).sort();
}
