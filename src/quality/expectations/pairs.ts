// The expectation that one column is greater than another, row by row.
import { SentinelError } from "../../core/errors.ts";
import type { Column } from "../../core/table.ts";
import { cellAt } from "../cells.ts";
import { missingCells } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { countMissing, summarize } from "../summary.ts";

const IGNORE_ROW_IF = ["both_values_are_missing", "either_value_is_missing", "neither"] as const;
type IgnoreRowIf = (typeof IGNORE_ROW_IF)[number];

/** A row that is not ignored and has a gap is unexpected: nothing is greater than a missing value. */
export const PAIRS: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_pair_values_a_to_be_greater_than_b",
    prepare(kwargs) {
      const nameA = kwargs.text("column_A");
      const nameB = kwargs.text("column_B");
      const orEqual = kwargs.boolean("or_equal", false);
      const ignore = kwargs.choice("ignore_row_if", IGNORE_ROW_IF);
      const mostly = kwargs.mostly();
      return (rows) => {
        const a = rows.column(nameA);
        const b = rows.column(nameB);
        if (a.kind !== b.kind) unlike(nameA, nameB);
        const gaps = { a: missingCells(a), b: missingCells(b) };
        const ignored = ignoredRows(gaps, ignore);
        const isGreater = comparison(a, b, orEqual);
        const faults = new Uint8Array(rows.count);
        for (let row = 0; row < rows.count; row++) {
          if (ignored[row] === 1) continue;
          const hasGap = (gaps.a[row] | gaps.b[row]) === 1;
          if (hasGap || !isGreater(row)) faults[row] = 1;
        }
        const valueAt = (row: number) => [cellAt(a, row), cellAt(b, row)];
        return summarize({ rows, faults, missing: countMissing(ignored), mostly, valueAt });
      };
    },
  },
];

function ignoredRows(gaps: { readonly a: Uint8Array; readonly b: Uint8Array }, ignore: IgnoreRowIf): Uint8Array {
  if (ignore === "neither") return new Uint8Array(gaps.a.length);
  if (ignore === "either_value_is_missing") return gaps.a.map((gap, row) => gap | gaps.b[row]);
  return gaps.a.map((gap, row) => gap & gaps.b[row]);
}

function comparison(a: Column, b: Column, orEqual: boolean): (row: number) => boolean {
  if (a.kind === "text" && b.kind === "text") {
    return (row) => {
      const left = a.dictionary[a.codes[row]];
      const right = b.dictionary[b.codes[row]];
      return left > right || (orEqual && left === right);
    };
  }
  const left = a.kind === "text" ? new Float64Array() : a.values;
  const right = b.kind === "text" ? new Float64Array() : b.values;
  return orEqual ? (row) => left[row] >= right[row] : (row) => left[row] > right[row];
}

function unlike(nameA: string, nameB: string): never {
  throw new SentinelError("dataset.type-wrong", `columns ${nameA} and ${nameB} hold different types of values`, {
    hint: "compare a column with one of its own type",
  });
}
