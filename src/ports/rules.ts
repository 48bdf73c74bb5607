// The rule port: rule sets, which of them is live, lists with their history, and the journal of all of it.
import type { ChainLink } from "../core/journal.ts";
import type { ListChange, RuleSet } from "../core/rule.ts";

/** Which rule sets a pipeline has. `revision` grows with every change, so that a poll is one small read. */
export interface RulesHead {
  readonly revision: number;
  /** Hash of the set that decides; null: there are no rules. */
  readonly live: string | null;
  /** Hash of the set in shadow; null: there is none. */
  readonly candidate: string | null;
}

/** What happened, when, by whom, and why. */
export interface RulesEntry extends ChainLink {
  readonly at: number;
  readonly actor: string;
  readonly verb: string;
  readonly reason: string;
  /** Of the evidence behind it, where there is any: verdict, and SHA-256 of the document that was weighed. */
  readonly verdict: string;
  readonly evidence: string;
  readonly live: { readonly from: string | null; readonly to: string | null };
  readonly candidate: { readonly from: string | null; readonly to: string | null };
  /** What changed, for people: one line per rule or list. */
  readonly changes: readonly string[];
  /** Lengths that the lists have since, of those that changed. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** One change of everything: made as a whole or not at all. */
export interface RulesChange {
  /** The head that the change was made from; another head by now refuses it. */
  readonly expected: number;
  /** Sets that the store may not have yet. */
  readonly sets: readonly RuleSet[];
  readonly live: string | null;
  readonly candidate: string | null;
  /** Changes of lists, to be appended; the sets of this change may count them already. */
  readonly lists: Readonly<Record<string, readonly ListChange[]>>;
  readonly entry: Pick<RulesEntry, "at" | "actor" | "verb" | "reason" | "verdict" | "evidence" | "changes">;
}

/** The rules of one pipeline. Errors: rules.unreadable, and store.unreachable, store.unreadable, store.unwritable of the store they are in. */
export interface RuleStore {
  readonly where: string;
  head(): Promise<RulesHead>;
  /** A set by its hash, checked against it. Errors also: rules.unknown. */
  set(hash: string): Promise<RuleSet>;
  /** Changes of a list, oldest first, from a place on (0: all). A list that nobody made has none. */
  list(name: string, from?: number): Promise<readonly ListChange[]>;
  /** Lists that have changes, with how many. */
  lists(): Promise<Readonly<Record<string, number>>>;
  /** Throws `rules.conflict` when the head is not the expected one: somebody else was faster. */
  commit(change: RulesChange): Promise<RulesHead>;
  journal(): Promise<readonly RulesEntry[]>;
}

/** Everything of one pipeline's rules, to be taken over into another store. */
export interface RulesCopy {
  readonly entries: readonly RulesEntry[];
  readonly sets: readonly RuleSet[];
  readonly lists: Readonly<Record<string, readonly ListChange[]>>;
}
