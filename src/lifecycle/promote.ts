// Promote and rollback: evidence is weighed, then the alias `champion` moves, with the journal as witness.

import { SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { largest } from "../core/stats.ts";
import { type Check, isYes, type Verdict } from "../core/verdict.ts";
import { collectPairs, pairsAgainst } from "../evidence/pairs.ts";
import { promotionGate } from "../evidence/promotion.ts";
import { type ShadowReport, shadowReport } from "../evidence/report.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { JournalEntry, Registry } from "../ports/registry.ts";

/** The alias that keeps the replaced champion in shadow, so that a rollback has evidence. */
export const PREVIOUS = "previous";

export interface PromoteInput {
  readonly pipeline: Pipeline;
  /** A version; null takes the alias `candidate`. */
  readonly to: string | null;
  readonly actor: string;
  readonly forced: string | null;
  readonly seed: number;
}

export interface PromoteResult {
  readonly verdict: Verdict;
  readonly from: string | null;
  readonly to: string;
  readonly moved: boolean;
  readonly report: ShadowReport | null;
  readonly journal: JournalEntry | null;
}

/** Weighs the evidence for a version and promotes it on PROMOTE, or when forced. */
export async function promote(ports: Ports, input: PromoteInput): Promise<PromoteResult> {
  const { pipeline } = input;
  const registry = await ports.registry();
  const aliases = await registry.aliases(pipeline.model);
  const to = input.to ?? aliases.candidate ?? null;
  if (to === null) {
    throw new SentinelError("lifecycle.no-candidate", `${pipeline.model} has no candidate to promote`, {
      hint: "train one with `sentinel train`, or name a version with --to (see `sentinel registry list`)",
    });
  }
  const { bundle } = await registry.version(pipeline.model, to);
  const from = aliases.champion ?? null;
  if (from === to) {
    await completeMove(ports, { registry, pipeline, aliases, to, actor: input.actor });
    const verdict: Verdict = {
      gate: "promotion",
      verdict: "PROMOTE",
      reasons: [`version ${to} is champion already`],
      checks: [],
    };
    return { verdict, from, to, moved: false, report: null, journal: null };
  }
  const { verdict, report } = await weigh(ports, { registry, pipeline, from, to, seed: input.seed });
  if (!isYes(verdict) && input.forced === null) return { verdict, from, to, moved: false, report, journal: null };
  // Named, so that no two promotions can share a document.
  const document = canonicalJson({ model: pipeline.model, from, to, bundle, verdict, report });
  const journal = await registry.moveAlias({
    model: pipeline.model,
    alias: "champion",
    from,
    to,
    document,
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: "promote",
      verdict: isYes(verdict) ? verdict.verdict : "FORCED",
      evidence: sha256(document),
      // If the gate said PROMOTE, --force was not needed: record the gate's reasons, not the caller's.
      reason: isYes(verdict) ? verdict.reasons.join("; ") : (input.forced ?? ""),
    },
  });
  await follow(ports, { registry, pipeline, aliases, to, previous: from, actor: input.actor, verb: "promote" });
  return { verdict, from, to, moved: true, report, journal };
}

/**
 * Puts a former champion back: `to`, or the one that was replaced when the present one was promoted. So a second rollback
 * goes one champion further back, never forward to the one just left.
 */
