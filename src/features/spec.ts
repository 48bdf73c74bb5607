// The feature spec: reads one from JSON strictly, says what is wrong with a bad one, and hashes it.

import { DAY_MS, parseDuration } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { nearestName } from "../core/nearest.ts";
import type { DerivedValue } from "../core/window.ts";
import type { ExpressionFeature, FeatureDef, FeatureKind, FeatureSpec } from "./definition.ts";
import {
  AGGREGATES,
  CATEGORY_VALUES_MAX,
  COLUMN_TYPES,
  DERIVED_LENGTH_MAX,
  DERIVED_TYPES,
  ELAPSED_SINCE,
  ELAPSED_UNITS,
  EVENT_WORDS,
  FEATURES_MAX,
  FRAUD_RUN_MEASURES,
  FRAUD_VALUE_AGGREGATES,
  isEventWord,
  KEY_COLUMNS_MAX,
  KEYS_MAX,
  MOVEMENT_MEASURES,
  NAME_LENGTH_MAX,
  NEIGHBOUR_MEASURES,
  TIME_PARTS,
  TWO_HOPS_AGGREGATES,
  WINDOW_DAYS_MAX,
} from "./definition.ts";
import { columnOfIdentity } from "./distinct.ts";
import { derivedFault, expressionFault } from "./expression.ts";

export type { FeatureSpec } from "./definition.ts";

/** SHA-256 of the spec's canonical JSON: equal specs give equal hashes. */
export function specHash(spec: FeatureSpec): string {
  return sha256(canonicalJson(spec));
}

/**
 * A spec from untrusted JSON. With `columns`, every column named must be one of them. Throws `features.spec-invalid` naming the
 * feature, the field, what is allowed, and the nearest known name; `features.limit` when there are too many features.
 */
export function checkSpec(value: unknown, options: { readonly columns?: readonly string[] } = {}): FeatureSpec {
  const spec = record(value, "the spec");
  onlyFields(spec, ["name", "version", "timeZone", "features"], "the spec");
  const name = checkName(spec.name, "the spec's name");
  const where = `spec ${name}`;
  const version = spec.version;
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    throw invalid(`${where}: version is ${show(version)}`, "give a whole number from 1 up");
  }
  if (spec.timeZone !== undefined && spec.timeZone !== "UTC") {
    throw invalid(`${where}: timeZone is ${show(spec.timeZone)}`, 'only "UTC" is supported; leave the field out');
  }
  if (!Array.isArray(spec.features) || spec.features.length === 0) {
    throw invalid(`${where}: features is ${show(spec.features)}`, "give an array with at least one feature");
  }
  if (spec.features.length > FEATURES_MAX) {
    throw new SentinelError("features.limit", `${where} has ${spec.features.length} features`, {
      hint: `a spec holds at most ${FEATURES_MAX}; split it into two pipelines or drop features`,
    });
  }
  const features = checkFeatures(spec.features, { where, columns: options.columns });
  const checked = { name, version: version as number, features };
  return spec.timeZone === undefined ? checked : { ...checked, timeZone: "UTC" };
}

interface Scope {
  readonly where: string;
  readonly columns?: readonly string[];
}

/** What a field of a feature must be; a string ending in ? may be left out. */
type FieldRule =
  | "column"
  | "over"
  | "keys"
  | "keys?"
  | "percent"
  | "duration"
  | "duration?"
  | "boolean?"
  | "number?"
  | "positive"
  | "reference"
  | "sql"
  | "types?"
  | "derived?"
  | "values"
  | { readonly oneOf: readonly string[]; readonly optional?: true };

