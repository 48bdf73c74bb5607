// The plain case of each metric: one set of scores, every row once. NaN where a metric is not defined.
import { measure, type Scores } from "./metric.ts";
import { AVERAGE_PRECISION, ROC_AUC, recallWithinBudget, recallWithinFpr } from "./ranked.ts";
import { alertsAt, BRIER, type Confusion, confusionOf, f1Of, LOG_LOSS, precisionOf, recallOf } from "./summed.ts";

export interface PrecisionRecallF1 {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** See {@link ROC_AUC}. */
export function rocAuc(scores: Scores, y: Uint8Array): number {
  return measure(ROC_AUC, { scores, y });
}

/** See {@link AVERAGE_PRECISION}. */
export function averagePrecision(scores: Scores, y: Uint8Array): number {
  return measure(AVERAGE_PRECISION, { scores, y });
}

/** See {@link LOG_LOSS}. */
export function logLoss(scores: Scores, y: Uint8Array): number {
  return measure(LOG_LOSS, { scores, y });
}

/** See {@link BRIER}. */
export function brier(scores: Scores, y: Uint8Array): number {
  return measure(BRIER, { scores, y });
}

/** Counts at a threshold: a score at or above it is flagged, compared as Float32, as decisions are. */
export function confusionAt(scores: Scores, y: Uint8Array, threshold: number): Confusion {
  return confusionOf({ scores, y, alerts: alertsAt(scores, threshold) });
}

/** See {@link precisionOf}, {@link recallOf} and {@link f1Of}. */
export function precisionRecallF1At(scores: Scores, y: Uint8Array, threshold: number): PrecisionRecallF1 {
  const confusion = confusionAt(scores, y, threshold);
  return { precision: precisionOf(confusion), recall: recallOf(confusion), f1: f1Of(confusion) };
}

/** See {@link recallWithinBudget}. */
export function recallAtBudget(scores: Scores, y: Uint8Array, share: number): number {
  return measure(recallWithinBudget(share), { scores, y });
}

/** See {@link recallWithinFpr}. */
export function recallAtFpr(scores: Scores, y: Uint8Array, fpr: number): number {
  return measure(recallWithinFpr(fpr), { scores, y });
}
