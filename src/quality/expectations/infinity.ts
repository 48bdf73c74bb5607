// Sentinel's own check that no number is infinite: no model and no mean survives one.
import type { ExpectationDefinition } from "../definition.ts";

export const INFINITY: readonly ExpectationDefinition[] = [
  {
    type: "sentinel_no_infinity",
    prepare(kwargs) {
      const named = kwargs.get("columns") === undefined ? null : kwargs.texts("columns");
      return (shape) => {
        const names = (named ?? shape.columnNames).map((name) => shape.column(name).name);
        const found = names.map((column) => ({ column, unexpected_count: 0, first_row: null as number | null }));
        return {
          push(rows) {
            for (const one of found) {
              const column = rows.column(one.column);
              if (column.kind === "text") continue;
              for (let row = 0; row < rows.count; row++) {
                if (Math.abs(column.values[row]) !== Number.POSITIVE_INFINITY) continue;
                one.first_row ??= rows.sourceRow(row);
                one.unexpected_count++;
              }
            }
          },
          finish() {
            const columns = found.filter(({ unexpected_count }) => unexpected_count > 0);
            const count = columns.reduce((sum, { unexpected_count }) => sum + unexpected_count, 0);
            const where = columns.map(
              (one) => `${one.column} (${one.unexpected_count}, first in data row ${Number(one.first_row) + 1})`,
            );
            const details = { problem: `infinite values in ${where.join(", ")}`, columns };
            return { success: count === 0, result: { observed_value: count, ...(count === 0 ? {} : { details }) } };
          },
        };
      };
    },
  },
];
