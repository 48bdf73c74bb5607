// Expectations and their results in words, for verdicts and reports.
import type { ExpectationResult } from "./result.ts";

const LENGTH_MAX = 300;

/** "amount values to be between", "row count to be between": the check's name as a person reads it. */
export function checkName({ expectation_config: { type, kwargs } }: ExpectationResult): string {
  const column = columnsOf(kwargs);
  if (type.startsWith("sentinel_")) return `${type.slice("sentinel_".length).replaceAll("_", " ")}${after(column)}`;
  const words = type.replace(/^expect_/, "").replace(/^(table|column(_pair)?|compound)_/, "");
  return `${column === "" ? "table" : column}: ${words.replaceAll("_", " ")}`;
}

/** What was wanted: the arguments that say so. */
export function requiredText({ expectation_config: { kwargs } }: ExpectationResult): string {
  const shown = Object.entries(kwargs).filter(([name]) => !NAMING.has(name));
  if (shown.length === 0) return "no exceptions";
  return clip(shown.map(([name, value]) => `${name} ${plainText(value)}`).join(", "));
}

/** What was seen: the problem, the unexpected rows, or the observed value. */
export function observedText(outcome: ExpectationResult): string {
  const { result, exception_info } = outcome;
  if (exception_info.raised_exception) return clip(exception_info.exception_message ?? "an error");
  const problem = problemOf(result.details) ?? outcome.meta.note ?? null;
  if (problem !== null && !outcome.success) return clip(problem);
  if (typeof result.unexpected_count === "number" && typeof result.element_count === "number") {
    return clip(unexpectedText(result));
  }
  if (result.observed_value === undefined) return outcome.success ? "as expected" : "not so";
  const mismatched = mismatchOf(result.details);
  if (mismatched !== null && !outcome.success) return clip(plainText(mismatched));
  return clip(valueText(result));
}

/** Lists and objects without the marks of JSON: "amount number, time time". */
function plainText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plainText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return parts.map(([name, part]) => `${name} ${plainText(part)}`).join(", ");
}

/** Arguments that say what is looked at, not what is wanted. */
const NAMING: ReadonlySet<string> = new Set(["column", "column_A", "column_B", "column_list", "batch_id"]);

function columnsOf(kwargs: Readonly<Record<string, unknown>>): string {
  return columnNames(kwargs).join(", ");
}

/** The columns that a check looks at, as its arguments name them; none where it looks at the table. */
export function columnNames(kwargs: Readonly<Record<string, unknown>>): readonly string[] {
  if (typeof kwargs.column === "string") return [kwargs.column];
  if (typeof kwargs.column_A === "string") return [kwargs.column_A, String(kwargs.column_B)];
  return Array.isArray(kwargs.column_list) ? kwargs.column_list.map(String) : [];
}

function after(column: string): string {
  return column === "" ? "" : ` of ${column}`;
}

function problemOf(details: unknown): string | null {
  const hasProblem = typeof details === "object" && details !== null && "problem" in details;
  return hasProblem && typeof details.problem === "string" ? details.problem : null;
}

function mismatchOf(details: unknown): unknown {
  return typeof details === "object" && details !== null && "mismatched" in details ? details.mismatched : null;
}

function valueText(result: ExpectationResult["result"]): string {
  const { observed_value: value, unexpected_count, partial_unexpected_list, partial_missing_list } = result;
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (typeof value === "string") return value;
  if (value !== null) return plainText(value);
  if (partial_unexpected_list === undefined && partial_missing_list === undefined) return "nothing";
  if (unexpected_count === 0 && partial_missing_list === undefined) return "no other values";
  return plainText({ unexpected: partial_unexpected_list, missing: partial_missing_list });
}

function unexpectedText(result: ExpectationResult["result"]): string {
  const count = result.unexpected_count;
  if (count === 0) return `none of ${result.element_count} rows unexpected`;
  const share =
    typeof result.unexpected_percent === "number" ? ` (${Number(result.unexpected_percent.toPrecision(4))} %)` : "";
  const list = Array.isArray(result.partial_unexpected_list) ? result.partial_unexpected_list.slice(0, 5) : [];
  const index = Array.isArray(result.partial_unexpected_index_list)
    ? result.partial_unexpected_index_list.slice(0, 5)
    : [];
  const isGap = list.every((value) => value === null);
  const such = isGap ? "" : `, such as ${list.map((value) => JSON.stringify(value)).join(", ")}`;
  return `${count} of ${result.element_count} rows unexpected${share}${such} in data row ${index.map((row) => Number(row) + 1).join(", ")}`;
}

function clip(text: string): string {
  return text.length <= LENGTH_MAX ? text : `${text.slice(0, LENGTH_MAX - 1)}…`;
}
