// The past that rules are judged on: a labelled table, or the log, in one shape, with what the model said and what was decided then.

import type { Decision } from "../../core/decision.ts";
import { SentinelError } from "../../core/errors.ts";
import { spanOf } from "../../core/stats.ts";
import { type Column, codedText, type Table } from "../../core/table.ts";
import type { FeatureDef } from "../../features/definition.ts";
import { compileSpec, type FeaturePlan } from "../../features/plan.ts";
import { loadVersion, type Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PredictionRecord } from "../../ports/log.ts";
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
  /** Older rows that were not read, since there are more than can be. */
  readonly skipped: number;
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

/** Features that rules name, and those that are kept besides. */
export function featuresOf(programs: readonly RuleProgram[], keep: readonly string[]): ReadonlySet<string> {
  const named = programs.flatMap(({ rules }) => rules.flatMap(({ condition }) => condition.features));
  return new Set([...named, ...keep]);
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
  const features = featuresOf(programs, keep);
  const scored = scorer === null ? null : scoreTable(table, { pipeline, scorer, features, report: ports.report });
  return {
    where: path,
    table,
    ...factsOf(table, pipeline),
    model: scored?.model ?? null,
    decided: scored?.decided ?? null,
    blocked: null,
    skipped: 0,
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
  return { model: { score, anomalyScore, features, answered: null, described: null }, decided };
}

/** Rows of the log that are read at most, the newest: some gigabytes. */
const LOG_ROWS_MAX = 5_000_000;

/**
 * What this workspace's servers answered, with the labels that came: scores and features are those that were given then, by whichever version.
 * `features`: those that are kept. Errors: log.unreadable, dataset.empty.
 */
export async function pastOfLog(
  ports: Ports,
  of: {
    readonly pipeline: Pipeline;
    readonly scope: RuleScope;
    readonly features: ReadonlySet<string>;
    readonly rowsMax?: number;
  },
): Promise<Past> {
  const { pipeline, scope, features, rowsMax = LOG_ROWS_MAX } = of;
  const { id, time, label } = pipeline.columns;
  const log = await ports.log();
  await log.flush();
  const gathered = new Gathered(scope, features);
  const skipped = Math.max(0, (await log.counts()).predictions - rowsMax);
  let seen = 0;
  for await (const entry of log.scan(0)) {
    if (entry.kind === "label") gathered.label(entry.record);
    else if (seen++ >= skipped && gathered.rows < rowsMax) gathered.add(entry.record);
  }
  if (gathered.rows === 0) {
    throw new SentinelError("dataset.empty", "the log has no transactions", {
      hint: "name a table with --data, or let the server answer some traffic first",
    });
  }
  const placesOf = await featurePlaces(ports, { pipeline, versions: gathered.versions.keys() });
  const { table, ...rest } = gathered.done({ id, time, label }, placesOf);
  const facts = factsOf(table, pipeline);
  // Silence about a transaction that was stopped says nothing: nobody could complain of it.
  const truths = table.columns.get(label)!;
  for (let row = 0; row < table.rows; row++) {
    if (rest.blocked[row] === 1 && truths.kind !== "text" && Number.isNaN(truths.values[row]))
      facts.labels[row] = UNLABELLED;
  }
  return { where: log.where, table, ...facts, ...rest, skipped };
}

/** Where each feature stands in the vectors of a version. */
type FeaturePlaces = ReadonlyMap<string, number>;

/** Of a version that is gone, or that cannot be read any more, nobody knows what its vectors say. */
async function featurePlaces(
  ports: Ports,
  { pipeline, versions }: { readonly pipeline: Pipeline; readonly versions: Iterable<string> },
): Promise<ReadonlyMap<string, FeaturePlaces>> {
  const places = new Map<string, FeaturePlaces>();
  for (const version of versions) {
    try {
      const { plan } = await loadVersion(await ports.registry(), { model: pipeline.model, version });
      places.set(version, new Map(plan.names.map((name, at) => [name, at])));
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
    }
  }
  return places;
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
  private readonly answered: number[] = [];
  private readonly vectors: Float32Array[] = [];
  private readonly features: ReadonlySet<string>;
  /** Which version gave each vector: its place among those that gave one. */
  private readonly versionOf: number[] = [];
  readonly versions = new Map<string, number>();

  constructor(scope: RuleScope, features: ReadonlySet<string>) {
    this.scope = scope;
    this.features = features;
  }

  add(record: PredictionRecord): void {
    this.places.set(record.transactionId, this.rows++);
    this.ids.push(record.transactionId);
    this.times.push(record.time);
    this.labels.push(Number.NaN);
    this.knownAt.push(Number.NaN);
    this.fields.push(record.fields);
    const isAnswered = !record.degraded && record.bundle !== "";
    this.scores.push(isAnswered ? record.score : Number.NaN);
    this.anomalies.push(isAnswered ? record.anomalyScore : Number.NaN);
    this.answered.push(isAnswered ? 1 : 0);
    this.decided.push(record.rules?.without ?? record.decision);
    this.blocked.push(record.decision === "block" ? 1 : 0);
    if (this.features.size === 0) return;
    this.vectors.push(record.vector);
    this.versionOf.push(isAnswered ? this.versionAt(record.version) : -1);
  }

  private versionAt(version: string): number {
    const known = this.versions.get(version) ?? this.versions.size;
    this.versions.set(version, known);
    return known;
  }

  label(record: { readonly transactionId: string; readonly fraud: boolean; readonly knownAt: number }): void {
    const at = this.places.get(record.transactionId);
    if (at === undefined || this.knownAt[at] > record.knownAt) return;
    this.labels[at] = record.fraud ? 1 : 0;
    this.knownAt[at] = record.knownAt;
  }

  done(
    names: { readonly id: string; readonly time: string; readonly label: string },
    placesOf: ReadonlyMap<string, FeaturePlaces>,
  ) {
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
    const places = [...this.versions.keys()].map((version) => placesOf.get(version) ?? null);
    const feature = (name: string): Float32Array => {
      const at = places.map((of) => of?.get(name));
      return Float32Array.from(this.vectors, (vector, row) => vector[at[this.versionOf[row]] ?? -1] ?? Number.NaN);
    };
    // A version that lacks one of the features is as one that is gone.
    const isWhole = places.map((of) => of !== null && [...this.features].every((name) => of.has(name)));
    const model = {
      score: Float32Array.from(this.scores),
      anomalyScore: Float32Array.from(this.anomalies),
      features: new Map([...this.features].map((name) => [name, feature(name)] as const)),
      answered: Uint8Array.from(this.answered),
      described: Uint8Array.from(this.versionOf, (version) => (isWhole[version] ? 1 : 0)),
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
