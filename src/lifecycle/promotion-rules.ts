// The rules a candidate is judged by: those that its pipeline had when it was registered, so that nobody moves a margin after a look.
import { canonicalJson } from "../core/hash.ts";
import type { Check } from "../core/verdict.ts";
import type { PromotionKeys } from "../pipeline/gates.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

type Rules = Omit<PromotionKeys, "resamples">;

/** The tag of a version that keeps them, as JSON. */
export const RULES_TAG = "sentinel.promotion_rules";

/** What a version registered now will be judged by. */
export function rulesOf(pipeline: Pipeline): Rules {
  const { resamples: _, ...rules } = pipeline.gates.promotion;
  return rules;
}

/**
 * A version's own rules, and a check that says so where the pipeline has others by now. A version without the tag, or with one that
 * nobody can read, was registered by somebody who fixed none: the pipeline's are taken.
 */
export function rulesFor(
  tags: Readonly<Record<string, string>>,
  pipeline: Pipeline,
): { readonly rules: Rules; readonly check: Check | null } {
  const now = rulesOf(pipeline);
  const own = { ...now, ...parsed(tags[RULES_TAG]) };
  const moved = (Object.keys(now) as (keyof Rules)[]).filter((name) => own[name] !== now[name]);
  if (moved.length === 0) return { rules: now, check: null };
  const words = (rules: Rules): string => moved.map((name) => `${keyOf(name)} ${rules[name]}`).join(", ");
  const observed = `judged by ${words(own)}, as written when it was registered; the pipeline says ${words(now)} now, which holds for later candidates`;
  return { rules: own, check: { name: "rules", passed: true, observed, required: "fixed before anybody looked" } };
}

/** As a tag keeps them. */
export function rulesText(pipeline: Pipeline): string {
  return canonicalJson(rulesOf(pipeline));
}

function parsed(text: string | undefined): Partial<Rules> {
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Partial<Rules>;
  } catch {
    return {};
  }
}

/** "fraudsMin" → "frauds_min", as the pipeline file spells it. */
function keyOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
