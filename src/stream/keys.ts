// Which features need to see more than one partition: their windows' key is not the key that the records are partitioned by.
import { SentinelError } from "../core/errors.ts";
import type { FeaturePlan } from "../features/plan.ts";

export interface KeyCheck {
  /** Names of features, with the columns they are keyed by. */
  readonly features: readonly { readonly name: string; readonly key: readonly string[] }[];
}

/** Features shown in one message. */
const SHOWN_MAX = 5;

/**
 * Windows of `key`, or of several columns with `key` among them, are whole in the partition of their transaction; those of other columns are
 * spread over all partitions.
 */
export function checkKeys(plan: FeaturePlan, key: string | null): KeyCheck {
  const features: { name: string; key: readonly string[] }[] = [];
  for (const feature of plan.spec.features) {
    const keys = "key" in feature ? ([feature.key].flat() as readonly string[]) : [];
    if (keys.length > 0 && (key === null || !keys.includes(key))) features.push({ name: feature.name, key: keys });
  }
  return { features };
}

/** The features of a check in words. */
export function keysInWords({ features }: KeyCheck): string {
  const shown = features.slice(0, SHOWN_MAX).map(({ name, key }) => `${name} (by ${key.join(", ")})`);
  const more = features.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Throws `stream.invalid` where several consumers are asked for and each would have a state of its own. */
export function checkConsumers(
  plan: FeaturePlan | null,
  on: { readonly consumers: "one" | "several"; readonly key: string | null; readonly shared: boolean },
): void {
  if (on.consumers === "one" || on.shared) return;
  const check = plan === null ? { features: [] } : checkKeys(plan, on.key);
  const wrong =
    check.features.length === 0
      ? "a partition that moves to another process would begin there with an empty state"
      : `records are keyed by ${on.key ?? "nothing"}, and these features need to see every partition: ${keysInWords(check)}`;
  throw new SentinelError(
    "stream.invalid",
    `stream.consumers is several, and each would have a state of its own: ${wrong}`,
    {
      hint: "set SENTINEL_REDIS_URL, so that they share the feature state; or stream.consumers: one",
    },
  );
}
