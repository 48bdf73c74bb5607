// Evaluation: every expectation over a table that comes in batches, each on its own, so that one that throws leaves the others as they are.
import { messageOf } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";
import { columnsOfCondition, foreignPart, selectRows } from "./condition.ts";
import { type CheckContext, isOutcome, type Outcome, type Running, type SharedWork } from "./definition.ts";
import { definitionOf } from "./expectations/registry.ts";
import { Kwargs } from "./kwargs.ts";
import { SharedMoments } from "./moments.ts";
import { SharedOrder } from "./order-statistics.ts";
import type { CheckStatus, ExpectationResult, ValidationResult } from "./result.ts";
import { allRows, type Rows, someRows } from "./rows.ts";
import type { FaultRows } from "./sample.ts";
import { type ColumnShape, shapesOf, tableShape } from "./shape.ts";
import type { Expectation, Suite } from "./suite.ts";
import { TallyPool } from "./tally-pool.ts";

/** A table that can be read from its first row to its last as often as needed, in batches. */
export interface Batches {
  readonly columns: readonly ColumnShape[];
  /** The batches in order, each with at least the named columns; each stands until the next is asked for. */
  read(columns: readonly string[]): AsyncIterable<Table>;
}

/** What is known besides the result, for reports: by expectation, which rows are at fault. */
export interface Evaluated {
  readonly result: ValidationResult;
  readonly faults: readonly (FaultRows | null)[];
}

export type EvaluationContext = Pick<CheckContext, "now"> & Partial<Pick<CheckContext, "pool">>;

/** Somebody else who looks at the rows of the first pass. */
export interface Onlooker {
  readonly columns: readonly string[];
  push(batch: Table): void;
}

/** Passes over a table at most: eight are more than any check asks for. */
const PASSES_MAX = 8;

/** Results come in suite order. Never throws for what is in the data. */
export function evaluateSuite(table: Table, suite: Suite, context: EvaluationContext): ValidationResult {
  return evaluateTable(table, suite, context).result;
}

/** The same of a table in memory, with the rows at fault. */
export function evaluateTable(table: Table, suite: Suite, context: EvaluationContext): Evaluated {
  const run = new SuiteRun(shapesOf(table), suite, context);
  run.nextPass();
  do run.push(table);
  while (run.nextPass() !== null);
  return run.evaluated();
}

/** The same of a table that comes in batches; it is read once, and again where a check needs it. Errors: those of reading. */
export async function evaluateBatches(
  batches: Batches,
  suite: Suite,
  context: EvaluationContext & { readonly onlooker?: Onlooker },
): Promise<Evaluated> {
  const { onlooker } = context;
  const run = new SuiteRun(batches.columns, suite, context);
  let first = true;
  for (let wanted = run.nextPass(); wanted !== null || first; wanted = run.nextPass()) {
    const columns = new Set([...(wanted ?? []), ...(first ? (onlooker?.columns ?? []) : [])]);
    let read = 0;
    for await (const batch of batches.read(
      batches.columns.map(({ name }) => name).filter((name) => columns.has(name)),
    )) {
      run.push(batch);
      if (first) onlooker?.push(batch);
      read++;
      if (!first && run.isPassDone) break;
    }
    // A table without rows is asked about as well.
    if (read === 0) run.push(emptyTable(batches.columns));
    first = false;
  }
  return run.evaluated();
}

function emptyTable(columns: readonly ColumnShape[]): Table {
  const empty = ({ name, kind }: ColumnShape): [string, Column] => {
    if (kind === "text") return [name, { kind, codes: new Int32Array(), dictionary: [] }];
    return [name, { kind, values: new Float64Array() }];
  };
  return { rows: 0, columns: new Map(columns.map(empty)) };
}

/** One expectation over a table in memory; what it throws becomes an errored result. */
export function evaluateExpectation(
  table: Table,
  expectation: Expectation,
  context: EvaluationContext,
): ExpectationResult {
  const suite: Suite = { name: "one", notes: null, meta: {}, parameters: {}, expectations: [expectation] };
  return evaluateSuite(table, suite, context).results[0];
}

/** All expectations of a suite while a table's rows pass by. */
class SuiteRun {
  private readonly suite: Suite;
  private readonly columns: readonly ColumnShape[];
  private readonly checks: readonly OneRun[];
  private rows = 0;
  private passes = 0;
  private at = 0;

  constructor(columns: readonly ColumnShape[], suite: Suite, { now, pool = new TallyPool() }: EvaluationContext) {
    this.suite = suite;
    this.columns = columns;
    // Checks of the same rows share: those of one condition, and those of none.
    const sharedBy = onceBy(sharedWork);
    this.checks = suite.expectations.map(
      (expectation) =>
        new OneRun(expectation, columns, { now, pool, shared: sharedBy(JSON.stringify(expectation.condition)) }),
    );
  }

  /** Whether no check needs the rest of the rows. */
  get isPassDone(): boolean {
    return this.checks.every(({ isOpen, isDone }) => !isOpen || isDone);
  }

