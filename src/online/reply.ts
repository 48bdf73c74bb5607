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
    model: isModelless(record) ? null : modelReply(model, version, bundle),
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

/** A reply's text as `JSON.stringify` has it. */
export function replyText(reply: Reply): string {
  return `{${replyMembers(reply)}}`;
}

/** The members of {@link replyText}, to be put into an object that holds more. */
export function replyMembers(reply: Reply): string {
  const { transaction_id, score, anomaly_score, decision, model, degraded, decided_by, rules } = reply;
  let text = `"transaction_id":${JSON.stringify(transaction_id)},"score":${numberText(score)},"anomaly_score":${numberText(anomaly_score)},"decision":"${decision}","model":${modelText(model)}`;
  if (degraded !== undefined) text += `,"degraded":${degraded}`;
  if (decided_by !== undefined) text += `,"decided_by":"${decided_by}"`;
  if (rules !== undefined) text += `,"rules":${rulesText(rules)}`;
  if (reply.explored !== undefined) text += `,"explored":${JSON.stringify(reply.explored)}`;
  if (reply.thresholds !== undefined) text += `,"thresholds":${JSON.stringify(reply.thresholds)}`;
  return text;
}

function numberText(value: number | null): string {
  return value === null || !Number.isFinite(value) ? "null" : String(value);
}

// Of millions of answers few differ in what follows: the last of each is kept with its text, and given again.

let lastModel: Reply["model"] = null;
let lastModelText = "";

function modelReply(name: string, version: string, bundle: string): NonNullable<Reply["model"]> {
  if (lastModel !== null && lastModel.version === version && lastModel.bundle === bundle && lastModel.name === name)
    return lastModel;
  lastModel = { name, version, bundle };
  lastModelText = JSON.stringify(lastModel);
  return lastModel;
}

function modelText(model: Reply["model"]): string {
  return model !== null && model === lastModel ? lastModelText : JSON.stringify(model);
}

let lastOutcome: RuleOutcome | null = null;
let lastRules: ReplyRules | null = null;
let lastRulesText = "";

/** Outcomes of transactions at which no rule fired are one object (rules/runtime.ts). */
function ruleReply(outcome: RuleOutcome): ReplyRules {
  if (outcome === lastOutcome) return lastRules!;
  const { set, rule, fired, shadow, unready } = outcome;
  const rules = unready > 0 ? { set, rule, fired, shadow, unready } : { set, rule, fired, shadow };
  if (fired.length > 0 || shadow.length > 0) return rules;
  lastOutcome = outcome;
  lastRules = rules;
  lastRulesText = JSON.stringify(rules);
  return rules;
}

function rulesText(rules: ReplyRules): string {
  return rules === lastRules ? lastRulesText : JSON.stringify(rules);
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
