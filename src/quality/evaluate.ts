// Evaluation: every expectation over a table, each on its own, so that one that throws leaves the others as they are.
import { messageOf } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";
import { foreignPart, selectRows } from "./condition.ts";
import type { CheckContext, Outcome } from "./definition.ts";
import { definitionOf } from "./expectations/registry.ts";
import { Kwargs } from "./kwargs.ts";
import type { CheckStatus, ExpectationResult, ValidationResult } from "./result.ts";
import { allRows, someRows } from "./rows.ts";
import type { Expectation, Suite } from "./suite.ts";

/** Results come in suite order. Never throws for what is in the data. */
export function evaluateSuite(given: Table, suite: Suite, context: CheckContext): ValidationResult {
  const table = withEmptyColumns(given);
  const results = suite.expectations.map((expectation) => evaluateExpectation(table, expectation, context));
  const successful = results.filter(({ success }) => success).length;
  return {
    success: successful === results.length,
    suite_name: suite.name,
    suite_parameters: suite.parameters,
    id: null,
    statistics: {
      evaluated_expectations: results.length,
      successful_expectations: successful,
      unsuccessful_expectations: results.length - successful,
      success_percent: results.length === 0 ? null : (successful / results.length) * 100,
    },
    results,
    meta: { evaluated_by: "sentinel", rows: table.rows, columns: [...table.columns.keys()] },
  };
}

/** A column without one value says nothing of its type: read from text or typed, it is judged alike, as numbers that are missing. */
function withEmptyColumns(table: Table): Table {
  const columns = new Map<string, Column>();
  for (const [name, column] of table.columns) {
    const empty = column.kind === "text" && column.codes.every((code) => code < 0);
    columns.set(name, empty ? { kind: "number", values: new Float64Array(table.rows).fill(Number.NaN) } : column);
  }
  return { rows: table.rows, columns };
}

/** One expectation; what it throws becomes an errored result. */
export function evaluateExpectation(table: Table, expectation: Expectation, context: CheckContext): ExpectationResult {
  const unsupported = unsupportedPart(expectation);
  if (unsupported !== null) return resultOf(expectation, { status: "unsupported", message: unsupported });
  try {
    return resultOf(expectation, { outcome: run(table, expectation, context) });
  } catch (error) {
    return resultOf(expectation, { status: "errored", message: messageOf(error) });
  }
}

function run(table: Table, expectation: Expectation, context: CheckContext): Outcome {
  const definition = definitionOf(expectation.type)!;
  const check = definition.prepare(new Kwargs(expectation.kwargs, expectation.where));
  const { condition } = expectation;
  return check(condition === null ? allRows(table) : someRows(table, selectRows(table, condition)), context);
}

/** A sentence naming what this gate cannot judge; null when it can judge everything. */
function unsupportedPart({ type, condition, unsupported }: Expectation): string | null {
  if (unsupported !== null) return `unsupported: ${unsupported}`;
  if (definitionOf(type) === undefined) return `unsupported: expectation type ${type} is not known to this gate`;
  const foreign = condition === null ? null : foreignPart(condition);
  if (foreign === null) return null;
  return `unsupported: row_condition ${JSON.stringify(foreign)} is a text for another engine; write it as an object`;
}

function resultOf(
  expectation: Expectation,
  ended: { readonly outcome: Outcome } | { readonly status: CheckStatus; readonly message: string },
): ExpectationResult {
  const { type, kwargs, meta, severity, id, notes, description } = expectation;
  const config = {
    type,
    kwargs,
    meta,
    severity,
    ...(id === null ? {} : { id }),
    ...(notes === null ? {} : { notes }),
    ...(description === null ? {} : { description }),
  };
  const isOutcome = "outcome" in ended;
  const success = isOutcome && ended.outcome.success;
  return {
    success,
    expectation_config: config,
    result: isOutcome ? ended.outcome.result : {},
    meta: {
      status: isOutcome ? (success ? "passed" : "failed") : ended.status,
      ...(isOutcome && ended.outcome.note !== undefined ? { note: ended.outcome.note } : {}),
    },
    exception_info: {
      raised_exception: !isOutcome,
      exception_traceback: null,
      exception_message: isOutcome ? null : ended.message,
    },
  };
}
