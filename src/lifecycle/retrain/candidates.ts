// The candidates of a loop: which shadow, which place a new one takes, and which have nothing more to give.
import { CANDIDATE } from "../../core/alias.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { ModelVersion } from "../../ports/registry.ts";
import { LEARNED_TAG } from "../learned.ts";

/**
 * Aliases of the candidates that a loop makes, in the order in which they are taken. Each scores all of the traffic, so they are few; with one
 * alone, each model that has learned more would throw the evidence of the one before away.
 */
const PLACES = [CANDIDATE, `${CANDIDATE}-2`, `${CANDIDATE}-3`] as const;

/** The verb of a retraining, in runs and versions. */
export const RETRAIN_VERB = "retrain";

export interface Candidate {
  readonly alias: string;
  readonly version: ModelVersion;
}

/** Newest first. */
export async function candidatesOf(ports: Ports, { model }: Pipeline): Promise<readonly Candidate[]> {
  const registry = await ports.registry();
  const aliases = await registry.aliases(model);
  const inUse = PLACES.filter((alias) => aliases[alias] !== undefined && aliases[alias] !== aliases.champion);
  const found = inUse.map(async (alias) => ({ alias, version: await registry.version(model, aliases[alias]) }));
  return (await Promise.all(found)).sort((a, b) => b.version.createdAt - a.version.createdAt);
}

/** The place of a new candidate: the first that is free, else that of the oldest one that may be replaced; null: all are taken. */
export function placeFor(
  candidates: readonly Candidate[],
  { mayReplace, extra }: { readonly mayReplace: (candidate: Candidate) => boolean; readonly extra: boolean },
): string | null {
  const replaced = candidates.findLast(mayReplace)?.alias;
  if (replaced !== undefined) return replaced;
  // Beside one that waits only a model which has learned more is worth the traffic.
  if (candidates.length > 0 && !extra) return null;
  return PLACES.find((place) => candidates.every(({ alias }) => alias !== place)) ?? null;
}

/** Event time before which lies all that a version has learned; −∞ where it does not say. */
export function learnedBy({ tags }: ModelVersion): number {
  const time = Number(tags[LEARNED_TAG] ?? Number.NaN);
  return Number.isFinite(time) ? time : Number.NEGATIVE_INFINITY;
}

/**
 * Takes the alias from candidates of this loop that learned up to an earlier day than the champion: one that is behind before it is judged would only
 * cost what it takes to score. Candidates that somebody trained by hand stay. Errors: registry.*.
 */
export async function withdrawStale(
  ports: Ports,
  { pipeline, actor }: { readonly pipeline: Pipeline; readonly actor: string },
): Promise<void> {
  const { model } = pipeline;
  const registry = await ports.registry();
  const { champion } = await registry.aliases(model);
  if (champion === undefined) return;
  const learned = learnedBy(await registry.version(model, champion));
  for (const { alias, version } of await candidatesOf(ports, pipeline)) {
    if (version.tags["sentinel.verb"] !== RETRAIN_VERB || learnedBy(version) >= learned) continue;
    const reason = `version ${version.version} has learned fewer of the newest days than the champion, version ${champion}`;
    await registry.moveAlias({
      model,
      alias,
      from: version.version,
      to: null,
      entry: { at: ports.clock.now(), actor, verb: RETRAIN_VERB, verdict: "WITHDRAWN", evidence: "", reason },
    });
    ports.report.line(`  withdrawn: ${reason}`);
  }
}
