// What a change of the rules touched, whole, as it was before and as it is after: what an auditor reads without the sets themselves.
import { canonicalJson } from "../../../core/hash.ts";
import type { ListChange, Rule, RuleSet } from "../../../core/rule.ts";
import type { Json } from "../../../ports/store.ts";

/** Rules, and values of lists, that one side of an entry shows; more are counted. */
const SHOWN_MAX = 100;
/** Characters of them together: an entry is for people, and stays far below what the store refuses. */
const CHARACTERS_MAX = 200_000;

/** One side's sets, before and after. */
export interface SetsMove {
  readonly from: RuleSet | null;
  readonly to: RuleSet | null;
}

/** Rules and areas that differ, as they were and as they are; nothing where nothing differs. */
export function touchedOf({ from, to }: SetsMove): { readonly before: Json; readonly after: Json } {
  const [was, is] = [from, to].map((set) => new Map((set?.rules ?? []).map((rule) => [rule.id, rule])));
  const differs = ({ id }: Rule): boolean => {
    const [one, other] = [was.get(id), is.get(id)];
    return one === undefined || other === undefined || (one !== other && canonicalJson(one) !== canonicalJson(other));
  };
  const areas = (set: RuleSet | null): RuleSet["areas"] => set?.areas ?? {};
  const isOtherGround = canonicalJson(areas(from)) !== canonicalJson(areas(to));
  const side = (set: RuleSet | null): Json => ({
    rules: shownOf((set?.rules ?? []).filter(differs)),
    ...(isOtherGround ? { areas: areas(set) as unknown as Json } : {}),
  });
  return { before: side(from), after: side(to) };
}

/** What was appended to each list. */
export function listsTouched(lists: Readonly<Record<string, readonly ListChange[]>>): Json {
  return Object.fromEntries(Object.entries(lists).map(([name, changes]) => [name, shownOf(changes)]));
}

/** As many as there is room for, then how many more there are. */
function shownOf(all: readonly object[]): Json {
  const shown: Json[] = [];
  let characters = 0;
  for (const one of all) {
    characters += JSON.stringify(one).length;
    if (shown.length === SHOWN_MAX || characters > CHARACTERS_MAX) break;
    shown.push(one as unknown as Json);
  }
  return shown.length === all.length ? shown : [...shown, { more: all.length - shown.length }];
}