  /** Ends a pass, if there was one: the columns that the next one needs, or null where all is known. */
  nextPass(): readonly string[] | null {
    if (this.passes++ > 0) for (const check of this.checks) check.endPass();
    this.at = 0;
    const open = this.checks.filter(({ isOpen }) => isOpen);
    if (open.length === 0) return null;
    if (this.passes > PASSES_MAX) for (const check of open) check.fail("it did not end after so many passes");
    return [...new Set(open.flatMap(({ asked }) => [...asked]))];
  }

  push(batch: Table): void {
    const selections = new Map<string, Rows>();
    const all = allRows(batch, this.at);
    for (const check of this.checks) {
      if (check.isOpen) check.push(batch, { all, selections, firstRow: this.at });
    }
    this.at += batch.rows;
    if (this.passes === 1) this.rows = this.at;
  }

  evaluated(): Evaluated {
    const results = this.checks.map((check) => check.result());
    const successful = results.filter(({ success }) => success).length;
    const result: ValidationResult = {
      success: successful === results.length,
      suite_name: this.suite.name,
      suite_parameters: this.suite.parameters,
      id: null,
      statistics: {
        evaluated_expectations: results.length,
        successful_expectations: successful,
        unsuccessful_expectations: results.length - successful,
        success_percent: results.length === 0 ? null : (successful / results.length) * 100,
      },
      results,
      meta: { evaluated_by: "sentinel", rows: this.rows, columns: this.columns.map(({ name }) => name) },
    };
    return { result, faults: this.checks.map((check) => check.faults()) };
  }
}

function sharedWork(): SharedWork {
  return { order: onceBy(() => new SharedOrder()), moments: onceBy(() => new SharedMoments()) };
}

/** What is made at the first question about a name, and given at every later one. */
function onceBy<T>(make: () => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const known = made.get(name) ?? make();
    made.set(name, known);
    return known;
  };
}

type Ended = { readonly outcome: Outcome } | { readonly status: CheckStatus; readonly message: string };

interface BatchRows {
  readonly all: Rows;
  /** Rows that a condition leaves, by the condition's text: several expectations have the same. */
  readonly selections: Map<string, Rows>;
  readonly firstRow: number;
}

/** One expectation of a run. */
class OneRun {
  readonly asked = new Set<string>();
  private readonly expectation: Expectation;
  private readonly conditionText: string;
  private running: Running | null = null;
  private ended: Ended | null = null;

  constructor(expectation: Expectation, columns: readonly ColumnShape[], context: CheckContext) {
    this.expectation = expectation;
    this.conditionText = JSON.stringify(expectation.condition);
    const unsupported = unsupportedPart(expectation);
    if (unsupported !== null) {
      this.ended = { status: "unsupported", message: unsupported };
      return;
    }
    this.attempt(() => {
      const shape = tableShape(columns, this.asked);
      if (expectation.condition !== null)
        for (const name of columnsOfCondition(expectation.condition)) shape.column(name);
      const definition = definitionOf(expectation.type)!;
      this.running = definition.prepare(new Kwargs(expectation.kwargs, expectation.where))(shape, context);
    });
  }

  get isOpen(): boolean {
    return this.ended === null;
  }

  get isDone(): boolean {
    return this.running?.isDone?.() === true;
  }

  push(batch: Table, { all, selections, firstRow }: BatchRows): void {
    const { condition } = this.expectation;
    this.attempt(() => {
      let rows = condition === null ? all : selections.get(this.conditionText);
      if (rows === undefined) {
        rows = someRows(batch, selectRows(batch, condition!), firstRow);
        selections.set(this.conditionText, rows);
      }
      this.running!.push(rows);
    });
  }

  endPass(): void {
    if (this.ended !== null) return;
    this.attempt(() => {
      const finished = this.running!.finish();
      if (isOutcome(finished)) this.ended = { outcome: finished };
      else this.running = finished;
    });
  }

  fail(message: string): void {
    this.ended = { status: "errored", message };
  }

  result(): ExpectationResult {
    return resultOf(this.expectation, this.ended ?? { status: "errored", message: "there was nothing to read" });
  }

  faults(): FaultRows | null {
    return this.ended !== null && "outcome" in this.ended ? (this.ended.outcome.faults ?? null) : null;
  }

  private attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(messageOf(error));
    }
  }
}

/** A sentence naming what this gate cannot judge; null when it can judge everything. */
function unsupportedPart({ type, condition, unsupported }: Expectation): string | null {
  if (unsupported !== null) return `unsupported: ${unsupported}`;
  if (definitionOf(type) === undefined) return `unsupported: expectation type ${type} is not known to this gate`;
  const foreign = condition === null ? null : foreignPart(condition);
  if (foreign === null) return null;
  return `unsupported: row_condition ${JSON.stringify(foreign.text)} ${foreign.why}; write it as an object`;
}

function resultOf(expectation: Expectation, ended: Ended): ExpectationResult {
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
  const hasOutcome = "outcome" in ended;
  const success = hasOutcome && ended.outcome.success;
  return {
    success,
    expectation_config: config,
    result: hasOutcome ? ended.outcome.result : {},
    meta: {
      status: hasOutcome ? (success ? "passed" : "failed") : ended.status,
      ...(hasOutcome && ended.outcome.note !== undefined ? { note: ended.outcome.note } : {}),
    },
    exception_info: {
      raised_exception: !hasOutcome,
      exception_traceback: null,
      exception_message: hasOutcome ? null : ended.message,
    },
  };
}
