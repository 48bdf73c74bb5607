// Expectations about missing cells: a column has none, or nothing but, or so many.
import { cellAt } from "../cells.ts";
import { missingCells, missingCount } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { isInside } from "../limits.ts";
import { rowByRow } from "../summary.ts";

/** Every row counts here, so the denominator is all rows and the result has no missing_* fields. */
export const NULLITY: readonly ExpectationDefinition[] = [
  nullity("expect_column_values_to_not_be_null", false),
  nullity("expect_column_values_to_be_null", true),
  {
    type: "expect_column_proportion_of_non_null_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const range = kwargs.range();
      return (shape) => {
        shape.column(name);
        let rows = 0;
        let missing = 0;
        return {
          push(batch) {
            rows += batch.count;
            missing += missingCount(batch.column(name));
          },
          finish() {
            const share = rows === 0 ? 0 : (rows - missing) / rows;
            return { success: isInside(share, range), result: { observed_value: share } };
          },
        };
      };
    },
  },
];

function nullity(type: string, wantsNull: boolean): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      return (shape) => {
        shape.column(name);
        return rowByRow(mostly, (rows) => {
          const column = rows.column(name);
          const missing = missingCells(column);
          const faults = wantsNull ? missing.map((flag) => 1 - flag) : missing;
          return { faults, missing: null, valueAt: (row) => cellAt(column, row) };
        });
      };
    },
  };
}
