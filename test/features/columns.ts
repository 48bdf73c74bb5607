// Columns of a table made of plain values.
import type { Column } from "../../src/core/table.ts";

export const numberColumn = (values: Iterable<number>): Column => ({
  kind: "number",
  values: Float64Array.from(values),
});

export const timeColumn = (values: Iterable<number>): Column => ({ kind: "time", values: Float64Array.from(values) });

export function textColumn(texts: readonly (string | null)[]): Column {
  const dictionary = [...new Set(texts.filter((text) => text !== null))];
  return { kind: "text", codes: Int32Array.from(texts, (text) => dictionary.indexOf(text!)), dictionary };
}
