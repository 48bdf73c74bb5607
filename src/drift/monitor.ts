// The drift report: data quality first, then features, score and alert rate, in words a person can act on.
import { SentinelError } from "../core/errors.ts";
import { shareTest } from "./categories.ts";
import { compareFeature, type FeatureDrift, judged } from "./feature.ts";
import { type FeedFault, feedFaults } from "./feed.ts";
import { benjaminiHochberg } from "./limits.ts";
import { DRIFT_POLICY, type DriftPolicy } from "./policy.ts";
import type { Reference, Values } from "./reference.ts";

/** Recent rows: one column per feature of the reference, in its order; alerts counts reviews and blocks. */
export interface DriftWindow {
  readonly columns: readonly Values[];
  readonly scores: Values;
  readonly alerts: number;
}

export interface AlertRateDrift {
  readonly reference: number;
  readonly window: number;
  readonly pValue: number;
  readonly drifted: boolean;
}

export interface DriftReport {
  readonly alarm: boolean;
  readonly verdict: "steady" | "drifted" | "broken feed" | "too few rows";
  /** Why, most urgent first; never empty. */
  readonly reasons: readonly string[];
  readonly rows: number;
  readonly dataQuality: readonly FeedFault[];
  /** The most moved first. */
  readonly features: readonly FeatureDrift[];
  readonly score: FeatureDrift;
  readonly alertRate: AlertRateDrift;
}

/** A broken feed shows on few rows; on fewer than these it may be a stray request. */
const FEED_ROWS_MIN = 30;

/**
 * Compares a window with the reference. Without drift and with independent rows a window alarms with probability about
 * `falseDiscoveryRate` at most, over all its features, score and alert rate together. Throws
 * `drift.reference-missing` when the columns are not the reference's.
 */
export function driftReport(input: {
  readonly reference: Reference;
  readonly window: DriftWindow;
  readonly policy?: Partial<DriftPolicy>;
}): DriftReport {
  const { reference, window } = input;
  const policy = { ...DRIFT_POLICY, ...input.policy };
  checkColumns(reference, window);
  const { features, score, alertRate } = movements(reference, window, policy);
  const rows = window.scores.length;
  const enough = rows >= policy.rowsMin;
  const faults = rows >= FEED_ROWS_MIN ? feedFaults(reference, window.columns, policy) : [];
  const broken = new Set(faults.map((fault) => fault.feature));
  const moved = [
    ...(alertRate.drifted ? [alertRateWords(alertRate)] : []),
    ...[score, ...byMovement(features)]
      .filter((feature) => feature.drifted && !broken.has(feature.name))
      .map((feature) => feature.words),
  ];
  const drifted = enough && moved.length > 0;
  const reasons = [
    ...faults.map((fault) => fault.words),
    ...(enough ? moved : [`too few rows: ${rows} of ${policy.rowsMin}, distributions were not judged`]),
  ];
  return {
    alarm: faults.length > 0 || drifted,
    verdict: faults.length > 0 ? "broken feed" : !enough ? "too few rows" : drifted ? "drifted" : "steady",
    reasons:
      reasons.length > 0 ? reasons : [`steady: ${features.length} features, score and alert rate over ${rows} rows`],
    rows,
    dataQuality: faults,
    features: byMovement(features),
    score,
    alertRate,
  };
}

/** Every distribution against its reference, certain or not after one adjustment for all of them. */
function movements(
  reference: Reference,
  window: DriftWindow,
  policy: DriftPolicy,
): Pick<DriftReport, "features" | "score" | "alertRate"> {
  const compared = [
    ...reference.features.map((feature, i) => compareFeature(feature, window.columns[i], policy)),
    compareFeature(reference.score, window.scores, policy),
  ];
  const alertRate = compareAlertRate(reference, window, policy);
  const adjusted = benjaminiHochberg([...compared.map((feature) => feature.pValue), alertRate.pValue]);
  const all = compared.map((feature, i) => judged(feature, adjusted[i], policy));
  const certain = adjusted[adjusted.length - 1] < policy.falseDiscoveryRate;
  return {
    features: all.slice(0, -1),
    score: all[all.length - 1],
    alertRate: { ...alertRate, drifted: alertRate.drifted && certain },
  };
}

function checkColumns(reference: Reference, window: DriftWindow): void {
  const rows = window.scores.length;
  const matches = window.columns.length === reference.features.length;
  if (matches && window.columns.every((column) => column.length === rows)) return;
  throw new SentinelError(
    "drift.reference-missing",
    `the drift reference has ${reference.features.length} features, the window ${window.columns.length} columns for ${rows} rows`,
    { hint: "compare with the reference of the bundle that made these vectors" },
  );
}

function compareAlertRate(reference: Reference, window: DriftWindow, policy: DriftPolicy): AlertRateDrift {
  const rows = window.scores.length;
  const before = reference.alerts / reference.rows;
  const now = window.alerts / rows;
  const pValue = shareTest({ events: reference.alerts, rows: reference.rows }, { events: window.alerts, rows }, policy);
  const large = Math.abs(now - before) >= policy.alertRateChangeMin * before;
  return { reference: before, window: now, pValue, drifted: large };
}

function alertRateWords({ reference, window }: AlertRateDrift): string {
  const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
  return `alert rate moved from ${percent(reference)} to ${percent(window)}`;
}

function byMovement(features: readonly FeatureDrift[]): FeatureDrift[] {
  return [...features].sort((a, b) => (b.psi || 0) - (a.psi || 0));
}
