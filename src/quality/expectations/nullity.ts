// Expectations about missing cells: a column has none, or nothing but.
import { cellAt } from "../cells.ts";
import { missingCells } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { summarize } from "../summary.ts";

/** Every row counts here, so the denominator is all rows and the result has no missing_* fields. */
export const NULLITY: readonly ExpectationDefinition[] = [
  nullity("expect_column_values_to_not_be_null", false),
  nullity("expect_column_values_to_be_null", true),
];

function nullity(type: string, wantsNull: boolean): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      return (rows) => {
        const column = rows.column(name);
        const missing = missingCells(column);
        const faults = wantsNull ? missing.map((flag) => 1 - flag) : missing;
        return summarize({ rows, faults, missing: null, mostly, valueAt: (row) => cellAt(column, row) });
      };
    },
  };
}
