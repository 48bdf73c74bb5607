// The store port: what a platform remembers beside models and the log: pipelines, rules, alerts, and who changed what.
import type { Decision } from "../core/decision.ts";
import type { Erased, Eraser } from "../core/erasure.ts";
import type { ChainLink } from "../core/journal.ts";
import type { RuleSeverity } from "../core/rule.ts";
import type { Tenant } from "../core/tenant.ts";
import type { CaseStore } from "./cases.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboxStore } from "./outbox.ts";
import type { Alert, ChangedBy, Json, JsonObject, NewAlert, Page } from "./records.ts";
import type { RuleStore } from "./rules.ts";

export type { Alert, AlertRule, ChangedBy, Json, JsonObject, NewAlert, Page } from "./records.ts";

/** Pipelines of one store. */
export const PIPELINES_MAX = 1000;
/** Fields of one schema. */
export const SCHEMA_FIELDS_MAX = 500;
/** Characters of a name, a description, an actor or a reason. */
export const STORE_TEXT_MAX = 1000;
/** Characters of one JSON document: a transaction, a state before or after a change. */
export const STORE_JSON_MAX = 1_000_000;
/** Records that one page may have. */
export const PAGE_MAX = 1000;
/** Alerts that one append may bring. */
export const ALERTS_APPENDED_MAX = 1000;
/** Rules that one alert names; more are cut. */
export const ALERT_RULES_MAX = 100;
/** Rows that one question about alerts may look at; a page that ends earlier says where to go on. */
export const ALERTS_SEEN_MAX = 10_000;

export const PIPELINE_SOURCES = ["api", "file"] as const;
export const PIPELINE_STATUSES = ["active", "paused", "stopped"] as const;
export const SCHEMA_TYPES = ["string", "integer", "float", "boolean", "timestamp"] as const;
export type PipelineSource = (typeof PIPELINE_SOURCES)[number];
export type PipelineStatus = (typeof PIPELINE_STATUSES)[number];
export type SchemaType = (typeof SCHEMA_TYPES)[number];

export interface SchemaField {
  readonly name: string;
  readonly type: SchemaType;
  readonly nullable: boolean;
}

/** What can be said of a pipeline; `slug` names it in routes, files, metrics and for its rules, and never changes. */
export interface PipelineFields {
  readonly slug: string;
  /** As people call it; unique, as the slug is. */
  readonly name: string;
  readonly source: PipelineSource;
  readonly kafkaTopic: string | null;
  readonly schema: readonly SchemaField[];
  /** Which of a field says what (id, time, key, amount), and whatever else its maker wants to be kept. */
  readonly settings: JsonObject;
}

