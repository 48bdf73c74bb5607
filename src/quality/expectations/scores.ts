// Expectations about how far values lie from the middle of their column.
import { cellAt } from "../cells.ts";
import { flagNumbers, missingCount } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { Moments } from "../moments.ts";
import { numericValues } from "../rows.ts";
import { rowByRow } from "../summary.ts";

export const SCORES: readonly ExpectationDefinition[] = [
  {
    /** Two passes: mean and standard deviation, then the values. Without a spread every value is as expected, as in GX. */
    type: "expect_column_value_z_scores_to_be_less_than",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const threshold = kwargs.number("threshold");
      const doubleSided = kwargs.boolean("double_sided", true);
      const mostly = kwargs.mostly();
      return (shape) => {
        shape.column(name);
        const moments = new Moments();
        return {
          push: (rows) => moments.add(numericValues(rows, name)),
          finish() {
            const center = moments.mean();
            const deviation = moments.deviation();
            const isUnder = (value: number): boolean => {
              const score = (value - center) / deviation;
              if (deviation === 0 || Number.isNaN(score)) return true;
              return doubleSided ? Math.abs(score) < Math.abs(threshold) : score < threshold;
            };
            return rowByRow(mostly, (rows) => {
              const column = rows.column(name);
              const faults = flagNumbers(numericValues(rows, name), isUnder);
              return { faults, missing: missingCount(column), valueAt: (row) => cellAt(column, row) };
            });
          },
        };
      };
    },
  },
];
