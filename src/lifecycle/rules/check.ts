// The check of a rule set before it may be stored: what a change brings must be readable and fit; what was broken before is reported and blocks nothing.
import { setImmediate as breathe } from "node:timers/promises";
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson } from "../../core/hash.ts";
import { RULES_MAX, type Rule, type RuleSet } from "../../core/rule.ts";
import { readCondition } from "../../rules/language.ts";
import { type ConditionNeeds, NeedsMemory } from "../../rules/needs.ts";
import { isAsked, type RuleFault, WindowSet } from "../../rules/program.ts";
import type { RuleScope } from "../../rules/scope.ts";
import type { RuleWindow } from "../../rules/window.ts";

/** A scope, and a text that is the same for scopes that differ in their lists alone. */
export interface KeyedScope {
  readonly scope: RuleScope;
  readonly key: string;
}

export interface RulesCheck {
  /** Rules that cannot be asked as they are: they decide nothing, and no change of others waits for them. */
  readonly faults: readonly RuleFault[];
  /** Windows of the rules that are asked. */
  readonly windows: readonly RuleWindow[];
}

const FAULTS_SHOWN = 5;
const MEMORY = new NeedsMemory();

/**
 * Reads what `before` does not have already; null: all of it has to be right. Throws `rules.invalid` naming the rules that the change breaks or
 * brings broken, with place and way out.
 */
export async function checkRules(
  set: RuleSet,
  { scope, key, before }: KeyedScope & { readonly before: RuleSet | null },
): Promise<RulesCheck> {
  checkIds(set.rules);
  const found = await faultsOf(set, { scope, key });
  // Areas are part of what a condition means: where they change, every rule is new.
  const isSameGround = before !== null && canonicalJson(before.areas) === canonicalJson(set.areas);
  const was = new Map(isSameGround ? before.rules.map((rule) => [rule.id, rule]) : []);
  const wasBroken =
    isSameGround && found.faults.length > 0 ? await brokenIds(before, { scope, key }) : new Set<string>();
  const rules = new Map(set.rules.map((rule) => [rule.id, rule]));
  const own = found.faults.filter(({ id }) => {
    const [then, now] = [was.get(id), rules.get(id)!];
    if (then === undefined || then.when !== now.when || !wasBroken.has(id)) return true;
    return isAsked(now) && !isAsked(then);
  });
  if (own.length === 0) return found;
  const shown = own.slice(0, FAULTS_SHOWN).map(({ id, error }) => `rule ${id}: ${error.message}`);
  const more = own.length > FAULTS_SHOWN ? `; and ${own.length - FAULTS_SHOWN} more` : "";
  throw new SentinelError("rules.invalid", shown.join("; ") + more, {
    hint: own[0].error.hint,
    cause: own[0].error,
  });
}

function checkIds(rules: readonly Rule[]): void {
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
}

async function brokenIds(set: RuleSet, on: KeyedScope): Promise<ReadonlySet<string>> {
  return new Set((await faultsOf(set, on)).faults.map(({ id }) => id));
}

/** Whatever keeps a rule from being asked: its own text, a list that is not there, and windows that all rules together have too many of. */
async function faultsOf({ rules }: RuleSet, { scope, key }: KeyedScope): Promise<RulesCheck> {
  const needs = await needsOf(rules, { scope, key });
  const faults: RuleFault[] = [];
  const windows = new WindowSet();
  for (const rule of rules) {
    const error = faultOf(rule, { needs: needs.get(rule.when)!, scope, windows });
    if (error !== null) faults.push({ id: rule.id, error });
  }
  return { faults, windows: windows.sorted() };
}

function faultOf(
  rule: Rule,
  on: { readonly needs: ConditionNeeds; readonly scope: RuleScope; readonly windows: WindowSet },
): SentinelError | null {
  const { needs, scope, windows } = on;
  if (needs.error !== null) return needs.error;
  try {
    // A list that does not exist is reported with its place in the text, so the text is read once more.
    if (needs.lists.some((name) => scope.lists !== null && !scope.lists.has(name))) readCondition(rule.when, scope);
    if (isAsked(rule)) windows.add(needs.windows);
    return null;
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
}

function needsOf(rules: readonly Rule[], { scope, key }: KeyedScope): Promise<ReadonlyMap<string, ConditionNeeds>> {
  return MEMORY.of(
    rules.map(({ when }) => when),
    { scope, key, breathe: () => breathe() },
  );
}

/** Names of the lists that rules ask, whatever their stage. Rules that cannot be read ask none. */
export async function listsAsked(rules: readonly Rule[], on: KeyedScope): Promise<string[]> {
  const names = new Set<string>();
  for (const needs of (await needsOf(rules, on)).values()) {
    if (needs.error === null) for (const name of needs.lists) names.add(name);
  }
  return [...names].sort();
}
