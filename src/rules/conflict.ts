// What can be proven of rules without data: never true, always true, the same, within another, against another; and where that cannot be decided.
import type { Rule } from "../core/rule.ts";
import { printNode } from "../expression/print.ts";
import type { ComparisonOperator, Node } from "../expression/syntax.ts";
import type { Condition } from "./language.ts";

export type Finding =
  | { readonly kind: "never-true" | "always-true" | "undecided"; readonly rule: string; readonly why: string }
  | {
      /** duplicate: the same transactions; within: all of `rule` is in `other`; against: both fire, and want opposite things. */
      readonly kind: "duplicate" | "within" | "against" | "undecided-pair";
      readonly rule: string;
      readonly other: string;
      readonly why: string;
    };

export interface ConflictRule {
  readonly rule: Pick<Rule, "id" | "action">;
  readonly condition: Pick<Condition, "tree">;
}

/** Rules that are compared with each other at most: half a million pairs. */
export const COMPARED_MAX = 1000;
/** Ways to be true that one condition, or two together, may have. */
const WAYS_MAX = 256;

/** Findings on every rule and every pair, in the order given. */
export function findConflicts(rules: readonly ConflictRule[]): readonly Finding[] {
  const findings: Finding[] = [];
  const live: ConflictRule[] = [];
  for (const one of rules.slice(0, COMPARED_MAX)) {
    const found = aloneFinding(one);
    if (found !== null) findings.push(found);
    if (found?.kind !== "never-true") live.push(one);
  }
  for (let a = 0; a < live.length; a++) {
    for (let b = a + 1; b < live.length; b++) findings.push(...pairFindings(live[a], live[b]));
  }
  return findings;
}

function aloneFinding({ rule, condition }: ConflictRule): Finding | null {
  const can = satisfiable(waysOf(condition.tree, "true"));
  if (can === "no") return { kind: "never-true", rule: rule.id, why: "its parts contradict each other" };
  const cannot = satisfiable(waysOf(condition.tree, "not true"));
  if (cannot === "no") return { kind: "always-true", rule: rule.id, why: "no transaction escapes it" };
  // Where every column is there it may still be true of everything.
  const isFalse = satisfiable(waysOf(condition.tree, "false"));
  if (isFalse === "no")
    return { kind: "always-true", rule: rule.id, why: "it is true wherever its columns are present" };
  if (can === "unknown")
    return {
      kind: "undecided",
      rule: rule.id,
      why: "it has too many ways to be true, or parts that only data can tell",
    };
  return null;
}

function pairFindings(a: ConflictRule, b: ConflictRule): Finding[] {
  const opposite =
    (a.rule.action === "approve") !== (b.rule.action === "approve") &&
    a.rule.action !== "tag" &&
    b.rule.action !== "tag";
  const aWays = waysOf(a.condition.tree, "true");
  const bWays = waysOf(b.condition.tree, "true");
  const aInB = satisfiable(both(aWays, waysOf(b.condition.tree, "not true")));
  const bInA = satisfiable(both(bWays, waysOf(a.condition.tree, "not true")));
  const [first, second] = [a.rule.id, b.rule.id];
  if (aInB === "no" && bInA === "no") {
    return [
      {
        kind: opposite ? "against" : "duplicate",
        rule: first,
        other: second,
        why: "both fire on exactly the same transactions",
      },
    ];
  }
  if (aInB === "no") {
    return [
      {
        kind: opposite ? "against" : "within",
        rule: first,
        other: second,
        why: `wherever ${first} fires, ${second} does`,
      },
    ];
  }
  if (bInA === "no") {
    return [
      {
        kind: opposite ? "against" : "within",
        rule: second,
        other: first,
        why: `wherever ${second} fires, ${first} does`,
      },
    ];
  }
  if (!opposite) return [];
  const together = satisfiable(both(aWays, bWays));
  if (together === "no") return [];
  if (together === "unknown") {
    return [
      {
        kind: "undecided-pair",
        rule: first,
        other: second,
        why: "one approves and one does not; whether both can fire, only data can tell",
      },
    ];
  }
  return [{ kind: "against", rule: first, other: second, why: "one approves what the other stops, and both can fire" }];
}

