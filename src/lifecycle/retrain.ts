// Retrain: on alarm, train a candidate from the table plus what the log has learned since; never a champion.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { CANDIDATE } from "../core/alias.ts";
import { formatDuration } from "../core/duration.ts";
import { type ErrorCode, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { largest } from "../core/stats.ts";
import { type Column, isBoolean, type Table, textAt } from "../core/table.ts";
import type { FieldValue } from "../core/transaction.ts";
import { inputsOf } from "../features/inputs.ts";
import type { FeaturePlan } from "../features/plan.ts";
import { loadVersion } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { LoggedTransaction } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import type { ModelVersion } from "../ports/registry.ts";
import { readSource, type Source, timesOf } from "./data/source.ts";
import { readingPlan } from "./data/spec-table.ts";
import { LABEL_KNOWN_AT } from "./data/vectors.ts";
import { type MonitorResult, monitor } from "./monitor.ts";
import { type PromoteResult, promote } from "./promote.ts";
import { NEWEST_ROWS_MIN, type Recipe, type TrainInput, type TrainResult, type TrainStep, train } from "./train.ts";

/** The steps of a retraining: those before the training, and then the training's own. */
export type RetrainStep = "locked" | "table" | TrainStep;

export interface RetrainInput {
  readonly pipeline: Pipeline;
  /** The table that the log's transactions are added to. */
  readonly path: string;
  /** Looked at for the alarm instead of the log. */
  readonly monitorPath: string | null;
  readonly workspace: string;
  readonly actor: string;
  readonly packageVersion: string;
  readonly threads?: number;
  /** Train without an alarm and without waiting for anything; the reason for the journal. */
  readonly forced: string | null;
  /** Add trees to the champion on the days it has not learned, instead of training in full. */
  readonly continued?: boolean;
  /** Ask the promotion gate about the candidate first, and promote it on PROMOTE. */
  readonly autoPromote?: boolean;
  /** Told as soon as it is known, before any training. */
  readonly onMonitor?: (seen: MonitorResult) => void;
  /** Called at the beginning of each step. */
  readonly onStep?: (step: RetrainStep) => void;
}

export interface RetrainResult {
  /**
   * `waiting`: too little of the new world has final labels. `shadowing`: a candidate collects its evidence. `promoted`: the gate said
   * PROMOTE of the candidate that was there.
   */
  readonly outcome:
    | "trained"
    | "refused"
    | "no-alarm"
    | "cooldown"
    | "broken-feed"
    | "waiting"
    | "shadowing"
    | "promoted";
  readonly reason: string;
  readonly monitor: MonitorResult | null;
  readonly data: string | null;
  readonly trained: TrainResult | null;
  /** What the promotion gate said, where it was asked. */
  readonly promotion: PromoteResult | null;
}

/** Transactions taken from the log, at most; the newest. */
const LOG_ROWS_MAX = 5_000_000;
/** Reasons of an alarm that a retraining repeats. */
const REASONS_MAX = 3;
const NOTHING_TO_SEE: readonly ErrorCode[] = ["lifecycle.no-champion", "lifecycle.not-enough-data"];

/**
 * One round under a lock. A round that was killed can be run again: it comes to the same version and aliases, whatever was done before.
 * Errors: lifecycle.locked, and those of monitor, train and promote.
 */
export async function retrain(ports: Ports, input: RetrainInput): Promise<RetrainResult> {
  const { pipeline } = input;
  const lock = await (await ports.lock()).acquire(`retrain-${pipeline.name}`);
  try {
    input.onStep?.("locked");
    await endKilled(ports, pipeline);
    return await round(ports, input);
  } finally {
    await lock.release();
  }
}

async function round(ports: Ports, input: RetrainInput): Promise<RetrainResult> {
  const { pipeline, forced } = input;
  const candidate = await candidateOf(ports, pipeline);
  const promotion = input.autoPromote === true && candidate !== null ? await weighed(ports, input) : null;
  const ended = (outcome: RetrainResult["outcome"], reason: string, monitor: MonitorResult | null): RetrainResult => {
    return { outcome, reason, monitor, data: null, trained: null, promotion };
  };
  if (promotion?.moved === true) return ended("promoted", promotion.verdict.reasons.join("; "), null);
  const cooling = await cooldownLeft(ports, pipeline);
  if (cooling > 0 && forced === null) {
    const reason = `the last retraining is younger than ${formatDuration(pipeline.retrain.cooldownMs)}; ${Math.ceil(cooling / 60_000)} minutes to wait`;
    return ended("cooldown", reason, null);
  }
  const seen = await look(ports, input);
  if (seen !== null) input.onMonitor?.(seen);
  if (forced === null) {
    if (seen?.alarm !== true) return ended("no-alarm", reasonsOf(seen), seen);
    if (seen.drift.verdict === "broken feed") {
      const reason = `a model would learn the fault: repair the source first. ${reasonsOf(seen)}`;
      return ended("broken-feed", reason, seen);
    }
    const waits = tooFresh(seen, pipeline);
    if (waits !== null) return ended("waiting", waits, seen);
    const shadows = candidate === null ? null : stillShadowing(candidate, { ports, pipeline, promotion });
    if (shadows !== null) return ended("shadowing", shadows, seen);
  }
  input.onStep?.("table");
  const data = await gather(ports, input);
  const newest = await newestServed(ports, pipeline);
  const recipe = recipeOf(input, newest?.x.rows ?? 0);
  const trained = await train(ports, {
    pipeline,
    ...data,
    actor: input.actor,
    packageVersion: input.packageVersion,
    threads: input.threads,
    forced: null,
    verb: "retrain",
    recipe,
    newest,
    why: `${forced ?? reasonsOf(seen)}; learned from ${recipeWords(recipe)}`,
    onStep: input.onStep,
  });
  const outcome = trained.version === null ? "refused" : "trained";
  return { outcome, reason: forced ?? reasonsOf(seen), monitor: seen, data: data.path, trained, promotion };
}

/** Runs of retrainings that were killed: this one holds the lock, so nobody works on them. They count for no cooldown. */
async function endKilled(ports: Ports, pipeline: Pipeline): Promise<void> {
  const registry = await ports.registry();
  for (const { runId, status, tags } of await registry.runs(pipeline.name)) {
    if (status === "RUNNING" && tags["sentinel.verb"] === VERB) {
      await registry.endRun(runId, "KILLED", ports.clock.now());
      ports.report.line(`  an earlier retraining was killed: its run ${runId} is ended`);
    }
  }
}

const VERB = "retrain";

/** The version that shadows as `candidate`; null when there is none. */
async function candidateOf(ports: Ports, { model }: Pipeline): Promise<ModelVersion | null> {
  const registry = await ports.registry();
  const { [CANDIDATE]: candidate, champion } = await registry.aliases(model);
  return candidate === undefined || candidate === champion ? null : registry.version(model, candidate);
}

function weighed(ports: Ports, { pipeline, actor }: RetrainInput): Promise<PromoteResult> {
  const { seed } = pipeline.modelParameters;
  return promote(ports, { pipeline, to: null, actor, forced: null, seed });
}

/** Why training now would learn the old world once more; null when enough of the new one has final labels. */
function tooFresh(
  { since, performance, to }: MonitorResult,
  { labels, retrain: { freshMs } }: Pipeline,
): string | null {
  // What the features show began some time ago; what labels show is in the labels already.
  const begins = [since, performance?.since ?? null].filter((begin) => begin !== null);
  if (begins.length === 0) return null;
  const final = to - labels.maturityMs;
  const began = Math.min(...begins);
  const from = began + freshMs;
  if (final >= from) return null;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `the new world began about ${day(began)} and labels are final up to ${day(final)}: a candidate would learn the old one; there is enough of the new one from ${day(from + labels.maturityMs)} on`;
}

/** Why the candidate keeps its place; null when it may be replaced. */
function stillShadowing(
  candidate: ModelVersion,
  given: { readonly ports: Ports; readonly pipeline: Pipeline; readonly promotion: PromoteResult | null },
): string | null {
  const { ports, pipeline, promotion } = given;
  if (promotion?.verdict.verdict === "REJECT") return null;
  // Before its first labels are final there is nothing to judge it by.
  const keptMs = pipeline.labels.maturityMs + pipeline.retrain.patienceMs;
  if (ports.clock.now() - candidate.createdAt >= keptMs) return null;
  const gateWords = promotion === null ? "`sentinel promote` weighs it" : promotion.verdict.reasons.join("; ");
  return `candidate version ${candidate.version} is in shadow and keeps its place for ${formatDuration(keptMs)}: ${gateWords}`;
}

function recipeOf({ pipeline, continued = false }: RetrainInput, answered: number): Recipe {
  const { refit, windowMs, halfLifeMs } = pipeline.retrain;
  return {
    refit: refit && answered >= NEWEST_ROWS_MIN,
    continued,
    ...(windowMs === undefined ? {} : { windowMs }),
    ...(halfLifeMs === undefined ? {} : { halfLifeMs }),
  };
}

function recipeWords({ refit, windowMs, halfLifeMs, continued }: Recipe): string {
  const days = continued
    ? "the days the champion has not learned, as trees added to it"
    : windowMs === undefined
      ? "all days"
      : `the newest ${formatDuration(windowMs)}`;
  return [
    days,
    ...(halfLifeMs === undefined ? [] : [`half as much per ${formatDuration(halfLifeMs)} of age`]),
    refit ? "refitted on those it was judged on" : "without those it was judged on",
  ].join(", ");
}

/** What monitor says. Forced, a retraining needs nothing to look at: no champion or no traffic yet is no hindrance. */
async function look(ports: Ports, input: RetrainInput): Promise<MonitorResult | null> {
  try {
    return await monitor(ports, { pipeline: input.pipeline, path: input.monitorPath, until: null });
  } catch (error) {
    if (input.forced === null || !(error instanceof SentinelError) || !NOTHING_TO_SEE.includes(error.code)) throw error;
    return null;
  }
}

/** The first reasons in one line; `monitor` has all. */
function reasonsOf(seen: MonitorResult | null): string {
  const reasons = seen?.reasons ?? [];
  const more = reasons.length - REASONS_MAX;
  return [...reasons.slice(0, REASONS_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

async function cooldownLeft(ports: Ports, pipeline: Pipeline): Promise<number> {
  const runs = await (await ports.registry()).runs(pipeline.name);
  const last = runs
    .filter(({ tags, status }) => tags["sentinel.verb"] === VERB && status !== "KILLED")
    .reduce((newest, { startedAt }) => Math.max(newest, startedAt), 0);
  return last + pipeline.retrain.cooldownMs - ports.clock.now();
}

/**
 * The table with the log's later transactions below it, as a file of its own, so that the training can be repeated. Taken
 * are transactions later than the table's last and old enough for a final label; what an old one without a label counts as,
 * the pipeline says (`labels.unreported`). The table's own path when the log has nothing to add.
 */
async function gather(ports: Ports, input: RetrainInput): Promise<Pick<TrainInput, "path" | "grownFrom">> {
  const { pipeline } = input;
  const dataset = await ports.dataset();
  const plan = await readingPlan(ports, pipeline, input.path);
  const source = await readSource(dataset, pipeline, {
    path: input.path,
    plans: [plan],
    labelled: true,
    // The data gate before the training may ask about any of them.
    all: true,
  });
  const last = largest(timesOf(source.table, pipeline));
  const added = await loggedSince(ports, pipeline, last);
  if (added.length === 0) return { path: input.path };
  const table = append(source, added, { pipeline, plan });
  const name = `${pipeline.name}-${sha256(`${source.hash} ${added[0].record.transactionId} ${added.length}`).slice(0, 12)}.parquet`;
  const folder = path.join(input.workspace, "data", "retrain");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  await dataset.write(file, [table]);
  ports.report.line(
    `  ${source.table.rows.toLocaleString("en")} transactions of ${input.path} and ${added.length.toLocaleString("en")} of the log → ${file}`,
  );
  return { path: file, grownFrom: { path: input.path, hash: source.hash, logged: added.length } };
}

/** Newest answers that a review threshold is set by: more add little. */
const NEWEST_ROWS_MAX = 20_000;

/** The vectors of the champion's newest answers, of a drift window at most; nobody has learned them. */
async function newestServed(ports: Ports, pipeline: Pipeline): Promise<TrainInput["newest"]> {
  const registry = await ports.registry();
  const { champion } = await registry.aliases(pipeline.model);
  if (champion === undefined) return undefined;
  const { plan, bundle } = await loadVersion(registry, { model: pipeline.model, version: champion });
  const log = await ports.log();
  const window = await log.scored({ bundle, width: plan.width, rows: NEWEST_ROWS_MAX, until: null });
  const span = Math.min(pipeline.drift.windowMs, pipeline.labels.maturityMs);
  const rows = Int32Array.from(window.time.keys()).filter((row) => window.time[row] > window.until - span);
  const values = new Float32Array(plan.width * rows.length);
  rows.forEach((row, place) => {
    for (let c = 0; c < plan.width; c++) values[c * rows.length + place] = window.vectors[row * plan.width + c];
  });
  return { features: plan.hash, x: { rows: rows.length, names: plan.names, values } };
}

interface Logged {
  readonly record: LoggedTransaction;
  readonly fraud: boolean;
  readonly knownAt: number;
}

async function loggedSince(ports: Ports, pipeline: Pipeline, last: number): Promise<readonly Logged[]> {
  const log = await ports.log();
  const records: LoggedTransaction[] = [];
  const labels = new Map<string, { readonly fraud: boolean; readonly knownAt: number }>();
  let newest = Number.NEGATIVE_INFINITY;
  for await (const entry of log.arrivals(0)) {
    if (entry.kind === "label") {
      const { transactionId, fraud, knownAt } = entry.record;
      // Of transactions that are in the table already nothing is asked.
      if (entry.about !== null && entry.about.time > last) labels.set(transactionId, { fraud, knownAt });
    }
    if (entry.kind === "prediction") {
      newest = Math.max(newest, entry.record.time);
      if (entry.record.time > last && records.length < LOG_ROWS_MAX) records.push(entry.record);
    }
  }
  const final = newest - pipeline.labels.maturityMs;
  return records
    .filter(
      ({ time, transactionId }) => time <= final && (pipeline.labels.unreportedIsGenuine || labels.has(transactionId)),
    )
    .map((record) => {
      const label = labels.get(record.transactionId);
      const knownAt = Math.max(label?.knownAt ?? record.time + pipeline.labels.delayMs, record.time);
      return { record, fraud: label?.fraud ?? false, knownAt };
    });
}

/** Columns one below the other; numbers stay numbers only when both sides are. */
function append(
  source: Source,
  added: readonly Logged[],
  given: { readonly pipeline: Pipeline; readonly plan: FeaturePlan },
): Table {
  const { pipeline, plan } = given;
  const { table } = source;
  const numbers = new Set<string | null>([pipeline.columns.amount, ...inputsOf(plan).numbers]);
  const rows = table.rows + added.length;
  const { id, time, label } = pipeline.columns;
  const columns = new Map<string, Column>();
  for (const [name, column] of table.columns) {
    if (name === LABEL_KNOWN_AT) continue;
    const value = ({ record, fraud }: Logged): FieldValue =>
      name === id
        ? record.transactionId
        : name === time
          ? record.time
          : name === label
            ? fraud
              ? 1
              : 0
            : (record.fields[name] ?? null);
    // What the features read as a number is missing where the server got a text; keys and the rest keep their spelling.
    columns.set(name, appendColumn(column, added.map(numbers.has(name) ? numberOnly(value) : value), rows));
  }
  columns.set(
    LABEL_KNOWN_AT,
    appendColumn(
      knownColumn(source, pipeline),
      added.map(({ knownAt }) => knownAt),
      rows,
    ),
  );
  return { rows, columns };
}

/** A value as the features read it: a text is no number. */
function numberOnly(value: (logged: Logged) => FieldValue): (logged: Logged) => FieldValue {
  return (logged) => {
    const given = value(logged);
    return typeof given === "boolean" ? Number(given) : typeof given === "string" ? null : given;
  };
}

function knownColumn({ table }: Source, pipeline: Pipeline): Column {
  const there = table.columns.get(LABEL_KNOWN_AT);
  if (there !== undefined) return there;
  return { kind: "time", values: timesOf(table, pipeline).map((time) => time + pipeline.labels.delayMs) };
}

function appendColumn(column: Column, added: readonly FieldValue[], rows: number): Column {
  const before = rows - added.length;
  // A text goes among numbers only where it spells one as the number itself would.
  const fits = (value: FieldValue): boolean => {
    if (value === null || typeof value === "number") return true;
    if (typeof value === "boolean") return isBoolean(column);
    return Number.isFinite(Number(value)) && String(Number(value)) === value;
  };
  if (column.kind !== "text" && added.every(fits)) {
    const values = new Float64Array(rows);
    values.set(column.values);
    added.forEach((value, i) => {
      values[before + i] = value === null ? Number.NaN : Number(value);
    });
    return { ...column, values };
  }
  const dictionary: string[] = [];
  const codeOf = new Map<string, number>();
  const code = (text: string | null): number => {
    if (text === null) return -1;
    const known = codeOf.get(text);
    if (known !== undefined) return known;
    codeOf.set(text, dictionary.length);
    return dictionary.push(text) - 1;
  };
  const codes = new Int32Array(rows);
  for (let row = 0; row < before; row++) codes[row] = code(textAt(column, row));
  added.forEach((value, i) => {
    codes[before + i] = code(value === null ? null : String(value));
  });
  return { kind: "text", codes, dictionary };
}
