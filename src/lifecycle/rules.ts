// Rules as operations: apply a file, add, stage and remove a rule, keep lists, go back; every change makes the next rule set.
import { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import {
  LIST_NAME_PATTERN,
  type ListChange,
  RULE_ID_PATTERN,
  type Rule,
  type RuleSet,
  type RuleStage,
} from "../core/rule.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { entriesOf, type FileEntry, type RulesFile } from "../pipeline/rules.ts";
import type { Ports } from "../ports/ports.ts";
import type { RulesEntry } from "../ports/rules.ts";
import { ListIndex, type ListSpan } from "../rules/lists.ts";
import { type ChangeResult, changeRules, differs, type Side } from "./rules/change.ts";
import { readRulesFile, rulesFileOf, rulesNow, storeOf } from "./rules/now.ts";

export { type Backtest, backtestRules, type RuleBacktest } from "./rules/backtest.ts";
export { type ChangeInput, type ChangeResult, changeRules } from "./rules/change.ts";
export { compareRules, promoteRules, type RulesComparison } from "./rules/compare.ts";
export { conflictsOf } from "./rules/conflicts.ts";
export { percent } from "./rules/judge.ts";
export { listsOf, rulesFileOf, rulesNow } from "./rules/now.ts";
export { draftsText, suggestRules } from "./rules/suggest.ts";

/** Who changes the rules, and why. */
export interface By {
  readonly pipeline: Pipeline;
  readonly actor: string;
  readonly reason?: string;
  readonly side?: Side;
  /** The revision that the caller looked at. */
  readonly expected?: number;
}

/** Rules, areas and lists as the file has them. Errors: rules.unknown where there is no file, and those of a change. */
export async function applyRules(
  ports: Ports,
  input: By & { readonly check?: boolean; readonly file?: string },
): Promise<ChangeResult> {
  const { file = rulesFileOf(input.pipeline), ...by } = input;
  const wanted = readRulesFile(file);
  if (wanted === null) {
    throw new SentinelError("rules.unknown", `there is no ${file}`, {
      hint: "write the rules there (docs/rules.md), or add one with `sentinel rules add`",
    });
  }
  return applyFile(ports, { ...by, verb: "apply" }, wanted);
}

/**
 * What `serve` does where a workspace has a rules file and nothing was ever applied; null where it does not. Afterwards a file waits for
 * `sentinel rules apply`: what somebody writes is never live by itself.
 */
export async function applyFirst(ports: Ports, by: By): Promise<ChangeResult | null> {
  const wanted = readRulesFile(rulesFileOf(by.pipeline));
  if (wanted === null) return null;
  const { head } = await rulesNow(ports, by.pipeline);
  return applyFile(ports, { ...by, verb: "apply", check: head.revision > 0 }, wanted);
}

async function applyFile(
  ports: Ports,
  by: By & { readonly verb: string; readonly check?: boolean },
  wanted: RulesFile,
): Promise<ChangeResult> {
  const at = ports.clock.now();
  return changeRules(ports, by, async ({ store }) => {
    const lists: Record<string, readonly ListChange[]> = {};
    for (const [name, values] of Object.entries(wanted.lists)) {
      lists[name] = listChanges(new ListIndex(await store.list(name)), entriesOf(values), { at, actor: by.actor });
    }
    return { rules: wanted.rules, areas: wanted.areas, lists };
  });
}

/**
 * What makes a list of the file's entries: new ones begin, those that are gone end. An entry whose `from` the file says otherwise than before is
 * taken back, since the file alone says when its values are on the list.
 */
function listChanges(
  now: ListIndex,
  entries: readonly FileEntry[],
  by: { readonly at: number; readonly actor: string },
): ListChange[] {
  const rest = new Map<string, ListSpan[]>();
  for (const span of now.spans()) rest.set(span.value, [...(rest.get(span.value) ?? []), span]);
  const changes: ListChange[] = [];
  const dated = new Set<string>();
  for (const { value, from, to = null, reason } of entries) {
    const spans = rest.get(value) ?? [];
    const known = spans.findIndex((span) => (from === undefined ? isLasting(span, by.at) : span.from === from));
    const [was] = known < 0 ? [undefined] : spans.splice(known, 1);
    if (from !== undefined) dated.add(value);
    if (was === undefined || was.to !== to)
      changes.push({ value, from: from ?? was?.from ?? by.at, to, reason, ...by });
  }
  for (const { value, from, to } of [...rest.values()].flat()) {
    // What ended before is history.
    if (to !== null && to <= by.at) continue;
    const isMoved = dated.has(value);
    const until = isMoved ? from : Math.max(from, by.at);
    changes.push({ value, from, to: until, reason: isMoved ? "the file says another time" : "left the file", ...by });
  }
  return changes;
}

/** Whether it goes on, or will begin. */
function isLasting({ to }: ListSpan, at: number): boolean {
  return to === null || to > at;
}

/** Adds a rule, or replaces the one of its id. */
export async function addRule(
  ports: Ports,
  by: By & { readonly rule: Rule; readonly replace?: boolean },
): Promise<ChangeResult> {
  const { rule, replace = false } = by;
  if (!new RegExp(RULE_ID_PATTERN).test(rule.id)) {
    throw new SentinelError("rules.invalid", `${JSON.stringify(rule.id)} is no id of a rule`, {
      hint: "letters, digits, _, . and -, at most 80, beginning with a letter or a digit",
    });
  }
  return changeRules(ports, { ...by, verb: "add" }, (_, set) => {
    const place = set.rules.findIndex(({ id }) => id === rule.id);
    if (place >= 0 && !replace) {
      throw new SentinelError("rules.invalid", `there is a rule ${rule.id} already`, {
        hint: "take another id, or replace the rule with --replace",
      });
    }
    return { rules: place < 0 ? [...set.rules, rule] : set.rules.with(place, rule) };
  });
}

/** Another stage of a rule; `share` counts in a rollout. `judged`: the rule that a gate saw; throws `rules.conflict` where it does something else now. */
export async function stageRule(
  ports: Ports,
  by: By & {
    readonly id: string;
    readonly stage: RuleStage;
    readonly share?: number;
    readonly verdict?: string;
    readonly evidence?: string;
    readonly judged?: Rule;
  },
): Promise<ChangeResult> {
  const { id, stage, share, judged } = by;
  return changeRules(ports, { ...by, verb: "stage" }, (_, set) => {
    const { place, rule } = ruleIn(set, id);
    if (judged !== undefined && differs(judged, rule)) {
      throw new SentinelError("rules.conflict", `somebody changed rule ${id} while it was judged`, {
        hint: "what was judged is not what would decide: look at the rule, then stage it again",
      });
    }
    return { rules: set.rules.with(place, { ...rule, stage, ...(share === undefined ? {} : { share }) }) };
  });
}

export async function removeRule(ports: Ports, by: By & { readonly id: string }): Promise<ChangeResult> {
  return changeRules(ports, { ...by, verb: "remove" }, (_, set) => {
    const { place } = ruleIn(set, by.id);
    return { rules: set.rules.filter((_, at) => at !== place) };
  });
}

/** A rule of a set by its id. Errors: rules.unknown. */
export function ruleIn(set: RuleSet, id: string): { readonly place: number; readonly rule: Rule } {
  const place = set.rules.findIndex((rule) => rule.id === id);
  if (place >= 0) return { place, rule: set.rules[place] };
  const ids = set.rules.map((rule) => rule.id);
  const near = nearestName(id, ids);
  throw new SentinelError("rules.unknown", `there is no rule ${JSON.stringify(id)}`, {
    hint: `${near === null ? "" : `did you mean ${near}? `}rules: ${ids.slice(0, 30).join(", ") || "none yet"}`,
  });
}

/** Values come onto a list (`to` null) or leave it. Times in milliseconds, on the clock of event time. */
export async function changeList(
  ports: Ports,
  by: By & {
    readonly list: string;
    readonly values: readonly string[];
    readonly from?: number;
    readonly to?: number;
    /** Ends the values' present entries instead of making new ones. */
    readonly end?: boolean;
  },
): Promise<ChangeResult> {
  const { list, values, end = false, actor, reason = "" } = by;
  if (!new RegExp(LIST_NAME_PATTERN).test(list)) {
    throw new SentinelError("rules.invalid", `${JSON.stringify(list)} is no name of a list`, {
      hint: "letters, digits and _, at most 80, beginning with a letter",
    });
  }
  const at = ports.clock.now();
  return changeRules(ports, { ...by, verb: end ? "list end" : "list add" }, async ({ store }) => {
    const now = new ListIndex(await store.list(list));
    const until = by.to ?? at;
    if (!end) {
      const from = by.from ?? at;
      if (by.to !== undefined && by.to <= from) {
        const [since, end] = [from, by.to].map((time) => new Date(time).toISOString());
        throw new SentinelError("rules.invalid", `list ${list}: ${since} to ${end} is no time to be on a list`, {
          hint: "an entry begins before it ends; one without a beginning begins now",
        });
      }
      const changes = values.map((value) => ({ value, from, to: by.to ?? null, at, actor, reason }));
      return { lists: { [list]: changes } };
    }
    const missing = values.find((value) => !now.hasText(value, until));
    if (missing !== undefined) {
      throw new SentinelError("rules.unknown", `${JSON.stringify(missing)} is not on list ${list}`, {
        hint: `\`sentinel lists show ${list}\` shows who is`,
      });
    }
    // A value that was added twice has two entries: it leaves the list when both end. One that has not begun is taken back.
    const ended = [...new Set(values)].flatMap((value) =>
      now.spansOf(value).filter(({ to }) => to === null || to > until),
    );
    return { lists: { [list]: ended.map(({ value, from }) => ({ value, from, to: until, at, actor, reason })) } };
  });
}

/** The rule set that was live before the present one, or `to`, decides again. Errors: rules.unknown where there is none. */
export async function rollbackRules(
  ports: Ports,
  by: By & { readonly to?: string; readonly reason: string },
): Promise<{ readonly from: string | null; readonly to: string }> {
  const now = await rulesNow(ports, by.pipeline);
  const journal = await now.store.journal();
  const to = by.to === undefined ? before(journal, now.head.live) : await fullHash(journal, by.to);
  if (to === null) {
    throw new SentinelError("rules.unknown", "no rule set was live before this one", {
      hint: "`sentinel rules history` shows what was live; name a set with --to",
    });
  }
  const set = await now.store.set(to);
  // Lists are as they are: an entry that was made since is no part of what is put back.
  const current = {
    ...set,
    lists: Object.fromEntries(Object.keys(set.lists).map((name) => [name, now.counts[name] ?? 0])),
  };
  const result = await changeRules(ports, { ...by, verb: "rollback", listsMustExist: false }, () => ({
    rules: current.rules,
    areas: current.areas,
  }));
  return { from: now.head.live, to: result.set };
}

/** The set before the present one whose rules differ: a change of a list alone is nothing to go back from. */
function before(journal: readonly RulesEntry[], live: string | null): string | null {
  for (const { live: move } of [...journal].reverse()) {
    if (move.to === live && move.from !== live && move.from !== null) return move.from;
  }
  return null;
}

/** A set that was live: one that only was a candidate becomes live by its promotion. */
async function fullHash(journal: readonly RulesEntry[], short: string): Promise<string> {
  const among = (of: (entry: RulesEntry) => readonly (string | null)[]): readonly string[] =>
    [...new Set(journal.flatMap(of))].filter((hash) => hash !== null).filter((hash) => hash.startsWith(short));
  const found = among(({ live }) => [live.from, live.to]);
  if (found.length === 1) return found[0];
  if (found.length === 0 && among(({ candidate }) => [candidate.from, candidate.to]).length > 0) {
    throw new SentinelError("rules.unknown", `rule set ${short} was never live: there is nothing to go back to`, {
      hint: "a candidate becomes live by `sentinel rules promote`; `sentinel rules history` shows what was live",
    });
  }
  throw new SentinelError(
    "rules.unknown",
    `${found.length === 0 ? "no" : "more than one"} rule set that was live begins with ${short}`,
    {
      hint: "`sentinel rules history` shows the hashes",
    },
  );
}

/** The journal, oldest first. */
export async function rulesHistory(ports: Ports): Promise<readonly RulesEntry[]> {
  return (await storeOf(ports)).journal();
}

/** Lists with how many values are on them now. */
export async function listNames(
  ports: Ports,
): Promise<readonly { readonly name: string; readonly values: number; readonly changes: number }[]> {
  const store = await storeOf(ports);
  const found = [];
  for (const [name, changes] of Object.entries(await store.lists()).sort()) {
    const values = [...new ListIndex(await store.list(name)).at(ports.clock.now())].length;
    found.push({ name, values, changes });
  }
  return found;
}

/** Who was on a list at an instant (now, when none is given). Errors: rules.unknown. */
export async function listEntries(
  ports: Ports,
  of: { readonly name: string; readonly at?: number },
): Promise<readonly { readonly value: string; readonly from: number; readonly to: number | null }[]> {
  const store = await storeOf(ports);
  const names = Object.keys(await store.lists());
  if (!names.includes(of.name)) {
    throw new SentinelError("rules.unknown", `there is no list ${JSON.stringify(of.name)}`, {
      hint: `lists: ${names.slice(0, 30).join(", ") || "none yet"}; make one with \`sentinel lists add ${of.name} VALUE\``,
    });
  }
  return [...new ListIndex(await store.list(of.name)).at(of.at ?? ports.clock.now())];
}
