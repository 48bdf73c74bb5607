// Row conditions: which rows an expectation is about, in the object form of GX 1.9 and later or as a text of the kinds before.
import { SentinelError } from "../core/errors.ts";
import type { Table } from "../core/table.ts";
import { parseInstant } from "./cells.ts";
import { flagNumbers, flagTexts, missingCells } from "./columns.ts";
import { conditionOfText } from "./condition-text.ts";
import { type Condition, type Operator, ORDER_OPERATORS, type Parameter, SET_OPERATORS } from "./row-condition.ts";
import { allRows, isEmptyText } from "./rows.ts";

/** GX allows 100 conditions in one row_condition. */
const CONDITIONS_MAX = 100;
const DEPTH_MAX = 10;

/** The condition in a suite's JSON; null when there is none. Throws `quality.suite-invalid` naming `where`. */
export function parseCondition(given: unknown, where: string, parser: unknown): Condition | null {
  if (given === undefined || given === null || given === "") return null;
  const condition = typeof given === "string" ? parseText(given, parser) : parseNode(given, where, 0);
  const count = leafCount(condition);
  if (count > CONDITIONS_MAX) invalid(where, `row_condition holds ${count} conditions; ${CONDITIONS_MAX} are allowed`);
  return condition;
}

/** The part that only another engine understands; null when there is none. */
export function foreignPart(condition: Condition): Extract<Condition, { kind: "foreign" }> | null {
  if (condition.kind === "foreign") return condition;
  for (const part of partsOf(condition)) {
    const foreign = foreignPart(part);
    if (foreign !== null) return foreign;
  }
  return null;
}

/** The columns that a condition reads. */
export function columnsOfCondition(condition: Condition): readonly string[] {
  if ("column" in condition) return [condition.column];
  return partsOf(condition).flatMap(columnsOfCondition);
}

function partsOf(condition: Condition): readonly Condition[] {
  if (condition.kind === "not") return [condition.condition];
  return condition.kind === "and" || condition.kind === "or" ? condition.conditions : [];
}

/**
 * The rows for which the condition holds. Missing cells compare as in pandas: only `!=` and NOT_IN hold for them.
 * Errors: dataset.columns-missing, dataset.type-wrong.
 */
export function selectRows(table: Table, condition: Condition): Int32Array {
  const holds = evaluate(table, condition);
  let count = 0;
  for (let row = 0; row < holds.length; row++) count += holds[row];
  const selected = new Int32Array(count);
  for (let row = 0, next = 0; row < holds.length; row++) if (holds[row] === 1) selected[next++] = row;
  return selected;
}

function evaluate(table: Table, condition: Condition): Uint8Array {
  switch (condition.kind) {
    case "nullity": {
      const missing = missingCells(allRows(table).column(condition.column));
      return condition.isNull ? missing : missing.map((flag) => 1 - flag);
    }
    case "comparison":
      return compare(table, condition);
    case "not":
      return evaluate(table, condition.condition).map((flag) => 1 - flag);
    case "foreign":
      return new Uint8Array(table.rows);
    default:
      return combine(
        condition.kind,
        table.rows,
        condition.conditions.map((part) => evaluate(table, part)),
      );
  }
}

function combine(kind: "and" | "or", rows: number, parts: readonly Uint8Array[]): Uint8Array {
  const holds = new Uint8Array(rows).fill(kind === "and" ? 1 : 0);
  for (const part of parts) {
    for (let row = 0; row < rows; row++) holds[row] = kind === "and" ? holds[row] & part[row] : holds[row] | part[row];
  }
  return holds;
}

function compare(table: Table, condition: Extract<Condition, { kind: "comparison" }>): Uint8Array {
  const column = allRows(table).column(condition.column);
  const missing = missingCells(column);
  const holdsForMissing = condition.operator === "!=" || condition.operator === "NOT_IN" ? 1 : 0;
  if (isEmptyText(column)) return new Uint8Array(table.rows).fill(holdsForMissing);
  const holds =
    column.kind === "text"
      ? flagTexts(column, not(testOf(condition, textParameters(condition))))
      : flagNumbers(column.values, not(testOf(condition, numberParameters(condition, column.kind))));
  return missing.includes(1) ? holds.map((flag, row) => (missing[row] === 1 ? holdsForMissing : flag)) : holds;
}

/** The flag loops mark what is not as expected; a selection wants what is. */
function not<T>(test: (value: T) => boolean): (value: T) => boolean {
  return (value) => !test(value);
}

function testOf<T extends Parameter>(
  { operator }: { readonly operator: Operator },
  parameters: readonly T[],
): (value: T) => boolean {
  const set = new Set(parameters);
  const [first] = parameters;
  switch (operator) {
    case "==":
    case "IN":
      return (value) => set.has(value);
    case "!=":
    case "NOT_IN":
      return (value) => !set.has(value);
    case "<":
      return (value) => value < first;
    case "<=":
      return (value) => value <= first;
    case ">":
      return (value) => value > first;
    case ">=":
      return (value) => value >= first;
  }
}

