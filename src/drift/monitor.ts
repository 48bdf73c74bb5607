// The drift report: data quality first, then features, score and alert rate, in words a person can act on.
import { shareTest } from "./categories.ts";
import { compareFeature, type FeatureDrift, judged, lasted } from "./feature.ts";
import { type FeedFault, feedFaults } from "./feed.ts";
import { coarse, type Grids } from "./grid.ts";
import { columnStretches, lastingOf, type Stretch, showing } from "./lasting.ts";
import { benjaminiHochberg, benjaminiYekutieli } from "./limits.ts";
import { DRIFT_POLICY, type DriftPolicy } from "./policy.ts";
import { type FeatureReference, type Reference, scoredRows } from "./reference.ts";
import { type ColumnSwing, type DesignEffects, designEffectOf, type Swing } from "./swing.ts";
import { columnOf, type Sample, sumOf, type Tally } from "./tally.ts";

/** Recent rows, as tallies of stretches that follow each other; one stretch when their times are unknown. */
export interface DriftWindow {
  readonly grids: Grids;
  readonly stretches: readonly Stretch[];
}

export interface AlertRateDrift {
  readonly reference: number;
  readonly window: number;
  readonly pValue: number;
  readonly drifted: boolean;
}

/** What most of a movement is: one bin that rows left or came to, and a row that is there now. */
export interface Shift {
  readonly feature: string;
  /** Bounds of the bin (above, up to) or the category's code; null: open, or all other categories. */
  readonly bin:
    | { readonly kind: "range"; readonly above: number | null; readonly upTo: number | null }
    | { readonly kind: "category"; readonly code: number | null }
    | { readonly kind: "missing" };
  /** Shares of rows. */
  readonly reference: number;
  readonly window: number;
  readonly example: { readonly id: string; readonly time: number; readonly value: number | null } | null;
}

/** One cell of the strip feature × stretch. */
export interface StripRow {
  readonly name: string;
  /** PSI less what chance gives; null where there are too few rows. */
  readonly excess: readonly (number | null)[];
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
  /** Of features that moved. */
  readonly shifts: readonly Shift[];
  readonly strip: { readonly from: readonly number[]; readonly rows: readonly StripRow[] };
  /** Shares of rows in the score's bins when trained and in the window. */
  readonly scores: {
    readonly edges: readonly number[];
    readonly reference: readonly number[];
    readonly window: readonly number[];
  };
}

/** A broken feed shows on few rows; on fewer than these it may be a stray request. */
const FEED_ROWS_MIN = 30;

/**
 * Compares a window with the reference. Without drift a window alarms with probability about `falseDiscoveryRate` at most, over all its
 * features, score and alert rate together: rows count for as many as the bundle's swing says (as independent, where it has none).
 */
export function driftReport(input: {
  readonly reference: Reference;
  readonly swing?: Swing | null;
  readonly window: DriftWindow;
  readonly policy?: Partial<DriftPolicy>;
}): DriftReport {
  const { reference, window, swing = null } = input;
  const policy = { ...DRIFT_POLICY, ...input.policy };
  const total = sumOf(
    window.grids,
    window.stretches.map(({ tally }) => tally),
  );
  const of = { reference, swing, window, total, policy };
  const { features, score, alertRate, strip } = movements(of);
  const { rows } = total;
  const enough = rows >= policy.rowsMin;
  const pValues = features.map(({ pValue }) => pValue);
  const whole = window.stretches.every(({ tally }) => tally.rows > 0);
  const feed = { tally: total, grids: window.grids, pValues, duplicates: swing?.duplicates ?? null, whole };
  const faults = rows >= FEED_ROWS_MIN ? feedFaults(reference, feed, policy) : [];
  const broken = new Set(faults.map((fault) => fault.feature));
  const sound = [score, ...byMovement(features)].filter((feature) => !broken.has(feature.name));
  const moved = [
    ...(alertRate.drifted ? [alertRateWords(alertRate)] : []),
    ...sound.filter((feature) => feature.drifted).map((feature) => feature.words),
  ];
  const passing = sound.filter((feature) => feature.moved && !feature.drifted).map((feature) => feature.words);
  const drifted = enough && moved.length > 0;
  const reasons = [
    ...faults.map((fault) => fault.words),
    ...(enough
      ? [...moved, ...passing]
      : [`too few rows: ${rows} of ${policy.rowsMin}, distributions were not judged`]),
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
    shifts: byMovement(features)
      .filter((feature) => feature.moved)
      .map((feature) => shiftOf(feature.name, of)),
    strip,
    scores: scoreShares(of),
  };
}

