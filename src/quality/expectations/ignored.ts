// Which rows an expectation over several columns leaves out, by the gaps in them.
import type { Column } from "../../core/table.ts";
import { missingCells, missingCount, noFlags } from "../columns.ts";

/** GX's words; its default first. */
export const IGNORE_RECORD_IF = ["all_values_are_missing", "any_value_is_missing", "never"] as const;
export const IGNORE_PAIR_IF = ["both_values_are_missing", "either_value_is_missing", "neither"] as const;

/** 1 where a row is left out. */
export function ignoredRecords(
  count: number,
  columns: readonly Column[],
  ignore: (typeof IGNORE_RECORD_IF)[number],
): Uint8Array {
  if (ignore === "never") return noFlags(count);
  const needed = ignore === "any_value_is_missing" ? 1 : columns.length;
  let gapless = 0;
  for (const column of columns) if (missingCount(column) === 0) gapless++;
  if (gapless > columns.length - needed) return noFlags(count);
  const ignored = new Uint8Array(count);
  const gaps = new Uint32Array(count);
  for (const column of columns) {
    const missing = missingCells(column);
    for (let row = 0; row < count; row++) gaps[row] += missing[row];
  }
  for (let row = 0; row < count; row++) if (gaps[row] >= needed) ignored[row] = 1;
  return ignored;
}

/** The same of two columns. */
export function ignoredPairs(
  gaps: { readonly a: Uint8Array; readonly b: Uint8Array },
  ignore: (typeof IGNORE_PAIR_IF)[number],
): Uint8Array {
  const [inA, inB] = [gaps.a.includes(1), gaps.b.includes(1)];
  const needed = ignore === "either_value_is_missing" ? inA || inB : inA && inB;
  if (ignore === "neither" || !needed) return noFlags(gaps.a.length);
  if (ignore === "either_value_is_missing") return gaps.a.map((gap, row) => gap | gaps.b[row]);
  return gaps.a.map((gap, row) => gap & gaps.b[row]);
}
