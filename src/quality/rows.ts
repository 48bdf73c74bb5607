// The rows a check looks at: a whole table, or the part of it that a row condition leaves, taken column by column.
import { SentinelError } from "../core/errors.ts";
import { type Column, type Table, takeRows } from "../core/table.ts";

/** Rows of a table under their own numbers 0 … count − 1; `sourceRow` says which row of the table each one is. */
export interface Rows {
  readonly count: number;
  readonly columnNames: readonly string[];
  has(name: string): boolean;
  /** Throws `dataset.columns-missing` naming the column. */
  column(name: string): Column;
  sourceRow(row: number): number;
}

/** All rows of a table. */
export function allRows(table: Table): Rows {
  return {
    count: table.rows,
    columnNames: [...table.columns.keys()],
    has: (name) => table.columns.has(name),
    column: (name) => columnOf(table, name),
    sourceRow: (row) => row,
  };
}

/** Only the rows named, in that order; a column is copied at its first use. */
export function someRows(table: Table, selected: Int32Array): Rows {
  const copied = new Map<string, Column>();
  return {
    count: selected.length,
    columnNames: [...table.columns.keys()],
    has: (name) => table.columns.has(name),
    column: (name) => {
      const known = copied.get(name);
      if (known !== undefined) return known;
      const one = { rows: table.rows, columns: new Map([[name, columnOf(table, name)]]) };
      const column = columnOf(takeRows(one, selected), name);
      copied.set(name, column);
      return column;
    },
    sourceRow: (row) => selected[row],
  };
}

/** The values of a number or time column. Throws `dataset.type-wrong` for texts, which have no numeric order. */
export function numericValues(rows: Rows, name: string): Float64Array {
  const column = rows.column(name);
  if (column.kind !== "text") return column.values;
  throw new SentinelError("dataset.type-wrong", `column ${JSON.stringify(name)} holds text where numbers are needed`, {
    hint: "convert the column to numbers in the source, or change the expectation",
  });
}

const NAMES_SHOWN_MAX = 20;

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name);
  if (column !== undefined) return column;
  const names = [...table.columns.keys()].slice(0, NAMES_SHOWN_MAX).join(", ");
  throw new SentinelError("dataset.columns-missing", `the table has no column ${JSON.stringify(name)}`, {
    hint: `the table has: ${names}; name another column or add an alias in the pipeline`,
  });
}