// ------------------------------------------------------------------------------ ways to be true, as conjunctions of literals

type Mode = "true" | "false" | "not true" | "not false";
type Value = number | string;

/** One condition on one source; `opaque` ones are compared by their text alone. */
type Literal =
  | { readonly on: string; readonly is: "null" | "present" }
  | { readonly on: string; readonly is: "below" | "above"; readonly value: number; readonly open: boolean }
  | { readonly on: string; readonly is: "in" | "not in"; readonly values: readonly Value[] }
  | { readonly on: string; readonly is: "opaque"; readonly mode: Mode };

/** Any of these; null: too many to look at. */
type Ways = readonly (readonly Literal[])[] | null;

const OTHER_WAY: Readonly<Record<Mode, Mode>> = {
  true: "false",
  false: "true",
  "not true": "not false",
  "not false": "not true",
};

function waysOf(node: Node, mode: Mode): Ways {
  if (node.kind === "literal" && typeof node.value !== "string") {
    const value = node.value === null ? "unknown" : node.value === true || node.value === 1 ? "true" : "false";
    const holds = mode === value || (mode.startsWith("not ") && mode !== `not ${value}`);
    return holds ? [[]] : [];
  }
  if (node.kind === "not") return waysOf(node.of, OTHER_WAY[mode]);
  if (node.kind === "binary" && (node.op === "and" || node.op === "or")) {
    // true(and), not false(and) want both; false and not true want one. For or the other way round.
    const wantsBoth = (mode === "true" || mode === "not false") === (node.op === "and");
    const [left, right] = [waysOf(node.left, mode), waysOf(node.right, mode)];
    return wantsBoth ? both(left, right) : either(left, right);
  }
  return atomWays(node, mode);
}

function both(a: Ways, b: Ways): Ways {
  if (a !== null && a.length === 0) return a;
  if (b !== null && b.length === 0) return b;
  if (a === null || b === null || a.length * b.length > WAYS_MAX) return null;
  return a.flatMap((one) => b.map((other) => [...one, ...other]));
}

function either(a: Ways, b: Ways): Ways {
  return a === null || b === null || a.length + b.length > WAYS_MAX ? null : [...a, ...b];
}

function atomWays(node: Node, mode: Mode): Ways {
  if (node.kind === "is null") {
    const on = printNode(node.of);
    const isNull = mode === "true" || mode === "not false";
    return [[{ on, is: isNull ? "null" : "present" }]];
  }
  const truth = atomLiteral(node, true);
  const falsehood = atomLiteral(node, false);
  if (truth === null || falsehood === null) return [[{ on: printNode(node), is: "opaque", mode }]];
  const present: Literal = { on: truth.on, is: "present" };
  const isNull: Literal = { on: truth.on, is: "null" };
  if (mode === "true") return [[present, truth]];
  if (mode === "false") return [[present, falsehood]];
  return [[isNull], [present, mode === "not true" ? falsehood : truth]];
}

const FLIPPED: Partial<Record<ComparisonOperator, ComparisonOperator>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };
const NEGATED: Partial<Record<ComparisonOperator, ComparisonOperator>> = {
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
  "=": "<>",
  "<>": "=",
};

