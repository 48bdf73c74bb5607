// Cells as results show them (JSON) and as Python's str() writes them, which is what regular expressions see in GX.
import { type Column, isBoolean } from "../core/table.ts";

/** A cell in a result: infinities as texts (JSON has none), times as ISO texts without a zone, missing as null. */
export type CellValue = number | string | null;

export function cellAt(column: Column, row: number): CellValue {
  if (column.kind === "text") return column.codes[row] < 0 ? null : column.dictionary[column.codes[row]];
  const value = column.values[row];
  if (Number.isNaN(value)) return null;
  return column.kind === "time" ? isoText(value, "T") : finiteOrText(value);
}

/** A number as JSON can hold it: NaN as null, infinities as "Infinity" and "-Infinity". */
export function finiteOrText(value: number): number | string | null {
  if (Number.isNaN(value)) return null;
  return Number.isFinite(value) ? value : String(value);
}

/** Whether these are whole numbers without gaps: a column of only such is what pandas would hold as int64. */
export function looksInteger(values: Float64Array): boolean {
  for (let row = 0; row < values.length; row++) if (!Number.isSafeInteger(values[row])) return false;
  return true;
}

/**
 * How Python's str() writes each cell of a column, whose numbers are all `whole` or floats; missing cells must not be asked for.
 */
export function pythonTexts(column: Column, whole: boolean): (row: number) => string {
  if (column.kind === "text") return (row) => column.dictionary[column.codes[row]];
  if (column.kind === "time") return (row) => isoText(column.values[row], " ");
  if (isBoolean(column)) return (row) => (column.values[row] === 1 ? "True" : "False");
  if (whole) return (row) => String(column.values[row]);
  return (row) => pythonFloat(column.values[row]);
}

/** Milliseconds since 1970 as "2024-01-01T00:00:00", with six decimals only where there are some. */
export function isoText(ms: number, separator: "T" | " "): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  const text = date.toISOString().replace("Z", "").replace("T", separator);
  return text.endsWith(".000") ? text.slice(0, -4) : `${text}000`;
}

/**
 * repr() of a Python float: the same shortest digits as JavaScript, but always a decimal point, and an exponent
 * below 1e-4 and from 1e16 on (Python Language Reference, float.__repr__).
 */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, exponent] = value.toExponential().split("e");
    const power = Math.abs(Number(exponent));
    return `${digits}e${exponent.startsWith("-") ? "-" : "+"}${power < 10 ? "0" : ""}${power}`;
  }
  const text = Object.is(value, -0) ? "-0" : String(value);
  return text.includes(".") ? text : `${text}.0`;
}

/** Milliseconds of a date or date-time; without a zone it is UTC. NaN when it is none. */
export function parseInstant(text: string): number {
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/.exec(text);
  if (match === null) return Number.NaN;
  const zone = (match[3] ?? "Z").replace(/^([+-]\d{2})(\d{2})$/, "$1:$2");
  const instant = Date.parse(`${match[1]}T${match[2] ?? "00:00"}${zone}`);
  // Date.parse rolls 30 February over into March; a suite that says so is wrong.
  const day = Date.parse(`${match[1]}T00:00Z`);
  return new Date(day).toISOString().startsWith(match[1]) ? instant : Number.NaN;
}
