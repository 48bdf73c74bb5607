// What rules said of a transaction, as JSON and back: of millions of transactions few outcomes are different, so each is read and written once.
import type { RuleOutcome } from "./rule.ts";

/** Outcomes kept by their text; beyond so many all are forgotten. */
const KEPT_MAX = 1_000;
/** Characters of a text that is kept. */
const TEXT_MAX = 10_000;

const outcomes = new Map<string, RuleOutcome>();
const texts = new WeakMap<RuleOutcome, string>();

/** The outcome of a text that {@link outcomeText} made; several records may share it. */
export function readOutcome(text: string): RuleOutcome {
  let outcome = outcomes.get(text);
  if (outcome !== undefined) return outcome;
  outcome = JSON.parse(text) as RuleOutcome;
  if (text.length > TEXT_MAX) return outcome;
  if (outcomes.size === KEPT_MAX) outcomes.clear();
  outcomes.set(text, outcome);
  return outcome;
}

/** The text of an outcome that may never come again: only one that is known already is looked up. */
export function spellOutcome(outcome: RuleOutcome): string {
  return texts.get(outcome) ?? JSON.stringify(outcome);
}

/** The same object gives the same text again; nobody changes an outcome. */
export function outcomeText(outcome: RuleOutcome): string {
  let text = texts.get(outcome);
  if (text === undefined) {
    text = JSON.stringify(outcome);
    texts.set(outcome, text);
  }
  return text;
}
