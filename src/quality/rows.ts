// The rows a check looks at: a batch of a table, or the part of it that a row condition leaves, taken column by column.
import { SentinelError } from "../core/errors.ts";
import { type Column, type Table, takeRows } from "../core/table.ts";
import { hasNumber } from "./columns.ts";
import { columnMissing } from "./shape.ts";

/** Rows under their own numbers 0 … count − 1; `sourceRow` says which row of the whole table each one is, from 0. */
export interface Rows {
  readonly count: number;
  /** Throws `dataset.columns-missing` naming the column. */
  column(name: string): Column;
  sourceRow(row: number): number;
}

/** All rows of a batch, the first of which is row `firstRow` of its table. */
export function allRows(table: Table, firstRow = 0): Rows {
  return {
    count: table.rows,
    column: (name) => columnOf(table, name),
    sourceRow: (row) => firstRow + row,
  };
}

/** Only the rows named, in that order; a column is copied at its first use. */
export function someRows(table: Table, selected: Int32Array, firstRow = 0): Rows {
  const copied = new Map<string, Column>();
  return {
    count: selected.length,
    column: (name) => {
      const known = copied.get(name);
      if (known !== undefined) return known;
      const one = { rows: table.rows, columns: new Map([[name, columnOf(table, name)]]) };
      const column = columnOf(takeRows(one, selected), name);
      copied.set(name, column);
      return column;
    },
    sourceRow: (row) => firstRow + selected[row],
  };
}

/** A copy of one column of rows, to be kept when their batch is gone. */
export function onlyColumn(rows: Rows, name: string): Rows {
  const { count } = rows;
  const column = copyOf(rows.column(name));
  const first = count === 0 ? 0 : rows.sourceRow(0);
  const isWhole = count === 0 || rows.sourceRow(count - 1) - first === count - 1;
  const numbers = isWhole ? null : Float64Array.from({ length: count }, (_, row) => rows.sourceRow(row));
  return {
    count,
    column(asked) {
      if (asked === name) return column;
      throw columnMissing(asked, [name]);
    },
    sourceRow: (row) => (numbers === null ? first + row : numbers[row]),
  };
}

function copyOf(column: Column): Column {
  if (column.kind === "text") return { ...column, codes: column.codes.slice() };
  return { ...column, values: column.values.slice() };
}

/**
 * The values of a number or time column, NaN where a cell is missing. A text column without one value here says nothing of its type and is
 * all missing. Throws `dataset.type-wrong` for texts, which have no numeric order.
 */
export function numericValues(rows: Rows, name: string): Float64Array {
  const column = rows.column(name);
  if (column.kind !== "text") return column.values;
  if (isEmptyText(column)) return new Float64Array(column.codes.length).fill(Number.NaN);
  throw new SentinelError("dataset.type-wrong", `column ${JSON.stringify(name)} holds text where numbers are needed`, {
    hint: "convert the column to numbers in the source, or change the expectation",
  });
}

/**
 * {@link numericValues} of a column of numbers. Throws `dataset.type-wrong` for times too: as milliseconds since 1970 a mean or a spread of them
 * would be held against limits that mean something else.
 */
export function plainNumbers(rows: Rows, name: string): Float64Array {
  const values = numericValues(rows, name);
  if (rows.column(name).kind !== "time" || !hasNumber(values)) return values;
  throw new SentinelError("dataset.type-wrong", `column ${JSON.stringify(name)} holds times where numbers are needed`, {
    hint: "ask for the smallest and largest time with expect_column_min_to_be_between and expect_column_max_to_be_between",
  });
}

/** Whether a text column has no value in these rows. */
export function isEmptyText(column: Column): boolean {
  return column.kind === "text" && column.codes.every((code) => code < 0);
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name);
  if (column === undefined) throw columnMissing(name, [...table.columns.keys()]);
  return column;
}
