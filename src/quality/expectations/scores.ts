// Expectations about how far values lie from the middle of their column.
import { cellAt } from "../cells.ts";
import { flagOutside, missingCount } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { numericValues, onlyColumn, type Rows } from "../rows.ts";
import { rowByRow } from "../summary.ts";

/** Rows whose values are kept until the middle is known, 32 MB; of a longer table they are read once more. */
const KEPT_ROWS_MAX = 4_000_000;

export const SCORES: readonly ExpectationDefinition[] = [
  {
    /** Mean and standard deviation first, then the values. Without a spread every value is as expected, as in GX. */
    type: "expect_column_value_z_scores_to_be_less_than",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const threshold = kwargs.number("threshold");
      const doubleSided = kwargs.boolean("double_sided", true);
      const mostly = kwargs.mostly();
      return (shape, { shared }) => {
        shape.column(name);
        const own = shared.moments(name);
        const kept = new KeptRows(name);
        return {
          push(rows) {
            own.add(rows, numericValues(rows, name));
            kept.add(rows);
          },
          finish() {
            const center = own.moments.mean();
            const deviation = own.moments.deviation();
            const isUnder = (value: number): boolean => {
              const score = (value - center) / deviation;
              if (deviation === 0 || Number.isNaN(score)) return true;
              return doubleSided ? Math.abs(score) < Math.abs(threshold) : score < threshold;
            };
            const second = rowByRow(mostly, (rows) => {
              const column = rows.column(name);
              const faults = flagOutside(numericValues(rows, name), isUnder);
              return { faults, missing: missingCount(column), valueAt: (row) => cellAt(column, row) };
            });
            if (kept.rows === null) return second;
            for (const rows of kept.rows) second.push(rows);
            return second.finish();
          },
        };
      };
    },
  },
];

/** One column of all rows so far; null from where there are too many. */
class KeptRows {
  rows: Rows[] | null = [];
  private readonly name: string;
  private count = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(rows: Rows): void {
    this.count += rows.count;
    if (this.count > KEPT_ROWS_MAX) this.rows = null;
    this.rows?.push(onlyColumn(rows, this.name));
  }
}
