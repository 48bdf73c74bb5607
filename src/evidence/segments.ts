// Groups of rows on their own: a candidate that wins on the whole may still lose badly somewhere.
import { quantileSorted } from "../core/stats.ts";
import { AVERAGE_PRECISION } from "../metrics/ranked.ts";
import { type PairedInterval, pairedBootstrap } from "./bootstrap.ts";

export interface Segment {
  readonly name: string;
  /** Row numbers. */
  readonly rows: Int32Array;
}

export interface SegmentInterval {
  readonly name: string;
  readonly rows: number;
  readonly frauds: number;
  /** Average precision; null without frauds. The level is raised so that it holds for all segments together. */
  readonly interval: PairedInterval | null;
}

interface Rows {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly weights?: Float64Array;
}

/** Intervals at Bonferroni's level: with many segments one of them looks bad by chance. */
export function segmentIntervals(
  rows: Rows,
  segments: readonly Segment[],
  options: { readonly seed: number; readonly resamples?: number; readonly level?: number },
): SegmentInterval[] {
  const level = 1 - (1 - (options.level ?? 0.95)) / segments.length;
  return segments.map((segment) => {
    const y = Uint8Array.from(segment.rows, (row) => rows.y[row]);
    const frauds = y.reduce((sum, label) => sum + label, 0);
    const comparable = frauds > 0 && frauds < y.length;
    const interval = (): PairedInterval =>
      pairedBootstrap({
        a: Float64Array.from(segment.rows, (row) => rows.a[row]),
        b: Float64Array.from(segment.rows, (row) => rows.b[row]),
        card: Int32Array.from(segment.rows, (row) => rows.card[row]),
        ...(rows.weights === undefined
          ? {}
          : { weights: Float64Array.from(segment.rows, (row) => rows.weights![row]) }),
        y,
        metric: AVERAGE_PRECISION,
        seed: options.seed,
        resamples: options.resamples,
        level,
      });
    return { name: segment.name, rows: y.length, frauds, interval: comparable ? interval() : null };
  });
}

/** Four groups by amount with about equally many rows; rows without an amount are in none. */
export function amountBands(rows: { readonly amount: Float64Array }): Segment[] {
  const sorted = rows.amount.filter((value) => !Number.isNaN(value)).sort();
  if (sorted.length === 0) return [];
  const edges = [0.25, 0.5, 0.75].map((q) => quantileSorted(sorted, q));
  const bands: number[][] = [[], [], [], []];
  for (let row = 0; row < rows.amount.length; row++) {
    const amount = rows.amount[row];
    if (!Number.isNaN(amount)) bands[edges.filter((edge) => amount > edge).length].push(row);
  }
  const text = edges.map((edge) => String(Number(edge.toPrecision(3))));
  const names = [
    `amount up to ${text[0]}`,
    `amount ${text[0]} to ${text[1]}`,
    `amount ${text[1]} to ${text[2]}`,
    `amount over ${text[2]}`,
  ];
  return bands
    .map((band, i) => ({ name: names[i], rows: Int32Array.from(band) }))
    .filter((band) => band.rows.length > 0);
}
