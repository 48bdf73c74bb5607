// The case store port: cases with their alerts, history, snoozes and the labels that closings owe; each change is one transaction.
import type {
  Case,
  CaseEntity,
  CaseEvent,
  CaseFields,
  CaseStatus,
  Disposition,
  Review,
  ReviewCause,
} from "../core/case.ts";
import type { RuleSeverity } from "../core/rule.ts";
import type { NewMessage } from "./outbox.ts";
import type { Alert, ChangedBy, Page } from "./records.ts";

/** Alerts that one look takes into cases. */
export const JOINED_MAX = 200;
/** Free cases that the queue is chosen from: so many by worth, by due time and by age of the draw each. */
export const QUEUE_SEEN_MAX = 200;
/** Rows that one question about cases may look at; a page that ends earlier says where to go on. */
export const CASES_SEEN_MAX = 10_000;
/** Labels that one look takes in hand. */
export const LABELS_TAKEN_MAX = 200;

/** All that is named must hold. */
export interface CaseFilter {
  /** Ids of pipelines. */
  readonly pipelines?: readonly number[];
  /** `open`: every status but closed. */
  readonly status?: CaseStatus | "open";
  readonly assignee?: string;
  readonly severity?: RuleSeverity;
  /** The value of the entity, whatever its column. */
  readonly entity?: string;
  readonly disposition?: Disposition;
  /** Somewhere in entity, assignee, reason or comment, whatever its case. */
  readonly text?: string;
}

/** `newest`: opened last first; `worth`: most loss prevented per minute first. */
export type CaseOrder = "newest" | "worth";

/** One alert of a case, as labels need it. */
export interface CaseAlert {
  readonly alert: number;
  readonly transactionId: string | null;
  readonly why: ReviewCause;
  readonly propensity: number | null;
}

/** What alerts make of cases. */
export interface Joining {
  /** Whose case it is. Pure. */
  entityOf(alert: Alert): CaseEntity;
  /** The case afterwards; null: nothing happens. `asleep`: names of the rules that sleep for the entity. Pure. */
  join(alert: Alert, open: CaseFields | null, asleep: ReadonlySet<string>): CaseFields | null;
  /** Pure. */
  reviewOf(alert: Alert): Pick<CaseAlert, "why" | "propensity">;
  /** What receivers hear of it, put into the outbox in the same transaction. Pure. */
  messagesOf(alert: Alert): readonly NewMessage[];
}

/** A label that a closing owes. */
export interface OwedLabel {
  readonly pipeline: number;
  readonly transactionId: string;
  readonly fraud: boolean;
  readonly review: Review;
  /** Tries so far. */
  readonly tries: number;
}

/** `waiting`: not written yet; `refused`: it never will be, for this reason. */
export const LABEL_STATES = ["waiting", "written", "refused"] as const;
export interface CaseLabel extends OwedLabel {
  readonly state: (typeof LABEL_STATES)[number];
  readonly cause: string;
}

/** An entity whose alerts of one rule open no case until then. */
export interface NewSnooze {
  readonly pipeline: number;
  readonly entity: string;
  /** Name of the rule. */
  readonly rule: string;
  readonly until: number;
  readonly reason: string;
}

export interface Snooze extends NewSnooze {
  readonly id: number;
  readonly by: string;
  readonly at: number;
}

/** A change of one case. */
export interface CaseChange {
  readonly before: Case;
  readonly after: CaseFields;
  readonly event: CaseEvent;
  /** Where labels follow from it. */
  readonly labels: boolean;
}

export interface CaseAge {
  readonly pipeline: number;
  readonly severity: RuleSeverity;
  /** Whole days since it was opened, cut at `daysMax`. */
  readonly days: number;
  readonly count: number;
  readonly overdue: number;
}

export interface CaseDay {
  readonly pipeline: number;
  /** Begin of the day (UTC), milliseconds. */
  readonly day: number;
  readonly disposition: Disposition;
  readonly count: number;
}

/** Errors of all: store.unreachable, store.unwritable. */
export interface CaseStore {
  find(id: number): Promise<Case | null>;
  /** Newest first, or by worth. Errors also: store.invalid (a limit out of 1…PAGE_MAX, a cursor of something else). */
  page(
    filter: CaseFilter,
    page: { readonly limit: number; readonly cursor?: string | null; readonly order?: CaseOrder },
  ): Promise<Page<Case>>;
  /** Cases that an actor may take now, at most three times QUEUE_SEEN_MAX: most worth, due next, drawn first. */
  free(of: {
    readonly pipelines: readonly number[];
    readonly actor: string;
    readonly at: number;
  }): Promise<readonly Case[]>;
  /** Numbers of a case's alerts, newest first. */
  alertsOf(id: number, limit: number): Promise<readonly CaseAlert[]>;
  /** The cases of alerts, by the alert's number. */
  casesOf(alerts: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Oldest first; the newest `limit` of them. */
  historyOf(id: number, limit: number): Promise<readonly CaseEvent[]>;
  /** The labels of its last closing, at most `limit`. */
  labelsOf(id: number, limit: number): Promise<readonly CaseLabel[]>;
  /**
   * Takes the next alerts of a pipeline into cases: each alert once, whoever asks. Gives how many alerts were looked at; fewer than JOINED_MAX
   * means that there are no more.
   */
  take(pipeline: number, joining: Joining, at: number): Promise<number>;
  /**
   * One change with its history, the labels it owes and its audit entry. Errors also: store.stale (the version is another), store.conflict
   * (it is reopened, and its entity has another open case).
   */
  change(change: CaseChange, by: ChangedBy): Promise<Case>;
  /** A note changes no version: it is in nobody's way. */
  note(id: number, event: CaseEvent): Promise<void>;
  /** Labels of a pipeline that are owed and due, for this asker alone until `leaseUntil`. */
  owed(of: {
    readonly pipeline: number;
    readonly at: number;
    readonly leaseUntil: number;
  }): Promise<readonly OwedLabel[]>;
  /** What became of them; `again`: it is tried then. */
  settle(
    labels: readonly (OwedLabel & {
      readonly state: CaseLabel["state"];
      readonly cause: string;
      readonly again: number;
    })[],
  ): Promise<void>;
  snooze(wanted: NewSnooze, by: ChangedBy): Promise<Snooze>;
  /** Those that hold at an instant, newest first. */
  snoozes(of: {
    readonly pipelines: readonly number[];
    readonly at: number;
    readonly limit: number;
  }): Promise<readonly Snooze[]>;
  findSnooze(id: number): Promise<Snooze | null>;
  /** Ends one now. Errors also: store.unknown. */
  wake(id: number, by: ChangedBy): Promise<Snooze>;
  /** Open cases by age at `at`; those closed from `since` to `at` (both included) by day. */
  summary(of: {
    readonly pipelines: readonly number[];
    readonly at: number;
    readonly since: number;
    readonly daysMax: number;
  }): Promise<{ readonly open: readonly CaseAge[]; readonly closed: readonly CaseDay[] }>;
}