/** The one table of kinds and their fields: a new kind is one entry here, one in the definition, one in the plan. */
const FIELDS: Readonly<Record<FeatureKind, Readonly<Record<string, FieldRule>>>> = {
  column: { column: "column" },
  category: { column: "column", values: "values" },
  time: { part: { oneOf: TIME_PARTS } },
  window: {
    key: "keys",
    over: "over",
    aggregate: { oneOf: AGGREGATES, optional: true },
    window: "duration",
    delay: "duration?",
    current: "boolean?",
    empty: "number?",
    derived: "derived?",
    history: "keys?",
  },
  elapsed: {
    key: "keys",
    since: { oneOf: ELAPSED_SINCE },
    within: "duration",
    unit: { oneOf: ELAPSED_UNITS },
    history: "keys?",
  },
  "since-fraud": { key: "keys", within: "duration", delay: "duration?", history: "keys?" },
  percentile: {
    key: "keys",
    over: "column",
    percent: "percent",
    window: "duration",
    delay: "duration?",
    current: "boolean?",
    empty: "number?",
  },
  "first-seen": { key: "keys", column: "column", within: "duration" },
  "new-values": { key: "keys", column: "column", window: "duration", within: "duration", current: "boolean?" },
  movement: {
    key: "keys",
    measure: { oneOf: MOVEMENT_MEASURES },
    latitude: "column",
    longitude: "column",
    within: "duration",
  },
  neighbours: {
    key: "keys",
    column: "column",
    measure: { oneOf: NEIGHBOUR_MEASURES },
    window: "duration",
    delay: "duration?",
    empty: "number?",
  },
  "two-hops": {
    key: "keys",
    through: "keys",
    aggregate: { oneOf: TWO_HOPS_AGGREGATES },
    within: "duration",
    window: "duration",
    delay: "duration?",
    empty: "number?",
  },
  "fraud-value": {
    key: "keys",
    over: "column",
    aggregate: { oneOf: FRAUD_VALUE_AGGREGATES },
    within: "duration",
  },
  "fraud-run": { key: "keys", measure: { oneOf: FRAUD_RUN_MEASURES }, within: "duration", delay: "duration?" },
  multiple: {
    key: "keys",
    over: "column",
    times: "positive",
    window: "duration",
    usual: "duration",
    current: "boolean?",
  },
  ratio: { numerator: "reference", denominator: "reference" },
  difference: { of: "reference", minus: "reference" },
  expression: { sql: "sql", columns: "types?" },
};

function checkFeatures(list: readonly unknown[], scope: Scope): FeatureDef[] {
  const allNames = new Set<string>();
  for (const item of list) {
    const name = item !== null && typeof item === "object" ? (item as Record<string, unknown>).name : undefined;
    if (typeof name === "string") allNames.add(name);
  }
  const earlier = new Set<string>();
  const keys = new Set<string>();
  const features = list.map((item, at) => {
    const feature = record(item, `${scope.where}: feature ${at + 1}`);
    const name = checkName(feature.name, `${scope.where}: name of feature ${at + 1}`);
    const where = `${scope.where}: feature ${name}`;
    if (earlier.has(name)) throw invalid(`${where} is there twice`, "give each feature its own name");
    const isDerived = feature.derived !== undefined;
    checkFields(feature, { where, columns: scope.columns, name, earlier, allNames, isDerived });
    checkMeaning(feature, where);
    if (feature.kind === "expression") {
      const fault = expressionFault(feature as unknown as ExpressionFeature, { where, earlier, allNames });
      if (fault !== null) throw fault;
    }
    earlier.add(name);
    for (const key of [feature.key, feature.through]) if (Array.isArray(key)) keys.add(JSON.stringify(key));
    return feature as unknown as FeatureDef;
  });
  if (keys.size > KEYS_MAX) {
    throw new SentinelError("features.limit", `${scope.where} has ${keys.size} different keys`, {
      hint: `a spec holds at most ${KEYS_MAX}, since each costs a table of state`,
    });
  }
  return features;
}

interface FieldScope extends Scope {
  /** Whether the feature is over an expression. */
  readonly isDerived: boolean;
  readonly name: string;
  readonly earlier: ReadonlySet<string>;
  readonly allNames: ReadonlySet<string>;
}

