// Expectations that every value of a column lies inside a range, or comes in ascending or descending order.
import { SentinelError } from "../../core/errors.ts";
import { cellAt } from "../cells.ts";
import { flagNumbers, missingCells, presentNumbers } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { insideTest, matchKind } from "../limits.ts";
import { numericValues } from "../rows.ts";
import { countMissing, summarize } from "../summary.ts";

export const RANGES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      const range = kwargs.range({ required: true });
      return (rows) => {
        if (range.min !== null && range.max !== null && range.min.value > range.max.value) emptyRange(kwargs.where);
        const values = numericValues(rows, name);
        const column = rows.column(name);
        if (presentNumbers(values).length > 0) matchKind(range, column.kind === "time" ? "time" : "number", name);
        const faults = flagNumbers(values, insideTest(range));
        const missing = countMissing(missingCells(column));
        return summarize({ rows, faults, missing, mostly, valueAt: (row) => cellAt(column, row) });
      };
    },
  },
  ordered("expect_column_values_to_be_increasing", 1),
  ordered("expect_column_values_to_be_decreasing", -1),
];

/** Each value is compared with the last one that is there; the first passes. */
function ordered(type: string, direction: 1 | -1): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const strictly = kwargs.boolean("strictly", false);
      const mostly = kwargs.mostly();
      return (rows) => {
        const faults = flagDisorder(numericValues(rows, name), { direction, strictly });
        const column = rows.column(name);
        const missing = countMissing(missingCells(column));
        return summarize({ rows, faults, missing, mostly, valueAt: (row) => cellAt(column, row) });
      };
    },
  };
}

/** 1 where a value is on the wrong side of the value before it. */
export function flagDisorder(
  values: Float64Array,
  { direction = 1, strictly = false }: { readonly direction?: 1 | -1; readonly strictly?: boolean } = {},
): Uint8Array {
  const faults = new Uint8Array(values.length);
  let last = Number.NaN;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) continue;
    // Comparing instead of subtracting: ∞ − ∞ is NaN, though ∞ after ∞ is in order.
    const back = direction === 1 ? value < last : value > last;
    if (back || (strictly && value === last)) faults[row] = 1;
    last = value;
  }
  return faults;
}

function emptyRange(where: string): never {
  throw new SentinelError("quality.suite-invalid", `${where}: min_value is greater than max_value`, {
    hint: "swap the two limits",
  });
}
