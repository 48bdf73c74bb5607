// Expectations about repeated values: in one column, or over several taken together.
import type { Column } from "../../core/table.ts";
import { cellAt } from "../cells.ts";
import { flagRepeated, missingCells } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import type { Rows } from "../rows.ts";
import { countMissing, summarize } from "../summary.ts";

const IGNORE_ROW_IF = ["all_values_are_missing", "any_value_is_missing", "never"] as const;
type IgnoreRowIf = (typeof IGNORE_ROW_IF)[number];

/** Every copy of a repeated value is at fault, the first included. */
export const UNIQUENESS: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_be_unique",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      return (rows) => {
        const column = rows.column(name);
        const missing = countMissing(missingCells(column));
        const valueAt = (row: number) => cellAt(column, row);
        return summarize({ rows, faults: flagRepeated(column), missing, mostly, valueAt });
      };
    },
  },
  {
    type: "expect_compound_columns_to_be_unique",
    prepare(kwargs) {
      const names = kwargs.texts("column_list");
      if (names.length < 2) kwargs.wrong("column_list", "a list of two columns or more");
      const ignore = kwargs.choice("ignore_row_if", IGNORE_ROW_IF);
      const mostly = kwargs.mostly();
      return (rows) => {
        const columns = names.map((name) => rows.column(name));
        const ignored = ignoredRows(rows, columns, ignore);
        const faults = flagRepeatedTuples(rows.count, columns, ignored);
        const valueAt = (row: number) => Object.fromEntries(names.map((name, i) => [name, cellAt(columns[i], row)]));
        return summarize({ rows, faults, missing: countMissing(ignored), mostly, valueAt });
      };
    },
  },
];

function ignoredRows(rows: Rows, columns: readonly Column[], ignore: IgnoreRowIf): Uint8Array {
  const ignored = new Uint8Array(rows.count);
  if (ignore === "never") return ignored;
  const needed = ignore === "any_value_is_missing" ? 1 : columns.length;
  const gaps = new Uint32Array(rows.count);
  for (const column of columns) {
    const missing = missingCells(column);
    for (let row = 0; row < rows.count; row++) gaps[row] += missing[row];
  }
  for (let row = 0; row < rows.count; row++) if (gaps[row] >= needed) ignored[row] = 1;
  return ignored;
}

/**
 * Two passes, because a map over millions of tuples is slow: rows whose hash occurs twice are found by sorting the hashes, and
 * only those few are compared in full. Missing equals missing, as in pandas.
 */
function flagRepeatedTuples(count: number, columns: readonly Column[], ignored: Uint8Array): Uint8Array {
  const hashes = tupleHashes(count, columns);
  for (let row = 0; row < count; row++) if (ignored[row] === 1) hashes[row] = Number.NaN;
  const suspects = flagRepeated({ kind: "number", values: hashes });
  const times = new Map<string, number>();
  for (let row = 0; row < count; row++) {
    if (suspects[row] === 1) times.set(tupleKey(columns, row), (times.get(tupleKey(columns, row)) ?? 0) + 1);
  }
  for (let row = 0; row < count; row++) {
    if (suspects[row] === 1 && times.get(tupleKey(columns, row)) === 1) suspects[row] = 0;
  }
  return suspects;
}

/** 53 bits a tuple, whole numbers. */
function tupleHashes(count: number, columns: readonly Column[]): Float64Array {
  const low = new Uint32Array(count);
  const high = new Uint32Array(count);
  const cell = new Float64Array(1);
  const bits = new Uint32Array(cell.buffer);
  for (const column of columns) {
    const values = column.kind === "text" ? column.codes : column.values;
    for (let row = 0; row < count; row++) {
      // Adding zero makes −0 and 0 one value.
      cell[0] = values[row] + 0;
      low[row] = mix(low[row] ^ bits[0], bits[1]);
      high[row] = mix(high[row] ^ bits[1], bits[0] ^ 0x9e3779b9);
    }
  }
  const hashes = new Float64Array(count);
  for (let row = 0; row < count; row++) hashes[row] = low[row] * 2097152 + (high[row] >>> 11);
  return hashes;
}

/** MurmurHash3's 32-bit finaliser (Appleby, public domain) over two words. */
function mix(a: number, b: number): number {
  let h = (Math.imul(a, 0xcc9e2d51) + b) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Equal for equal tuples only; a text is its code, because a dictionary holds each text once. */
function tupleKey(columns: readonly Column[], row: number): string {
  let key = "";
  for (const column of columns) key += `${column.kind === "text" ? column.codes[row] : column.values[row] + 0},`;
  return key;
}