export async function rollback(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly to: string | null; readonly actor: string; readonly reason: string },
): Promise<{ readonly from: string; readonly to: string; readonly journal: JournalEntry }> {
  const { pipeline } = input;
  const registry = await ports.registry();
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
  if (!journal.some((entry) => entry.alias === "champion" && entry.to === to)) {
    throw new SentinelError("registry.version-unknown", `version ${to} of ${pipeline.model} was never champion`, {
      hint: `a rollback needs no gate because it puts back what has served; for a new version: \`sentinel promote --to ${to}\``,
    });
  }
  const entry = await registry.moveAlias({
    model: pipeline.model,
    alias: "champion",
    from,
    to,
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: "rollback",
      verdict: "ROLLBACK",
      evidence: "",
      reason: input.reason,
    },
  });
  await follow(ports, { registry, pipeline, aliases, to, previous: from, actor: input.actor, verb: "rollback" });
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
  },
): Promise<ShadowReport> {
  const log = await ports.log();
  const pairs = await collectPairs(pairsAgainst(log.pairs(given.version), given.championVersion));
  return shadowReport(pairs, {
    // Maturity runs on the clock of event time: replayed traffic ages as it did when it was live.
    now: given.now ?? largest(pairs.time),
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
    readonly registry: Registry;
    readonly pipeline: Pipeline;
    readonly from: string | null;
    readonly to: string;
    readonly seed: number;
  },
): Promise<{ readonly verdict: Verdict; readonly report: ShadowReport | null }> {
  const { registry, pipeline, from, to } = given;
  const checks = await gateTags(registry, pipeline, to);
  if (from === null) return { verdict: firstChampion(checks), report: null };
  const report = await reportOf(ports, pipeline, { version: to, championVersion: from, seed: given.seed, now: null });
  const coverage = (await (await ports.log()).coverage()).find(({ version }) => version === to) ?? null;
  const verdict = promotionGate({ report, coverage, checks, policy: pipeline.gates.promotion });
  return { verdict, report };
}

/** The gates a version passed when it was made, from its tags. */
async function gateTags(registry: Registry, pipeline: Pipeline, version: string): Promise<Check[]> {
  const { tags } = await registry.version(pipeline.model, version);
  return ["training", "logic"].map((gate) => {
    const word = tags[`sentinel.gate.${gate}`] ?? "not judged";
    return {
      name: `${gate} gate`,
      passed: word === "pass",
      observed: word,
      required: "pass",
      reason: `${gate} gate: ${word}`,
    };
  });
}

/** Without a champion there is nobody to compare with: the version's own gates decide. */
function firstChampion(checks: readonly Check[]): Verdict {
  const failed = checks.filter((check) => !check.passed);
  return {
    gate: "promotion",
    verdict: failed.length === 0 ? "PROMOTE" : "REJECT",
    reasons:
      failed.length === 0
        ? ["there is no champion yet; the version passed its training and logic gates"]
        : failed.map(({ reason }) => reason ?? ""),
    checks,
  };
}

/** A promotion that was killed after its first move has left the other aliases behind. */
async function completeMove(
  ports: Ports,
  given: {
    readonly registry: Registry;
    readonly pipeline: Pipeline;
    readonly aliases: Readonly<Record<string, string>>;
    readonly to: string;
    readonly actor: string;
  },
): Promise<void> {
  const journal = await given.registry.journal(given.pipeline.model);
  const last = journal.findLast(({ alias }) => alias === "champion");
  if (last?.verb !== "promote" || last.to !== given.to) return;
  await follow(ports, { ...given, previous: last.from, verb: "promote" });
}

/** The other aliases after `champion` moved: the old one shadows on as `previous`, a promoted candidate is one no longer. */
async function follow(
  ports: Ports,
  given: {
    readonly registry: Registry;
    readonly pipeline: Pipeline;
    readonly aliases: Readonly<Record<string, string>>;
    readonly to: string;
    readonly previous: string | null;
    readonly actor: string;
    readonly verb: "promote" | "rollback";
  },
): Promise<void> {
  const { registry, pipeline, aliases, to, previous } = given;
  const entry = {
    at: ports.clock.now(),
    actor: given.actor,
    verb: given.verb,
    verdict: "FOLLOWS",
    evidence: "",
    reason: `follows champion → ${to}`,
  };
  const move = async (alias: string, next: string | null): Promise<void> => {
    const before = aliases[alias] ?? null;
    if (before !== next) await registry.moveAlias({ model: pipeline.model, alias, from: before, to: next, entry });
  };
  if (previous !== null) await move(PREVIOUS, previous);
  if (aliases.candidate === to) await move("candidate", null);
}

function championBefore(journal: readonly JournalEntry[], present: string): string | null {
  const moves = journal.filter(({ alias }) => alias === "champion");
  for (const move of [...moves].reverse()) {
    if (move.verb !== "rollback" && move.to === present && move.from !== present) return move.from;
  }
  return null;
}
