// The reply to one transaction: what every door answers, made from the record that is logged of it.

import type { Decision } from "../core/decision.ts";
import type { PredictionDraft } from "./states.ts";

/** What a door answers. Scores are null when the policy answered because scoring failed. */
export interface Reply {
  readonly transaction_id: string;
  readonly score: number | null;
  readonly anomaly_score: number | null;
  readonly decision: Decision;
  readonly model: { readonly name: string; readonly version: string; readonly bundle: string };
  readonly degraded?: true;
}

/** The answer that a record in the log stands for. */
export function replyOfRecord(record: PredictionDraft, model: string): Reply {
  const { transactionId, score, anomalyScore, decision, version, bundle, degraded } = record;
  return {
    transaction_id: transactionId,
    score: degraded ? null : score,
    anomaly_score: degraded ? null : anomalyScore,
    decision,
    model: { name: model, version, bundle },
    ...(degraded ? { degraded } : {}),
  };
}
