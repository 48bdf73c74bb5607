// The vector of a logged transaction: whether a bundle judged it, and as another bundle with the same features reads it.
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson } from "../../core/hash.ts";
import type { PredictionRecord } from "../../ports/log.ts";
import type { Scorer } from "../score.ts";

/** The logged vector in the order of another bundle's features, or the names of those the log does not hold. */
export type Translated =
  | { readonly vector: Float32Array }
  | { readonly vector: null; readonly missing: readonly string[] };

/** Features are the same when name and definition are; what they refer to is in the spec too, so it is compared as well. */
export function translate(
  vector: Float32Array,
  { from, to }: { readonly from: Scorer; readonly to: Scorer },
): Translated {
  if (from.plan.hash === to.plan.hash) return { vector };
  const places = new Map(from.manifest.features.features.map((def, place) => [canonicalJson(def), place]));
  const found = to.manifest.features.features.map((def) => places.get(canonicalJson(def)));
  const missing = to.plan.names.filter((_, c) => found[c] === undefined);
  if (missing.length > 0) return { vector: null, missing };
  return { vector: Float32Array.from(found, (place) => vector[place!]) };
}

/** Throws `request.invalid` for a transaction that no bundle judged. */
export function checkJudged(record: PredictionRecord): void {
  if (!record.degraded) return;
  throw new SentinelError(
    "request.invalid",
    `transaction ${JSON.stringify(record.transactionId)} has no score: scoring failed, and the pipeline's policy answered ${record.decision}`,
    { hint: "explain a transaction that a model judged" },
  );
}
