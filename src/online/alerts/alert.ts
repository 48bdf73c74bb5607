// One alert: the transaction, the decision and why, frozen as they were when it was answered.
import { sha256 } from "../../core/hash.ts";
import type { Rule, RuleSeverity } from "../../core/rule.ts";
import { isoTime } from "../../core/time.ts";
import type { AlertRule, Json, JsonObject, NewAlert } from "../../ports/store.ts";
import { chanceOf } from "../explore.ts";
import type { PredictionDraft } from "../states.ts";
import type { ModelReasons } from "./explaining.ts";

/** The rules of a set by their ids; null where the set cannot be found any more. */
export type RulesOf = (set: string) => Promise<ReadonlyMap<string, Rule> | null>;

/** Columns with a role. */
export interface AlertColumns {
  readonly id: string;
  readonly time: string;
  readonly amount: string | null;
  readonly card: string | null;
}

/** By falling urgency. */
const URGENCY: readonly RuleSeverity[] = ["critical", "warning", "info"];

/** What is reviewed although nothing flags it: a share of it, by chance (`cases.explore`). */
export interface Drawing {
  readonly share: number;
  readonly seed: number;
}

/** Whether an answer can raise an alert at all; false costs a comparison or two. */
export function mayAlert({ decision, rules, transactionId }: PredictionDraft, drawing: Drawing): boolean {
  return decision !== "approve" || (rules?.fired.length ?? 0) > 0 || isDrawn(transactionId, drawing);
}

/** By the transaction's id alone, so that the log makes the same alerts again. */
function isDrawn(transactionId: string, { share, seed }: Drawing): boolean {
  return share > 0 && chanceOf(transactionId, seed, "review") < share;
}

/**
 * The alert of an answer; null where it raises none. It does where a rule of severity `warning` or `critical` fired that lets nothing through,
 * and where the model (or the policy in its place) wants a look and no rule lets it through.
 * What nothing flags raises one of severity `info` where a draw chose it, which says with which chance.
 */
export function alertOf(
  draft: PredictionDraft,
  on: {
    readonly pipelineId: number;
    readonly columns: AlertColumns;
    readonly rules: ReadonlyMap<string, Rule> | null;
    /** What the model says raised the score; null where nobody asked it. */
    readonly why: ModelReasons | null;
    readonly drawing: Drawing;
  },
): NewAlert | null {
  const { decision, rules, score, vector, bundle } = draft;
  const fired = (rules?.fired ?? []).map((id) => ruleOf(id, on.rules));
  const loud = fired.filter(({ severity, action }) => severity !== "info" && action !== "approve");
  const before = rules?.without ?? decision;
  const byModel = isByModel(draft);
  const isFlagged = loud.length > 0 || byModel;
  if (!isFlagged && !(decision === "approve" && isDrawn(draft.transactionId, on.drawing))) return null;
  const severities: RuleSeverity[] = isFlagged ? loud.map(({ severity }) => severity) : ["info"];
  if (byModel) severities.push(before === "block" ? "critical" : "warning");
  const { columns } = on;
  const amount = columns.amount === null ? null : draft.fields[columns.amount];
  const entity = columns.card === null ? null : draft.fields[columns.card];
  return {
    pipeline: on.pipelineId,
    transactionId: draft.transactionId,
    severity: URGENCY.find((one) => severities.includes(one))!,
    rules: [...loud].sort((a, b) => URGENCY.indexOf(a.severity) - URGENCY.indexOf(b.severity)).map(shown),
    decision,
    decidedBy: rules?.by ?? (draft.degraded ? "policy" : "model"),
    score: Number.isNaN(score) ? null : score,
    reasons: [
      ...fired.map(ruleReason),
      ...(byModel ? [modelReason(draft, before, on.why)] : []),
      ...(isFlagged ? [] : [{ by: "exploration", propensity: on.drawing.share }]),
    ],
    bundle: bundle === "" ? null : bundle,
    ruleSet: rules?.set ?? null,
    vectorHash:
      vector.length === 0 ? null : sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
    entity: entity === null || entity === undefined ? null : String(entity),
    amount: typeof amount === "number" ? amount : null,
    transaction: transactionOf(draft, columns),
    time: draft.time,
    alertedAt: draft.receivedAt,
  };
}

/** A rule as it was; of a set that is gone only the id is known, and the alert is raised all the same. */
function ruleOf(id: string, rules: ReadonlyMap<string, Rule> | null): Rule {
  const known = rules?.get(id);
  if (known !== undefined) return known;
  const none = { when: "", action: "review", description: "", stage: "live", share: 1, owner: "" } as const;
  return { id, severity: "warning", ...none };
}

function shown({ id, description, when, severity }: Rule): AlertRule {
  return { id, severity, description: description === "" ? (when === "" ? id : when) : description };
}

function ruleReason({ id, when, description, severity, action }: Rule): Json {
  return { by: "rule", rule: id, expression: when, description, severity, action };
}

/** Whether the model (or the policy in its place) wants a look, and no rule lets the transaction through. */
function isByModel({ decision, rules }: PredictionDraft): boolean {
  return decision !== "approve" && (rules?.without ?? decision) !== "approve";
}

/** Whether there is a score whose reasons an alert shows. */
export function hasReasons(draft: PredictionDraft): boolean {
  return isByModel(draft) && !draft.degraded && draft.bundle !== "" && draft.vector.length > 0;
}

function modelReason(
  { degraded, score, anomalyScore, version }: PredictionDraft,
  decision: string,
  why: ModelReasons | null,
): Json {
  if (degraded) return { by: "policy", decision, text: "scoring failed, and the pipeline's policy answered" };
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return { by: "model", version, decision, score: finite(score), anomaly_score: finite(anomalyScore), ...why } as Json;
}

/** Under the pipeline's names, as far as the log may hold it. */
function transactionOf(draft: PredictionDraft, columns: AlertColumns): JsonObject {
  const all = Object.create(null) as Record<string, Json>;
  all[columns.id] = draft.transactionId;
  all[columns.time] = isoTime(draft.time);
  for (const [name, value] of Object.entries(draft.fields)) all[name] = value;
  for (const [name, value] of Object.entries(draft.extra)) if (!(name in all)) all[name] = value as Json;
  return all;
}
