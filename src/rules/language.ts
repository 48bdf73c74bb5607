// The language of rules: a condition's text to a tree whose names are resolved, whose types are checked, and whose needs are known.
import { nearestName } from "../core/nearest.ts";
import { areaFault, areaTest, isLatitude, isLongitude } from "../core/place.ts";
import type { ExpressionType } from "../expression/check.ts";
import { typesOf } from "../expression/check.ts";
import { columnsOf } from "../expression/compile.ts";
import { fault } from "../expression/fault.ts";
import { FUNCTIONS } from "../expression/functions.ts";
import { parseExpression } from "../expression/parse.ts";
import { isMissing } from "../expression/steps.ts";
import { childrenOf, type Node, withChildren } from "../expression/syntax.ts";
import { readableColumn } from "./language/columns.ts";
import { WINDOW_FUNCTIONS, windowOf } from "./language/windows.ts";
import { EMPTY_LIST, type ListIndex } from "./lists.ts";
import { type RuleScope, sourceName, sourceOf } from "./scope.ts";
import type { RuleWindow } from "./window.ts";

/** Functions of windows, with how each is written. */
export { WINDOW_FUNCTIONS as windowExamples } from "./language/windows.ts";

/** A condition, ready to be compiled with others into one program. */
export interface Condition {
  readonly tree: Node;
  /** Columns as the tree names them, with their types. */
  readonly columns: ReadonlyMap<string, ExpressionType>;
  readonly windows: readonly RuleWindow[];
  readonly lists: readonly string[];
  /** Features of the model that it names. */
  readonly features: readonly string[];
  /** Whether it asks the model: a feature, `score` or `anomaly_score`. */
  readonly needsModel: boolean;
  /** Whether it asks nothing but lists: then the list decides, not the rule. */
  readonly isList: boolean;
}

/** Lists by name, as a rule set sees them. */
export type ListsOf = (name: string) => ListIndex;

/**
 * Reads a condition. Throws `expression.invalid` with line, column and what to write instead. Lists are looked up in `lists`, each time the
 * condition is computed, as of the event's time.
 */
export function readCondition(
  text: string,
  scope: RuleScope,
  { lists = () => EMPTY_LIST }: { readonly lists?: ListsOf } = {},
): Condition {
  const parsed = parseExpression(text);
  checkBackslashes(parsed, text);
  const resolver = new Resolver(text, scope, lists);
  const tree = resolver.resolve(parsed);
  const columns = new Map<string, ExpressionType>();
  for (const name of columnsOf(tree)) columns.set(name, resolver.typeOf(name));
  const type = typesOf(tree, { text, columns }).get(tree);
  if (type !== "boolean") {
    const hint = "a rule is a condition, such as amount > 1000 AND currency = 'BTC'";
    throw fault(text, parsed.at, { message: `the rule is a ${type === "null" ? "NULL" : type}, no condition`, hint });
  }
  const sources = [...columns.keys()].map(sourceOf);
  const features = sources.filter(({ kind }) => kind === "feature").map(({ name }) => name);
  return {
    tree,
    columns,
    windows: [...resolver.windows.values()],
    lists: [...resolver.listNames],
    features,
    needsModel: features.length > 0 || sources.some(({ kind }) => kind === "score" || kind === "anomaly"),
    isList: asksListsOnly(tree),
  };
}

/**
 * Spark, PostgreSQL and MySQL take a backslash in LIKE for an escape, and Spark one in any text; here it is a character like others. A pattern
 * that says something else there than here is refused.
 */
function checkBackslashes(root: Node, text: string): void {
  const open = [root];
  const seen = new Set<Node>();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    open.push(...childrenOf(node));
    if (node.kind === "rlike" && /\\\\[A-Za-z.+*?()[{}|^$]/.test(node.pattern)) {
      const hint = "write one backslash, as in RLIKE '\\d+': a text keeps it; the character itself is [\\\\]";
      throw fault(text, node.at, { message: "the pattern of RLIKE has two backslashes together", hint });
    }
    if (node.kind !== "like" || node.escape !== "" || node.pattern.kind !== "literal") continue;
    if (typeof node.pattern.value !== "string" || !/\\[%_\\]/.test(node.pattern.value)) continue;
    const hint =
      "say what escapes: LIKE '50\\%' ESCAPE '\\' finds 50%; with another sign, as in ESCAPE '!', a backslash is a character";
    throw fault(text, node.pattern.at, { message: "a backslash escapes nothing without ESCAPE", hint });
  }
}

const SCORES = new Map([
  ["score", "score"],
  ["anomaly_score", "anomaly"],
] as const);

class Resolver {
  readonly windows = new Map<string, RuleWindow>();
  readonly listNames = new Set<string>();
  private readonly text: string;
  private readonly scope: RuleScope;
  private readonly lists: ListsOf;
  private readonly features: ReadonlyMap<string, string>;
  private readonly done = new Map<Node, Node>();

  constructor(text: string, scope: RuleScope, lists: ListsOf) {
    this.text = text;
    this.scope = scope;
    this.lists = lists;
    this.features = foldedNames(scope.features);
  }

