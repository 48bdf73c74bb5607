// Cases: the alerts of one entity that one analyst works, what they turned out to be, and the labels that follow.
import type { RuleSeverity } from "./rule.ts";

export const CASE_STATUSES = ["new", "working", "waiting", "closed"] as const;
export type CaseStatus = (typeof CASE_STATUSES)[number];

/** What a case turned out to be; `unknown`: nobody can tell, and no label is written. */
export const DISPOSITIONS = ["fraud", "genuine", "unknown"] as const;
export type Disposition = (typeof DISPOSITIONS)[number];

/** Why somebody looked at a transaction: a rule, the model's score (or the policy in its place), a draw, or because it was linked to such a one. */
export const REVIEW_CAUSES = ["rule", "score", "exploration", "linked"] as const;
export type ReviewCause = (typeof REVIEW_CAUSES)[number];

/** What a label says of the review behind it, so that labels of reviews are never mistaken for a fair sample. */
export interface Review {
  /** Number of the case, and how often it had been closed with this time. Together they name the label of a transaction. */
  readonly case: number;
  readonly closing: number;
  readonly why: ReviewCause;
  /** The chance with which the transaction was reviewed, over 0 and up to 1; null where nobody knows it (linked ones). */
  readonly propensity: number | null;
}

/** Whose case it is: the value of one column. */
export interface CaseEntity {
  readonly column: string;
  readonly value: string;
}

/** What closes a case. Times in milliseconds. */
export interface Closing {
  readonly disposition: Disposition;
  /** One of the pipeline's words, or the analyst's own. */
  readonly reason: string;
  readonly comment: string;
  /** Ids of linked transactions that the disposition holds for as well. */
  readonly transactions: readonly string[];
  readonly by: string;
  readonly at: number;
  /** The second person, where the pipeline asks for one. */
  readonly confirmedBy: string | null;
}

/** A case as it is now; `id` and `version` are the store's. Times in milliseconds. */
export interface CaseFields {
  /** Of the pipeline. */
  readonly pipeline: number;
  readonly entity: CaseEntity;
  readonly status: CaseStatus;
  /** Of its most urgent alert. */
  readonly severity: RuleSeverity;
  /** Of the alert that opened it. */
  readonly why: ReviewCause;
  readonly propensity: number | null;
  readonly openedAt: number;
  /** By when it should be closed. */
  readonly dueAt: number;
  readonly alerts: number;
  /** Sum of the alerts' amounts; null where none has one. */
  readonly amount: number | null;
  readonly scoreMax: number | null;
  /** Loss that reviewing it is expected to prevent, in the currency of the amounts, and the minutes that a review takes. */
  readonly loss: number;
  readonly minutes: number;
  /** Who works it, or shall; null: anybody may take it. */
  readonly assignee: string | null;
  /** Until then nobody else may take it; null: it is not claimed. */
  readonly claimedUntil: number | null;
  readonly waitingUntil: number | null;
  readonly waitingReason: string;
  /** How it would be closed, when another person confirms; null: nothing is proposed. */
  readonly proposed: Closing | null;
  /** How it was closed last; null while it never was. */
  readonly closing: Closing | null;
  /** How often it was closed. */
  readonly closings: number;
}

export interface Case extends CaseFields {
  readonly id: number;
  /** Grows by one with every change; begins with 1. */
  readonly version: number;
}

/** What happened to a case; `by` is the actor. */
export interface CaseEvent {
  readonly at: number;
  readonly by: string;
  /** Such as "opened", "claim", "close", "note". */
  readonly action: string;
  /** In words: a note's text, a reason. */
  readonly text: string;
}

/** Characters of a note, a comment or a reason. */
export const CASE_TEXT_MAX = 2000;
/** Linked transactions of one closing. */
export const CASE_LINKED_MAX = 1000;
