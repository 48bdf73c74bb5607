// Which rows and columns a tree sees.
import type { Random } from "../../core/random.ts";

interface Draw {
  readonly share: number;
  readonly random: Random;
}

/** Row numbers, ascending: each kept with probability `share`; all of them at 1 or when none was kept. */
export function sampleRows(rows: number, draw: Draw): Int32Array {
  const kept = new Int32Array(rows);
  const limit = draw.share * 2 ** 32;
  let count = 0;
  for (let r = 0; r < rows; r++) {
    if (draw.share >= 1 || draw.random.bits() < limit) kept[count++] = r;
  }
  if (count > 0) return kept.subarray(0, count);
  for (let r = 0; r < rows; r++) kept[r] = r;
  return kept;
}

/** Column numbers, ascending: `share` of them, at least one, drawn without putting back. */
export function sampleColumns(columns: number, draw: Draw): Int32Array {
  const all = Int32Array.from({ length: columns }, (_, c) => c);
  const count = Math.max(1, Math.round(draw.share * columns));
  if (count === columns) return all;
  draw.random.shuffle(all);
  return all.slice(0, count).sort();
}
