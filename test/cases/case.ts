// Cases, alerts and rules for tests of src/cases.
import type { Case } from "../../src/core/case.ts";
import { CASES, type CaseRules } from "../../src/pipeline/cases.ts";
import { defaultsOf } from "../../src/pipeline/section.ts";
import type { Alert } from "../../src/ports/store.ts";

export const NOW = Date.UTC(2026, 10, 30, 9);
export const HOUR = 3_600_000;
export const CASE_RULES: CaseRules = defaultsOf(CASES);
export const RULES = { cases: CASE_RULES, missedShare: 1 };

export const alert = (id: number, more: Partial<Alert> = {}): Alert => ({
  id,
  pipeline: 3,
  transactionId: `t${id}`,
  severity: "warning",
  rules: [{ id: "large", description: "large", severity: "warning" }],
  decision: "review",
  decidedBy: "rule",
  score: null,
  reasons: [{ by: "rule", rule: "large" }],
  bundle: null,
  ruleSet: null,
  vectorHash: null,
  entity: "u1",
  amount: 100,
  transaction: { transaction_id: `t${id}`, user_id: "u1", amount: 100 },
  time: NOW,
  alertedAt: NOW,
  ...more,
});

export const aCase = (id: number, more: Partial<Case> = {}): Case => ({
  id,
  version: 1,
  pipeline: 3,
  entity: { column: "user_id", value: `u${id}` },
  status: "new",
  severity: "warning",
  why: "rule",
  propensity: 1,
  openedAt: NOW,
  dueAt: NOW + 24 * HOUR,
  alerts: 1,
  amount: 100,
  scoreMax: null,
  loss: 5,
  minutes: 5,
  assignee: null,
  claimedUntil: null,
  waitingUntil: null,
  waitingReason: "",
  proposed: null,
  closing: null,
  closings: 0,
  ...more,
});
