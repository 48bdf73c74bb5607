// Rules as the platform's users change them: one at a time, live at once unless they say otherwise, and never over somebody else's change.
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson, sha256 } from "../../core/hash.ts";
import type { Rule, RuleAction, RuleSet, RuleSeverity, RuleStage } from "../../core/rule.ts";
import { columnsOf } from "../../expression/compile.ts";
import { parseExpression } from "../../expression/parse.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { type ChangeInput, type ChangeResult, changeRules, ruleIn, rulesNow } from "../rules.ts";

/** Whose rules, and who changes them. */
export interface RuleBy {
  readonly pipeline: Pipeline;
  readonly actor: string;
  readonly reason?: string;
}

export interface NewRule {
  readonly when: string;
  readonly severity: RuleSeverity;
  readonly description: string;
  readonly action?: RuleAction;
  readonly stage?: RuleStage;
  readonly share?: number;
  /** Its name for ever; one is made when absent. */
  readonly id?: string;
}

/** What a change of one rule may touch. */
export type RulePatch = Partial<Pick<Rule, "when" | "severity" | "description" | "action" | "stage" | "share">>;

/** Whether the rule is still what the caller looked at; throws when it is not. */
export type Expect = (rule: Rule) => void;

/** Changes that are tried where others change the rules at the same time. */
const TRIES_MAX = 20;
const SHARE = 0.1;

/** The version of one rule: another text where anything about it is another. */
export function ruleTag(rule: Rule): string {
  return sha256(canonicalJson(rule)).slice(0, 16);
}

/** The names that a condition reads, as they are written there, windows' arguments included; none where it cannot be read any more. */
export function readsOf(when: string): readonly string[] {
  try {
    return columnsOf(parseExpression(when));
  } catch (error) {
    if (error instanceof SentinelError) return [];
    throw error;
  }
}

/**
 * Adds a rule; with four eyes it begins in shadow, where nothing is said, and awaits a second person. A list that it asks may be made later.
 * `pastIds`: ids that this pipeline's rules ever had. Errors: rules.*, expression.invalid.
 */
export async function postRule(
  ports: Ports,
  by: RuleBy & { readonly rule: NewRule; readonly pastIds: ReadonlySet<string> },
): Promise<{ readonly rule: Rule; readonly result: ChangeResult }> {
  const { rule: wanted, pastIds } = by;
  const { when, severity, description, action = severity === "info" ? "tag" : "review" } = wanted;
  const { stage = by.pipeline.rules.fourEyes ? "shadow" : "live", share = SHARE } = wanted;
  return changed(ports, { ...by, verb: "add" }, (set) => {
    const id = wanted.id ?? freeId(set, pastIds);
    if (set.rules.some((rule) => rule.id === id)) {
      throw new SentinelError("rules.invalid", `there is a rule ${id} already`, {
        hint: "give the rule another name, or leave the name out; PATCH /api/rules/{id} changes the one that is there",
      });
    }
    const rule: Rule = { id, when, action, severity, description, stage, share, owner: by.actor };
    return { rules: [...set.rules, rule], id };
  });
}

export async function patchRule(
  ports: Ports,
  by: RuleBy & { readonly id: string; readonly patch: RulePatch; readonly expect: Expect },
): Promise<{ readonly rule: Rule; readonly result: ChangeResult }> {
  const { id, patch, expect, pipeline } = by;
  return changed(
    ports,
    { ...by, verb: patch.when === undefined && patch.stage !== undefined ? "stage" : "change" },
    (set) => {
      const { place, rule } = ruleIn(set, id);
      expect(rule);
      const next = { ...rule, ...patch };
      const isWritten = next.when !== rule.when || next.action !== rule.action;
      // With four eyes a rule that does something else awaits a second person again.
      const stage =
        isWritten && pipeline.rules.fourEyes && patch.stage === undefined && decides(rule) ? "shadow" : next.stage;
      return { rules: set.rules.with(place, { ...next, stage }), id };
    },
  );
}

export async function deleteRule(
  ports: Ports,
  by: RuleBy & { readonly id: string; readonly expect: Expect },
): Promise<ChangeResult> {
  const { id, expect } = by;
  return retried(() =>
    changeRules(ports, { ...by, verb: "remove", listsMustExist: false }, (_, set) => {
      const { place, rule } = ruleIn(set, id);
      expect(rule);
      return { rules: set.rules.filter((_, at) => at !== place) };
    }),
  );
}

/** The rule by its id, as it is live. Errors: rules.unknown. */
export async function liveRule(ports: Ports, of: { readonly pipeline: Pipeline; readonly id: string }): Promise<Rule> {
  return ruleIn((await rulesNow(ports, of.pipeline)).live, of.id).rule;
}

async function changed(
  ports: Ports,
  input: ChangeInput,
  change: (set: RuleSet) => { readonly rules: readonly Rule[]; readonly id: string },
): Promise<{ readonly rule: Rule; readonly result: ChangeResult }> {
  return retried(async () => {
    let id = "";
    const result = await changeRules(ports, { ...input, listsMustExist: false }, (_, set) => {
      const next = change(set);
      id = next.id;
      return { rules: next.rules };
    });
    return { rule: await liveRule(ports, { pipeline: input.pipeline, id }), result };
  });
}

/** Where somebody else was faster with another rule, the change is made again from what is there now. */
async function retried<T>(make: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await make();
    } catch (error) {
      const isRace = error instanceof SentinelError && error.code === "rules.conflict";
      if (!isRace || tries === TRIES_MAX) throw error;
    }
  }
}

function freeId({ rules }: RuleSet, pastIds: ReadonlySet<string>): string {
  const now = new Set(rules.map(({ id }) => id));
  for (let count = Math.max(pastIds.size, now.size) + 1; ; count++) {
    const id = `rule-${count}`;
    if (!pastIds.has(id) && !now.has(id)) return id;
  }
}

function decides({ stage }: Rule): boolean {
  return stage === "live" || stage === "rollout";
}
