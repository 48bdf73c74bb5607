// The shadow report: champion and candidate on the same transactions, as plain data.
import { DECISIONS } from "../core/decision.ts";
import { DAY_MS } from "../core/duration.ts";
import { mean, quantileSorted } from "../core/stats.ts";
import { ALERT_RATE } from "../metrics/summed.ts";
import { type PairedInterval, pairedBootstrap } from "./bootstrap.ts";
import { busyDays } from "./days.ts";
import { type LabelledMetrics, type LabelledOptions, labelledMetrics } from "./labelled.ts";
import { FRAUD, GENUINE, type PairColumns, UNLABELLED } from "./pairs.ts";
import { amountBands, type Segment, type SegmentInterval, segmentIntervals } from "./segments.ts";
import { type Selection, selectRows } from "./selection.ts";

export interface ShadowReportOptions extends LabelledOptions {
  /** The time of asking: labels known later do not exist yet. */
  readonly now: number;
  /** How old a transaction must be before its label counts as final. */
  readonly maturityMs: number;
  /** Counts an old transaction without a label as genuine, for sources that only ever report fraud. */
  readonly unlabelledIsGenuine?: boolean;
  /** Groups to look at on their own; quarters by amount when absent. */
  readonly segments?: readonly Segment[];
}

export interface LabelCounts {
  readonly rows: number;
  readonly labelled: number;
  readonly frauds: number;
}

export interface LatencyQuantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Pairs of one cell of the table of alerts. */
export interface AlertCell {
  readonly pairs: number;
  /** Of all of them, in the transactions' own unit; null where no pair has an amount. */
  readonly amount: number | null;
  /** Of the matured ones whose label is known. */
  readonly labelled: number;
  readonly frauds: number;
  readonly fraudAmount: number | null;
}

/** JSON-friendly but for NaN, which JSON writes as null. */
export interface ShadowReport {
  readonly pairs: number;
  readonly cards: number;
  readonly from: number | null;
  readonly to: number | null;
  readonly championVersions: readonly string[];
  readonly truncated: boolean;
  readonly unusable: number;
  /** Pairs of days that one of the two has learned from; they count for nothing. */
  readonly learned: number;
  /** Counts; rows: champion's decision, columns: candidate's; approve, review, block. */
  readonly agreement: readonly (readonly number[])[];
  readonly agreementShare: number;
  /** Who would look at what; rows: the champion does not, does alert (review or block); columns: the candidate. Off the diagonal is what is disputed. */
  readonly alerts: readonly (readonly AlertCell[])[];
  readonly alertRate: PairedInterval | null;
  /** Candidate − champion. */
  readonly scoreDifference: {
    readonly mean: number;
    readonly quantiles: readonly { readonly q: number; readonly value: number }[];
  };
  readonly latencyMs: { readonly champion: LatencyQuantiles; readonly candidate: LatencyQuantiles };
  /**
   * Old enough for a final label, and not yet. Of the matured, `labelled` and `frauds` are those that are compared, `fraudCards` the cards that these
   * frauds were on; `days`: with enough of them.
   */
  readonly matured: LabelCounts & { readonly days: number; readonly fraudCards: number };
  readonly provisional: LabelCounts;
  /** What is known of the matured rows that were blocked, and what the others stand for. */
  readonly selection: Selection;
  /** From matured rows only; null while none can be compared. */
  readonly metrics: LabelledMetrics | null;
  readonly segments: readonly SegmentInterval[];
}

const DIFFERENCE_QUANTILES = [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1];

/**
 * Labelled metrics use matured rows only: early labels over-represent what investigators looked at, which is what the
 * champion alerted on. Rows that were blocked have no outcome: those let through by chance stand for them, by their propensity.
 */
export function shadowReport(pairs: PairColumns, options: ShadowReportOptions): ShadowReport {
  const labels = labelsAt(pairs, options);
  const alerts = {
    a: pairs.decisionA.map((code) => Math.min(code, 1)),
    b: pairs.decisionB.map((code) => Math.min(code, 1)),
  };
  const { weights, selection } = selectRows({ ...pairs, ...labels, asked: labels.matured });
  const rows = rowsWhere(pairs.rows, (row) => weights[row] > 0);
  const pick = (values: Float64Array): Float64Array => Float64Array.from(rows, (row) => values[row]);
  const labelled = {
    a: pick(pairs.a),
    b: pick(pairs.b),
    alerts: { a: Uint8Array.from(rows, (row) => alerts.a[row]), b: Uint8Array.from(rows, (row) => alerts.b[row]) },
    y: Uint8Array.from(rows, (row) => labels.label[row]),
    card: Int32Array.from(rows, (row) => pairs.card[row]),
    amount: pick(pairs.amount),
    time: pick(pairs.time),
    // Weights of one are none: what was drawn from nobody is summed as it always was.
    ...(selection.weightMax > 1 ? { weights: pick(weights) } : {}),
  };
  const day = Int32Array.from(pairs.time, (time) => Math.floor(time / DAY_MS));
  const span = timeSpan(pairs.time);
  return {
    pairs: pairs.rows,
    cards: pairs.cards,
    from: span?.from ?? null,
    to: span?.to ?? null,
    championVersions: pairs.championVersions,
    truncated: pairs.truncated,
    unusable: pairs.unusable,
    learned: pairs.learned,
    ...agreementOf(pairs),
    alerts: alertCells(pairs, { alerts, labels }),
    alertRate:
      pairs.rows === 0
        ? null
        : pairedBootstrap({ ...pairs, ...options, alerts, day, y: new Uint8Array(pairs.rows), metric: ALERT_RATE }),
    scoreDifference: differenceOf(pairs),
    latencyMs: { champion: latencyOf(pairs.latencyMsA), candidate: latencyOf(pairs.latencyMsB) },
    matured: {
      ...countLabels(labels, 1),
      labelled: rows.length,
      frauds: labelled.y.reduce((sum, label) => sum + label, 0),
      fraudCards: new Set(labelled.card.filter((_, row) => labelled.y[row] === 1)).size,
      days: busyDays(pick(pairs.time)).days,
    },
    provisional: countLabels(labels, 0),
    selection,
    metrics: labelledMetrics(labelled, options),
    segments: segmentIntervals(
      labelled,
      options.segments?.map((segment) => within(segment, rows)) ?? amountBands(labelled),
      options,
    ),
  };
}

