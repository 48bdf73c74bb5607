// Tables at the door: columns of cells, as tensors, frames and CSV bring them, become transactions by row.
import { invalidRequest } from "../online/faults.ts";
import { KEYS_MAX } from "./parse.ts";

/** A value as JSON has it; undefined where the sender has none, so that the row lacks the field. */
export type Cell = unknown;

export interface NamedColumn {
  readonly name: string;
  readonly cells: readonly Cell[];
}

/** Throws `request.invalid` when two columns have one name, or there are too many. */
export function checkNames(names: readonly string[]): void {
  if (names.length > KEYS_MAX) {
    throw invalidRequest([{ field: "the document", message: `has more than ${KEYS_MAX} columns` }]);
  }
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) throw invalidRequest([{ field: twice, message: "is there twice; send one" }]);
}

/** One transaction a row; columns are of one length and have different names. Throws `request.invalid`. */
export function rowsOf(columns: readonly NamedColumn[]): Record<string, unknown>[] {
  checkNames(columns.map(({ name }) => name));
  const count = columns.length === 0 ? 0 : columns[0].cells.length;
  const other = columns.find(({ cells }) => cells.length !== count);
  if (other !== undefined) {
    const message = `has ${other.cells.length} values, and ${columns[0].name} has ${count}`;
    throw invalidRequest([{ field: other.name, message }]);
  }
  return Array.from({ length: count }, (_, row) => {
    // Without a prototype: a column may be called __proto__.
    const record = Object.create(null) as Record<string, unknown>;
    for (const { name, cells } of columns) if (cells[row] !== undefined) record[name] = cells[row];
    return record;
  });
}
