// Expectations about the table as a whole: its columns, and how many rows and columns it has.
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import { isInside } from "../limits.ts";
import type { Rows } from "../rows.ts";

export const TABLES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_to_exist",
    prepare(kwargs) {
      const name = kwargs.text("column");
      // Position 0 is not looked at in GX (Python's 0 is falsy); suites may rely on it.
      const index = kwargs.optionalNumber("column_index") ?? 0;
      return (rows) => ({
        success: rows.has(name) && (index === 0 || rows.columnNames[index] === name),
        result: {},
      });
    },
  },
  {
    type: "expect_table_columns_to_match_set",
    prepare(kwargs) {
      const wanted = kwargs.texts("column_set");
      // Left out it is true; a null that stands there counts as no in GX.
      const exact = kwargs.isNull("exact_match") ? false : kwargs.boolean("exact_match", true);
      return (rows) => matchSet(rows, wanted, exact);
    },
  },
  {
    type: "expect_table_columns_to_match_ordered_list",
    prepare(kwargs) {
      const wanted = kwargs.texts("column_list");
      return (rows) => matchList(rows, wanted);
    },
  },
  counted("expect_table_row_count_to_be_between", "between", (rows) => rows.count),
  counted("expect_table_row_count_to_equal", "equal", (rows) => rows.count),
  counted("expect_table_column_count_to_be_between", "between", (rows) => rows.columnNames.length),
  counted("expect_table_column_count_to_equal", "equal", (rows) => rows.columnNames.length),
];

function counted(type: string, wanted: "between" | "equal", countOf: (rows: Rows) => number): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      if (wanted === "equal") {
        const value = kwargs.number("value");
        return (rows) => ({ success: countOf(rows) === value, result: { observed_value: countOf(rows) } });
      }
      const range = kwargs.range();
      return (rows) => ({ success: isInside(countOf(rows), range), result: { observed_value: countOf(rows) } });
    },
  };
}

function matchSet(rows: Rows, wanted: readonly string[], exact: boolean): Outcome {
  const observed = [...rows.columnNames].sort();
  const unexpected = observed.filter((name) => !wanted.includes(name));
  const missing = [...new Set(wanted)].filter((name) => !rows.has(name)).sort();
  const mismatched = {
    ...(unexpected.length > 0 ? { unexpected } : {}),
    ...(missing.length > 0 ? { missing } : {}),
  };
  const isSame = unexpected.length === 0 && missing.length === 0;
  return {
    success: missing.length === 0 && (!exact || unexpected.length === 0),
    result: { observed_value: observed, ...(isSame ? {} : { details: { mismatched } }) },
  };
}

function matchList(rows: Rows, wanted: readonly string[]): Outcome {
  const found = rows.columnNames;
  const mismatched = [];
  for (let i = 0; i < Math.max(found.length, wanted.length); i++) {
    if (found[i] === wanted[i]) continue;
    mismatched.push({ "Expected Column Position": i, Expected: wanted[i] ?? null, Found: found[i] ?? null });
  }
  return {
    success: mismatched.length === 0,
    result: { observed_value: found, ...(mismatched.length === 0 ? {} : { details: { mismatched } }) },
  };
}