function isSetOrEquality(operator: Operator): boolean {
  return operator === "==" || operator === "!=" || operator === "IN" || operator === "NOT_IN";
}

/** A number never equals a text, so members of another type drop out of equality; an order between them is an error. */
function textParameters(condition: Extract<Condition, { kind: "comparison" }>): readonly string[] {
  const texts = condition.values.filter((value): value is string => typeof value === "string");
  if (texts.length < condition.values.length && !isSetOrEquality(condition.operator)) wrongType(condition, "text");
  return texts;
}

function numberParameters(
  condition: Extract<Condition, { kind: "comparison" }>,
  kind: "number" | "time",
): readonly number[] {
  const converted = condition.values.map((value) => {
    if (kind === "time") return typeof value === "string" ? parseInstant(value) : Number.NaN;
    return typeof value === "number" ? value : Number.NaN;
  });
  const numbers = converted.filter((value) => !Number.isNaN(value));
  const mayDrop = kind === "number" && isSetOrEquality(condition.operator);
  if (numbers.length < converted.length && !mayDrop) wrongType(condition, kind);
  return numbers;
}

function wrongType(condition: Extract<Condition, { kind: "comparison" }>, kind: string): never {
  const { column, operator, values } = condition;
  throw new SentinelError(
    "dataset.type-wrong",
    `row_condition compares the ${kind} column ${column} by ${operator} with ${JSON.stringify(values)}`,
    { hint: kind === "time" ? "write instants as 2024-01-31T00:00:00" : `compare a ${kind} column with a ${kind}` },
  );
}

const PANDAS_PARSERS: readonly unknown[] = [undefined, null, "pandas", "python"];
const OWN_PARSERS: readonly unknown[] = ["great_expectations", "great_expectations__experimental__"];

/** A text by the parser that its `condition_parser` names; pandas where none is named. */
function parseText(text: string, parser: unknown): Condition {
  if (![...PANDAS_PARSERS, ...OWN_PARSERS].includes(parser))
    return { kind: "foreign", text, why: `is a text for another engine (condition_parser ${JSON.stringify(parser)})` };
  const condition = conditionOfText(text);
  return condition ?? { kind: "foreign", text, why: "is more than a comparison of columns with values" };
}

function parseNode(given: unknown, where: string, depth: number): Condition {
  if (typeof given !== "object" || given === null) invalid(where, "row_condition must be an object");
  if (depth > DEPTH_MAX) invalid(where, "row_condition is nested too deeply");
  const node = given as Readonly<Record<string, unknown>>;
  switch (node.type) {
    case "comparison":
      return parseComparison(node, where);
    case "nullity": {
      if (typeof node.is_null !== "boolean") invalid(where, "row_condition.is_null must be true or false");
      return { kind: "nullity", column: columnName(node, where), isNull: node.is_null };
    }
    case "and":
    case "or": {
      if (!Array.isArray(node.conditions) || node.conditions.length === 0) {
        invalid(where, `row_condition.conditions of "${node.type}" must be a list that is not empty`);
      }
      return { kind: node.type, conditions: node.conditions.map((part) => parseNode(part, where, depth + 1)) };
    }
    case "pass_through":
      return parseText(String(node.pass_through_filter), "pandas");
    default:
      return invalid(where, `row_condition.type is ${JSON.stringify(node.type)}, not comparison, nullity, and, or`);
  }
}

function parseComparison(node: Readonly<Record<string, unknown>>, where: string): Condition {
  const operator = [...ORDER_OPERATORS, ...SET_OPERATORS].find((one) => one === node.operator);
  if (operator === undefined) {
    const allowed = [...ORDER_OPERATORS, ...SET_OPERATORS].join(" ");
    return invalid(where, `row_condition.operator is ${JSON.stringify(node.operator)}, not one of ${allowed}`);
  }
  const isSet = operator === "IN" || operator === "NOT_IN";
  if (isSet && !Array.isArray(node.parameter)) invalid(where, `row_condition.parameter of ${operator} must be a list`);
  const given: readonly unknown[] = isSet ? (node.parameter as unknown[]) : [node.parameter];
  const values = given.map((value) => {
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "number" || typeof value === "string") return value;
    return invalid(where, "row_condition.parameter must be a number or a text (compare with null by type nullity)");
  });
  return { kind: "comparison", column: columnName(node, where), operator, values };
}

function columnName(node: Readonly<Record<string, unknown>>, where: string): string {
  const column = node.column;
  const name = typeof column === "object" && column !== null && "name" in column ? column.name : column;
  return typeof name === "string" ? name : invalid(where, 'row_condition.column must be {"name": "…"}');
}

function leafCount(condition: Condition): number {
  const parts = partsOf(condition);
  return parts.length === 0 ? 1 : parts.reduce((sum, part) => sum + leafCount(part), 0);
}

function invalid(where: string, what: string): never {
  throw new SentinelError("quality.suite-invalid", `${where}: ${what}`, {
    hint: 'write row_condition as {"type": "comparison", "column": {"name": "c"}, "operator": ">", "parameter": 0}',
  });
}
