// Expectations that every value of a column lies inside a range, or comes in ascending or descending order.
import { SentinelError } from "../../core/errors.ts";
import { cellAt } from "../cells.ts";
import { flagOutside, hasNumber, missingCount, noFlags } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import { insideTest, matchKind } from "../limits.ts";
import { numericValues } from "../rows.ts";
import { rowByRow } from "../summary.ts";

export const RANGES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      const range = kwargs.range({ required: true });
      return (shape) => {
        if (range.min !== null && range.max !== null && range.min.value > range.max.value) emptyRange(kwargs.where);
        shape.column(name);
        const isIn = insideTest(range);
        return rowByRow(mostly, (rows) => {
          const values = numericValues(rows, name);
          const column = rows.column(name);
          if (hasNumber(values)) matchKind(range, column.kind === "time" ? "time" : "number", name);
          const faults = flagOutside(values, isIn);
          const missing = missingCount(column);
          return { faults, missing, valueAt: (row) => cellAt(column, row) };
        });
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
      return (shape) => {
        shape.column(name);
        const order = new Order({ direction, strictly });
        return rowByRow(mostly, (rows) => {
          const faults = order.faultsOf(numericValues(rows, name));
          const column = rows.column(name);
          const missing = missingCount(column);
          return { faults, missing, valueAt: (row) => cellAt(column, row) };
        });
      };
    },
  };
}

/** Values in their order, batch by batch. */
export class Order {
  private readonly direction: 1 | -1;
  private readonly strictly: boolean;
  private last = Number.NaN;

  constructor({ direction = 1, strictly = false }: { readonly direction?: 1 | -1; readonly strictly?: boolean } = {}) {
    this.direction = direction;
    this.strictly = strictly;
  }

  /** 1 where a value is on the wrong side of the value before it. */
  faultsOf(values: Float64Array): Uint8Array {
    const { direction, strictly } = this;
    let faults: Uint8Array | null = null;
    let last = this.last;
    for (let row = 0; row < values.length; row++) {
      const value = values[row];
      if (Number.isNaN(value)) continue;
      // Comparing instead of subtracting: ∞ − ∞ is NaN, though ∞ after ∞ is in order.
      const back = direction === 1 ? value < last : value > last;
      if (back || (strictly && value === last)) {
        faults ??= new Uint8Array(values.length);
        faults[row] = 1;
      }
      last = value;
    }
    this.last = last;
    return faults ?? noFlags(values.length);
  }
}

function emptyRange(where: string): never {
  throw new SentinelError("quality.suite-invalid", `${where}: min_value is greater than max_value`, {
    hint: "swap the two limits",
  });
}
