// Expectations that the values of a column come from a set, or do not, cell by cell.
import type { Column } from "../../core/table.ts";
import { cellAt, parseInstant } from "../cells.ts";
import { flagNumbers, flagTexts, missingCount, noFlags } from "../columns.ts";
import type { ExpectationDefinition } from "../definition.ts";
import type { SetValue } from "../kwargs.ts";
import { rowByRow } from "../summary.ts";

/** A look at so few members is quicker than one into a set. */
const LOOPED_MAX = 6;

export const SETS: readonly ExpectationDefinition[] = [
  membership("expect_column_values_to_be_in_set", true),
  membership("expect_column_values_to_not_be_in_set", false),
];

function membership(type: string, wantsMember: boolean): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const set = kwargs.values("value_set");
      const mostly = kwargs.mostly();
      return (shape) => {
        shape.column(name);
        return rowByRow(mostly, (rows) => {
          const column = rows.column(name);
          const missing = missingCount(column);
          const faults = flagMembers(column, set, wantsMember);
          return { faults, missing, valueAt: (row) => cellAt(column, row) };
        });
      };
    },
  };
}

/** A number never equals a text ("1" is not 1); texts that are dates stand for instants in time columns. */
function flagMembers(column: Column, set: readonly SetValue[], wantsMember: boolean): Uint8Array {
  if (column.kind === "text") {
    const texts = new Set(set.filter((value) => typeof value === "string"));
    return flagTexts(column, (text) => texts.has(text) === wantsMember);
  }
  const numbers = numberSet(column.kind, set);
  if (numbers.size > LOOPED_MAX) return flagNumbers(column.values, (value) => numbers.has(value) === wantsMember);
  return flagFew(column.values, [...numbers], wantsMember);
}

/** As {@link flagNumbers}, by comparison with each of a few members. */
function flagFew(values: Float64Array, members: readonly number[], wantsMember: boolean): Uint8Array {
  // The last one stands in for those that are not there; without any, nothing equals NaN.
  const [a, b = a, c = b, d = c, e = d, f = e] = members.length === 0 ? [Number.NaN] : members;
  let faults: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    const isMember = value === a || value === b || value === c || value === d || value === e || value === f;
    if (isMember === wantsMember || Number.isNaN(value)) continue;
    faults ??= new Uint8Array(values.length);
    faults[row] = 1;
  }
  return faults ?? noFlags(values.length);
}

/** The members of a set that a number or time column can hold. */
export function numberSet(kind: "number" | "time", set: readonly SetValue[]): ReadonlySet<number> {
  const numbers = set.map((value) => {
    if (kind === "time") return typeof value === "string" ? parseInstant(value) : Number.NaN;
    return typeof value === "number" ? value : Number.NaN;
  });
  return new Set(numbers.filter((value) => !Number.isNaN(value)));
}
