// Joining: an alert opens a case where its entity has no open one, and joins the one that is open otherwise.
import type { CaseEntity, CaseFields } from "../core/case.ts";
import { RULE_SEVERITIES, type RuleSeverity } from "../core/rule.ts";
import type { CaseRules } from "../pipeline/cases.ts";
import type { Alert } from "../ports/store.ts";
import { lossOf, minutesOf, reasonsOf, reviewOf, type WorthRules } from "./worth.ts";

export interface JoinRules extends WorthRules {
  readonly cases: CaseRules;
}

/** The case that an alert opens. */
export function opened(alert: Alert, entity: CaseEntity, rules: JoinRules): CaseFields {
  const { why, propensity } = reviewOf(alert);
  return {
    pipeline: alert.pipeline,
    entity,
    status: "new",
    severity: alert.severity,
    why,
    propensity,
    openedAt: alert.alertedAt,
    dueAt: dueAt(alert.alertedAt, alert.severity, rules),
    alerts: 1,
    amount: alert.amount,
    scoreMax: alert.score,
    loss: lossOf(alert, rules),
    minutes: minutesOf(1, rules),
    assignee: null,
    claimedUntil: null,
    waitingUntil: null,
    waitingReason: "",
    proposed: null,
    closing: null,
    closings: 0,
  };
}

/**
 * The open case with one more alert. A more urgent alert brings the due time forward, never back, counted from when that alert came; who
 * works the case keeps it. A case that waits for a date comes back at once when a more urgent alert joins.
 */
export function joined<C extends CaseFields>(open: C, alert: Alert, rules: JoinRules): C {
  const alerts = open.alerts + 1;
  const isMoreUrgent = RULE_SEVERITIES.indexOf(alert.severity) < RULE_SEVERITIES.indexOf(open.severity);
  const comesBack = isMoreUrgent && open.status === "waiting" && open.proposed === null;
  // A drawn case that something flags now is no draw any more.
  const review = open.why === "exploration" ? reviewOf(alert) : { why: open.why, propensity: open.propensity };
  return {
    ...open,
    ...(review.why === "exploration" ? {} : review),
    alerts,
    ...(isMoreUrgent
      ? { severity: alert.severity, dueAt: Math.min(open.dueAt, dueAt(alert.alertedAt, alert.severity, rules)) }
      : {}),
    ...(comesBack ? { status: "new", waitingUntil: null, waitingReason: "" } : {}),
    amount: alert.amount === null ? open.amount : (open.amount ?? 0) + alert.amount,
    scoreMax: alert.score === null ? open.scoreMax : Math.max(open.scoreMax ?? 0, alert.score),
    loss: open.loss + lossOf(alert, rules),
    minutes: minutesOf(alerts, rules),
  };
}

/** By when a case of a severity is due; milliseconds. */
export function dueAt(
  from: number,
  severity: RuleSeverity,
  { cases }: { readonly cases: Pick<CaseRules, "due"> },
): number {
  const { criticalMs, warningMs, infoMs } = cases.due;
  return from + { critical: criticalMs, warning: warningMs, info: infoMs }[severity];
}

/**
 * Whether an alert is left alone: every rule behind it sleeps for its entity, and the model, or the policy in its place, wanted no look of its
 * own.
 */
export function sleeps(alert: Pick<Alert, "rules" | "reasons">, asleep: ReadonlySet<string>): boolean {
  if (alert.rules.length === 0 || !alert.rules.every(({ id }) => asleep.has(id))) return false;
  return !reasonsOf(alert.reasons).some(({ by }) => by === "model" || by === "policy");
}
