// Promote and rollback: evidence is weighed, then the alias `champion` moves, with the journal as witness.

import { CANDIDATE, isCandidate, versionBehind } from "../core/alias.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { type AliasMove, movesOfAlias } from "../core/journal.ts";
import { type Check, isYes, type Verdict } from "../core/verdict.ts";
import { busyDays } from "../evidence/days.ts";
import { collectPairs, PAIRS_MAX, pairsAgainst, pairsBeside } from "../evidence/pairs.ts";
import { type AlertBudget, type PromotionPolicy, promotionGate, promotionPolicy } from "../evidence/promotion.ts";
import { type ShadowReport, shadowReport } from "../evidence/report.ts";
import { checkFields } from "../online/fields.ts";
import { loadVersion } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Coverage, ShadowPair } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import type { JournalEntry, Registry } from "../ports/registry.ts";
import { schemaIfThere } from "./data/schema-file.ts";
import { learnedUpTo } from "./learned.ts";
import { LOGIC_GATE, ownGates } from "./own-gates.ts";
import { rulesFor } from "./promotion-rules.ts";

/** The alias that keeps the replaced champion in shadow, so that a rollback has evidence. */
export const PREVIOUS = "previous";

export interface PromoteInput {
  readonly pipeline: Pipeline;
  /** A version, or the alias of a candidate; null takes the alias `candidate`. */
  readonly to: string | null;
  readonly actor: string;
  readonly forced: string | null;
  readonly seed: number;
  /** Only asks: nothing is written, not even what a killed process left unfinished (default false). */
  readonly dryRun?: boolean;
  /** Proves that the version can be served; throws where it cannot. */
  readonly load?: typeof loadVersion;
}

export interface PromoteResult {
  readonly verdict: Verdict;
  readonly from: string | null;
  readonly to: string;
  readonly moved: boolean;
  /** False where the version cannot serve: no reason overrides that. */
  readonly overridable: boolean;
  readonly report: ShadowReport | null;
  readonly journal: JournalEntry | null;
}

/** Weighs the evidence for a version and promotes it on PROMOTE, or when forced. */
export async function promote(ports: Ports, input: PromoteInput): Promise<PromoteResult> {
  const { pipeline, dryRun = false } = input;
  const registry = await ports.registry();
  const completed = dryRun ? null : await registry.recover(pipeline.model);
  const aliases = await registry.aliases(pipeline.model);
  const to = versionBehind(aliases, input.to ?? CANDIDATE) ?? null;
  if (to === null) {
    throw new SentinelError("lifecycle.no-candidate", `${pipeline.model} has no candidate to promote`, {
      hint: "train one with `sentinel train`, or name a version with --to (see `sentinel registry list`)",
    });
  }
  const { bundle, tags } = await registry.version(pipeline.model, to);
  const from = aliases.champion ?? null;
  if (from === to) {
    const verdict: Verdict = {
      gate: "promotion",
      verdict: "PROMOTE",
      reasons: [`version ${to} is champion already`],
      checks: [],
    };
    // A promotion that a killed process began and this call completed keeps its entry.
    return { verdict, from, to, moved: false, overridable: true, report: null, journal: completed };
  }
  const { load = servable(pipeline) } = input;
  const own = await ownChecks(registry, { pipeline, version: to, load });
  const fixed = rulesFor(tags, pipeline);
  const { verdict, report, policy } = await weigh(ports, { pipeline, from, to, own, fixed, seed: input.seed });
  const overridable = own.every(({ name, passed }) => passed || !UNYIELDING.includes(name));
  if (dryRun || (!isYes(verdict) && (input.forced === null || !overridable))) {
    return { verdict, from, to, moved: false, overridable, report, journal: null };
  }
  const journal = await recordMove(ports, {
    model: pipeline.model,
    aliases,
    evidence: { from, to, bundle, verdict, policy, report },
    entry: {
      actor: input.actor,
      verb: "promote",
      verdict: isYes(verdict) ? verdict.verdict : "FORCED",
      // If the gate said PROMOTE, --force was not needed: record the gate's reasons, not the caller's.
      reason: isYes(verdict) ? verdict.reasons.join("; ") : (input.forced ?? ""),
    },
  });
  return { verdict, from, to, moved: true, overridable, report, journal };
}

/** Moves `champion`, and what follows it, in one step with the evidence for it, which the journal's entry seals. Errors: registry.*. */
export async function recordMove(
  ports: Ports,
  move: {
    readonly model: string;
    /** As they were when the evidence was weighed. */
    readonly aliases: Readonly<Record<string, string>>;
    /** Names its bundle, so that no two moves can share a document. */
    readonly evidence: {
      readonly from: string | null;
      readonly to: string;
      readonly bundle: string;
      readonly verdict: Verdict;
      readonly policy: PromotionPolicy | null;
      readonly report: ShadowReport | null;
    };
    readonly entry: Pick<JournalEntry, "actor" | "verb" | "verdict" | "reason">;
  },
): Promise<JournalEntry> {
  const { model, aliases, evidence, entry } = move;
  const { from, to } = evidence;
  const document = canonicalJson({ model, ...evidence });
  return (await ports.registry()).moveAlias({
    model,
    alias: "champion",
    from,
    to,
    also: followers(aliases, { from, to }),
    document,
    entry: { at: ports.clock.now(), ...entry, evidence: sha256(document) },
  });
}

