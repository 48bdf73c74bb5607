// Rules: what one says, what a rule set holds, and what a rule set said of one transaction.
import type { Decision } from "./decision.ts";
import { canonicalJson, sha256 } from "./hash.ts";
import type { Area } from "./place.ts";

export const RULE_ACTIONS = ["block", "review", "approve", "tag"] as const;
export type RuleAction = (typeof RULE_ACTIONS)[number];
export const RULE_SEVERITIES = ["critical", "warning", "info"] as const;
export type RuleSeverity = (typeof RULE_SEVERITIES)[number];
/** draft: nothing happens; shadow: hits are logged and decide nothing; rollout: decides for a share of the entities. */
export const RULE_STAGES = ["draft", "shadow", "rollout", "live", "off"] as const;
export type RuleStage = (typeof RULE_STAGES)[number];

/** Rules of one pipeline, whatever their stage. */
export const RULES_MAX = 10_000;
/** Characters of one condition; as many as an expression may have. */
export const RULE_LENGTH_MAX = 10_000;
export const RULE_ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$";
export const LIST_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,79}$";
/** Lists of one pipeline, and changes that one list remembers. */
export const LISTS_MAX = 1000;
export const LIST_CHANGES_MAX = 1_000_000;
export const LIST_VALUE_LENGTH_MAX = 200;

/** One SQL condition with what follows from it. */
export interface Rule {
  readonly id: string;
  /** The condition, in the language of docs/rules.md. */
  readonly when: string;
  readonly action: RuleAction;
  readonly severity: RuleSeverity;
  readonly description: string;
  readonly stage: RuleStage;
  /** Of the entities, while the stage is rollout: 0 to 1. */
  readonly share: number;
  readonly owner: string;
}

/** All rules of a pipeline at one moment, with the lists as they were; immutable, and named by its hash. */
export interface RuleSet {
  readonly format: typeof RULES_FORMAT;
  readonly pipeline: string;
  readonly rules: readonly Rule[];
  readonly areas: Readonly<Record<string, Area>>;
  /** Of each list, how many of its changes count: a later change makes another rule set. */
  readonly lists: Readonly<Record<string, number>>;
}

export const RULES_FORMAT = "sentinel-rules/1";

/** SHA-256 of a rule set's canonical JSON. */
export function ruleSetHash(set: RuleSet): string {
  return sha256(canonicalJson(set));
}

/** What happened to one value of a list. The last change of one value and `from` counts. Times in milliseconds. */
export interface ListChange {
  readonly value: string;
  /** The value is on the list from then on, by event time. */
  readonly from: number;
  /** Until then, itself excluded; null: for ever. One that is not after `from` takes the entry back. */
  readonly to: number | null;
  /** When it was written, by the clock, by whom, and why. */
  readonly at: number;
  readonly actor: string;
  readonly reason: string;
}

export type DecidedBy = "model" | "rule" | "list" | "policy";

/** Who decided, and how. */
export interface RuleDecision {
  readonly set: string;
  readonly by: DecidedBy;
  /** The rule that decided; null where the model or the policy did. */
  readonly rule: string | null;
  /** Rules that fired and may decide (live, or in rollout for this entity), in the order of the set. */
  readonly fired: readonly string[];
}

/** What a rule set said of one transaction: stands in its answer and its log record. */
export interface RuleOutcome extends RuleDecision {
  /** What the decision was without rules: the model's, or the policy's. */
  readonly without: Decision;
  /** Rules that fired and decide nothing: in shadow, or in rollout for other entities. */
  readonly shadow: readonly string[];
  /** Rules that could not be asked: their features were not warm, the model gave no score, or they failed. */
  readonly unready: number;
  /** The review rule that would have decided, had the model not blocked; absent where there is none. */
  readonly overruled?: string;
  /** True where the features of windows were not there to read. */
  readonly cold?: true;
  /** True where the rules were those of another model's features, for a moment: then they asked no model. */
  readonly stale?: true;
  /** The same transaction under the candidate rule set, decided whole. */
  readonly candidate?: RuleDecision & { readonly decision: Decision };
}
