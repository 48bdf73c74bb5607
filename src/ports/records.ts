// What the parts of a store have in common: JSON, pages, who changes something, and an alert.
import type { Decision } from "../core/decision.ts";
import type { RuleSeverity } from "../core/rule.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Who changes something, when (milliseconds, by the clock), and why. */
export interface ChangedBy {
  readonly actor: string;
  readonly at: number;
  readonly reason?: string;
}

/** One page. `next` is null at the end; a page may hold fewer than asked, or none, and go on. */
export interface Page<Record> {
  readonly items: readonly Record[];
  readonly next: string | null;
}

/** A rule that fired, as it was then. */
export interface AlertRule {
  readonly id: string;
  readonly description: string;
  readonly severity: RuleSeverity;
}

/** An alert before the store has given it an id: everything is frozen as it was when the transaction was judged. */
export interface NewAlert {
  /** Id of the pipeline. */
  readonly pipeline: number;
  /** Null where transactions have none, as those of sensors; else a second alert of one transaction is ignored. */
  readonly transactionId: string | null;
  readonly severity: RuleSeverity;
  /** In the order of the rule set; none where the model alone decided. */
  readonly rules: readonly AlertRule[];
  readonly decision: Decision;
  readonly decidedBy: string;
  /** Null where no model was asked. */
  readonly score: number | null;
  readonly reasons: Json;
  readonly bundle: string | null;
  readonly ruleSet: string | null;
  readonly vectorHash: string | null;
  readonly entity: string | null;
  readonly amount: number | null;
  /** The whole transaction, as it came. */
  readonly transaction: JsonObject;
  /** Event time, and when it was judged by the clock; milliseconds. */
  readonly time: number;
  readonly alertedAt: number;
}

export interface Alert extends NewAlert {
  /** Grows in the order in which alerts became visible: whoever asks for those after an id misses none. */
  readonly id: number;
}
