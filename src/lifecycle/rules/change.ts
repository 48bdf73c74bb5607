// A change of the rules: the next set is made from the one before, checked, shown line by line, and stored with its journal entry.
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson } from "../../core/hash.ts";
import {
  LIST_CHANGES_MAX,
  LIST_VALUE_LENGTH_MAX,
  LISTS_MAX,
  type ListChange,
  RULES_FORMAT,
  type Rule,
  type RuleSet,
  ruleSetHash,
} from "../../core/rule.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RulesHead } from "../../ports/rules.ts";
import { checkRules, listsAsked } from "./check.ts";
import { type RulesNow, rulesNow, scopeNow } from "./now.ts";
import { warmWindows } from "./warm.ts";

/** Which of the two sets a change is for. */
export type Side = "live" | "candidate";

/** What is wanted; what is not named stays as it is. */
export interface Wanted {
  readonly rules?: readonly Rule[];
  readonly areas?: RuleSet["areas"];
  readonly lists?: Readonly<Record<string, readonly ListChange[]>>;
}

export interface ChangeInput {
  readonly pipeline: Pipeline;
  readonly actor: string;
  readonly verb: string;
  readonly reason?: string;
  readonly verdict?: string;
  readonly evidence?: string;
  readonly side?: Side;
  /** Only says what would change. */
  readonly check?: boolean;
  /** Whether a list must exist to be asked; else a rule may name one that is made later. */
  readonly listsMustExist?: boolean;
  /** The revision that the caller looked at; another by now refuses the change. */
  readonly expected?: number;
}

export interface ChangeResult {
  /** One line per rule, list or area that changes. */
  readonly changes: readonly string[];
  readonly done: boolean;
  readonly head: RulesHead;
  /** Hash of the set that the side has now, or would have. */
  readonly set: string;
  /** Rules of it that cannot be asked any more, since features or columns that they name are gone: they decide nothing. */
  readonly faults: readonly { readonly id: string; readonly message: string; readonly hint: string }[];
}

/** Makes a change. `wanted` sees the rules as they are now. Errors: rules.*, expression and pipeline errors of what is wanted. */
export async function changeRules(
  ports: Ports,
  input: ChangeInput,
  wanted: (now: RulesNow, side: RuleSet) => Wanted | Promise<Wanted>,
): Promise<ChangeResult> {
  const { pipeline, side = "live", check = false, listsMustExist = true } = input;
  const now = await rulesNow(ports, pipeline);
  if (input.expected !== undefined && input.expected !== now.head.revision) {
    throw new SentinelError("rules.conflict", `the rules are at revision ${now.head.revision}, not ${input.expected}`, {
      hint: "somebody else changed them: look at them again, then repeat the change if it is still wanted",
    });
  }
  const start = side === "live" ? now.live : (now.candidate ?? now.live);
  const want = await wanted(now, start);
  const lists = want.lists ?? {};
  checkLists(now, lists);
  const counts = countsAfter(now.counts, lists);
  const known = listsMustExist ? new Set([...Object.keys(now.counts), ...Object.keys(lists)]) : null;
  const rules = signed(want.rules ?? start.rules, { before: start.rules, input });
  const areas = want.areas ?? start.areas;
  const { scope, key, plan } = await scopeNow(ports, pipeline, { areas, lists: known });
  const asked = await listsAsked(rules, { scope, key });
  const next: RuleSet = {
    format: RULES_FORMAT,
    pipeline: pipeline.name,
    rules: [...rules],
    areas,
    lists: pick(counts, asked),
  };
  // Only a set whose rules or areas change is read again: a list may change although the model has lost a feature since.
  const isRead = want.rules !== undefined || want.areas !== undefined;
  // What a file says was reviewed as a whole, so all of it has to be right.
  const before = input.verb === "apply" ? null : start;
  const found = isRead ? await checkRules(next, { scope, key, before }) : null;
  const faults = (found?.faults ?? []).map(({ id, error: { message, hint } }) => ({ id, message, hint }));
  // A changed list changes the other set too, where its rules ask it.
  const other = side === "live" ? now.candidate : now.live;
  const otherNext =
    other === null ? null : { ...other, lists: { ...other.lists, ...pick(counts, Object.keys(other.lists)) } };
  const changes = [...ruleLines(start, next), ...areaLines(start, next), ...listLines(lists)];
  const hash = ruleSetHash(next);
  if (changes.length === 0 || check) return { changes, done: false, head: now.head, set: hash, faults };
  if (found !== null) await warmWindows(ports, { pipeline, windows: found.windows, champion: plan });
  const isEmpty = next.rules.length === 0 && side === "live" && now.head.live === null;
  const ownHash = isEmpty ? null : hash;
  const otherHash =
    otherNext === null || (side === "candidate" && now.head.live === null) ? null : ruleSetHash(otherNext);
  const head = await now.store.commit({
    expected: now.head.revision,
    sets: [next, ...(otherNext === null ? [] : [otherNext])],
    live: side === "live" ? ownHash : otherHash,
    candidate: side === "live" ? otherHash : ownHash,
    lists,
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: input.verb,
      reason: input.reason ?? "",
      verdict: input.verdict ?? "",
      evidence: input.evidence ?? "",
      changes,
    },
  });
  return { changes, done: true, head, set: hash, faults };
}

