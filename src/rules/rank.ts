// Ranks: where a rule stands in the lanes.
import type { Rule } from "../core/rule.ts";
import type { Condition } from "./language.ts";

/** A review rule's rank: it never softens a model that blocks. */
export const REVIEW_RANK = 4;
/** A rule that decides nothing. */
export const NEVER = 100;

/** Smaller decides first. In the first lane an approval goes before a block list, and that before a review list. */
export function rankOf(rule: Pick<Rule, "action">, { isList }: Pick<Condition, "isList">): number {
  switch (rule.action) {
    case "approve":
      return 0;
    case "block":
      return isList ? 1 : 3;
    case "review":
      return isList ? 2 : 4;
    case "tag":
      return NEVER;
  }
}
