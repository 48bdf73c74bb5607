// Retrain: on alarm, or when more of a new world is known, train a candidate from the table plus what the log has learned since; never a champion.

import { CANDIDATE } from "../core/alias.ts";
import { formatDuration } from "../core/duration.ts";
import { type ErrorCode, SentinelError } from "../core/errors.ts";
import { loadVersion } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { ModelVersion } from "../ports/registry.ts";
import { type MonitorResult, monitor } from "./monitor.ts";
import { type PromoteResult, promote } from "./promote.ts";
import { type Candidate, candidatesOf, placeFor, RETRAIN_VERB, withdrawStale } from "./retrain/candidates.ts";
import { type Refresh, refreshOf } from "./retrain/refresh.ts";
import { gather, pruneTables } from "./retrain/table.ts";
import { type Recipe, type TrainInput, type TrainResult, type TrainStep, train } from "./train.ts";

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
  /** What the promotion gate said of the newest candidate, or of the one that was promoted; null where it was not asked. */
  readonly promotion: PromoteResult | null;
  /** The alias that the new candidate has; null where none was trained. */
  readonly as: string | null;
}

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
  await withdrawStale(ports, input);
  const candidates = await candidatesOf(ports, pipeline);
  const weighed = input.autoPromote === true ? await weigh(ports, input, candidates) : new Map<string, PromoteResult>();
  const promotion = [...weighed.values()].find(({ moved }) => moved) ?? [...weighed.values()][0] ?? null;
  const ended = (outcome: RetrainResult["outcome"], reason: string, monitor: MonitorResult | null): RetrainResult => {
    return { outcome, reason, monitor, data: null, trained: null, promotion, as: null };
  };
  if (promotion?.moved === true) {
    await withdrawStale(ports, input);
    return ended("promoted", promotion.verdict.reasons.join("; "), null);
  }
  const cooling = await cooldownLeft(ports, pipeline);
  if (cooling > 0 && forced === null) {
    const reason = `the last retraining is younger than ${formatDuration(pipeline.retrain.cooldownMs)}; ${Math.ceil(cooling / 60_000)} minutes to wait`;
    return ended("cooldown", reason, null);
  }
  const seen = await look(ports, input);
  if (seen !== null) input.onMonitor?.(seen);
  const refresh = seen === null ? null : await refreshNow(ports, { pipeline, seen, candidates });
  const isDue = refresh?.due === true;
  const kept = keptBy({ ports, pipeline, weighed });
  let place: string | null = CANDIDATE;
  if (forced === null) {
    if (seen?.alarm !== true && !isDue) return ended("no-alarm", reasonsOf(seen), seen);
    if (seen?.drift.verdict === "broken feed") {
      const reason = `a model would learn the fault: repair the source first. ${reasonsOf(seen)}`;
      return ended("broken-feed", reason, seen);
    }
    const waits = refresh === null ? tooFresh(seen!, pipeline) : refresh.due ? null : refresh.reason;
    const shadows = refresh === null || candidates.length === 0 ? null : kept(candidates[0]);
    if (waits !== null) return ended(shadows === null ? "waiting" : "shadowing", shadows ?? waits, seen);
    place = placeFor(candidates, { mayReplace: (candidate) => kept(candidate) === null, extra: isDue });
    if (place === null) return ended("shadowing", kept(candidates[0]) ?? "", seen);
  }
  input.onStep?.("table");
  const data = await gather(ports, input);
  const newest = await newestServed(ports, pipeline);
  const since = refresh?.since ?? (seen === null ? null : onsetOf(seen));
  const recipe = recipeOf(input);
  const own = since !== null && recipe.windowMs === undefined && recipe.halfLifeMs === undefined;
  const why = forced ?? (refresh === null ? reasonsOf(seen) : refresh.reason);
  const trained = await train(ports, {
    pipeline,
    ...data,
    actor: input.actor,
    packageVersion: input.packageVersion,
    threads: input.threads,
    forced: null,
    verb: RETRAIN_VERB,
    as: place,
    recipe,
    newest,
    ...(since === null ? {} : { since }),
    why: `${why}; learned from ${own && !recipe.continued ? "all days, or the new world's alone where its own days ask for that" : recipeWords(recipe)}`,
    onStep: input.onStep,
  });
  await pruneTables(ports, input);
  const outcome = trained.version === null ? "refused" : "trained";
  return { outcome, reason: why, monitor: seen, data: data.path, trained, promotion, as: place };
}

