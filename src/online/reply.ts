// The reply to one transaction: what every door answers, made from the record that is logged of it.

import type { Decision } from "../core/decision.ts";
import type { DecidedBy, RuleOutcome } from "../core/rule.ts";
import type { Adapted, Explored } from "../ports/log.ts";
import { exploredWords } from "./explore.ts";
import type { PredictionDraft } from "./states.ts";

/** What a door answers. Scores are null when the policy answered because scoring failed. */
export interface Reply {
  readonly transaction_id: string;
  readonly score: number | null;
  readonly anomaly_score: number | null;
  readonly decision: Decision;
  /** Null where the pipeline has no model. */
  readonly model: { readonly name: string; readonly version: string; readonly bundle: string } | null;
  readonly degraded?: true;
  /** Where the model blocks and a draw decided whether that stands (`decisions.explore`). */
  readonly explored?: {
    readonly model_decision: "block";
    readonly let_through: boolean;
    /** The chance of it. */
    readonly propensity: number;
    readonly why: string;
  };
  /** Where thresholds depend on the transaction: those that judged it. */
  readonly thresholds?: ReplyThresholds;
  /** Who decided, where there are rules. */
  readonly decided_by?: DecidedBy;
  readonly rules?: ReplyRules;
}

/** The thresholds of one transaction, by a policy. */
export interface ReplyThresholds {
  readonly review: number;
  readonly block: number;
  /** Absent where the policy has no segments, or none for it. */
  readonly segment?: string;
  /** Hash of the policy. */
  readonly policy: string;
}

/** What the rules said. */
export interface ReplyRules {
  /** Hash of the rule set. */
  readonly set: string;
  /** The rule that decided; null where the model or the policy did. */
  readonly rule: string | null;
  /** All that fired and may decide. */
  readonly fired: readonly string[];
  /** Those that fired in shadow. */
  readonly shadow: readonly string[];
  /** Rules that could not be asked; left out where all were. */
  readonly unready?: number;
}

/** The answer that a record in the log stands for. */
export function replyOfRecord(record: PredictionDraft, model: string): Reply {
  const { transactionId, score, anomalyScore, decision, version, bundle, degraded, rules, explored, adapted } = record;
  const isScored = !degraded && !isModelless(record);
  const reply: { -readonly [K in keyof Reply]: Reply[K] } = {
    transaction_id: transactionId,
    score: isScored ? score : null,
    anomaly_score: isScored ? anomalyScore : null,
    decision,
    model: isModelless(record) ? null : { name: model, version, bundle },
  };
  // One by one, in the order in which an answer shows them: nothing is copied for what is mostly missing.
  if (degraded) reply.degraded = degraded;
  if (rules !== undefined) {
    reply.decided_by = rules.by;
    reply.rules = ruleReply(rules);
  }
  if (explored !== undefined) reply.explored = exploredReply(decision, explored);
  if (adapted?.block !== undefined) reply.thresholds = thresholdsReply({ ...adapted, block: adapted.block });
  return reply;
}

/** No bundle judged it: the pipeline has no model. */
export function isModelless({ bundle }: Pick<PredictionDraft, "bundle">): boolean {
  return bundle === "";
}

function ruleReply({ set, rule, fired, shadow, unready }: RuleOutcome): ReplyRules {
  return unready > 0 ? { set, rule, fired, shadow, unready } : { set, rule, fired, shadow };
}

function thresholdsReply({ review, block, segment, rules }: Adapted & { readonly block: number }): ReplyThresholds {
  return { review, block, ...(segment === undefined ? {} : { segment }), policy: rules };
}

function exploredReply(decision: Decision, explored: Explored): NonNullable<Reply["explored"]> {
  return {
    model_decision: "block",
    let_through: decision !== "block",
    propensity: explored.propensity,
    why: exploredWords(decision, explored),
  };
}
