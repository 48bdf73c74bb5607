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
  if (shown.length === 0) return "true of every row";
  return clip(
    shown.map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", "),
  );
}

/** What was seen: the problem, the unexpected rows, or the observed value. */
export function observedText(outcome: ExpectationResult): string {
  const { result, exception_info } = outcome;
  if (exception_info.raised_exception) return clip(exception_info.exception_message ?? "an error");
  const problem = problemOf(result.details);
  if (problem !== null && !outcome.success) return clip(problem);
  if (typeof result.unexpected_count === "number" && typeof result.element_count === "number") {
    return clip(unexpectedText(result));
  }
  if (result.details !== undefined && !outcome.success) return clip(JSON.stringify(result.details));
  const differing = result.partial_unexpected_list ?? result.partial_missing_list;
  if (differing !== undefined && !outcome.success) return clip(`differing values ${JSON.stringify(result)}`);
  if (result.observed_value === undefined) return outcome.success ? "as expected" : "not so";
  return clip(
    typeof result.observed_value === "string" ? result.observed_value : JSON.stringify(result.observed_value),
  );
}

/** Arguments that say what is looked at, not what is wanted. */
const NAMING: ReadonlySet<string> = new Set(["column", "column_A", "column_B", "column_list", "batch_id"]);

function columnsOf(kwargs: Readonly<Record<string, unknown>>): string {
  if (typeof kwargs.column === "string") return kwargs.column;
  if (typeof kwargs.column_A === "string") return `${kwargs.column_A}, ${String(kwargs.column_B)}`;
  return Array.isArray(kwargs.column_list) ? kwargs.column_list.join(", ") : "";
}

function after(column: string): string {
  return column === "" ? "" : ` of ${column}`;
}

function problemOf(details: unknown): string | null {
  const hasProblem = typeof details === "object" && details !== null && "problem" in details;
  return hasProblem && typeof details.problem === "string" ? details.problem : null;
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
  return `${count} of ${result.element_count} rows unexpected${share}, such as ${list
    .map((value) => JSON.stringify(value))
    .join(", ")} in row ${index.join(", ")}`;
}

function clip(text: string): string {
  return text.length <= LENGTH_MAX ? text : `${text.slice(0, LENGTH_MAX - 1)}…`;
}
