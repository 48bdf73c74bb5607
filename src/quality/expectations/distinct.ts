// Expectations about the different values of a column: how many there are, and which.
import type { Column } from "../../core/table.ts";
import { type CellValue, finiteOrText, isoText, parseInstant } from "../cells.ts";
import { codeCounts, distinctNumbers, missingCells } from "../columns.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import type { SetValue } from "../kwargs.ts";
import { isInside } from "../limits.ts";
import { countMissing } from "../summary.ts";

/** How many values a result lists; the rest is counted. */
const SHOWN_MAX = 20;

export const DISTINCT: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_unique_value_count_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const range = kwargs.range();
      return (rows) => {
        const count = distinctCount(rows.column(name));
        return { success: isInside(count, range), result: { observed_value: count } };
      };
    },
  },
  {
    type: "expect_column_proportion_of_unique_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const range = kwargs.range();
      return (rows) => {
        const column = rows.column(name);
        const present = rows.count - countMissing(missingCells(column));
        const proportion = present === 0 ? 0 : distinctCount(column) / present;
        return { success: isInside(proportion, range), result: { observed_value: proportion } };
      };
    },
  },
  distinctSet("expect_column_distinct_values_to_be_in_set", { unexpected: true, missing: false }),
  distinctSet("expect_column_distinct_values_to_equal_set", { unexpected: true, missing: true }),
  distinctSet("expect_column_distinct_values_to_contain_set", { unexpected: false, missing: true }),
];

/** `unexpected`: values outside the set are faults; `missing`: members of the set that do not occur are. */
function distinctSet(
  type: string,
  asks: { readonly unexpected: boolean; readonly missing: boolean },
): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const set = kwargs.values("value_set");
      const hasNull = kwargs.hasNull("value_set");
      // An empty set of allowed values passed in GX 1.2 and is refused since; it is always a mistake.
      if (set.length === 0 && !hasNull && !asks.missing) kwargs.wrong("value_set", "a list that is not empty");
      return (rows) => {
        const outcome = compareSets(rows.column(name), set, asks);
        // As in GX: null is no value of any column, so a set that must occur and holds it never does.
        return hasNull && asks.missing ? { ...outcome, success: false } : outcome;
      };
    },
  };
}

function compareSets(
  column: Column,
  set: readonly SetValue[],
  asks: { readonly unexpected: boolean; readonly missing: boolean },
): Outcome {
  const found = distinctValues(column);
  const wanted = new Set(column.kind === "time" ? set.map(instantOrText) : set);
  const present = new Set(found);
  const unexpected = asks.unexpected ? found.filter((value) => !wanted.has(value)) : [];
  const missing = asks.missing ? [...wanted].filter((value) => !present.has(value)) : [];
  const show = (value: SetValue): CellValue => {
    if (typeof value === "string") return value;
    return column.kind === "time" ? isoText(value, "T") : finiteOrText(value);
  };
  const result = {
    observed_value: null,
    ...(asks.unexpected ? { unexpected_count: unexpected.length } : {}),
    ...(asks.missing ? { missing_count: missing.length } : {}),
    ...(asks.unexpected ? { partial_unexpected_list: unexpected.slice(0, SHOWN_MAX).map(show) } : {}),
    ...(asks.missing ? { partial_missing_list: missing.slice(0, SHOWN_MAX).map(show) } : {}),
  };
  return { success: unexpected.length === 0 && missing.length === 0, result };
}

function instantOrText(value: SetValue): SetValue {
  if (typeof value === "number") return `${value}`;
  const instant = parseInstant(value);
  return Number.isNaN(instant) ? value : instant;
}

function distinctCount(column: Column): number {
  if (column.kind !== "text") return distinctNumbers(column.values).length;
  return codeCounts(column).reduce((count, times) => count + (times > 0 ? 1 : 0), 0);
}

/** In ascending order; texts by code unit. */
function distinctValues(column: Column): readonly SetValue[] {
  if (column.kind !== "text") return Array.from(distinctNumbers(column.values));
  const counts = codeCounts(column);
  return column.dictionary.filter((_, code) => counts[code] > 0).sort((a, b) => (a < b ? -1 : 1));
}