/** Runs of retrainings that were killed: this one holds the lock, so nobody works on them. They count for no cooldown. */
async function endKilled(ports: Ports, pipeline: Pipeline): Promise<void> {
  const registry = await ports.registry();
  for (const { runId, status, tags } of await registry.runs(pipeline.name)) {
    if (status === "RUNNING" && tags["sentinel.verb"] === RETRAIN_VERB) {
      await registry.endRun(runId, "KILLED", ports.clock.now());
      ports.report.line(`  an earlier retraining was killed: its run ${runId} is ended`);
    }
  }
}

/** The gate's word on each candidate by its alias, newest first, up to the first that it promotes. */
async function weigh(
  ports: Ports,
  { pipeline, actor }: RetrainInput,
  candidates: readonly Candidate[],
): Promise<Map<string, PromoteResult>> {
  const { seed } = pipeline.modelParameters;
  const verdicts = new Map<string, PromoteResult>();
  for (const { alias } of candidates) {
    const result = await promote(ports, { pipeline, to: alias, actor, forced: null, seed });
    verdicts.set(alias, result);
    if (result.moved) break;
  }
  return verdicts;
}

async function refreshNow(
  ports: Ports,
  given: { readonly pipeline: Pipeline; readonly seen: MonitorResult; readonly candidates: readonly Candidate[] },
): Promise<Refresh | null> {
  const { pipeline, seen, candidates } = given;
  const registry = await ports.registry();
  const { champion } = await registry.aliases(pipeline.model);
  const versions: ModelVersion[] = candidates.map(({ version }) => version);
  if (champion !== undefined) versions.push(await registry.version(pipeline.model, champion));
  return refreshOf(versions, { final: seen.to - pipeline.labels.maturityMs, pipeline });
}

/** When the world began to be another one, by what features and scores show or by the labels; null where only one instant shows it. */
function onsetOf({ since, performance }: MonitorResult): number | null {
  // What the features show began some time ago; what labels show is in the labels already.
  const begins = [since, performance?.since ?? null].filter((begin) => begin !== null);
  return begins.length === 0 ? null : Math.min(...begins);
}

/** Why training now would learn the old world once more; null when enough of the new one has final labels. */
function tooFresh(seen: MonitorResult, { labels, retrain: { freshMs } }: Pipeline): string | null {
  const began = onsetOf(seen);
  if (began === null) return null;
  const final = seen.to - labels.maturityMs;
  const from = began + freshMs;
  if (final >= from) return null;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `the new world began about ${day(began)} and labels are final up to ${day(final)}: a candidate would learn the old one; there is enough of the new one from ${day(from + labels.maturityMs)} on`;
}

/** Why a candidate keeps its place; null when it may be replaced. */
function keptBy(given: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  readonly weighed: ReadonlyMap<string, PromoteResult>;
}): (candidate: Candidate) => string | null {
  const { ports, pipeline, weighed } = given;
  // Before its first labels are final there is nothing to judge it by.
  const keptMs = pipeline.labels.maturityMs + pipeline.retrain.patienceMs;
  return ({ alias, version }) => {
    const verdict = weighed.get(alias)?.verdict;
    if (verdict?.verdict === "REJECT" || ports.clock.now() - version.createdAt >= keptMs) return null;
    const gateWords = verdict === undefined ? "`sentinel promote` weighs it" : verdict.reasons.join("; ");
    return `candidate version ${version.version} is in shadow and keeps its place for ${formatDuration(keptMs)}: ${gateWords}`;
  };
}

function recipeOf({ pipeline, continued = false }: RetrainInput): Recipe {
  const { windowMs, halfLifeMs } = pipeline.retrain;
  return {
    continued,
    ...(windowMs === undefined ? {} : { windowMs }),
    ...(halfLifeMs === undefined ? {} : { halfLifeMs }),
  };
}

function recipeWords({ windowMs, halfLifeMs, continued }: Recipe): string {
  const days = continued
    ? "the days the champion has not learned, as trees added to it"
    : windowMs === undefined
      ? "all days"
      : `the newest ${formatDuration(windowMs)}`;
  return [days, ...(halfLifeMs === undefined ? [] : [`half as much per ${formatDuration(halfLifeMs)} of age`])].join(
    ", ",
  );
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
    .filter(({ tags, status }) => tags["sentinel.verb"] === RETRAIN_VERB && status !== "KILLED")
    .reduce((newest, { startedAt }) => Math.max(newest, startedAt), 0);
  return last + pipeline.retrain.cooldownMs - ports.clock.now();
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
