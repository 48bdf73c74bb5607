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
 * Numbers the tuples column by column (equal tuples get equal numbers, missing equals missing as in pandas), then looks
 * for numbers that occur twice. Pairs stay far below 2^53, because both parts are below the number of rows.
 */
function flagRepeatedTuples(count: number, columns: readonly Column[], ignored: Uint8Array): Uint8Array {
  let codes = new Int32Array(count);
  for (const column of columns) codes = pairCodes(codes, valueCodes(column));
  const times = new Int32Array(count);
  for (let row = 0; row < count; row++) if (ignored[row] === 0) times[codes[row]]++;
  const faults = new Uint8Array(count);
  for (let row = 0; row < count; row++) if (ignored[row] === 0 && times[codes[row]] > 1) faults[row] = 1;
  return faults;
}

/** Equal cells get equal codes from 0 up; 0 is missing. */
function valueCodes(column: Column): Int32Array {
  if (column.kind === "text") return column.codes.map((code) => code + 1);
  return numbered(column.values, 1);
}

function pairCodes(left: Int32Array, right: Int32Array): Int32Array<ArrayBuffer> {
  const pairs = new Float64Array(left.length);
  for (let row = 0; row < left.length; row++) pairs[row] = left[row] * 4294967296 + right[row];
  return numbered(pairs, 0);
}

/** Numbers the values in order of appearance from `first` on; NaN is always 0. */
function numbered(values: Float64Array, first: number): Int32Array<ArrayBuffer> {
  const known = new Map<number, number>();
  const codes = new Int32Array(values.length);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) continue;
    let code = known.get(value);
    if (code === undefined) {
      code = known.size + first;
      known.set(value, code);
    }
    codes[row] = code;
  }
  return codes;
}
