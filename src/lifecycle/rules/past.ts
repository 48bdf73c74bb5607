// The past that rules are judged on: a labelled table, or the log, in one shape, with what the model said and what was decided then.

import type { Decision } from "../../core/decision.ts";
import { SentinelError } from "../../core/errors.ts";
import { spanOf } from "../../core/stats.ts";
import { type Column, codedText, type Table } from "../../core/table.ts";
import type { FeatureDef } from "../../features/definition.ts";
import { compileSpec, type FeaturePlan } from "../../features/plan.ts";
import type { Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RuleProgram } from "../../rules/program.ts";
import type { RuleScope } from "../../rules/scope.ts";
import { sourceOf } from "../../rules/scope.ts";
import type { ModelColumns } from "../../rules/table.ts";
import { amountsOf, cardsOf, labelsOf, readSource, timesOf, UNLABELLED } from "../data/source.ts";
import { LABEL_KNOWN_AT, vectorBlocks } from "../data/vectors.ts";

/** What is known of every row; all arrays are as long as the table. */
export interface Past {
  readonly where: string;
  readonly table: Table;
  readonly times: Float64Array;
  /** 1 fraud, 0 genuine, 2 not known. */
  readonly labels: Uint8Array;
  readonly amounts: Float64Array;
  /** Whom each row belongs to. */
  readonly entities: Int32Array;
  readonly model: ModelColumns | null;
  /** What the model decides of each row; null without a model. */
  readonly decided: readonly Decision[] | null;
  /** Rows that were blocked then: what they would have been nobody knows, unless somebody said so. Null where that is not known. */
  readonly blocked: Uint8Array | null;
  /** Event times of the first and the last row. */
  readonly from: number;
  readonly to: number;
}

/** Columns that programs read of a transaction. */
function columnsOf(programs: readonly RuleProgram[]): Set<string> {
  const names = new Set<string>();
  for (const { program, scope } of programs) {
    for (const resolved of program.columns) {
      const { kind, name } = sourceOf(resolved);
      if (kind === "column" && name !== scope.time) names.add(name);
    }
  }
  return names;
}

/** Those columns as features of their own, so that a table reads them by the types that the scope gives them. */
function columnPlan(names: ReadonlySet<string>, scope: RuleScope): FeaturePlan | null {
  const features = [...names].map((column, at): FeatureDef => {
    const name = `c${at}`;
    return scope.columns.get(column) === "text"
      ? { kind: "category", name, column, values: ["-"] }
      : { kind: "column", name, column };
  });
  return features.length === 0 ? null : compileSpec({ name: "columns", version: 1, features });
}

const BLOCK_ROWS = 16_384;

/**
 * A labelled table. With a scorer every row gets the model's score and decision, from features as of its time. Errors: dataset.*.
 */
export async function pastOfTable(
  ports: Ports,
  of: {
    readonly pipeline: Pipeline;
    readonly path: string;
    readonly programs: readonly RuleProgram[];
    readonly windows: FeaturePlan | null;
    readonly scope: RuleScope;
    readonly scorer: Scorer | null;
    readonly keep?: readonly string[];
  },
): Promise<Past> {
  const { pipeline, path, programs, windows, scope, scorer, keep = [] } = of;
  const own = columnPlan(columnsOf(programs), scope);
  const plans = [own, windows, scorer?.plan ?? null].filter((plan) => plan !== null);
  const dataset = await ports.dataset();
  const { table } = await readSource(dataset, pipeline, {
    path,
    plans,
    required: windows === null ? [] : [windows],
    labelled: true,
  });
  if (table.rows === 0) {
    throw new SentinelError("dataset.empty", `${path} has no rows`, { hint: "name a table with --data" });
  }
  const features = new Set(programs.flatMap(({ rules }) => rules.flatMap(({ condition }) => condition.features)));
  for (const name of keep) features.add(name);
  const scored = scorer === null ? null : scoreTable(table, { pipeline, scorer, features, report: ports.report });
  return {
    where: path,
    table,
    ...factsOf(table, pipeline),
    model: scored?.model ?? null,
    decided: scored?.decided ?? null,
    blocked: null,
  };
}

function factsOf(table: Table, pipeline: Pipeline) {
  const times = timesOf(table, pipeline);
  const { first, last } = spanOf(times);
  return {
    times,
    labels: labelsOf(table, pipeline),
    amounts: amountsOf(table, pipeline),
    entities: cardsOf(table, pipeline),
    from: first,
    to: last,
  };
}

function scoreTable(
  table: Table,
  on: {
    readonly pipeline: Pipeline;
    readonly scorer: Scorer;
    readonly features: ReadonlySet<string>;
    readonly report: Ports["report"];
  },
): { readonly model: ModelColumns; readonly decided: readonly Decision[] } {
  const { pipeline, scorer, report } = on;
  const { plan } = scorer;
  const kept = plan.names.flatMap((name, at) =>
    on.features.has(name) ? [{ name, at, values: new Float32Array(table.rows) }] : [],
  );
  const score = new Float32Array(table.rows);
  const anomalyScore = new Float32Array(table.rows);
  const decided = new Array<Decision>(table.rows);
  const vector = new Float32Array(plan.width);
  for (const { rows, vectors, step } of vectorBlocks(table, { plan, pipeline, report, blockRows: BLOCK_ROWS })) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      for (let c = 0; c < plan.width; c++) vector[c] = vectors[i + c * step];
      const answer = scorer.score(vector);
      score[row] = answer.score;
      anomalyScore[row] = answer.anomalyScore;
      decided[row] = answer.decision;
      for (const { at, values } of kept) values[row] = vector[at];
    }
  }
  const features = new Map(kept.map(({ name, values }) => [name, values]));
  return { model: { score, anomalyScore, features }, decided };
}