  typeOf(resolved: string): ExpressionType {
    const { kind, name } = sourceOf(resolved);
    return kind === "column" ? this.scope.columns.get(name)! : "number";
  }

  /** Parts may be shared by several parents; each is resolved once. */
  resolve(node: Node): Node {
    const known = this.done.get(node);
    if (known !== undefined) return known;
    const made = this.make(node);
    this.done.set(node, made);
    return made;
  }

  private make(node: Node): Node {
    if (node.kind === "column") return { ...node, name: this.nameOf(node) };
    if (node.kind === "in list") return this.inList(node);
    if (node.kind === "call") return this.call(node);
    // What the parser makes is resolved below; a part that is `made` is resolved already.
    if (node.kind === "made") return node;
    const over = withChildren(node, (one) => this.resolve(one));
    if (over.kind === "binary") return single(over);
    return over.kind === "in" ? singleList(over) : over;
  }

  /** A column of the transaction, else a feature, else a score. */
  private nameOf(node: Extract<Node, { kind: "column" }>): string {
    const { scope } = this;
    const { name, at } = node;
    const column = readableColumn(node, { scope, text: this.text });
    if (column !== null) return sourceName("column", column);
    const feature = scope.features.includes(name) ? name : this.features.get(name.toLowerCase());
    if (feature !== undefined) return sourceName("feature", feature);
    const score = SCORES.get(name.toLowerCase() as "score");
    if (score !== undefined && scope.hasModel) return sourceName(score, score);
    if (score !== undefined) {
      const hint = "this pipeline has no model; write a condition over the transaction's columns";
      throw fault(this.text, at, { message: `${name} is a model's, and there is none`, hint });
    }
    throw fault(this.text, at, { message: `no column or feature ${name}`, hint: this.namesHint(name) });
  }

  private namesHint(name: string): string {
    const { columns, features } = this.scope;
    const near = nearestName(name, [...columns.keys(), ...features, ...(this.scope.hasModel ? SCORES.keys() : [])]);
    const some = (names: Iterable<string>): string => {
      const all = [...names];
      return all.slice(0, 20).join(", ") + (all.length > 20 ? `, … (${all.length})` : "");
    };
    const more = features.length > 0 ? `; features: ${some(features)}` : "";
    return `${near === null ? "" : `did you mean ${near}? `}columns: ${some(columns.keys())}${more}; a text stands in 'single quotes'`;
  }

  private inList({ of, list, at }: Extract<Node, { kind: "in list" }>): Node {
    const { scope, text } = this;
    if (scope.lists !== null && !scope.lists.has(list)) {
      const near = nearestName(list, scope.lists);
      const known = [...scope.lists].slice(0, 30).join(", ");
      const hint = `${near === null ? "" : `did you mean ${near}? `}lists: ${known || "none yet"}; make one with \`sentinel lists add ${list} VALUE\``;
      throw fault(text, at, { message: `no list ${list}`, hint });
    }
    this.listNames.add(list);
    const index = this.lists(list);
    const inner = this.resolve(of);
    const type = this.typeOfPart(inner);
    if (type !== "text" && type !== "number") {
      throw fault(text, of.at, { message: `a list holds texts and numbers, this is a ${type}`, hint: "name a column" });
    }
    return {
      kind: "made",
      name: `in list ${list}`,
      args: [
        { node: inner, type },
        { node: { kind: "column", name: sourceName("column", scope.time), at }, type: "time" },
      ],
      gives: "boolean",
      step:
        type === "text"
          ? (to, [a, time]) =>
              (n, t) => {
                const value = t[a];
                n[to] = value === null ? Number.NaN : index.hasText(value, n[time]) ? 1 : 0;
              }
          : (to, [a, time]) =>
              (n) => {
                n[to] = isMissing(n[a]) ? Number.NaN : index.hasNumber(n[a], n[time]) ? 1 : 0;
              },
      at,
    };
  }

  private typeOfPart(tree: Node): ExpressionType | "null" {
    const columns = new Map(columnsOf(tree).map((name) => [name, this.typeOf(name)] as const));
    return typesOf(tree, { text: this.text, columns }).get(tree)!;
  }

  private call(node: Extract<Node, { kind: "call" }>): Node {
    const name = node.name.toLowerCase();
    const { scope, text, windows } = this;
    if (Object.hasOwn(WINDOW_FUNCTIONS, name)) {
      return windowOf(node, { text, scope, windows }, (one) => this.resolve(one));
    }
    if (name === "inside") return this.inside(node);
    if (!FUNCTIONS.has(name)) throw this.unknownFunction(node);
    return withChildren(node, (one) => this.resolve(one));
  }