/** A comparison of anything with constants, or with its opposite; null for all else. */
function atomLiteral(node: Node, holds: boolean): Exclude<Literal, { readonly is: "opaque" }> | null {
  if (node.kind === "column") return { on: printNode(node), is: "in", values: [holds ? 1 : 0] };
  if (node.kind === "in") {
    const values = node.list.map(constantOf);
    if (values.some((value) => value === null)) return null;
    return { on: printNode(node.of), is: holds ? "in" : "not in", values: values as Value[] };
  }
  if (node.kind !== "binary") return null;
  const right = constantOf(node.right);
  const left = constantOf(node.left);
  if ((right === null) === (left === null)) return null;
  const op = node.op as ComparisonOperator;
  const turned = right === null ? (FLIPPED[op] ?? op) : op;
  const of = right === null ? node.right : node.left;
  const value = (right ?? left) as Value;
  const final = holds ? turned : NEGATED[turned];
  const on = printNode(of);
  if (final === "=") return { on, is: "in", values: [value] };
  if (final === "<>") return { on, is: "not in", values: [value] };
  if (typeof value !== "number") return null;
  if (final === "<" || final === "<=") return { on, is: "below", value, open: final === "<" };
  if (final === ">" || final === ">=") return { on, is: "above", value, open: final === ">" };
  return null;
}

function constantOf(node: Node): Value | null {
  if (node.kind === "minus") {
    const inner = constantOf(node.of);
    return typeof inner === "number" ? -inner : null;
  }
  if (node.kind !== "literal" || node.value === null) return null;
  return typeof node.value === "boolean" ? Number(node.value) : node.value;
}

/** Whether any way can be: `unknown` where that hangs on parts that only data can tell. */
function satisfiable(ways: Ways): "yes" | "no" | "unknown" {
  if (ways === null) return "unknown";
  let unknown = false;
  for (const way of ways) {
    const one = canHold(way);
    if (one === "yes") return "yes";
    if (one === "unknown") unknown = true;
  }
  return unknown ? "unknown" : "no";
}

function canHold(way: readonly Literal[]): "yes" | "no" | "unknown" {
  const bySource = new Map<string, Literal[]>();
  let opaque = 0;
  for (const literal of way) {
    if (literal.is === "opaque") opaque++;
    const own = bySource.get(`${literal.is === "opaque" ? "?" : "="} ${literal.on}`) ?? [];
    if (own.length === 0) bySource.set(`${literal.is === "opaque" ? "?" : "="} ${literal.on}`, own);
    own.push(literal);
  }
  for (const literals of bySource.values()) if (!agree(literals)) return "no";
  return opaque > 0 || relatesSources(bySource) ? "unknown" : "yes";
}

/** A source that is no plain column hangs together with others in ways that are not looked at. */
function relatesSources(bySource: ReadonlyMap<string, readonly Literal[]>): boolean {
  const made = [...bySource.keys()].filter((key) => !/^= "[^"]*"$/.test(key));
  return made.length > 0 && bySource.size > 1;
}

function agree(literals: readonly Literal[]): boolean {
  const has = (is: Literal["is"]): boolean => literals.some((one) => one.is === is);
  if (has("null") && has("present")) return false;
  const modes = new Set(literals.flatMap((one) => (one.is === "opaque" ? [one.mode] : [])));
  if (modes.has("true") && (modes.has("false") || modes.has("not true"))) return false;
  if (modes.has("false") && modes.has("not false")) return false;
  let low = Number.NEGATIVE_INFINITY;
  let high = Number.POSITIVE_INFINITY;
  let lowOpen = false;
  let highOpen = false;
  let among: Set<Value> | null = null;
  const barred = new Set<Value>();
  for (const one of literals) {
    if (one.is === "above" && (one.value > low || (one.value === low && one.open))) {
      low = one.value;
      lowOpen = one.open;
    } else if (one.is === "below" && (one.value < high || (one.value === high && one.open))) {
      high = one.value;
      highOpen = one.open;
    } else if (one.is === "in") {
      const before = among as Set<Value> | null;
      among = new Set(one.values.filter((value) => before === null || before.has(value)));
    } else if (one.is === "not in") for (const value of one.values) barred.add(value);
  }
  const isWithin = (value: Value): boolean =>
    typeof value !== "number" ||
    ((value > low || (value === low && !lowOpen)) && (value < high || (value === high && !highOpen)));
  if (among !== null) return [...among].some((value) => !barred.has(value) && isWithin(value));
  if (low > high) return false;
  if (low < high) return true;
  return !lowOpen && !highOpen && !barred.has(low);
}