/** Rows of the log that are read at most: some gigabytes. */
const LOG_ROWS_MAX = 5_000_000;

/**
 * What this workspace's servers answered, with the labels that came: scores and features are those that were given then. Errors: log.unreadable,
 * dataset.empty.
 */
export async function pastOfLog(
  ports: Ports,
  of: { readonly pipeline: Pipeline; readonly scope: RuleScope; readonly plan: FeaturePlan | null },
): Promise<Past> {
  const { pipeline, scope, plan } = of;
  const { id, time, label } = pipeline.columns;
  const log = await ports.log();
  await log.flush();
  const gathered = new Gathered(scope);
  for await (const entry of log.scan(0)) {
    if (entry.kind === "label") gathered.label(entry.record);
    else if (gathered.rows < LOG_ROWS_MAX) gathered.add(entry.record, plan);
  }
  if (gathered.rows === 0) {
    throw new SentinelError("dataset.empty", "the log has no transactions", {
      hint: "name a table with --data, or let the server answer some traffic first",
    });
  }
  const { table, ...rest } = gathered.done({ id, time, label });
  const facts = factsOf(table, pipeline);
  // Silence about a transaction that was stopped says nothing: nobody could complain of it.
  const truths = table.columns.get(label)!;
  for (let row = 0; row < table.rows; row++) {
    if (rest.blocked[row] === 1 && truths.kind !== "text" && Number.isNaN(truths.values[row]))
      facts.labels[row] = UNLABELLED;
  }
  return { where: log.where, table, ...facts, ...rest };
}

class Gathered {
  rows = 0;
  private readonly scope: RuleScope;
  private readonly ids: string[] = [];
  private readonly places = new Map<string, number>();
  private readonly times: number[] = [];
  private readonly labels: number[] = [];
  private readonly knownAt: number[] = [];
  private readonly fields: Readonly<Record<string, unknown>>[] = [];
  private readonly scores: number[] = [];
  private readonly anomalies: number[] = [];
  private readonly decided: Decision[] = [];
  private readonly blocked: number[] = [];
  private readonly vectors: (Float32Array | null)[] = [];
  private features: readonly string[] = [];

  constructor(scope: RuleScope) {
    this.scope = scope;
  }

  add(
    record: {
      readonly transactionId: string;
      readonly time: number;
      readonly fields: Readonly<Record<string, unknown>>;
      readonly vector: Float32Array;
      readonly score: number;
      readonly anomalyScore: number;
      readonly decision: Decision;
      readonly rules?: { readonly without: Decision };
    },
    plan: FeaturePlan | null,
  ): void {
    this.places.set(record.transactionId, this.rows++);
    this.ids.push(record.transactionId);
    this.times.push(record.time);
    this.labels.push(Number.NaN);
    this.knownAt.push(Number.NaN);
    this.fields.push(record.fields);
    this.scores.push(record.score);
    this.anomalies.push(record.anomalyScore);
    this.decided.push(record.rules?.without ?? record.decision);
    this.blocked.push(record.decision === "block" ? 1 : 0);
    // Vectors of another model's features are not this one's.
    this.vectors.push(plan !== null && record.vector.length === plan.width ? record.vector : null);
    this.features = plan?.names ?? [];
  }

  label(record: { readonly transactionId: string; readonly fraud: boolean; readonly knownAt: number }): void {
    const at = this.places.get(record.transactionId);
    if (at === undefined || this.knownAt[at] > record.knownAt) return;
    this.labels[at] = record.fraud ? 1 : 0;
    this.knownAt[at] = record.knownAt;
  }

  done(names: { readonly id: string; readonly time: string; readonly label: string }) {
    const columns = new Map<string, Column>();
    for (const [name, type] of this.scope.columns) {
      if (name === names.time) continue;
      columns.set(
        name,
        type === "text" ? this.texts((row) => this.fields[row][name]) : this.numbers(name, type === "boolean"),
      );
    }
    columns.set(
      names.id,
      this.texts((row) => this.ids[row]),
    );
    columns.set(names.time, { kind: "time", values: Float64Array.from(this.times) });
    columns.set(names.label, { kind: "number", values: Float64Array.from(this.labels) });
    columns.set(LABEL_KNOWN_AT, { kind: "time", values: Float64Array.from(this.knownAt) });
    const feature = (at: number): Float32Array =>
      Float32Array.from(this.vectors, (vector) => vector?.[at] ?? Number.NaN);
    const model = {
      score: Float32Array.from(this.scores),
      anomalyScore: Float32Array.from(this.anomalies),
      features: new Map(this.features.map((name, at) => [name, feature(at)] as const)),
    };
    const table = { rows: this.rows, columns };
    return {
      table,
      model: this.scope.hasModel ? model : null,
      decided: this.decided,
      blocked: Uint8Array.from(this.blocked),
    };
  }

  private numbers(name: string, isTruth: boolean): Column {
    const values = Float64Array.from(this.fields, (fields) => {
      const value = fields[name];
      return typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : Number.NaN;
    });
    return isTruth ? { kind: "number", values, boolean: true } : { kind: "number", values };
  }

  private texts(of: (row: number) => unknown): Column {
    return codedText(this.rows, (row) => {
      const value = of(row);
      return value === null || value === undefined ? null : String(value);
    });
  }
}