/**
 * Puts a former champion back: `to`, or the one that was replaced when the present one was promoted. So a second rollback
 * goes one champion further back, never forward to the one just left.
 */
export async function rollback(
  ports: Ports,
  input: {
    readonly pipeline: Pipeline;
    readonly to: string | null;
    readonly actor: string;
    readonly reason: string;
    readonly load?: typeof loadVersion;
  },
): Promise<{ readonly from: string; readonly to: string; readonly journal: JournalEntry }> {
  const { pipeline } = input;
  const { load = servable(pipeline) } = input;
  const registry = await ports.registry();
  const completed = await registry.recover(pipeline.model);
  if (completed !== null && isSameRollback(completed, input)) {
    return { from: completed.from, to: completed.to, journal: completed };
  }
  const aliases = await registry.aliases(pipeline.model);
  const from = aliases.champion;
  if (from === undefined) {
    throw new SentinelError("lifecycle.no-champion", `${pipeline.model} has no champion to roll back from`, {
      hint: "promote a version first: `sentinel promote`",
    });
  }
  const journal = await registry.journal(pipeline.model);
  const to = input.to ?? championBefore(journal, from);
  if (to === null || to === from) {
    throw new SentinelError(
      "registry.version-unknown",
      `${pipeline.model} has no earlier champion than version ${from}`,
      {
        hint: "name a version with --to (see `sentinel registry history`)",
      },
    );
  }
  await registry.version(pipeline.model, to);
  if (!movesOfAlias(journal, "champion").some((move) => move.to === to)) {
    throw new SentinelError("registry.version-unknown", `version ${to} of ${pipeline.model} was never champion`, {
      hint: `a rollback needs no gate because it puts back what has served; for a new version: \`sentinel promote --to ${to}\``,
    });
  }
  // What cannot be loaded would leave the next server that starts without a champion.
  await load(registry, { model: pipeline.model, version: to });
  const entry = await registry.moveAlias({
    model: pipeline.model,
    alias: "champion",
    from,
    to,
    also: followers(aliases, { from, to }),
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: "rollback",
      verdict: "ROLLBACK",
      evidence: "",
      reason: input.reason,
    },
  });
  return { from, to, journal: entry };
}

/** The paired report of a candidate's shadow, from the log. */
export async function reportOf(
  ports: Ports,
  pipeline: Pipeline,
  given: {
    readonly version: string;
    readonly championVersion: string;
    readonly seed: number;
    readonly now: number | null;
    /** The champion in the place of the candidate, to be compared with the version in shadow. */
    readonly turned?: boolean;
  },
): Promise<ShadowReport> {
  const log = await ports.log();
  const { card, amount } = pipeline.columns;
  const options = { card, amount, newest: PAIRS_MAX };
  // Whether a champion is broken, only its own reign tells; a candidate is compared wherever both have answered.
  const logged =
    given.turned === true
      ? pairsAgainst(log.pairs(given.version, options), given.championVersion)
      : pairsBeside(log, { candidate: given.version, champion: given.championVersion }, options);
  const versions = [given.version, given.championVersion];
  const pairs = await collectPairs(given.turned === true ? turned(logged) : logged, {
    learnedUpTo: await learnedUpTo(await ports.registry(), { model: pipeline.model, versions }),
  });
  return shadowReport(pairs, {
    // Maturity runs on the clock of event time: replayed traffic ages as it did when it was live. One wrong date does not move it.
    now: given.now ?? busyDays(pairs.time).until ?? Number.NaN,
    maturityMs: pipeline.labels.maturityMs,
    unlabelledIsGenuine: pipeline.labels.unreportedIsGenuine,
    seed: given.seed,
    resamples: pipeline.gates.promotion.resamples,
    reviewShare: pipeline.decisions.reviewShare,
    reviewCost: pipeline.decisions.reviewCost,
  });
}

async function weigh(
  ports: Ports,
  given: {
    readonly pipeline: Pipeline;
    readonly from: string | null;
    readonly to: string;
    readonly own: readonly Check[];
    readonly fixed: ReturnType<typeof rulesFor>;
    readonly seed: number;
  },
): Promise<{
  readonly verdict: Verdict;
  readonly report: ShadowReport | null;
  readonly policy: PromotionPolicy | null;
}> {
  const { pipeline, from, to, own, fixed } = given;
  const checks = fixed.check === null ? own : [...own, fixed.check];
  if (from === null) return { verdict: firstChampion(own), report: null, policy: null };
  const report = await reportOf(ports, pipeline, { version: to, championVersion: from, seed: given.seed, now: null });
  const verdict = promotionGate({
    report,
    coverage: await coverageOf(ports, to),
    checks,
    policy: fixed.rules,
    budget: budgetOf(pipeline),
  });
  return { verdict, report, policy: promotionPolicy(fixed.rules) };
}