/** A pipeline as the store has it. */
export interface PipelineRecord extends PipelineFields {
  readonly id: number;
  readonly status: PipelineStatus;
  /** Grows by one with every change of the schema; begins with 1. */
  readonly schemaVersion: number;
  /** Grows by one with every change of anything; begins with 1. */
  readonly version: number;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** What a change may touch; what is not named stays. */
export type PipelinePatch = Partial<
  Pick<PipelineRecord, "name" | "kafkaTopic" | "schema" | "settings" | "status" | "source">
>;

/** Every change is one transaction with its audit entry. Errors of all: store.unreachable, store.unwritable. */
export interface PipelineStore {
  /** All, by id; at most PIPELINES_MAX. */
  list(): Promise<readonly PipelineRecord[]>;
  /** Null where there is none. */
  find(id: number): Promise<PipelineRecord | null>;
  findBySlug(slug: string): Promise<PipelineRecord | null>;
  /** Errors also: store.conflict (slug or name taken), store.limit, store.invalid. */
  create(fields: PipelineFields, by: ChangedBy): Promise<PipelineRecord>;
  /** Errors also: store.unknown, store.stale (the version is not `expected`), store.conflict, store.invalid. */
  update(
    id: number,
    change: { readonly expected: number; readonly patch: PipelinePatch },
    by: ChangedBy,
  ): Promise<PipelineRecord>;
  /**
   * What a pipeline file says: makes the record, or changes the one of its slug where it differs; status and id stay. Errors also:
   * store.conflict (the slug belongs to a pipeline of the API, or the name to another one), store.limit, store.invalid.
   */
  declare(fields: PipelineFields, by: ChangedBy): Promise<PipelineRecord>;
  /** A number that grows with every change of any pipeline, so that a poll is one small read. */
  revision(): Promise<number>;
}

/** The number by which the API calls a rule: of one rule of one pipeline, for ever, in no other meaning. */
export interface RuleNumber {
  readonly number: number;
  /** Slug. */
  readonly pipeline: string;
  readonly rule: string;
}

/** Numbers are given by the commit that brings a rule's id for the first time. */
export interface RuleNumbers {
  find(number: number): Promise<RuleNumber | null>;
  /** By rule id, of one pipeline. */
  of(pipeline: string): Promise<ReadonlyMap<string, number>>;
}

/** All that is named must hold. Times are of `alertedAt`, `from` included, `to` excluded. */
export interface AlertFilter {
  readonly pipeline?: number;
  readonly severity?: RuleSeverity;
  readonly rule?: string;
  readonly decision?: Decision;
  readonly entity?: string;
  readonly transactionId?: string;
  /** Stands somewhere in the transaction, in what its rules say, or in its id or entity; letters of any case. */
  readonly text?: string;
  readonly from?: number;
  readonly to?: number;
  /** Both included. */
  readonly amountMin?: number;
  readonly amountMax?: number;
}

export interface AlertCount {
  readonly pipeline: number;
  readonly severity: RuleSeverity;
  readonly count: number;
}

export interface AlertHour extends AlertCount {
  /** Begin of the hour, milliseconds. */
  readonly hour: number;
}

/** Money of the alerts since an instant. */
export interface FlaggedMoney {
  readonly alerts: number;
  readonly amount: number;
  /** False where there are more than {@link ALERTS_SEEN_MAX}: then the newest of them are summed. */
  readonly whole: boolean;
}

/** Errors of all: store.unreachable, store.unwritable. */
export interface AlertStore {
  /** In one transaction; gives the ids in order, null for those that were there already. Errors also: store.invalid, store.unknown. */
  append(alerts: readonly NewAlert[]): Promise<readonly (number | null)[]>;
  find(id: number): Promise<Alert | null>;
  /**
   * Newest first, by `alertedAt` and id. `cursor` is `next` of the page before: what is appended meanwhile moves no page. Errors also:
   * store.invalid (a limit out of 1…PAGE_MAX, a cursor of something else).
   */
  page(filter: AlertFilter, page: { readonly limit: number; readonly cursor?: string | null }): Promise<Page<Alert>>;
  /** Oldest first, by id, those after `id`: for followers. */
  after(id: number, limit: number): Promise<readonly Alert[]>;
  /** Of the newest alert that there ever was; 0 where there was none. */
  lastId(): Promise<number>;
  /** Removes the oldest alerts that were raised before an instant, at most `limit`; counts and trends stay. Gives how many went. */
  forget(of: { readonly before: number; readonly limit: number }): Promise<number>;
  /** Removes alerts that `keep` newer ones follow, the oldest first, as {@link forget} does. Gives how many went. */
  trim(of: { readonly keep: number; readonly limit: number }): Promise<number>;
  /** All there ever were, by pipeline and severity; with `since` only those from an instant on. */
  counts(since?: number): Promise<readonly AlertCount[]>;
  /** Of these pipelines. */
  flagged(of: { readonly since: number; readonly pipelines: readonly number[] }): Promise<FlaggedMoney>;
  /** By hour, pipeline and severity, from the hour of `since` on, at most ALERT_HOURS_MAX hours back from `to`. */
  hours(of: { readonly since: number; readonly to: number }): Promise<readonly AlertHour[]>;
}

/** Hours of one trend: 31 days. */
export const ALERT_HOURS_MAX = 744;

/** Who did what to what. */
export interface NewAuditEntry {
  readonly at: number;
  readonly actor: string;
  /** Such as "pipeline.create", "rules.stage", "key.revoke". */
  readonly action: string;
  /** What kind of thing, and which. */
  readonly subject: string;
  readonly subjectId: string;
  /** Slug; null where it is about no pipeline. */
  readonly pipeline: string | null;
  readonly reason: string;
  /** Null: it was not there before, or is not there after. */
  readonly before: Json;
  readonly after: Json;
}

/** Each entry seals the one before. */
export interface AuditEntry extends NewAuditEntry, ChainLink {}

export interface AuditFilter {
  readonly pipeline?: string;
  readonly actor?: string;
  readonly subject?: string;
  readonly subjectId?: string;
  readonly from?: number;
  readonly to?: number;
}

/** Nothing changes an entry, and only the oldest may go. Changes of pipelines and rules write theirs themselves. */
export interface AuditStore {
  append(entry: NewAuditEntry): Promise<AuditEntry>;
  /** Newest first. */
  page(
    filter: AuditFilter,
    page: { readonly limit: number; readonly cursor?: string | null },
  ): Promise<Page<AuditEntry>>;
  /** Oldest first, from a place (index) on: what a check of the chain reads. */
  scan(from: number, limit: number): Promise<readonly AuditEntry[]>;
  /**
   * Removes the oldest entries, at most `limit`, up to the first that is not before an instant; the newest stays. What went is an entry itself:
   * places, and the seal of the last. Gives how many went.
   */
  forget(of: { readonly before: number; readonly limit: number; readonly by: ChangedBy }): Promise<number>;
}

/** Which form of the tables is there, and which this version knows. */
export interface StoreSchema {
  readonly version: number;
  readonly known: number;
  /** Names of what is not applied yet, in order. */
  readonly pending: readonly string[];
  /** Whether the database keeps tenants apart, too; `bypassed`: for the role that asks it does not; `none`: it never does. */
  readonly rowSecurity: "on" | "bypassed" | "none";
}

/** Who erases a person, and under which receipt. */
export interface ErasureRun {
  readonly receipt: string;
  readonly by: ChangedBy;
}

/** What a tenant may have; null: as much as the store holds. */
export interface TenantQuotas {
  /** Requests of all its keys together, items of a batch each counted. */
  readonly requestsPerSecond: number | null;
  readonly pipelines: number | null;
  /** Rules of all its pipelines together, whatever their stage. */
  readonly rules: number | null;
  /** Alerts that are kept; the oldest that nobody works on go. */
  readonly alerts: number | null;
}

export const TENANT_STATUSES = ["active", "removed"] as const;

export interface TenantRecord {
  readonly name: Tenant;
  /** As people call it. */
  readonly title: string;
  readonly status: (typeof TENANT_STATUSES)[number];
  readonly quotas: TenantQuotas;
  readonly createdAt: number;
  readonly changedAt: number;
}

/**
 * Who the tenants are. Whoever runs the server asks this, no tenant. Each change is one transaction with an entry in the audit of the tenant
 * that it is about. Errors of all: store.unreachable, store.unwritable.
 */
export interface TenantStore {
  /** By name, removed ones included; at most TENANTS_MAX. The first is always there: `default`. */
  list(): Promise<readonly TenantRecord[]>;
  find(name: Tenant): Promise<TenantRecord | null>;
  /** Errors also: tenant.exists (also where it was removed), tenant.limit, store.invalid. */
  create(fields: Pick<TenantRecord, "name" | "title" | "quotas">, by: ChangedBy): Promise<TenantRecord>;
  /** What is not named stays. Errors also: tenant.missing, tenant.invalid (`default` cannot be removed), store.invalid. */
  update(
    name: Tenant,
    patch: Partial<Pick<TenantRecord, "title" | "quotas" | "status">>,
    by: ChangedBy,
  ): Promise<TenantRecord>;
}

/**
 * The store of a workspace, or of several servers. Nothing that belongs to somebody can be asked of it but through the handle of a tenant.
 * Errors when it opens: store.unreachable, store.schema-old, store.schema-new.
 */
export interface Stores {
  /** For people; never a password. */
  readonly where: string;
  readonly kind: "embedded" | "postgres";
  readonly tenants: TenantStore;
  /** Reads and writes of this tenant's alone. A tenant that there is not has nothing, and writes nothing: tenant.missing. */
  of(tenant: Tenant): Store;
  /** Throws store.unreachable when it does not answer. */
  ping(): Promise<void>;
  schema(): Promise<StoreSchema>;
}

/** The store as one tenant sees it: ids begin with 1 in each, and nothing tells whether there are others. */
export interface Store {
  /** For people; never a password. */
  readonly where: string;
  readonly kind: "embedded" | "postgres";
  readonly tenant: Tenant;
  readonly pipelines: PipelineStore;
  readonly ruleNumbers: RuleNumbers;
  readonly alerts: AlertStore;
  readonly audit: AuditStore;
  readonly ledger: Ledger;
  readonly cases: CaseStore;
  readonly outbox: OutboxStore;
  /** The rules of one pipeline, by its slug. */
  rules(pipeline: string): RuleStore;
  /**
   * Looks for a person in all tables, whatever pipeline they are of; with a run replaces what is found, and then leaves no byte of before in its
   * files. Sealed entries keep their seals: entries of the audit say which of them were changed. Safe to be killed and called again.
   */
  erase(eraser: Eraser, run: ErasureRun | null): Promise<readonly Erased[]>;
  /** Throws store.unreachable when it does not answer. */
  ping(): Promise<void>;
  schema(): Promise<StoreSchema>;
}

/** What makes and changes the tables of a store. Errors of all: store.unreachable, store.unreadable, store.unwritable. */
export interface StoreTables {
  readonly where: string;
  readonly kind: Store["kind"];
  schema(): Promise<StoreSchema>;
  /** Forward to the newest version, one transaction per step. Gives the steps that were taken. Errors also: store.schema-new. */
  migrate(): Promise<readonly string[]>;
}
