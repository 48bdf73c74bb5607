// Lanes: of all rules that fired, which one decides. Lists and approve rules, then block, then review, then the model.
import type { Decision } from "../core/decision.ts";
import type { DecidedBy, RuleDecision } from "../core/rule.ts";
import { FIRED, type RuleProgram, UNREADY } from "./program.ts";
import { NEVER, REVIEW_RANK } from "./rank.ts";
import { isInRollout } from "./rollout.ts";

export interface Lanes extends RuleDecision {
  readonly decision: Decision;
  readonly shadow: readonly string[];
  readonly unready: number;
  /** The review rule that would have decided, had the model not blocked; absent where there is none. */
  readonly overruled?: string;
}

const NONE: readonly string[] = [];

/**
 * Who decides, from what each rule said. `without` is what the decision is without rules, and who made it; `entity` is asked only where a rule
 * in rollout fired.
 */
export function decideLanes(
  program: RuleProgram,
  hits: Uint8Array,
  given: {
    readonly without: { readonly decision: Decision; readonly by: DecidedBy };
    readonly entity: () => string;
  },
): Lanes {
  const { rules } = program;
  const { without } = given;
  let fired: string[] | null = null;
  let shadow: string[] | null = null;
  let unready = program.faults.length;
  let best = NEVER;
  let winner = -1;
  for (let i = 0; i < rules.length; i++) {
    if (hits[i] === UNREADY) unready++;
    if (hits[i] !== FIRED) continue;
    const { rule, rank } = rules[i];
    const decides = rule.stage === "live" || (rule.stage === "rollout" && isInRollout(rule, given.entity()));
    if (!decides) {
      shadow ??= [];
      shadow.push(rule.id);
      continue;
    }
    fired ??= [];
    fired.push(rule.id);
    if (rank < best) {
      best = rank;
      winner = i;
    }
  }
  const softens = best === REVIEW_RANK && without.decision === "block";
  const decider = winner < 0 || softens ? null : rules[winner];
  return {
    set: program.hash,
    decision: decider === null ? without.decision : (decider.rule.action as Decision),
    by: decider === null ? without.by : decider.condition.isList ? "list" : "rule",
    rule: decider === null ? null : decider.rule.id,
    fired: fired ?? NONE,
    shadow: shadow ?? NONE,
    unready,
    ...(softens ? { overruled: rules[winner].rule.id } : {}),
  };
}