/** Verbs whose rules were looked at elsewhere: in a review of the file, or when they were live before. */
const REVIEWED: ReadonlySet<string> = new Set(["apply", "rollback"]);

/**
 * With four eyes: whoever changes what a rule does is its owner, and may not make it decide. Throws `rules.four-eyes`. Elsewhere the rules
 * as they are.
 */
function signed(
  rules: readonly Rule[],
  { before, input }: { readonly before: readonly Rule[]; readonly input: ChangeInput },
): readonly Rule[] {
  const { pipeline, actor, verb, side = "live" } = input;
  if (!pipeline.rules.fourEyes || REVIEWED.has(verb)) return rules;
  const known = new Map(before.map((rule) => [rule.id, rule]));
  const next = rules.map((rule) => {
    const was = known.get(rule.id);
    // Whoever wrote a rule owns it, whatever a change says.
    const owner = was === undefined || differs(was, rule) ? actor : was.owner;
    return rule.owner === owner ? rule : { ...rule, owner };
  });
  if (side === "live") checkFourEyes(next, { before, pipeline, actor });
  return next;
}

/** With four eyes: throws `rules.four-eyes` where a rule of the actor's own would decide that did not before, or for fewer. */
export function checkFourEyes(
  rules: readonly Rule[],
  of: { readonly before: readonly Rule[]; readonly pipeline: Pipeline; readonly actor: string },
): void {
  const { before, pipeline, actor } = of;
  if (!pipeline.rules.fourEyes) return;
  const known = new Map(before.map((rule) => [rule.id, rule]));
  const own = rules.find((rule) => {
    const was = known.get(rule.id);
    const more = was === undefined || differs(was, rule) || reach(was) < reach(rule);
    return rule.owner === actor && reach(rule) > 0 && more;
  });
  if (own === undefined) return;
  throw new SentinelError(
    "rules.four-eyes",
    `${actor} wrote rule ${own.id}, and this pipeline asks for a second person`,
    {
      hint: "let somebody else make it live; until then it may be in shadow",
    },
  );
}

/** Whether a rule does something else. */
export function differs(was: Pick<Rule, "when" | "action">, is: Pick<Rule, "when" | "action">): boolean {
  return was.when !== is.when || was.action !== is.action;
}

/** The share of entities for which a rule decides. */
function reach({ stage, share }: Rule): number {
  if (stage === "live") return 1;
  return stage === "rollout" ? share : 0;
}

function countsAfter(
  before: Readonly<Record<string, number>>,
  lists: Readonly<Record<string, readonly ListChange[]>>,
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { ...before };
  for (const [name, changes] of Object.entries(lists)) counts[name] = (counts[name] ?? 0) + changes.length;
  return counts;
}

function pick(counts: Readonly<Record<string, number>>, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, counts[name] ?? 0]));
}

