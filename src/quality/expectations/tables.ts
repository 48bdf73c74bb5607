// Expectations about the table as a whole: its columns, and how many rows and columns it has.
import type { ExpectationDefinition, Outcome, Running } from "../definition.ts";
import { insideTest } from "../limits.ts";
import type { TableShape } from "../shape.ts";

export const TABLES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_to_exist",
    prepare(kwargs) {
      const name = kwargs.text("column");
      // Position 0 is not looked at in GX (Python's 0 is falsy); suites may rely on it.
      const index = kwargs.optionalNumber("column_index") ?? 0;
      return (shape) =>
        ofShape({ success: shape.has(name) && (index === 0 || shape.columnNames[index] === name), result: {} });
    },
  },
  {
    type: "expect_table_columns_to_match_set",
    prepare(kwargs) {
      const wanted = kwargs.texts("column_set");
      // Left out it is true; a null that stands there counts as no in GX.
      const exact = kwargs.isNull("exact_match") ? false : kwargs.boolean("exact_match", true);
      return (shape) => ofShape(matchSet(shape, wanted, exact));
    },
  },
  {
    type: "expect_table_columns_to_match_ordered_list",
    prepare(kwargs) {
      const wanted = kwargs.texts("column_list");
      return (shape) => ofShape(matchList(shape, wanted));
    },
  },
  counted("expect_table_row_count_to_be_between", "between", countRows),
  counted("expect_table_row_count_to_equal", "equal", countRows),
  counted("expect_table_column_count_to_be_between", "between", countColumns),
  counted("expect_table_column_count_to_equal", "equal", countColumns),
];

type StartCount = (shape: TableShape, end: (count: number) => Outcome) => Running;

function countRows(_shape: TableShape, end: (count: number) => Outcome): Running {
  let count = 0;
  return {
    push(rows) {
      count += rows.count;
    },
    finish: () => end(count),
  };
}

function countColumns({ columnNames }: TableShape, end: (count: number) => Outcome): Running {
  return ofShape(end(columnNames.length));
}

function counted(type: string, wanted: "between" | "equal", start: StartCount): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const isRight = wanted === "equal" ? equalTest(kwargs.number("value")) : insideTest(kwargs.range());
      return (shape) => start(shape, (count) => ({ success: isRight(count), result: { observed_value: count } }));
    },
  };
}

function equalTest(value: number): (count: number) => boolean {
  return (count) => count === value;
}

/** What is known before any row is read. */
function ofShape(outcome: Outcome): Running {
  return { push() {}, finish: () => outcome };
}

function matchSet(shape: TableShape, wanted: readonly string[], exact: boolean): Outcome {
  const observed = [...shape.columnNames].sort();
  const unexpected = observed.filter((name) => !wanted.includes(name));
  const missing = [...new Set(wanted)].filter((name) => !shape.has(name)).sort();
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

function matchList({ columnNames: found }: TableShape, wanted: readonly string[]): Outcome {
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