function checkFields(feature: Record<string, unknown>, scope: FieldScope): void {
  const kind = feature.kind;
  if (typeof kind !== "string" || !Object.hasOwn(FIELDS, kind)) {
    throw invalid(`${scope.where}: kind is ${show(kind)}`, allowed(Object.keys(FIELDS), kind));
  }
  const rules = FIELDS[kind as FeatureKind];
  onlyFields(feature, ["kind", "name", ...Object.keys(rules)], scope.where);
  for (const [field, rule] of Object.entries(rules)) {
    const value = Object.hasOwn(feature, field) ? feature[field] : undefined;
    const optional = typeof rule === "string" ? rule.endsWith("?") : rule.optional === true;
    if (value === undefined && optional) continue;
    checkField(value, rule, { ...scope, where: `${scope.where}: ${field}` });
  }
}

function checkField(value: unknown, rule: FieldRule, scope: FieldScope): void {
  const is = `${scope.where} is ${show(value)}`;
  if (typeof rule === "object") {
    if (typeof value !== "string" || !rule.oneOf.includes(value)) throw invalid(is, allowed(rule.oneOf, value));
  } else if (rule === "column") {
    checkColumn(value, scope);
  } else if (rule === "over" && scope.isDerived) {
    checkMeasure(value, scope);
  } else if (rule === "over") {
    if (typeof value !== "string" || !isEventWord(value)) checkColumn(value, scope, EVENT_WORDS);
  } else if (rule === "keys" || rule === "keys?") {
    const columns = Array.isArray(value) ? value : [];
    if (columns.length < 1 || columns.length > KEY_COLUMNS_MAX) {
      throw invalid(is, `give an array of 1 to ${KEY_COLUMNS_MAX} column names, such as ["customer_id"]`);
    }
    if (new Set(columns).size < columns.length) throw invalid(is, "name each key column once");
    for (const column of columns) checkColumn(column, scope);
  } else if (rule === "duration" || rule === "duration?") {
    const ms = typeof value === "string" ? parseDuration(value) : Number.NaN;
    if (!(ms >= 0) || !Number.isInteger(ms) || (ms === 0 && rule === "duration")) {
      throw invalid(is, 'give a duration in whole milliseconds such as "90s", "15m", "6h" or "7d"');
    }
  } else if (rule === "boolean?") {
    if (typeof value !== "boolean") throw invalid(is, "give true or false");
  } else if (rule === "number?" || rule === "positive") {
    const good = typeof value === "number" && Number.isFinite(value) && (rule === "number?" || value > 0);
    if (!good) throw invalid(is, rule === "positive" ? "give a number above 0" : "give a finite number");
  } else if (rule === "percent") {
    const good = typeof value === "number" && value >= 0 && value <= 100;
    if (!good) throw invalid(is, "give a number from 0, the smallest value, to 100, the largest; 50 is the median");
  } else if (rule === "sql") {
    if (typeof value !== "string") throw invalid(is, 'give a SQL expression as a text, such as "amount > 100"');
  } else if (rule === "types?") checkTypes(value, scope);
  else if (rule === "derived?") checkDerived(value, scope);
  else if (rule === "values") checkValues(value, scope);
  else checkReference(value, scope);
}

function checkTypes(value: unknown, scope: Scope): void {
  for (const [column, type] of Object.entries(record(value, scope.where))) {
    // The event time is no column of the transaction.
    if (type !== "time") checkColumn(column, scope);
    if ((COLUMN_TYPES as readonly unknown[]).includes(type)) continue;
    throw invalid(`${scope.where}: type of ${column} is ${show(type)}`, allowed(COLUMN_TYPES, type));
  }
}

/** What a window over an expression calls its values. */
function checkMeasure(value: unknown, scope: Scope): void {
  checkName(value, scope.where);
  if (isEventWord(String(value))) throw invalid(`${scope.where} is ${show(value)}`, "give the expression another name");
}

