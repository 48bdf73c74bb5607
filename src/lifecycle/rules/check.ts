// The check of a rule set before it may be stored: every rule is read in the scope of the pipeline, and all together must fit.
import { SentinelError } from "../../core/errors.ts";
import { RULES_MAX, type Rule, type RuleSet } from "../../core/rule.ts";
import { readCondition } from "../../rules/language.ts";
import { EMPTY_LIST } from "../../rules/lists.ts";
import { compileRules } from "../../rules/program.ts";
import type { RuleScope } from "../../rules/scope.ts";

const FAULTS_SHOWN = 5;

/** Throws `rules.invalid` naming the rules, with place and way out. */
export async function checkRules(set: RuleSet, scope: RuleScope): Promise<void> {
  const { rules } = set;
  if (rules.length > RULES_MAX) {
    throw new SentinelError("rules.invalid", `there are ${rules.length} rules`, {
      hint: `a pipeline has at most ${RULES_MAX}; delete those that are off`,
    });
  }
  const ids = new Set<string>();
  for (const { id } of rules) {
    if (ids.has(id)) {
      throw new SentinelError("rules.invalid", `rule ${id} is there twice`, { hint: "give each rule its own id" });
    }
    ids.add(id);
  }
  const faults = rules.flatMap((rule) => faultOf(rule, scope) ?? []);
  // What only all of them together can pass: windows and their keys.
  if (faults.length === 0) {
    const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
    faults.push(...program.faults);
  }
  if (faults.length === 0) return;
  const shown = faults.slice(0, FAULTS_SHOWN).map(({ id, error }) => `rule ${id}: ${error.message}`);
  const more = faults.length > FAULTS_SHOWN ? `; and ${faults.length - FAULTS_SHOWN} more` : "";
  throw new SentinelError("rules.invalid", shown.join("; ") + more, {
    hint: faults[0].error.hint,
    cause: faults[0].error,
  });
}

function faultOf(rule: Rule, scope: RuleScope): { readonly id: string; readonly error: SentinelError } | null {
  try {
    readCondition(rule.when, scope);
    return null;
  } catch (error) {
    if (error instanceof SentinelError) return { id: rule.id, error };
    throw error;
  }
}

/** Names of the lists that rules ask, whatever their stage. Rules that cannot be read ask none. */
export function listsAsked(rules: readonly Rule[], scope: RuleScope): string[] {
  const names = new Set<string>();
  for (const rule of rules) {
    try {
      for (const name of readCondition(rule.when, { ...scope, lists: null }).lists) names.add(name);
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
    }
  }
  return [...names].sort();
}