interface Given {
  readonly reference: Reference;
  readonly swing: Swing | null;
  readonly window: DriftWindow;
  readonly total: Tally;
  readonly policy: DriftPolicy;
}

/** Every distribution against its reference, certain or not after one adjustment for all of them, lasting or not. */
function movements(
  given: Given,
): Pick<DriftReport, "score" | "alertRate" | "strip"> & { readonly features: readonly FeatureDrift[] } {
  const { reference, swing, window, total, policy } = given;
  const { stretches, grids } = window;
  const wholeMs = stretches.length === 0 ? 0 : stretches[stretches.length - 1].to - stretches[0].from;
  const columns = [...reference.features, reference.score];
  const swings = swing === null ? [] : [...swing.features, swing.score];
  const effectsOf = (column: ColumnSwing | undefined, ms: number, rows: number): DesignEffects => {
    const measured = swing === null || column === undefined ? null : { hours: swing.hours, column };
    const isFeature = column !== undefined && swing?.features.includes(column) === true;
    const referenceRows = isFeature ? reference.rows : scoredRows(reference);
    const { bins, ordered } = designEffectOf(measured, { ms, rows, referenceRows });
    return { bins: Math.max(policy.designEffect, bins), ordered: Math.max(policy.designEffect, ordered) };
  };
  const compared = columns.map((feature, i) =>
    compareFeature({ reference: feature, grid: grids.columns[i] }, columnOf(total, grids, i), {
      ...policy,
      effects: effectsOf(swings[i], wholeMs, total.rows),
    }),
  );
  const alertRate = compareAlertRate(given, effectsOf(swing?.alerts, wholeMs, total.rows).bins);
  const adjust = policy.correction === "benjamini-yekutieli" ? benjaminiYekutieli : benjaminiHochberg;
  const adjusted = adjust([...compared.map((feature) => feature.pValue), alertRate.pValue]);
  const strip: StripRow[] = [];
  const all = compared.map((feature, i) => {
    const of = { reference: columns[i], grid: grids.columns[i] };
    const parts = columnStretches(stretches, grids, {
      column: i,
      effects: ({ from, to, tally }) => effectsOf(swings[i], to - from, tally.rows),
    });
    strip.push({ name: feature.name, excess: parts.map((part) => excessOf(of, part, policy)) });
    const one = judged(feature, adjusted[i], policy);
    return lasted(one, lastingOf(one.moved ? showing(of, parts, policy) : [], stretches, policy));
  });
  const certain = adjusted[adjusted.length - 1] < policy.falseDiscoveryRate;
  return {
    features: all.slice(0, -1),
    score: all[all.length - 1],
    alertRate: { ...alertRate, drifted: alertRate.drifted && certain && alertsLast(given) },
    strip: { from: stretches.map(({ from }) => from), rows: strip },
  };
}

function excessOf(
  compared: { readonly reference: FeatureReference; readonly grid: Grids["columns"][number] },
  part: ReturnType<typeof columnStretches>[number],
  policy: DriftPolicy,
): number | null {
  if (part.column.rows < policy.rowsMin) return null;
  const { psi, psiExpected } = compareFeature(compared, part.column, { ...policy, effects: part.effects });
  return Math.max(0, psi - psiExpected);
}

