// Rows as each version of the store wrote them: migrations must keep them, whatever the present code would write.
import { canonicalJson, sha256 } from "../../../src/core/hash.ts";

/** Statements of plain SQL that both databases take; `@` stands for the schema. Never changed once its version is released. */
export type Rows = readonly string[];

const AT = 1_790_000_000_000;
const set = { format: "sentinel-rules/1", pipeline: "card", rules: [], areas: {}, lists: { mules: 1 } };
export const SET_HASH = sha256(canonicalJson(set));
const open = {
  at: AT,
  actor: "ana",
  verb: "apply",
  reason: "it's",
  verdict: "",
  evidence: "",
  changes: ["+ rule"],
  live: { from: null, to: SET_HASH },
  candidate: { from: null, to: null },
  counts: { mules: 1 },
  index: 0,
  previous: "",
};
export const ENTRY = { ...open, hash: sha256(canonicalJson(open)) };
const openAudit = {
  at: AT,
  actor: "ana",
  action: "rules.apply",
  subject: "rules",
  subjectId: "card",
  pipeline: "card",
  reason: "it's",
  before: null,
  after: { live: SET_HASH },
  index: 0,
  previous: "",
};
export const AUDIT = { ...openAudit, hash: sha256(canonicalJson(openAudit)) };
export const CHANGE = { value: "c-1", from: AT, to: null, at: AT, actor: "ana", reason: "" };

const quoted = (value: unknown): string =>
  `'${(typeof value === "string" ? value : JSON.stringify(value)).replaceAll("'", "''")}'`;

/** Of version 9. */
const COUNTERS = [
  "pipelines",
  "pipelines_revision",
  "rule_numbers",
  "alerts",
  "audit",
  "audit_begin",
  "cases",
  "snoozes",
  "outbox",
];

/** What version k, counted from 1, added to what can be kept. */
export const ROWS: readonly Rows[] = [
  [
    `insert into @rule_sets (pipeline, hash, body) values ('card', ${quoted(SET_HASH)}, ${quoted(set)})`,
    `insert into @rule_journal (pipeline, place, body) values ('card', 0, ${quoted(ENTRY)})`,
    "insert into @rule_lists (pipeline, list, changes) values ('card', 'mules', 1)",
    `insert into @rule_list_changes (pipeline, list, place, body) values ('card', 'mules', 0, ${quoted(CHANGE)})`,
    "insert into @rule_numbers (number, pipeline, rule) values (7, 'card', 'large')",
    "update @counters set value = 7 where name = 'rule_numbers'",
    `insert into @audit (place, at, actor, subject, subject_id, pipeline, hash, body) values (0, ${AT}, 'ana', 'rules', 'card', 'card', ${quoted(AUDIT.hash)}, ${quoted(AUDIT)})`,
    "update @counters set value = 1 where name = 'audit'",
  ],
  [
    `insert into @pipelines (id, slug, name, source, kafka_topic, fields, settings, status, schema_version, version, created_at, changed_at)
      values (3, 'shop', 'The shop''s', 'api', null, '[{"name":"amount","type":"float","nullable":true}]', '{"a":1}', 'paused', 2, 5, ${AT}, ${AT + 1})`,
    "update @counters set value = 3 where name = 'pipelines'",
    "update @counters set value = 9 where name = 'pipelines_revision'",
  ],
  [
    `insert into @alerts (id, pipeline, transaction_id, severity, rules, decision, decided_by, score, reasons, bundle, rule_set, vector_hash, entity, amount, body, time, alerted_at)
      values (4, 3, 't1', 'critical', '[{"id":"large","description":"d","severity":"critical"}]', 'block', 'rule', 0.25, '[]', null, null, null, 'e', 12.5, '{"amount":12.5}', ${AT}, ${AT})`,
    `insert into @alert_rules (rule, alerted_at, alert) values ('large', ${AT}, 4)`,
    `insert into @alert_hours (hour, pipeline, severity, count) values (${AT - (AT % 3_600_000)}, 3, 'critical', 1)`,
    "insert into @alert_totals (pipeline, severity, count) values (3, 'critical', 1)",
    "update @counters set value = 4 where name = 'alerts'",
  ],
  [
    `insert into @ledger (id, body, answer, "by", brain, received_at, answered_at, pending, later_answer, later_brain, later_at)
      values ('g1', '{"amount": 1}', '{"decision":"approve"}', 'policy', null, ${AT}, ${AT + 1}, 1, null, null, null)`,
  ],
  [
    `insert into @cases (id, pipeline, entity_column, entity, open_key, open, status, severity, why, disposition, assignee, free_at, kept_for, opened_at, due_at, closed_at, worth, words, version, body)
      values (2, 3, 'user_id', 'e', 'k', 1, 'new', 'critical', 'rule', null, null, 0, null, ${AT}, ${AT + 1}, null, 200000, 'e', 3, '{"propensity":1,"alerts":1,"amount":12.5,"scoreMax":0.25,"loss":1,"minutes":5,"claimedUntil":null,"waitingUntil":null,"waitingReason":"","proposed":null,"closing":null,"closings":0}')`,
    "insert into @case_alerts (case_id, alert, transaction_id, why, propensity) values (2, 4, 't1', 'rule', 1)",
    `insert into @case_events (case_id, place, at, actor, action, words) values (2, 0, ${AT}, 'sentinel', 'opened', 'by alert 4')`,
    "insert into @case_labels (case_id, closing, transaction_id, pipeline, fraud, why, propensity, state, cause, tries, next_at) values (2, 1, 't1', 3, 1, 'rule', 1, 'waiting', '', 0, 0)",
    `insert into @snoozes (id, pipeline, entity, rule, until_at, reason, actor, at) values (1, 3, 'e', 'large', ${AT}, 'r', 'ana', ${AT})`,
    "update @counters set value = 2 where name = 'cases'",
    "update @counters set value = 1 where name = 'snoozes'",
    "insert into @case_positions (pipeline, alert) values (7, 4)",
  ],
  [
    `insert into @outbox (id, target, happening, notice, pipeline, body, at, waiting, tries, cause, next_at)
      values (4, 'duty', 'alert 1', 'alert', 'card', '{}', 5, 1, 0, '', 0)`,
    `insert into @dead_letters (id, target, happening, notice, pipeline, body, at, tries, cause, died_at)
      values (3, 'duty', 'alert 0', 'alert', 'card', '{}', 4, 9, 'no answer', 6)`,
    "update @counters set value = 4 where name = 'outbox'",
  ],
  // Logs: on PostgreSQL alone, and their own test writes them.
  [],
  ["update @counters set value = 0 where name = 'audit_begin'"],
  [
    `insert into @tenants (name, title, status, quotas, created_at, changed_at)
      values ('north', 'North', 'active', '{"requestsPerSecond":null,"pipelines":null,"rules":null,"alerts":null}', ${AT}, ${AT})`,
    ...COUNTERS.map((name) => `insert into @counters (tenant, name, value) values ('north', '${name}', 0)`),
  ],
  // Policies: no rows.
  [],
  // Indexes: no rows.
  [],
];
