// JSON Schemas of what the routes below /api answer.
import { CASE_STATUSES, DISPOSITIONS, REVIEW_CAUSES } from "../../core/case.ts";
import { DECISIONS } from "../../core/decision.ts";
import { OPERATOR, ROLES } from "../../core/key.ts";
import { RULE_ACTIONS, RULE_SEVERITIES, RULE_STAGES } from "../../core/rule.ts";
import { PIPELINE_STATUSES } from "../../ports/store.ts";

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const numberOrNull = { type: ["number", "null"] };
const integer = { type: "integer" };
const instant = { type: "string", format: "date-time" };

/** An object of which these members are always there. */
export function done(properties: Readonly<Record<string, object>>): object {
  return { type: "object", required: Object.keys(properties), properties };
}

/** What is answered once something was made. */
export const REQUESTS = {
  created: done({ id: integer, message: text, slug: text, predict: text }),
  ruleAdded: done({ id: integer, status: text }),
} as const;

export const PIPELINE = done({
  id: integer,
  name: text,
  kafka_topic: textOrNull,
  status: { enum: [...PIPELINE_STATUSES] },
  created_at: instant,
  alert_count: integer,
  slug: text,
  source: { enum: ["api", "file"] },
  cases: { type: ["object", "null"] },
});

export const RULE = done({
  id: integer,
  name: text,
  pipeline_id: integer,
  rule_expression: text,
  severity: { enum: [...RULE_SEVERITIES] },
  description: text,
  is_active: { type: "boolean" },
  action: { enum: [...RULE_ACTIONS] },
  stage: { enum: [...RULE_STAGES] },
  owner: text,
  etag: text,
});

const ALERT_RULE = {
  id: { type: ["integer", "null"] },
  name: text,
  description: text,
  severity: { enum: [...RULE_SEVERITIES] },
};
const REASON = done({ code: text, text, feature: text, value: numberOrNull, contribution: { type: "number" } });
const ALERT_PARTS = {
  id: integer,
  pipeline_id: integer,
  severity: { enum: [...RULE_SEVERITIES] },
  rule_description: text,
  alert_timestamp: instant,
  transaction_data: { type: "object" },
  pipeline: textOrNull,
  transaction_id: textOrNull,
  event_time: instant,
  rule_id: { type: ["integer", "null"] },
  rules: { type: "array", items: done(ALERT_RULE) },
  decision: { enum: [...DECISIONS] },
  decided_by: text,
  score: numberOrNull,
  /** By rules, by the model or by a policy, as they were. */
  reasons: { type: "array", items: { type: "object" } },
  amount: numberOrNull,
  entity: textOrNull,
  bundle: textOrNull,
  rule_set: textOrNull,
  vector_hash: textOrNull,
};
export const ALERT = done(ALERT_PARTS);

/** What the model saw in it; where nothing can be said, why not. */
export const ALERT_REASONS = done({
  score: numberOrNull,
  model: textOrNull,
  reasons: { type: "array", items: REASON },
  absent: textOrNull,
});

/** One alert: `columns` says which field is what. */
export const ALERT_WHOLE = done({
  ...ALERT_PARTS,
  rules: {
    type: "array",
    items: done({ ...ALERT_RULE, rule_expression: textOrNull, reads: { type: "array", items: text } }),
  },
  columns: {
    type: "object",
    properties: { id: textOrNull, time: textOrNull, amount: textOrNull, key: textOrNull },
  },
  case_id: { type: ["integer", "null"] },
});

/** An alert as /api/alerts answers it: with the case that it is part of, once it is. */
export const ALERT_WITH_CASE = done({ ...ALERT_PARTS, case_id: { type: ["integer", "null"] } });

export const CASE = done({
  id: integer,
  pipeline_id: integer,
  pipeline: textOrNull,
  entity: text,
  entity_column: text,
  status: { enum: [...CASE_STATUSES] },
  severity: { enum: [...RULE_SEVERITIES] },
  why: { enum: [...REVIEW_CAUSES] },
  propensity: { type: ["number", "null"] },
  opened_at: instant,
  due_at: instant,
  overdue: { type: "boolean" },
  alert_count: integer,
  amount: { type: ["number", "null"] },
  score: { type: ["number", "null"] },
  expected_loss: { type: "number" },
  review_minutes: { type: "number" },
  assignee: textOrNull,
  claimed_until: textOrNull,
  waiting_until: textOrNull,
  waiting_reason: text,
  disposition: { enum: [...DISPOSITIONS, null] },
  closed_at: textOrNull,
  etag: text,
});

export const SNOOZE = done({
  id: integer,
  pipeline_id: integer,
  entity: text,
  rule_id: { type: ["integer", "null"] },
  rule: text,
  until: instant,
  reason: text,
  by: text,
  at: instant,
});

export const LIST = done({ pipeline_id: integer, name: text, values: integer, changes: integer });

export const AUDIT = done({
  index: integer,
  at: instant,
  actor: text,
  action: text,
  subject: text,
  subject_id: text,
  pipeline: textOrNull,
  reason: text,
  before: {},
  after: {},
});

export const SESSION = done({
  signed_in: { type: "boolean" },
  login_needed: { type: "boolean" },
  name: textOrNull,
  role: { enum: [...ROLES, OPERATOR, null] },
  pipelines: { type: "array", items: text },
  tenant: textOrNull,
  until: { ...textOrNull, format: "date-time" },
  provider: textOrNull,
});
