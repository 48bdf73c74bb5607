// What conditions need of their surroundings (windows, lists), remembered by their texts: a change of one rule reads one condition, not ten thousand.
import { SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { RULES_MAX } from "../core/rule.ts";
import { readCondition } from "./language.ts";
import type { RuleScope } from "./scope.ts";
import type { RuleWindow } from "./window.ts";

/** What a condition asks for, or why it cannot be read. Lists are named whether or not they exist. */
export type ConditionNeeds =
  | { readonly windows: readonly RuleWindow[]; readonly lists: readonly string[]; readonly error: null }
  | { readonly error: SentinelError };

/** Texts that are remembered: all rules of two full pipelines, some hundred bytes each. */
const TEXTS_MAX = 2 * RULES_MAX;
/** Texts read between two breaths: some tenths of a millisecond. */
const TEXTS_AT_ONCE = 4;

/** The needs of conditions in scopes, each with a key of its own; the oldest are forgotten first. */
export class NeedsMemory {
  private readonly known = new Map<string, ConditionNeeds>();
  private readonly max: number;
  /** Texts that had to be read. */
  reads = 0;

  constructor(max = TEXTS_MAX) {
    this.max = max;
  }

  /** Of each text, once. `key` stands for everything in the scope but its lists. `breathe` lets a server answer meanwhile. */
  async of(
    texts: Iterable<string>,
    { scope, key, breathe }: { readonly scope: RuleScope; readonly key: string; readonly breathe: () => Promise<void> },
  ): Promise<ReadonlyMap<string, ConditionNeeds>> {
    const anyList = { ...scope, lists: null };
    const needs = new Map<string, ConditionNeeds>();
    for (const text of texts) {
      if (needs.has(text)) continue;
      const name = sha256(`${key} ${text}`);
      let one = this.known.get(name);
      if (one === undefined) {
        if (++this.reads % TEXTS_AT_ONCE === 0) await breathe();
        one = needsOf(text, anyList);
        if (this.known.size >= this.max) this.known.delete(this.known.keys().next().value!);
        this.known.set(name, one);
      }
      needs.set(text, one);
    }
    return needs;
  }
}

function needsOf(text: string, scope: RuleScope): ConditionNeeds {
  try {
    const { windows, lists } = readCondition(text, scope);
    return { windows, lists, error: null };
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    return { error };
  }
}