  private inside({ args, at }: Extract<Node, { kind: "call" }>): Node {
    const { scope, text } = this;
    const [lat, lon, of] = args;
    if (args.length !== 3 || of.kind !== "literal" || typeof of.value !== "string") {
      const hint = "write inside(lat, lon, 'area'), with an area of the rules file";
      throw fault(text, at, { message: "inside takes two numbers and the name of an area", hint });
    }
    if (!Object.hasOwn(scope.areas, of.value)) {
      const known = Object.keys(scope.areas);
      const near = nearestName(of.value, known);
      const hint = `${near === null ? "" : `did you mean ${near}? `}areas: ${known.slice(0, 30).join(", ") || "none yet"}; an area stands under areas in the rules file`;
      throw fault(text, of.at, { message: `no area ${of.value}`, hint });
    }
    const area = scope.areas[of.value];
    // A set that was stored before areas were looked at may have one.
    const wrong = areaFault(area);
    if (wrong !== null) throw fault(text, of.at, { message: `area ${of.value}: ${wrong.what}`, hint: wrong.hint });
    const test = areaTest(area);
    return {
      kind: "made",
      name: `inside ${of.value}`,
      args: [lat, lon].map((node) => ({ node: this.resolve(node), type: "number" as const })),
      gives: "boolean",
      step:
        (to, [a, b]) =>
        (n) => {
          n[to] = !(isLatitude(n[a]) && isLongitude(n[b])) ? Number.NaN : test(n[a], n[b]) ? 1 : 0;
        },
      at,
    };
  }

  private unknownFunction({ name, at }: Extract<Node, { kind: "call" }>) {
    const instead = INSTEAD[name.toLowerCase()];
    const known = [...FUNCTIONS.keys(), ...Object.keys(WINDOW_FUNCTIONS), "inside"];
    const near = nearestName(name, known);
    const hint = instead ?? `${near === null ? "" : `did you mean ${near}? `}functions: ${known.sort().join(", ")}`;
    return fault(this.text, at, { message: `no function ${name}`, hint });
  }
}

/** What people bring along from SQL that sees many rows, or another clock. */
const INSTEAD: Readonly<Record<string, string | undefined>> = Object.assign(Object.create(null), {
  avg: "write avg_last(amount, '30d', user_id): a mean over the past of one key",
  mean: "write avg_last(amount, '30d', user_id): a mean over the past of one key",
  sum: "write sum_last(amount, '1h', user_id): a sum over the last hour of one key",
  count: "write count_last('5m', user_id): how many of one key in the last five minutes",
  max: "write max_last(amount, '30d', user_id), or greatest(x, y) for the larger of two",
  min: "write min_last(amount, '30d', user_id), or least(x, y) for the smaller of two",
  stddev: "write stddev_last(amount, '30d', user_id)",
  percentile: "write avg_last(…) + 3 * stddev_last(…), or a feature of the model by name",
  percentile_approx: "write avg_last(…) + 3 * stddev_last(…), or a feature of the model by name",
  approx_count_distinct: "write distinct_last(country, '1d', user_id)",
  lag: "write sequence(user_id, '5m', A, B): A and later B of one key",
  lead: "write sequence(user_id, '5m', A, B): A and later B of one key",
  now: "a rule sees the transaction's time, in the pipeline's time column; compare that",
  current_timestamp: "a rule sees the transaction's time, in the pipeline's time column; compare that",
  log: "write ln(x) or log10(x)",
  st_distance: "write distance_km(lat, lon, lat, lon)",
  st_within: "write inside(lat, lon, 'area')",
  st_contains: "write inside(lat, lon, 'area')",
});

/** Scores and features are Float32 numbers, and a constant beside one is rounded alike, so that score >= 0.9 is what the thresholds do. */
function single(node: Extract<Node, { kind: "binary" }>): Node {
  if (isSingle(node.left)) return { ...node, right: rounded(node.right) };
  if (isSingle(node.right)) return { ...node, left: rounded(node.left) };
  return node;
}

function singleList(node: Extract<Node, { kind: "in" }>): Node {
  return isSingle(node.of) ? { ...node, list: node.list.map(rounded) } : node;
}

function isSingle(node: Node): boolean {
  if (node.kind !== "column") return false;
  const { kind } = sourceOf(node.name);
  return kind === "feature" || kind === "score" || kind === "anomaly";
}

function rounded(node: Node): Node {
  if (node.kind === "minus") return { ...node, of: rounded(node.of) };
  if (node.kind !== "literal" || typeof node.value !== "number" || node.time) return node;
  const value = Math.fround(node.value);
  return Number.isFinite(value) ? { ...node, value } : node;
}

function asksListsOnly(node: Node): boolean {
  if (node.kind === "made") return node.name.startsWith("in list ");
  if (node.kind === "not") return asksListsOnly(node.of);
  return node.kind === "binary" && (node.op === "and" || node.op === "or")
    ? asksListsOnly(node.left) && asksListsOnly(node.right)
    : false;
}

/** Names by their lower case, but those that differ by case alone. */
function foldedNames(names: readonly string[]): ReadonlyMap<string, string> {
  const folded = new Map<string, string>();
  const torn = new Set<string>();
  for (const name of names) {
    const key = name.toLowerCase();
    if (folded.has(key)) torn.add(key);
    folded.set(key, name);
  }
  for (const key of torn) folded.delete(key);
  return folded;
}
