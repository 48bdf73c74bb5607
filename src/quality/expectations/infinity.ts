// Sentinel's own check that no number is infinite: no model and no mean survives one.
import type { ExpectationDefinition } from "../definition.ts";
import type { Rows } from "../rows.ts";

export const INFINITY: readonly ExpectationDefinition[] = [
  {
    type: "sentinel_no_infinity",
    prepare(kwargs) {
      const named = kwargs.get("columns") === undefined ? null : kwargs.texts("columns");
      return (rows) => {
        const columns = (named ?? rows.columnNames)
          .map((name) => ({ column: name, ...infinities(rows, name) }))
          .filter(({ unexpected_count }) => unexpected_count > 0);
        const count = columns.reduce((sum, { unexpected_count }) => sum + unexpected_count, 0);
        const where = columns.map((one) => `${one.column} (${one.unexpected_count}, first in row ${one.first_row})`);
        const details = { problem: `infinite values in ${where.join(", ")}`, columns };
        return { success: count === 0, result: { observed_value: count, ...(count === 0 ? {} : { details }) } };
      };
    },
  },
];

function infinities(rows: Rows, name: string): { unexpected_count: number; first_row: number | null } {
  const column = rows.column(name);
  let count = 0;
  let first: number | null = null;
  if (column.kind !== "text") {
    for (let row = 0; row < rows.count; row++) {
      const value = column.values[row];
      if (value !== Number.POSITIVE_INFINITY && value !== Number.NEGATIVE_INFINITY) continue;
      first ??= rows.sourceRow(row);
      count++;
    }
  }
  return { unexpected_count: count, first_row: first };
}