function compareAlertRate({ reference, total, policy }: Given, designEffect: number): AlertRateDrift {
  const { rows, alerts } = total;
  const referenceRows = scoredRows(reference);
  const before = reference.alerts / referenceRows;
  const now = alerts / rows;
  const pValue = shareTest(
    { events: reference.alerts, rows: referenceRows },
    { events: alerts, rows },
    { designEffect },
  );
  const large = Math.abs(now - before) >= policy.alertRateChangeMin * before;
  return { reference: before, window: now, pValue, drifted: large };
}

/** Alerts are rare: a stretch shows half of the change that counts, in the same direction, or has too few rows to say. */
function alertsLast({ reference, window, total, policy }: Given): boolean {
  const before = reference.alerts / scoredRows(reference);
  const direction = Math.sign(total.alerts / total.rows - before);
  const shows = window.stretches.map(({ tally }) =>
    tally.rows < policy.rowsMin
      ? null
      : direction * (tally.alerts / tally.rows - before) >= (policy.alertRateChangeMin * before) / 2,
  );
  return lastingOf(shows, window.stretches, policy).lasting !== false;
}

function alertRateWords({ reference, window }: AlertRateDrift): string {
  const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
  return `alert rate moved from ${percent(reference)} to ${percent(window)}`;
}

/** The bin that adds most to PSI, and a sampled row in it where rows came, else any sampled row. */
function shiftOf(name: string, { reference, window, total }: Given): Shift {
  const column = reference.features.findIndex((feature) => feature.name === name);
  const feature = reference.features[column];
  const grid = window.grids.columns[column];
  const tally = columnOf(total, window.grids, column);
  const before = [...feature.counts, feature.missing].map((count) => count / reference.rows);
  const now = [...coarse(feature, grid, tally.bins), tally.missing].map((count) => count / total.rows);
  const weight = now.map((p, i) => (p - before[i]) * Math.log((p + 1e-6) / (before[i] + 1e-6)));
  const at = weight.indexOf(Math.max(...weight));
  const isIn = ({ vector }: Sample): boolean => binAt(feature, vector[column]) === at;
  const newestFirst = [...total.samples].sort((a, b) => b.time - a.time);
  const sample = newestFirst.find(isIn) ?? null;
  return {
    feature: name,
    bin: binWords(feature, at),
    reference: before[at],
    window: now[at],
    example:
      sample === null
        ? null
        : {
            id: sample.id,
            time: sample.time,
            value: Number.isNaN(sample.vector[column]) ? null : sample.vector[column],
          },
  };
}

/** Coarse bin of a value; the missing one is the last. */
export function binAt(feature: FeatureReference, value: number): number {
  if (Number.isNaN(value)) return feature.counts.length;
  if (feature.kind === "category") {
    const bin = feature.categories.indexOf(value);
    return bin < 0 ? feature.categories.length : bin;
  }
  let bin = 0;
  while (bin < feature.edges.length && value > feature.edges[bin]) bin++;
  return bin;
}

function binWords(feature: FeatureReference, at: number): Shift["bin"] {
  if (at === feature.counts.length) return { kind: "missing" };
  if (feature.kind === "category") return { kind: "category", code: feature.categories[at] ?? null };
  return { kind: "range", above: feature.edges[at - 1] ?? null, upTo: feature.edges[at] ?? null };
}

function scoreShares({ reference, window, total }: Given): DriftReport["scores"] {
  const { score } = reference;
  const column = reference.features.length;
  const now = coarse(score, window.grids.columns[column], columnOf(total, window.grids, column).bins);
  return {
    edges: score.edges,
    reference: score.counts.map((count) => count / scoredRows(reference)),
    window: now.map((count) => (total.rows === 0 ? 0 : count / total.rows)),
  };
}

function byMovement(features: readonly FeatureDrift[]): FeatureDrift[] {
  return [...features].sort((a, b) => (b.psi || 0) - (a.psi || 0));
}
