// Broken feeds: faults of the data that look like drift and are none.
import { shareTest } from "./categories.ts";
import type { Grids } from "./grid.ts";
import type { DriftPolicy } from "./policy.ts";
import type { FeatureReference, Reference } from "./reference.ts";
import { type ColumnTally, columnOf, type Tally } from "./tally.ts";
import { unitFault } from "./units.ts";

export interface FeedFault {
  /** null: a fault of whole rows. */
  readonly feature: string | null;
  readonly fault: "missing" | "stuck" | "infinite" | "unit" | "late" | "duplicated";
  /** Share of rows with the fault in reference and window. */
  readonly reference: number;
  readonly window: number;
  readonly words: string;
}

/** A feature stuck at one value is a fault only if chance does not explain it; fewer rows than this never do. */
const STUCK_ROWS_MIN = 20;

/**
 * A value that nearly all rows have anyway says little when it is all there is: when frauds of a kind end, what counts them is 0 from then on,
 * and no source is broken.
 */
const STUCK_COMMONEST_MAX = 0.9;

/** What most rows lack anyway, like the days since a fraud, they may lack more often without a fault: that is drift. */
const MISSING_BEFORE_MAX = 0.5;

/** A fault may wake a person at night, so it must be ten times surer than drift. */
const FEED_ALPHA_SHARE = 0.1;

/** `pValues`: of each feature's movement; a changed unit is looked for where it is certain. */
export function feedFaults(
  reference: Reference,
  window: {
    readonly tally: Tally;
    readonly grids: Grids;
    readonly pValues: readonly number[];
    /** Share of repeated rows in the reference; null: unknown. */
    readonly duplicates: number | null;
    /** Whether there are rows of the whole window: in a part of it, a weekend, say, some values do not change by nature. */
    readonly whole: boolean;
  },
  policy: DriftPolicy,
): FeedFault[] {
  const { tally, grids, pValues } = window;
  const features = reference.features.length;
  const byFeature = reference.features.flatMap((feature, i) => {
    const column = columnOf(tally, grids, i);
    const fault = missingFault(feature, column, { referenceRows: reference.rows, policy, features });
    const certain =
      column.rows >= policy.rowsMin && pValues[i] * features < policy.falseDiscoveryRate * FEED_ALPHA_SHARE;
    return (
      (fault ??
        infiniteFault(feature, column) ??
        (window.whole ? stuckFault(feature, column, policy) : null) ??
        (certain ? changedUnit(feature, column) : null)) ||
      []
    );
  });
  return [...byFeature, ...rowFaults(tally, window.duplicates, policy)];
}

function missingFault(
  feature: FeatureReference,
  column: ColumnTally,
  use: { readonly referenceRows: number; readonly policy: DriftPolicy; readonly features: number },
): FeedFault | null {
  const { policy, referenceRows } = use;
  const { missing, rows } = column;
  const before = feature.missing / referenceRows;
  const now = missing / rows;
  const pValue = shareTest({ events: feature.missing, rows: referenceRows }, { events: missing, rows }, policy);
  const certain = pValue * use.features < policy.falseDiscoveryRate * FEED_ALPHA_SHARE;
  if (before > MISSING_BEFORE_MAX || now - before < policy.missingRiseMin || !certain) return null;
  return {
    feature: feature.name,
    fault: "missing",
    reference: before,
    window: now,
    words: `broken feed: ${feature.name} is missing in ${percent(now)} of rows, ${percent(before)} in the reference; fix the source before judging drift`,
  };
}

function infiniteFault(feature: FeatureReference, { infinite, rows }: ColumnTally): FeedFault | null {
  if (infinite === 0) return null;
  const words = `broken feed: ${feature.name} is infinite in ${infinite} rows`;
  return { feature: feature.name, fault: "infinite", reference: 0, window: infinite / rows, words };
}

/** All present values equal where the reference varied; the bins bound how likely that is by chance. */
function stuckFault(feature: FeatureReference, column: ColumnTally, policy: DriftPolicy): FeedFault | null {
  const present = column.rows - column.missing;
  if (present < STUCK_ROWS_MIN || feature.counts.length < 2 || column.least !== column.greatest) return null;
  const known = feature.counts.reduce((sum, count) => sum + count, 0);
  const commonest = Math.max(...feature.counts) / known;
  if (commonest > STUCK_COMMONEST_MAX) return null;
  if (commonest ** (present / policy.designEffect) > policy.falseDiscoveryRate * FEED_ALPHA_SHARE) return null;
  const words = `broken feed: ${feature.name} is ${column.least} in all ${present} rows`;
  return { feature: feature.name, fault: "stuck", reference: commonest, window: 1, words };
}

function changedUnit(feature: FeatureReference, column: ColumnTally): FeedFault | null {
  if (feature.kind !== "number") return null;
  const fault = unitFault(feature.sketch, column.magnitudes);
  if (fault === null) return null;
  const times = fault.factor >= 1 ? `× ${number(fault.factor)}` : `÷ ${number(1 / fault.factor)}`;
  const words = `broken feed: ${percent(fault.share)} of ${feature.name} look like the reference ${times}; a unit changed at the source`;
  return { feature: feature.name, fault: "unit", reference: 0, window: fault.share, words };
}

/** Late and duplicated rows, which a sound feed hardly has. */
function rowFaults(
  { rows, late, duplicates }: Tally,
  duplicatesBefore: number | null,
  { missingRiseMin }: DriftPolicy,
): FeedFault[] {
  const faults: FeedFault[] = [];
  if (late / rows >= missingRiseMin) {
    const words = `broken feed: ${percent(late / rows)} of rows came more than an hour after newer ones; a source delivers late`;
    faults.push({ feature: null, fault: "late", reference: 0, window: late / rows, words });
  }
  const before = duplicatesBefore ?? 1;
  if (duplicates / rows - before >= missingRiseMin) {
    const words = `broken feed: ${percent(duplicates / rows)} of rows repeat an earlier one under another id; a source delivers twice`;
    faults.push({ feature: null, fault: "duplicated", reference: before, window: duplicates / rows, words });
  }
  return faults;
}

function number(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en");
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
