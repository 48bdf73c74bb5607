// The reply to one transaction: what every door answers, made from the record that is logged of it.

import type { Decision } from "../core/decision.ts";
import type { Explored } from "../ports/log.ts";
import { exploredWords } from "./explore.ts";
import type { PredictionDraft } from "./states.ts";

/** What a door answers. Scores are null when the policy answered because scoring failed. */
export interface Reply {
  readonly transaction_id: string;
  readonly score: number | null;
  readonly anomaly_score: number | null;
  readonly decision: Decision;
  readonly model: { readonly name: string; readonly version: string; readonly bundle: string };
  readonly degraded?: true;
  /** Where the model blocks and a draw decided whether that stands (`decisions.explore`). */
  readonly explored?: {
    readonly model_decision: "block";
    readonly let_through: boolean;
    /** The chance of it. */
    readonly propensity: number;
    readonly why: string;
  };
}

/** The answer that a record in the log stands for. */
export function replyOfRecord(record: PredictionDraft, model: string): Reply {
  const { transactionId, score, anomalyScore, decision, version, bundle, degraded, explored } = record;
  return {
    transaction_id: transactionId,
    score: degraded ? null : score,
    anomaly_score: degraded ? null : anomalyScore,
    decision,
    model: { name: model, version, bundle },
    ...(degraded ? { degraded } : {}),
    ...(explored === undefined ? {} : { explored: exploredReply(decision, explored) }),
  };
}

function exploredReply(decision: Decision, explored: Explored): NonNullable<Reply["explored"]> {
  return {
    model_decision: "block",
    let_through: decision !== "block",
    propensity: explored.propensity,
    why: exploredWords(decision, explored),
  };
}