interface Labels {
  readonly label: Uint8Array;
  /** 0 where silence counts as a label. */
  readonly reported: Uint8Array;
  readonly matured: Uint8Array;
}

function labelsAt(pairs: PairColumns, options: ShadowReportOptions): Labels {
  const label = new Uint8Array(pairs.rows);
  const matured = new Uint8Array(pairs.rows);
  const reported = new Uint8Array(pairs.rows);
  for (let row = 0; row < pairs.rows; row++) {
    matured[row] = options.now - pairs.time[row] >= options.maturityMs ? 1 : 0;
    label[row] = pairs.labelKnownAt[row] <= options.now ? pairs.label[row] : UNLABELLED;
    reported[row] = label[row] === UNLABELLED ? 0 : 1;
    if (label[row] === UNLABELLED && matured[row] === 1 && options.unlabelledIsGenuine) label[row] = GENUINE;
  }
  return { label, matured, reported };
}

function countLabels(labels: Labels, matured: 0 | 1): LabelCounts {
  const counts = { rows: 0, labelled: 0, frauds: 0 };
  for (let row = 0; row < labels.label.length; row++) {
    if (labels.matured[row] !== matured) continue;
    counts.rows++;
    if (labels.label[row] !== UNLABELLED) counts.labelled++;
    if (labels.label[row] === FRAUD) counts.frauds++;
  }
  return counts;
}

function agreementOf(pairs: PairColumns): Pick<ShadowReport, "agreement" | "agreementShare"> {
  const agreement = DECISIONS.map(() => DECISIONS.map(() => 0));
  let same = 0;
  for (let row = 0; row < pairs.rows; row++) {
    agreement[pairs.decisionA[row]][pairs.decisionB[row]]++;
    if (pairs.decisionA[row] === pairs.decisionB[row]) same++;
  }
  return { agreement, agreementShare: same / pairs.rows };
}

function alertCells(
  { rows, amount }: PairColumns,
  of: { readonly alerts: { readonly a: Uint8Array; readonly b: Uint8Array }; readonly labels: Labels },
): ShadowReport["alerts"] {
  const { alerts, labels } = of;
  const cells = [0, 1].map(() =>
    [0, 1].map(() => ({ pairs: 0, amount: 0, amounts: 0, labelled: 0, frauds: 0, fraudAmount: 0 })),
  );
  for (let row = 0; row < rows; row++) {
    const cell = cells[alerts.a[row]][alerts.b[row]];
    const money = Number.isFinite(amount[row]) ? amount[row] : 0;
    cell.pairs++;
    cell.amount += money;
    if (Number.isFinite(amount[row])) cell.amounts++;
    if (labels.matured[row] !== 1 || labels.label[row] === UNLABELLED) continue;
    cell.labelled++;
    if (labels.label[row] !== FRAUD) continue;
    cell.frauds++;
    cell.fraudAmount += money;
  }
  const hasAmounts = cells.flat().some(({ amounts }) => amounts > 0);
  return cells.map((line) =>
    line.map(({ amounts: _, ...cell }) => (hasAmounts ? cell : { ...cell, amount: null, fraudAmount: null })),
  );
}

function differenceOf(pairs: PairColumns): ShadowReport["scoreDifference"] {
  const differences = pairs.b.map((score, row) => score - pairs.a[row]).sort();
  return {
    mean: mean(differences),
    quantiles: DIFFERENCE_QUANTILES.map((q) => ({ q, value: quantileSorted(differences, q) })),
  };
}

function latencyOf(values: Float64Array): LatencyQuantiles {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  return { p50: quantileSorted(sorted, 0.5), p95: quantileSorted(sorted, 0.95), p99: quantileSorted(sorted, 0.99) };
}

function timeSpan(time: Float64Array): { readonly from: number; readonly to: number } | null {
  if (time.length === 0) return null;
  let from = time[0];
  let to = time[0];
  for (const at of time) {
    from = Math.min(from, at);
    to = Math.max(to, at);
  }
  return { from, to };
}

function rowsWhere(count: number, keep: (row: number) => boolean): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < count; row++) if (keep(row)) rows.push(row);
  return Int32Array.from(rows);
}

/** A segment's rows of all pairs as positions among the labelled ones. */
function within(segment: Segment, rows: Int32Array): Segment {
  const position = new Map<number, number>();
  for (let i = 0; i < rows.length; i++) position.set(rows[i], i);
  const kept: number[] = [];
  for (const row of segment.rows) {
    const at = position.get(row);
    if (at !== undefined) kept.push(at);
  }
  return { name: segment.name, rows: Int32Array.from(kept) };
}
