// The shape of a table before its rows are read: which columns it has, of which kind, and which of them a check asks for.
import { SentinelError } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";

/** A column as far as it is known before its cells. */
export interface ColumnShape {
  readonly name: string;
  readonly kind: Column["kind"];
  /** The numbers stand for true and false. */
  readonly boolean: boolean;
}

/** What a check may ask of a table when it begins. */
export interface TableShape {
  readonly columnNames: readonly string[];
  has(name: string): boolean;
  /** Notes that the check reads this column. Throws `dataset.columns-missing` naming it. */
  column(name: string): ColumnShape;
}

/** The columns of a table in memory. */
export function shapesOf(table: Table): readonly ColumnShape[] {
  return [...table.columns].map(([name, column]) => ({
    name,
    kind: column.kind,
    boolean: column.kind === "number" && column.boolean === true,
  }));
}

/** A shape that writes the columns asked of it into `asked`. */
export function tableShape(columns: readonly ColumnShape[], asked: Set<string>): TableShape {
  const byName = new Map(columns.map((column) => [column.name, column]));
  return {
    columnNames: columns.map(({ name }) => name),
    has: (name) => byName.has(name),
    column(name) {
      const column = byName.get(name);
      if (column === undefined) throw columnMissing(name, [...byName.keys()]);
      asked.add(name);
      return column;
    },
  };
}

const NAMES_SHOWN_MAX = 20;

/** The error of a table without the column that a check names. */
export function columnMissing(name: string, names: readonly string[]): SentinelError {
  return new SentinelError("dataset.columns-missing", `the table has no column ${JSON.stringify(name)}`, {
    hint: `the table has: ${names.slice(0, NAMES_SHOWN_MAX).join(", ")}; name another column or add an alias in the pipeline`,
  });
}