/** An expression over the transaction alone: features are not known yet where a window's values are kept. */
function checkDerived(value: unknown, scope: Scope): void {
  const derived = record(value, scope.where);
  onlyFields(derived, ["sql", "columns", "keeps"], scope.where);
  if (typeof derived.sql !== "string" || derived.sql.length > DERIVED_LENGTH_MAX) {
    const hint = `give a SQL expression as a text of at most ${DERIVED_LENGTH_MAX} characters`;
    throw invalid(`${scope.where}: sql is ${show(derived.sql)}`, hint);
  }
  if (derived.keeps !== "value") throw invalid(`${scope.where}: keeps is ${show(derived.keeps)}`, 'write "value"');
  for (const [column, type] of Object.entries(record(derived.columns, `${scope.where}: columns`))) {
    if (!(DERIVED_TYPES as readonly unknown[]).includes(type)) {
      throw invalid(`${scope.where}: type of ${column} is ${show(type)}`, allowed(DERIVED_TYPES, type));
    }
    if (type !== "time") checkColumn(column, scope);
  }
  const fault = derivedFault(derived as unknown as DerivedValue, scope.where);
  if (fault !== null) throw fault;
}

function checkValues(value: unknown, scope: Scope): void {
  const values: readonly unknown[] = Array.isArray(value) ? value : [];
  if (values.length < 1 || values.length > CATEGORY_VALUES_MAX) {
    throw invalid(
      `${scope.where} is ${show(value)}`,
      `give an array of 1 to ${CATEGORY_VALUES_MAX} texts, such as ["online", "shop"]`,
    );
  }
  const seen = new Set<unknown>();
  for (const one of values) {
    if (typeof one !== "string" || one.length === 0 || one.length > NAME_LENGTH_MAX) {
      throw invalid(
        `${scope.where} holds ${show(one)}`,
        `give texts of 1 to ${NAME_LENGTH_MAX} characters; a number as its digits`,
      );
    }
    if (seen.has(one)) throw invalid(`${scope.where} holds ${show(one)} twice`, "list each value once");
    seen.add(one);
  }
}

function checkColumn(value: unknown, scope: Scope, alsoAllowed: readonly string[] = []): void {
  const is = `${scope.where} is ${show(value)}`;
  if (typeof value !== "string" || value.length === 0 || value.length > NAME_LENGTH_MAX) {
    throw invalid(is, `give a column's name of at most ${NAME_LENGTH_MAX} characters`);
  }
  if (alsoAllowed.length === 0 && isEventWord(value)) throw invalid(is, "give a numeric column, not an event word");
  if (columnOfIdentity(value) !== null) {
    throw invalid(
      `${is}, which begins with the character NUL`,
      "rename the column: names that begin so are the state's own",
    );
  }
  if (scope.columns === undefined || scope.columns.includes(value)) return;
  throw invalid(`${is}, which is no column`, allowed([...scope.columns, ...alsoAllowed], value));
}

function checkReference(value: unknown, scope: FieldScope): void {
  if (typeof value === "string" && scope.earlier.has(value)) return;
  const is = `${scope.where} is ${show(value)}`;
  if (value === scope.name) throw invalid(`${is}, the feature itself`, "refer to a feature that comes before this one");
  if (typeof value === "string" && scope.allNames.has(value)) {
    throw invalid(
      `${is}, which comes later`,
      `move ${value} before ${scope.name}; features may refer to earlier ones only`,
    );
  }
  throw invalid(`${is}, which is no earlier feature`, allowed([...scope.earlier], value));
}

