// How learning complains about its input: one wording for parameters out of range and data that does not fit.
import { SentinelError } from "../core/errors.ts";
import type { Range } from "../pipeline/kind.ts";
import type { Matrix } from "./matrix.ts";

/** Throws `ml.parameter-invalid` naming the parameter, its value and what would be right. */
export function refuseParameter(name: string, fault: { readonly value: unknown; readonly wanted: string }): never {
  throw new SentinelError("ml.parameter-invalid", `${name} is ${String(fault.value)}; it must be ${fault.wanted}`, {
    hint: `set ${name} to ${fault.wanted}`,
  });
}

/** Throws `ml.parameter-invalid` for what is no number of the range. */
export function checkRange(name: string, given: { readonly value: unknown; readonly range: Range }): void {
  const { value, range } = given;
  const { from = Number.NEGATIVE_INFINITY, above = Number.NEGATIVE_INFINITY, to, whole } = range;
  const isNumber = typeof value === "number" && (whole ? Number.isInteger(value) : Number.isFinite(value));
  if (isNumber && value >= from && value > above && value <= to) return;
  const kind = whole ? "a whole number" : "a number";
  const bounds = range.above === undefined ? `from ${from} to ${to}` : `above ${above}, up to ${to}`;
  refuseParameter(name, { value, wanted: `${kind} ${bounds}` });
}

/** The matrix is of one piece: as many values as rows × columns, at least one of each. */
export function checkShape(x: Matrix, name: string): void {
  if (x.rows < 1) refuseParameter(`${name}.rows`, { value: x.rows, wanted: "at least 1" });
  if (x.names.length < 1) refuseParameter(`${name}.names`, { value: "empty", wanted: "at least one column" });
  const wanted = x.rows * x.names.length;
  if (x.values.length !== wanted) {
    refuseParameter(`${name}.values.length`, { value: x.values.length, wanted: `rows × columns = ${wanted}` });
  }
}

/** Throws `ml.parameter-invalid` naming a value that is infinite. */
export function refuseValue(
  name: string,
  at: { readonly x: Matrix; readonly column: number; readonly row: number },
): never {
  const { x, column, row } = at;
  const value = x.values[column * x.rows + row];
  const wanted = "a finite number or NaN for missing";
  refuseParameter(`${name} column ${x.names[column]}, row ${row}`, { value, wanted });
}

/** Checks that there is one label per row, 0 or 1. */
export function checkLabels(y: Uint8Array, options: { readonly rows: number; readonly name: string }): void {
  const { rows, name } = options;
  if (y.length !== rows) refuseParameter(`${name}.length`, { value: y.length, wanted: `the number of rows, ${rows}` });
  for (let r = 0; r < y.length; r++) {
    if (y[r] > 1) refuseParameter(`${name}, row ${r}`, { value: y[r], wanted: "0 (genuine) or 1 (fraud)" });
  }
}
