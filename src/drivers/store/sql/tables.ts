// The store's tables as kysely knows them; the migrations make them. Times are milliseconds, JSON is text here (JSONB on PostgreSQL).
import type { Kysely, Transaction } from "kysely";

/**
 * Each has a column `tenant` besides, which no statement names: {@link scoped} of tenant-scope.ts puts it into all of them. Only `tenants` has
 * none.
 */
export interface Tables {
  readonly tenants: TenantRow;
  readonly counters: { readonly name: string; readonly value: number };
  readonly pipelines: PipelineRow;
  readonly rule_journal: { readonly pipeline: string; readonly place: number; readonly body: string };
  readonly rule_sets: { readonly pipeline: string; readonly hash: string; readonly body: string };
  readonly rule_lists: { readonly pipeline: string; readonly list: string; readonly changes: number };
  readonly rule_list_changes: {
    readonly pipeline: string;
    readonly list: string;
    readonly place: number;
    readonly body: string;
  };
  readonly rule_numbers: { readonly number: number; readonly pipeline: string; readonly rule: string };
  readonly alerts: AlertRow;
  readonly alert_rules: { readonly rule: string; readonly alerted_at: number; readonly alert: number };
  readonly alert_hours: {
    readonly hour: number;
    readonly pipeline: number;
    readonly severity: string;
    readonly count: number;
  };
  readonly alert_totals: { readonly pipeline: number; readonly severity: string; readonly count: number };
  readonly audit: AuditRow;
  readonly ledger: LedgerRow;
  readonly cases: CaseRow;
  readonly case_alerts: CaseAlertRow;
  readonly case_events: CaseEventRow;
  readonly case_labels: CaseLabelRow;
  readonly case_positions: { readonly pipeline: number; readonly alert: number };
  readonly snoozes: SnoozeRow;
  readonly outbox: OutboxRow;
  readonly dead_letters: DeadLetterRow;
}

export interface TenantRow {
  readonly name: string;
  readonly title: string;
  readonly status: string;
  readonly quotas: string;
  readonly created_at: number;
  readonly changed_at: number;
}

export interface PipelineRow {
  readonly id: number;
  readonly slug: string;
  readonly name: string;
  readonly source: string;
  readonly kafka_topic: string | null;
  readonly fields: string;
  readonly settings: string;
  readonly status: string;
  readonly schema_version: number;
  readonly version: number;
  readonly created_at: number;
  readonly changed_at: number;
}

export interface AlertRow {
  readonly id: number;
  readonly pipeline: number;
  readonly transaction_id: string | null;
  readonly severity: string;
  readonly rules: string;
  readonly decision: string;
  readonly decided_by: string;
  readonly score: number | null;
  readonly reasons: string;
  readonly bundle: string | null;
  readonly rule_set: string | null;
  readonly vector_hash: string | null;
  readonly entity: string | null;
  readonly amount: number | null;
  readonly body: string;
  readonly time: number;
  readonly alerted_at: number;
}

/** `body` is the whole entry, as it was sealed; the other columns find it. */
export interface AuditRow {
  readonly place: number;
  readonly at: number;
  readonly actor: string;
  readonly subject: string;
  readonly subject_id: string;
  readonly pipeline: string | null;
  readonly hash: string;
  readonly body: string;
}

export interface LedgerRow {
  readonly id: string;
  readonly body: string;
  readonly answer: string;
  readonly by: string;
  readonly brain: string | null;
  readonly received_at: number;
  readonly answered_at: number;
  readonly pending: number;
  readonly later_answer: string | null;
  readonly later_brain: string | null;
  readonly later_at: number | null;
}

/** `body` has what no question asks for; `open` is 1 until it is closed, `open_key` then null. */
export interface CaseRow {
  readonly id: number;
  readonly pipeline: number;
  readonly entity_column: string;
  readonly entity: string;
  readonly open_key: string | null;
  readonly open: number;
  readonly status: string;
  readonly severity: string;
  readonly why: string;
  readonly disposition: string | null;
  readonly assignee: string | null;
  /** From when on it may be taken from the queue; null: never. */
  readonly free_at: number | null;
  /** Whom it is kept for; null: anybody. */
  readonly kept_for: string | null;
  readonly opened_at: number;
  readonly due_at: number;
  readonly closed_at: number | null;
  /** Loss prevented per minute, in millionths: whole, so that a cursor can say it. */
  readonly worth: number;
  readonly words: string;
  readonly version: number;
  readonly body: string;
}

export interface CaseAlertRow {
  readonly case_id: number;
  readonly alert: number;
  readonly transaction_id: string | null;
  readonly why: string;
  readonly propensity: number | null;
}

export interface CaseEventRow {
  readonly case_id: number;
  readonly place: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly words: string;
}

export interface CaseLabelRow {
  readonly case_id: number;
  readonly closing: number;
  readonly transaction_id: string;
  readonly pipeline: number;
  readonly fraud: number;
  readonly why: string;
  readonly propensity: number | null;
  readonly state: string;
  readonly cause: string;
  readonly tries: number;
  /** When it may be taken in hand (again). */
  readonly next_at: number;
}

export interface SnoozeRow {
  readonly id: number;
  readonly pipeline: number;
  readonly entity: string;
  readonly rule: string;
  readonly until_at: number;
  readonly reason: string;
  readonly actor: string;
  readonly at: number;
}

export interface OutboxRow {
  readonly id: number;
  readonly target: string;
  readonly happening: string;
  readonly notice: string;
  readonly pipeline: string | null;
  readonly body: string;
  readonly at: number;
  readonly waiting: number;
  readonly tries: number;
  readonly cause: string;
  readonly next_at: number;
}

export interface DeadLetterRow extends Omit<OutboxRow, "waiting" | "next_at"> {
  readonly died_at: number;
}

export type Sql = Kysely<Tables>;
export type SqlTransaction = Transaction<Tables>;
