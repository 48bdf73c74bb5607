// Refreshing: after a drift the first candidate has learned a few days of the new world; models that have learned more of them follow.
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { ModelVersion } from "../../ports/registry.ts";
import { SINCE_TAG } from "../learned.ts";
import { learnedBy } from "./candidates.ts";

/**
 * So many times the days of the new world must be known before they are learned anew: half as many more tell a model something, and as the days
 * grow, so do the pauses; eight weeks take about seven trainings.
 */
const GROWTH = 1.5;

/** A new world that is still being learned. */
export interface Refresh {
  /** When the world became another one. */
  readonly since: number;
  /** Whether labels of enough more days are final by now. */
  readonly due: boolean;
  /** Why it is due, or what is waited for. */
  readonly reason: string;
}

/**
 * Where the newest of `versions` was made for a world that began at a time, and has learned less than `retrain.refresh` of it, the next model
 * follows once labels of half as much more are final: although nothing is wrong, and not sooner where something is, since that is the
 * same drift. Null where no such world is being learned.
 */
export function refreshOf(
  versions: readonly ModelVersion[],
  { final, pipeline }: { readonly final: number; readonly pipeline: Pipeline },
): Refresh | null {
  const newest = versions.reduce<ModelVersion | null>(
    (best, version) => (best === null || learnedBy(version) > learnedBy(best) ? version : best),
    null,
  );
  if (newest === null) return null;
  const since = Number(newest.tags[SINCE_TAG] ?? Number.NaN);
  const learned = learnedBy(newest) - since;
  // NaN of a version that no drift has asked for.
  if (!(learned > 0) || learned >= pipeline.retrain.refreshMs) return null;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const due = final - since >= GROWTH * learned;
  const known = `the world that began about ${day(since)} is known up to ${day(final)}, and version ${newest.version} has learned it up to ${day(learnedBy(newest))}`;
  const next = `the next model follows once labels up to ${day(since + GROWTH * learned)} are final`;
  return { since, due, reason: due ? known : `${known}: ${next}` };
}
