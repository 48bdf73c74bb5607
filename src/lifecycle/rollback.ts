// The automatic rollback: is the champion, on live traffic, worse than the one it replaced? Then that one answers again.
import { SentinelError } from "../core/errors.ts";
import { movesOfAlias } from "../core/journal.ts";
import { isYes, type Verdict } from "../core/verdict.ts";
import { PROMOTION_POLICY, type PromotionPolicy, promotionPolicy, rollbackGate } from "../evidence/promotion.ts";
import type { ShadowReport } from "../evidence/report.ts";
import type { loadVersion } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { JournalEntry } from "../ports/registry.ts";
import { budgetOf, coverageOf, PREVIOUS, recordMove, reportOf, servable } from "./promote.ts";
import { rulesFor } from "./promotion-rules.ts";

export interface GuardInput {
  readonly pipeline: Pipeline;
  readonly actor: string;
  readonly seed: number;
  /** Proves that the version can be served; throws where it cannot. */
  readonly load?: typeof loadVersion;
}

export interface GuardResult {
  /** Of the gate "rollback": "fail" when a guard rail is broken. */
  readonly verdict: Verdict;
  /** The champion that was judged. */
  readonly from: string;
  /** The one it replaced; null where nothing is there to go back to. */
  readonly to: string | null;
  readonly moved: boolean;
  readonly report: ShadowReport | null;
  readonly journal: JournalEntry | null;
}

/**
 * Judges the champion against the one it replaced, which shadows on as `previous`, by the promotion gate's own findings with the two in
 * each other's place. Where that gate would reject the champion, and the pipeline allows it (`gates.rollback.automatic`), it rolls back.
 * Errors: lifecycle.no-champion, registry.*, log.*, and those of a bundle that cannot be loaded; nothing has moved then.
 */
export async function rollbackIfBroken(ports: Ports, input: GuardInput): Promise<GuardResult> {
  const { pipeline } = input;
  const { load = servable(pipeline) } = input;
  const registry = await ports.registry();
  await registry.recover(pipeline.model);
  const aliases = await registry.aliases(pipeline.model);
  const from = aliases.champion;
  if (from === undefined) {
    throw new SentinelError("lifecycle.no-champion", `${pipeline.model} has no champion to watch`, {
      hint: "promote a version first: `sentinel promote`",
    });
  }
  const stays = { from, moved: false, report: null, journal: null };
  const reign = reignOf(await registry.journal(pipeline.model), { champion: from, previous: aliases[PREVIOUS] });
  if ("reason" in reign) {
    const verdict: Verdict = { gate: "rollback", verdict: "pass", reasons: [reign.reason], checks: [] };
    return { ...stays, verdict, to: null };
  }
  const { to } = reign;
  const { tags } = await registry.version(pipeline.model, from);
  const { rules } = rulesFor(tags, pipeline);
  const { verdict, report, policy } = await weigh(ports, { ...input, from, to, rules });
  if (isYes(verdict) || !pipeline.gates.rollback.automatic) return { ...stays, verdict, to, report };
  const { bundle } = await registry.version(pipeline.model, to);
  // What cannot be loaded would leave the next server that starts without a champion: then the broken one is the better.
  await load(registry, { model: pipeline.model, version: to });
  const journal = await recordMove(ports, {
    model: pipeline.model,
    aliases,
    evidence: { from, to, bundle, verdict, policy, report },
    entry: {
      actor: input.actor,
      verb: "rollback",
      verdict: "BROKEN",
      reason: `version ${from} as a candidate against version ${to}: ${verdict.reasons.join("; ")}`,
    },
  });
  return { verdict, from, to, moved: true, report, journal };
}

/**
 * The version that a promotion of the present champion replaced; else why nothing can be undone by itself. Only a promotion is undone: were
 * a rollback, two versions with different alert rates would replace each other for ever.
 */
function reignOf(
  journal: readonly JournalEntry[],
  aliases: { readonly champion: string; readonly previous: string | undefined },
): { readonly to: string } | { readonly reason: string } {
  const { champion, previous } = aliases;
  const moves = movesOfAlias(journal, "champion");
  const last = moves.at(-1);
  if (last === undefined || last.to !== champion)
    return { reason: `version ${champion} became champion past the journal: nothing says what it replaced` };
  if (last.entry.verb === "rollback")
    return { reason: `version ${champion} is champion by a rollback: only a promotion is undone by itself` };
  if (last.from === null) return { reason: `version ${champion} replaced no champion: there is nothing to go back to` };
  if (last.from !== previous)
    return {
      reason: `version ${last.from}, which it replaced, is not in shadow as \`${PREVIOUS}\`: nothing to compare with`,
    };
  // Shadow records name versions, not reigns: those of an earlier one would judge this one.
  if (moves.filter(({ to }) => to === champion).length > 1)
    return { reason: `version ${champion} was champion before: its records of then and now cannot be told apart` };
  return { to: last.from };
}

async function weigh(
  ports: Ports,
  given: GuardInput & {
    readonly from: string;
    readonly to: string;
    readonly rules: ReturnType<typeof rulesFor>["rules"];
  },
): Promise<{ readonly verdict: Verdict; readonly report: ShadowReport; readonly policy: PromotionPolicy }> {
  const { pipeline, from, to, seed, rules } = given;
  const report = await reportOf(ports, pipeline, { version: to, championVersion: from, seed, now: null, turned: true });
  // A machine on which both are slow is no fault of the champion's, and going back does not cure it.
  const slower = report.latencyMs.champion.p99;
  const latencyP99MsMax = Math.max(PROMOTION_POLICY.latencyP99MsMax, Number.isNaN(slower) ? 0 : slower);
  const policy = { ...rules, latencyP99MsMax };
  const { pairsMin } = pipeline.gates.rollback;
  const verdict = rollbackGate({
    report,
    coverage: await coverageOf(ports, to),
    policy,
    pairsMin,
    budget: budgetOf(pipeline),
  });
  return { verdict, report, policy: promotionPolicy(policy) };
}