function checkLists(now: RulesNow, lists: Readonly<Record<string, readonly ListChange[]>>): void {
  const names = new Set([...Object.keys(now.counts), ...Object.keys(lists)]);
  if (names.size > LISTS_MAX) {
    throw new SentinelError("rules.invalid", `there would be ${names.size} lists`, { hint: `at most ${LISTS_MAX}` });
  }
  for (const [name, changes] of Object.entries(lists)) {
    const total = (now.counts[name] ?? 0) + changes.length;
    if (total > LIST_CHANGES_MAX) {
      throw new SentinelError("rules.invalid", `list ${name} would have ${total} changes`, {
        hint: `a list remembers at most ${LIST_CHANGES_MAX}; begin another list`,
      });
    }
    for (const { value } of changes) {
      if (value.length >= 1 && value.length <= LIST_VALUE_LENGTH_MAX) continue;
      throw new SentinelError("rules.invalid", `list ${name}: a value has ${value.length} characters`, {
        hint: `a value has 1 to ${LIST_VALUE_LENGTH_MAX}`,
      });
    }
  }
}

/** What a person reads before saying yes. */
export function ruleLines(before: RuleSet, after: RuleSet): string[] {
  const old = new Map(before.rules.map((rule) => [rule.id, rule]));
  const lines: string[] = [];
  for (const rule of after.rules) {
    const was = old.get(rule.id);
    if (was === undefined) lines.push(`+ rule ${rule.id} (${stageOf(rule)}, ${rule.action}): ${rule.when}`);
    else {
      const differing = differences(was, rule);
      if (differing.length > 0) lines.push(`~ rule ${rule.id}: ${differing.join("; ")}`);
    }
    old.delete(rule.id);
  }
  for (const rule of old.values()) lines.push(`- rule ${rule.id} (${stageOf(rule)}, ${rule.action}): ${rule.when}`);
  const [had, has] = [before, after].map(({ rules }) => new Set(rules.map(({ id }) => id)));
  const order = ({ rules }: RuleSet): string =>
    rules
      .filter(({ id }) => had.has(id) && has.has(id))
      .map(({ id }) => id)
      .join(" ");
  if (order(before) !== order(after)) lines.push("~ the order of the rules");
  return lines;
}

function differences(was: Rule, is: Rule): string[] {
  const keys = (Object.keys(is) as (keyof Rule)[]).filter((key) => was[key] !== is[key]);
  // A share means nothing outside of a rollout.
  const shown = keys.filter((key) => key !== "share" || is.stage === "rollout" || was.stage === "rollout");
  return shown.map((key) => `${key} ${JSON.stringify(was[key])} → ${JSON.stringify(is[key])}`);
}

function stageOf(rule: Rule): string {
  return rule.stage === "rollout" ? `rollout ${rule.share}` : rule.stage;
}

function areaLines(before: RuleSet, after: RuleSet): string[] {
  const names = [...new Set([...Object.keys(before.areas), ...Object.keys(after.areas)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [before.areas[name], after.areas[name]];
    if (was === undefined) return [`+ area ${name}: ${is.length} corners`];
    if (is === undefined) return [`- area ${name}`];
    return canonicalJson(was) === canonicalJson(is) ? [] : [`~ area ${name}: ${is.length} corners`];
  });
}

const VALUES_SHOWN = 5;

function listLines(lists: Readonly<Record<string, readonly ListChange[]>>): string[] {
  return Object.entries(lists).flatMap(([name, changes]) => {
    if (changes.length === 0) return [];
    const ended = changes.filter(({ to }) => to !== null);
    const begun = changes.filter(({ to }) => to === null);
    const words = (what: string, some: readonly ListChange[]): string[] => {
      if (some.length === 0) return [];
      const shown = some.slice(0, VALUES_SHOWN).map(({ value }) => value);
      return [
        `${what} ${shown.join(", ")}${some.length > VALUES_SHOWN ? ` and ${some.length - VALUES_SHOWN} more` : ""}`,
      ];
    };
    return [`~ list ${name}: ${[...words("on", begun), ...words("with an end:", ended)].join("; ")}`];
  });
}