/** What single fields cannot see: combinations that mean nothing, and windows that reach too far back. */
function checkMeaning(feature: Record<string, unknown>, where: string): void {
  const { kind, over, aggregate } = feature;
  if (kind === "window" && feature.derived !== undefined && aggregate === "distinct") {
    throw invalid(`${where}: aggregate is "distinct" over an expression`, "count distinct values of a column");
  }
  if (kind === "window" && typeof over === "string") {
    if (!isEventWord(over)) {
      if (aggregate === undefined) throw invalid(`${where}: aggregate is missing`, allowed(AGGREGATES, undefined));
    } else if (aggregate !== undefined && aggregate !== (over === "fraud-rate" ? "mean" : "count")) {
      throw invalid(`${where}: aggregate is ${show(aggregate)} over ${over}`, "leave aggregate out for an event word");
    }
    const late = feature.delay !== undefined && parseDuration(String(feature.delay)) > 0;
    if (late && feature.current === true) {
      throw invalid(`${where}: current is true with a delay`, "leave current out: a delayed window ends before now");
    }
  }
  if (kind === "percentile" && feature.current === true && parseDuration(String(feature.delay ?? "0s")) > 0) {
    throw invalid(`${where}: current is true with a delay`, "leave current out: a delayed window ends before now");
  }
  if (feature.history !== undefined) checkHistory(feature, where);
  if (kind === "neighbours") checkNeighbours(feature, where);
  if (kind === "two-hops") checkTwoHops(feature, where);
  if (kind === "fraud-run" && parseDuration(String(feature.delay ?? "0s")) >= parseDuration(String(feature.within))) {
    throw invalid(
      `${where}: within is not longer than delay`,
      "a run is looked for between both: give a longer within",
    );
  }
  if (kind === "new-values" && parseDuration(String(feature.window)) >= parseDuration(String(feature.within))) {
    throw invalid(
      `${where}: window is not shorter than within`,
      "what is new in a window is told by the time before it",
    );
  }
  if (kind === "multiple" && parseDuration(String(feature.window)) > parseDuration(String(feature.usual))) {
    throw invalid(`${where}: window is longer than usual`, "the usual is taken over at least the window");
  }
  const reach = ["window", "within", "usual"].map((field) => parseDuration(String(feature[field] ?? "0s")));
  const delay = parseDuration(String(feature.delay ?? "0s"));
  if (Math.max(...reach) + delay > WINDOW_DAYS_MAX * DAY_MS) {
    throw invalid(`${where} reaches more than ${WINDOW_DAYS_MAX} days back`, "shorten the window or the delay");
  }
}

function checkNeighbours({ key, column, measure, empty }: Record<string, unknown>, where: string): void {
  if ((key as readonly unknown[]).includes(column)) {
    throw invalid(
      `${where}: column is ${show(column)}, which is in the key`,
      "name a column that tells apart who comes to the key: all its transactions have the same value of its own",
    );
  }
  if (empty !== undefined && measure !== "share") {
    throw invalid(`${where}: empty is given with measure ${show(measure)}`, "leave empty out: a count of nobody is 0");
  }
}

function checkTwoHops({ key, through, aggregate, empty }: Record<string, unknown>, where: string): void {
  if (JSON.stringify(key) === JSON.stringify(through)) {
    throw invalid(
      `${where}: through is the key itself`,
      "name another key: the card of a terminal's transactions, say",
    );
  }
  if (empty !== undefined && aggregate === "sum") {
    throw invalid(`${where}: empty is given with aggregate "sum"`, "leave empty out: the sum of nothing is 0");
  }
}

/** The key's history in another role. */
function checkHistory(feature: Record<string, unknown>, where: string): void {
  const [key, history] = [feature.key as readonly string[], feature.history as readonly string[]];
  if (key.length !== history.length) {
    throw invalid(
      `${where}: history has ${history.length} columns, the key ${key.length}`,
      "name one column for each of the key's",
    );
  }
  if (key.every((column, at) => column === history[at])) {
    throw invalid(`${where}: history is the key itself`, "leave history out");
  }
  if (feature.current === true) {
    throw invalid(
      `${where}: current is true with a history`,
      "leave current out: the transaction is no part of its key's history in another role",
    );
  }
}

function checkName(value: unknown, where: string): string {
  if (typeof value === "string" && value.length <= NAME_LENGTH_MAX && /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(value)) {
    return value;
  }
  throw invalid(
    `${where} is ${show(value)}`,
    `begin with a letter or _, then letters, digits, _, . or -, at most ${NAME_LENGTH_MAX} characters`,
  );
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`${where} is ${show(value)}`, "give a JSON object");
}

function onlyFields(value: Record<string, unknown>, known: readonly string[], where: string): void {
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) throw invalid(`${where} has an unknown field ${field}`, allowed(known, field));
  }
}

function allowed(known: readonly string[], got: unknown): string {
  const near = typeof got === "string" ? nearestName(got, known) : null;
  const shown = known.slice(0, 30).join(", ") + (known.length > 30 ? ", …" : "");
  return `${near === null ? "" : `did you mean ${near}? `}allowed: ${shown || "none yet"}`;
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function invalid(message: string, hint: string): SentinelError {
  return new SentinelError("features.spec-invalid", message, { hint });
}
