// Worth: what a review of a case is expected to prevent, and how long it takes.
import type { ReviewCause } from "../core/case.ts";
import type { CaseRules } from "../pipeline/cases.ts";
import type { Alert, Json } from "../ports/store.ts";

/** What the worth of a case depends on. */
export interface WorthRules {
  readonly cases: Pick<CaseRules, "fraudShare" | "blockedShare" | "minutes" | "alertMinutes">;
  /** `decisions.missed_share`: share of a missed fraud's amount that is lost. */
  readonly missedShare: number;
}

/**
 * Loss that reviewing one alert is expected to prevent, in the currency of the amounts: probability of fraud × amount × share that would be
 * lost. Where the model gave no score, or a lower one than alerts of this severity have shown, their share of frauds counts. An alert
 * without an amount counts as one unit of the currency, so that sensors have an order too.
 */
export function lossOf(alert: Pick<Alert, "severity" | "score" | "amount" | "decision">, rules: WorthRules): number {
  const probability = Math.max(alert.score ?? 0, rules.cases.fraudShare[alert.severity]);
  const stake = Math.abs(alert.amount ?? 1) * rules.missedShare;
  return probability * stake * (alert.decision === "block" ? rules.cases.blockedShare : 1);
}

/** Minutes that a review of so many alerts takes. */
export function minutesOf(alerts: number, { cases }: WorthRules): number {
  return cases.minutes + Math.max(0, alerts - 1) * cases.alertMinutes;
}

/** Why somebody looks at the transaction of an alert, and with which chance it was chosen. Rules and scores always choose: 1. */
export function reviewOf(alert: Pick<Alert, "rules" | "reasons">): {
  readonly why: Exclude<ReviewCause, "linked">;
  readonly propensity: number;
} {
  const drawn = reasonsOf(alert.reasons).find(({ by }) => by === "exploration");
  const propensity = drawn === undefined ? Number.NaN : Number(drawn.propensity);
  if (alert.rules.length > 0) return { why: "rule", propensity: 1 };
  if (propensity > 0 && propensity <= 1) return { why: "exploration", propensity };
  return { why: "score", propensity: 1 };
}

/** What an alert says of why it was raised. */
export function reasonsOf(reasons: Json): readonly Readonly<Record<string, Json>>[] {
  if (!Array.isArray(reasons)) return [];
  return reasons.filter((one) => one !== null && typeof one === "object" && !Array.isArray(one));
}