/** Null where thresholds aim at something else. */
export function budgetOf({ decisions }: Pipeline): AlertBudget | null {
  const { reviewPolicy, reviewShare, adapt } = decisions;
  const kept = adapt === "budget";
  return kept || reviewPolicy === "budget" ? { share: reviewShare, kept } : null;
}

/** null: nothing of this version's shadow has been counted. */
export async function coverageOf(ports: Ports, version: string): Promise<Coverage | null> {
  return (await (await ports.log()).coverage()).find((coverage) => coverage.version === version) ?? null;
}

async function* turned(pairs: AsyncIterable<ShadowPair>): AsyncIterable<ShadowPair> {
  for await (const { champion, candidate, latencyMs, championLatencyMs, ...pair } of pairs)
    yield {
      ...pair,
      champion: candidate,
      candidate: champion,
      latencyMs: championLatencyMs,
      championLatencyMs: latencyMs,
    };
}

/** Loads a version as a server does, which also wants requests to carry what the features read: the schema may have changed since it was made. */
export function servable(pipeline: Pipeline): typeof loadVersion {
  return async (registry, name) => {
    const scorer = await loadVersion(registry, name);
    const schema = schemaIfThere(pipeline);
    if (schema !== null) checkFields(scorer.plan, { pipeline, schema });
    return scorer;
  };
}

const LOADS = "servable";
/** Where one of these says no, `--force` does not help: a server could not answer with the version, or would answer wrongly. */
const UNYIELDING: readonly string[] = [LOGIC_GATE, LOADS];

/** What the version itself must fulfil: its gates, and that it can be fetched, verified and proven on this machine. */
async function ownChecks(
  registry: Registry,
  given: { readonly pipeline: Pipeline; readonly version: string; readonly load: typeof loadVersion },
): Promise<Check[]> {
  const { pipeline, version, load } = given;
  const required = "loads, and gives its golden scores";
  const gates = await ownGates(registry, { model: pipeline.model, version });
  try {
    await load(registry, { model: pipeline.model, version });
    return [...gates, { name: LOADS, passed: true, observed: "loads", required }];
  } catch (error) {
    // A registry that does not answer says nothing about the version.
    if (error instanceof SentinelError && error.kind.retryable) throw error;
    const observed = error instanceof SentinelError ? error.code : "broken";
    const reason = `version ${version} cannot be served, and nothing overrides that: ${messageOf(error)}`;
    return [...gates, { name: LOADS, passed: false, observed, required, reason }];
  }
}

/** Without a champion there is nobody to compare with: the version's own gates decide. */
function firstChampion(checks: readonly Check[]): Verdict {
  const failed = checks.filter((check) => !check.passed);
  return {
    gate: "promotion",
    verdict: failed.length === 0 ? "PROMOTE" : "REJECT",
    reasons:
      failed.length === 0
        ? ["there is no champion yet; the version passed its training and logic gates, and it loads"]
        : failed.map(({ reason }) => reason ?? ""),
    checks,
  };
}

/** A rollback cut off after its entry, asked for again: it must not go one champion further back. */
function isSameRollback(
  entry: JournalEntry,
  input: { readonly to: string | null; readonly actor: string; readonly reason: string },
): entry is JournalEntry & { readonly from: string; readonly to: string } {
  const { verb, alias, actor, reason, from, to } = entry;
  const same = verb === "rollback" && alias === "champion" && actor === input.actor && reason === input.reason;
  return same && from !== null && to !== null && (input.to === null || input.to === to);
}

/** What moves together with `champion`: the old one shadows on as `previous`, a promoted candidate is one no longer. */
function followers(
  aliases: Readonly<Record<string, string>>,
  champion: { readonly from: string | null; readonly to: string },
): AliasMove[] {
  const previous: AliasMove = { alias: PREVIOUS, from: aliases[PREVIOUS] ?? null, to: champion.from };
  const candidates = Object.keys(aliases)
    .filter((alias) => isCandidate(alias) && aliases[alias] === champion.to)
    .sort()
    .map((alias): AliasMove => ({ alias, from: champion.to, to: null }));
  return [...(previous.to !== null && previous.from !== previous.to ? [previous] : []), ...candidates];
}

function championBefore(journal: readonly JournalEntry[], present: string): string | null {
  const last = movesOfAlias(journal, "champion").findLast(
    ({ entry, from, to }) => entry.verb !== "rollback" && to === present && from !== present,
  );
  return last?.from ?? null;
}
