// Performance on matured labels: how well the champion ranks recent frauds, whether that fell since its training, and since when.
import { DAY_MS } from "../../core/duration.ts";
import { measure } from "../../metrics/metric.ts";
import { AVERAGE_PRECISION } from "../../metrics/ranked.ts";
import { alertsAt, confusionOf, precisionOf, recallOf } from "../../metrics/summed.ts";
import type { Performance } from "./result.ts";

/** Frauds below which a fall of average precision is noise. */
const FRAUDS_MIN = 30;
/** Performance is that of the newest matured rows of a window's length, or of so many as hold these frauds: older ones would hide a fall. */
const FRAUDS_WANTED = 60;
/** Fall of average precision against the evaluation slice that counts as an alarm. */
const PRECISION_FALL_MAX = 0.15;
/** Standard errors within which a fall is chance. */
const NOISE_WIDTHS = 3;
/**
 * Variance of average precision in a world that stays as it is, over that of a share among as many frauds: frauds come in bursts of a card or a
 * terminal, which are found or missed together. Weeks of simulated calm lives, of some sixty frauds each, have one to three and a half times that of a share.
 */
const BURST_EFFECT = 3;
/** Days that are looked back on for the beginning of a fall. */
export const DAYS_BACK_MAX = 28;

/** Rows whose labels are final, by rising time. */
export interface MaturedRows {
  readonly times: Float64Array;
  readonly scores: Float32Array;
  readonly y: Uint8Array;
  /** How many rows each stands for; a fraud for itself. */
  readonly weights: Float64Array;
  /** Labels are final up to here. */
  readonly to: number;
  readonly windowMs: number;
}

/** What the champion was promised to be: by so many frauds of its evaluation slice. */
export interface Champion {
  readonly averagePrecisionAtTraining: number;
  readonly fraudsAtTraining: number;
  readonly review: number;
}

/** Null while there are too few frauds. */
export function performanceOf(rows: MaturedRows, champion: Champion): Performance | null {
  const now = performanceAt(rows, rows.to, champion);
  if (now === null) return null;
  let since: number | null = null;
  for (let day = 0; now.alarm && day <= DAYS_BACK_MAX; day++) {
    const to = rows.to - day * DAY_MS;
    if (performanceAt(rows, to, champion)?.alarm !== true) break;
    since = to;
  }
  return { ...now, since };
}

function performanceAt(
  { times, scores, y, weights, windowMs }: MaturedRows,
  to: number,
  champion: Champion,
): Omit<Performance, "since"> | null {
  let end = times.length;
  while (end > 0 && times[end - 1] > to) end--;
  let first = end;
  let frauds = 0;
  while (first > 0 && (times[first - 1] >= to - windowMs || frauds < FRAUDS_WANTED)) frauds += y[--first];
  if (frauds < FRAUDS_MIN || frauds === end - first) return null;
  const labels = y.subarray(first, end);
  const answered = scores.subarray(first, end);
  const then = champion.averagePrecisionAtTraining;
  const rows = { scores: answered, y: labels, weights: weights.subarray(first, end) };
  const now = measure(AVERAGE_PRECISION, rows);
  const confusion = confusionOf({ ...rows, alerts: alertsAt(answered, champion.review) });
  // Both figures are of some frauds only.
  const deviation = Math.sqrt(BURST_EFFECT * then * (1 - then) * (1 / frauds + 1 / champion.fraudsAtTraining));
  return {
    rows: Math.round(rows.weights.reduce((sum, weight) => sum + weight, 0)),
    frauds,
    averagePrecision: now,
    averagePrecisionAtTraining: then,
    recallAtReview: recallOf(confusion),
    precisionAtReview: precisionOf(confusion),
    alarm: then - now > Math.max(PRECISION_FALL_MAX, NOISE_WIDTHS * deviation),
  };
}
