// Evaluation on the later slice: the metrics a fraud team reads, for any bundle on the same rows.
import type { Thresholds } from "../../core/decision.ts";
import { DAY_MS } from "../../core/duration.ts";
import { type DecisionPolicy, policyJudge } from "../../core/policy.ts";
import { cardPrecisionAtK } from "../../metrics/cards.ts";
import { measure } from "../../metrics/metric.ts";
import {
  averagePrecision,
  brier,
  logLoss,
  precisionRecallF1At,
  recallAtBudget,
  recallAtFpr,
  rocAuc,
} from "../../metrics/metrics.ts";
import { ALERT_RATE, alertsAt, CAUGHT_AMOUNT_SHARE } from "../../metrics/summed.ts";
import { copyRow, type Matrix } from "../../ml/matrix.ts";

/** The Handbook reports precision among the 100 highest-scored cards of a day. */
const CARDS_A_DAY = 100;
const FPR = 0.01;

/** Rows to judge on; equal lengths. */
export interface JudgedRows {
  readonly y: Uint8Array;
  readonly card: Int32Array;
  /** False where each row stands alone: then nothing is measured by card. */
  readonly carded: boolean;
  readonly time: Float64Array;
  readonly amount: Float64Array;
}

export type Metrics = Readonly<Record<string, number>>;

/** 1 where a row is reviewed or blocked, and where it is blocked. */
export interface DecidedRows {
  readonly flagged: Uint8Array;
  readonly blocked: Uint8Array;
}

/** What a policy decides of rows; absent where one pair of thresholds holds for all, which {@link metricsOf} reads itself. */
export function decidedRows(
  by: { readonly policy: DecisionPolicy | null; readonly thresholds: Thresholds },
  { scores, x, rows }: { readonly scores: Float32Array; readonly x: Matrix; readonly rows?: Int32Array },
): { readonly decided?: DecidedRows } {
  if (by.policy === null) return {};
  const judge = policyJudge(by.policy, { thresholds: by.thresholds, names: x.names });
  const vector = new Float32Array(x.names.length);
  const flagged = new Uint8Array(scores.length);
  const blocked = new Uint8Array(scores.length);
  for (let i = 0; i < scores.length; i++) {
    copyRow(x, rows === undefined ? i : rows[i], vector);
    const { decision } = judge(scores[i], vector);
    if (decision !== "approve") flagged[i] = 1;
    if (decision === "block") blocked[i] = 1;
  }
  return { decided: { flagged, blocked } };
}

/** Metrics of calibrated scores; every value finite or NaN, keys as they are logged. */
export function metricsOf(
  scores: Float32Array,
  rows: JudgedRows,
  given: { readonly thresholds: Thresholds; readonly reviewShare: number; readonly decided?: DecidedRows },
): Metrics {
  const { y } = rows;
  const { thresholds } = given;
  const { flagged, blocked: stopped } = given.decided ?? {
    flagged: alertsAt(scores, thresholds.review),
    blocked: alertsAt(scores, thresholds.block),
  };
  const { precision, recall, f1 } = precisionRecallF1At(Float32Array.from(flagged), y, 1);
  const blocked = precisionRecallF1At(Float32Array.from(stopped), y, 1);
  const alerted = { scores, y, amounts: rows.amount, alerts: flagged };
  return {
    average_precision: averagePrecision(scores, y),
    roc_auc: rocAuc(scores, y),
    ...byCard(scores, rows),
    recall_at_review_budget: recallAtBudget(scores, y, given.reviewShare),
    recall_at_fpr_1pct: recallAtFpr(scores, y, FPR),
    precision_at_review: precision,
    recall_at_review: recall,
    f1_at_review: f1,
    precision_at_block: blocked.precision,
    recall_at_block: blocked.recall,
    fraud_amount_caught_share: measure(CAUGHT_AMOUNT_SHARE, alerted),
    alert_rate: measure(ALERT_RATE, alerted),
    block_rate: measure(ALERT_RATE, { ...alerted, alerts: stopped }),
    log_loss: logLoss(scores, y),
    brier: brier(scores, y),
    rows: y.length,
    frauds: y.reduce((sum, label) => sum + label, 0),
  };
}

function byCard(scores: Float32Array, { y, card, carded, time }: JudgedRows): Metrics {
  if (!carded) return {};
  return { card_precision_100: cardPrecisionAtK({ scores, y, card, day: daysOf(time), k: CARDS_A_DAY }) };
}

function daysOf(times: Float64Array): Int32Array {
  return Int32Array.from(times, (time) => Math.floor(time / DAY_MS));
}
