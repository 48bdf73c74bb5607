// Expectations about several columns, row by row: their sum, and whether they all differ or all agree.
import { SentinelError } from "../../core/errors.ts";
import type { Column } from "../../core/table.ts";
import { cellAt } from "../cells.ts";
import type { ExpectationDefinition } from "../definition.ts";
import type { Kwargs, SetValue } from "../kwargs.ts";
import { isEmptyText } from "../rows.ts";
import { countMissing, rowByRow } from "../summary.ts";
import { IGNORE_RECORD_IF, ignoredRecords } from "./ignored.ts";

/** Whether a row is as expected. */
type RecordTest = (row: number) => boolean;

export const RECORDS: readonly ExpectationDefinition[] = [
  {
    type: "expect_multicolumn_sum_to_equal",
    prepare(kwargs) {
      const total = kwargs.number("sum_total");
      return recordCheck(kwargs, (columns, names) => sumTest(columns, names, total));
    },
  },
  {
    type: "expect_select_column_values_to_be_unique_within_record",
    prepare: (kwargs) => recordCheck(kwargs, allDiffer),
  },
  {
    type: "expect_multicolumn_values_to_be_equal",
    prepare: (kwargs) => recordCheck(kwargs, allAgree),
  },
];

function recordCheck(
  kwargs: Kwargs,
  testOf: (columns: readonly Column[], names: readonly string[]) => RecordTest,
): ReturnType<ExpectationDefinition["prepare"]> {
  const names = kwargs.texts("column_list");
  if (names.length < 2) kwargs.wrong("column_list", "a list of two columns or more");
  const ignore = kwargs.choice("ignore_row_if", IGNORE_RECORD_IF);
  const mostly = kwargs.mostly();
  return (shape) => {
    for (const name of names) shape.column(name);
    return rowByRow(mostly, (rows) => {
      const columns = names.map((name) => rows.column(name));
      const ignored = ignoredRecords(rows.count, columns, ignore);
      const isExpected = testOf(columns, names);
      const faults = new Uint8Array(rows.count);
      for (let row = 0; row < rows.count; row++) if (ignored[row] === 0 && !isExpected(row)) faults[row] = 1;
      const valueAt = (row: number) => Object.fromEntries(names.map((name, i) => [name, cellAt(columns[i], row)]));
      return { faults, missing: countMissing(ignored), valueAt };
    });
  };
}

/** A gap makes the sum unknown, and so unequal, as in GX. */
function sumTest(columns: readonly Column[], names: readonly string[], total: number): RecordTest {
  const values = columns.map((column, i) => {
    if (column.kind === "number") return column.values;
    if (isEmptyText(column)) return null;
    throw new SentinelError(
      "dataset.type-wrong",
      `column ${JSON.stringify(names[i])} holds ${column.kind}s, which have no sum`,
      {
        hint: "name columns of numbers",
      },
    );
  });
  return (row) => {
    let sum = 0;
    for (const own of values) sum += own === null ? Number.NaN : own[row];
    return sum === total;
  };
}

/** A missing cell is a value like others: two of them are not different. */
function allDiffer(columns: readonly Column[]): RecordTest {
  return (row) => new Set(columns.map((column) => cellOrNull(column, row))).size === columns.length;
}

function allAgree(columns: readonly Column[]): RecordTest {
  return (row) => {
    const first = cellOrNull(columns[0], row);
    return columns.every((column) => cellOrNull(column, row) === first);
  };
}

function cellOrNull(column: Column, row: number): SetValue | null {
  if (column.kind === "text") return column.codes[row] < 0 ? null : column.dictionary[column.codes[row]];
  return Number.isNaN(column.values[row]) ? null : column.values[row] + 0;
}
