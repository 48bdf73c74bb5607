// Up to when a version has learned, from its tag: a pair of an earlier transaction is no evidence about it.
import { SentinelError } from "../core/errors.ts";
import type { Registry } from "../ports/registry.ts";

/** The tag of a version: event time in milliseconds before which lies all that it learned from. */
export const LEARNED_TAG = "sentinel.learned_up_to";

/** The tag of a version: event time in milliseconds at which the world began to be the one that it was made for. */
export const SINCE_TAG = "sentinel.drift_since";

/** The latest of several versions; −∞ where none says so: those registered before the tag existed, or by somebody else. */
export async function learnedUpTo(
  registry: Registry,
  { model, versions }: { readonly model: string; readonly versions: readonly string[] },
): Promise<number> {
  let latest = Number.NEGATIVE_INFINITY;
  for (const version of versions) latest = Math.max(latest, await ofVersion(registry, { model, version }));
  return latest;
}

async function ofVersion(
  registry: Registry,
  { model, version }: { readonly model: string; readonly version: string },
): Promise<number> {
  try {
    const { tags } = await registry.version(model, version);
    const time = Number(tags[LEARNED_TAG] ?? Number.NaN);
    return Number.isFinite(time) ? time : Number.NEGATIVE_INFINITY;
  } catch (error) {
    // Of a version that was deleted, records remain.
    if (error instanceof SentinelError && error.code === "registry.version-unknown") return Number.NEGATIVE_INFINITY;
    throw error;
  }
}
