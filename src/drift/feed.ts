// Broken feeds: faults of the data that look like drift and are none.
import { shareTest } from "./categories.ts";
import type { DriftPolicy } from "./policy.ts";
import type { FeatureReference, Reference, Values } from "./reference.ts";

export interface FeedFault {
  readonly feature: string;
  readonly fault: "missing" | "stuck" | "infinite";
  /** Share of rows with the fault in reference and window. */
  readonly reference: number;
  readonly window: number;
  readonly words: string;
}

/** A feature stuck at one value is a fault only if chance does not explain it; fewer rows than this never do. */
const STUCK_ROWS_MIN = 20;

/** A fault may wake a person at night, so it must be ten times surer than drift. */
const FEED_ALPHA_SHARE = 0.1;

export function feedFaults(reference: Reference, columns: readonly Values[], policy: DriftPolicy): FeedFault[] {
  return reference.features.flatMap((feature, i) => {
    const fault = missingFault(feature, columns[i], {
      referenceRows: reference.rows,
      policy,
      features: reference.features.length,
    });
    return (fault ?? infiniteFault(feature, columns[i]) ?? stuckFault(feature, columns[i], policy)) || [];
  });
}

function missingFault(
  feature: FeatureReference,
  values: Values,
  use: { readonly referenceRows: number; readonly policy: DriftPolicy; readonly features: number },
): FeedFault | null {
  const { policy, referenceRows } = use;
  const missing = countWhere(values, Number.isNaN);
  const before = feature.missing / referenceRows;
  const now = missing / values.length;
  const pValue = shareTest(
    { events: feature.missing, rows: referenceRows },
    { events: missing, rows: values.length },
    policy,
  );
  const certain = pValue * use.features < policy.falseDiscoveryRate * FEED_ALPHA_SHARE;
  if (now - before < policy.missingRiseMin || !certain) return null;
  return {
    feature: feature.name,
    fault: "missing",
    reference: before,
    window: now,
    words: `broken feed: ${feature.name} is missing in ${percent(now)} of rows, ${percent(before)} in the reference; fix the source before judging drift`,
  };
}

function infiniteFault(feature: FeatureReference, values: Values): FeedFault | null {
  const infinite = countWhere(values, (value) => Math.abs(value) === Number.POSITIVE_INFINITY);
  if (infinite === 0) return null;
  const window = infinite / values.length;
  const words = `broken feed: ${feature.name} is infinite in ${infinite} rows`;
  return { feature: feature.name, fault: "infinite", reference: 0, window, words };
}

/** All present values equal where the reference varied; the bins bound how likely that is by chance. */
function stuckFault(feature: FeatureReference, values: Values, policy: DriftPolicy): FeedFault | null {
  const present = values.filter((value) => !Number.isNaN(value));
  if (present.length < STUCK_ROWS_MIN || feature.counts.length < 2) return null;
  for (let row = 1; row < present.length; row++) if (present[row] !== present[0]) return null;
  const known = feature.counts.reduce((sum, count) => sum + count, 0);
  const commonest = Math.max(...feature.counts) / known;
  if (commonest ** (present.length / policy.designEffect) > policy.falseDiscoveryRate * FEED_ALPHA_SHARE) return null;
  const words = `broken feed: ${feature.name} is ${present[0]} in all ${present.length} rows`;
  return { feature: feature.name, fault: "stuck", reference: commonest, window: 1, words };
}

function countWhere(values: Values, test: (value: number) => boolean): number {
  let count = 0;
  for (let row = 0; row < values.length; row++) if (test(values[row])) count++;
  return count;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
