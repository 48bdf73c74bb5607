// The suite: a Great Expectations file (GX Core 1.x, or the older 0.x spelling) read unchanged and checked once.
import { messageOf, SentinelError } from "../core/errors.ts";
import { repeatedKey } from "../core/json-keys.ts";
import { parseCondition } from "./condition.ts";
import { definitionOf } from "./expectations/registry.ts";
import { Kwargs } from "./kwargs.ts";
import { evaluateParameter } from "./parameters.ts";
import type { Condition } from "./row-condition.ts";

const SEVERITIES = ["critical", "warning", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Expectation {
  readonly type: string;
  /** As in the file, parameters filled in. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly severity: Severity;
  readonly condition: Condition | null;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly id: string | null;
  readonly notes: string | null;
  readonly description: string | null;
  /** What of it this gate does not read; null when it reads all. */
  readonly unsupported: string | null;
  /** For messages: "expectation 3 of 12 (expect_column_to_exist)". */
  readonly where: string;
}

export interface Suite {
  readonly name: string;
  readonly notes: string | null;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly expectations: readonly Expectation[];
}

const TEXT_LENGTH_MAX = 16_000_000;
const EXPECTATIONS_MAX = 2_000;
const NESTING_MAX = 20;

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a suite. `where` names the file in messages; `parameters` fill `{"$PARAMETER": "name"}` and win over the file's own
 * `suite_parameters`. An unknown expectation type is kept, so that the gate can fail on it by name; a known one with wrong
 * arguments throws `quality.suite-invalid`, naming its position and type and what is allowed.
 */
export function parseSuite(
  text: string,
  { where, parameters = {} }: { readonly where: string; readonly parameters?: Json },
): Suite {
  return suiteOf(parseJson(text, where), { where, parameters });
}

/** The same of content that was read already. */
export function suiteOf(
  content: unknown,
  { where, parameters = {} }: { readonly where: string; readonly parameters?: Json },
): Suite {
  const root = asObject(content, where);
  const own = asObject(root.suite_parameters ?? root.evaluation_parameters ?? {}, `${where}: suite_parameters`);
  const filled = { ...own, ...parameters };
  const listed = root.expectations;
  if (!Array.isArray(listed))
    return invalid(where, 'has no list "expectations"', 'a suite is {"name": …, "expectations": […]}');
  if (listed.length > EXPECTATIONS_MAX) {
    invalid(where, `has ${listed.length} expectations`, `split the suite: at most ${EXPECTATIONS_MAX} are read`);
  }
  return {
    name: textOr(root.name ?? root.expectation_suite_name, "unnamed"),
    notes: joinNotes(root.notes),
    meta: asObject(root.meta ?? {}, `${where}: meta`),
    parameters: filled,
    expectations: listed.map((entry: unknown, i) =>
      parseExpectation(entry, { where: `${where}: expectation ${i + 1} of ${listed.length}`, parameters: filled }),
    ),
  };
}

/** One expectation made in code, checked like one from a file. */
export function makeExpectation(
  type: string,
  { kwargs, severity = "critical", notes = null }: { kwargs: Json; severity?: Severity; notes?: string | null },
): Expectation {
  return parseExpectation({ type, kwargs, severity, notes }, { where: "requirement", parameters: {} });
}

function parseExpectation(entry: unknown, from: { readonly where: string; readonly parameters: Json }): Expectation {
  const given = asObject(entry, from.where);
  const type = given.type ?? given.expectation_type;
  if (typeof type !== "string" || type === "") {
    return invalid(from.where, "has no type", 'write "type": "expect_column_values_to_not_be_null", for example');
  }
  const where = `${from.where} (${type})`;
  const meta = asObject(given.meta ?? {}, `${where}: meta`);
  const unsupported: string[] = [];
  const kwargs = asObject(
    fill(given.kwargs ?? {}, { where, parameters: from.parameters, depth: 0, unsupported }),
    `${where}: kwargs`,
  );
  const condition = parseCondition(kwargs.row_condition, where, kwargs.condition_parser);
  if (unsupported.length === 0) checkArguments(type, kwargs, where);
  return {
    type,
    kwargs,
    severity: parseSeverity(given.severity, where),
    condition,
    meta,
    id: typeof given.id === "string" ? given.id : null,
    notes: joinNotes(given.notes) ?? joinNotes(isObject(meta.notes) ? meta.notes.content : meta.notes),
    description: typeof given.description === "string" ? given.description : null,
    unsupported: unsupported[0] ?? null,
    where,
  };
}

/** A known type's arguments are read once here, so that a wrong suite fails before any data is touched. */
function checkArguments(type: string, given: Json, where: string): void {
  const definition = definitionOf(type);
  if (definition === undefined) return;
  const kwargs = new Kwargs(given, where);
  definition.prepare(kwargs);
  kwargs.finish();
}

function parseSeverity(given: unknown, where: string): Severity {
  if (given === undefined || given === null) return "critical";
  const severity = SEVERITIES.find((one) => one === given);
  return severity ?? invalid(where, `severity is ${JSON.stringify(given)}`, `allowed are ${SEVERITIES.join(", ")}`);
}

interface Filling {
  readonly where: string;
  readonly parameters: Json;
  readonly depth: number;
  /** Filled with what this gate does not read. */
  readonly unsupported: string[];
}

/** Replaces every {"$PARAMETER": "name"} by the parameter's value, at any depth. */
function fill(value: unknown, filling: Filling): unknown {
  if (value === null || typeof value !== "object") return value;
  if (filling.depth > NESTING_MAX) return invalid(filling.where, "is nested too deeply", "flatten its kwargs");
  const deeper = { ...filling, depth: filling.depth + 1 };
  if (Array.isArray(value)) return value.map((member) => fill(member, deeper));
  const node = value as Json;
  if (Object.hasOwn(node, "$PARAMETER")) return parameterValue(node, filling);
  // No prototype, so that a member called __proto__ stays a member.
  const filled = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(node)) filled[name] = fill(member, deeper);
  return filled;
}

/** 0.x suites may carry values beside the name or the expression, as "$PARAMETER.name". */
function parameterValue(node: Json, { where, parameters, unsupported }: Filling): unknown {
  const result = evaluateParameter(String(node.$PARAMETER), (name) => {
    if (Object.hasOwn(parameters, name)) return parameters[name];
    const beside = `$PARAMETER.${name}`;
    return Object.hasOwn(node, beside) ? node[beside] : undefined;
  });
  if (result.kind === "value") return result.value;
  if (result.kind === "unsupported") {
    unsupported.push(result.why);
    return null;
  }
  const { name } = result;
  const known = Object.keys(parameters).join(", ") || "none";
  return invalid(where, `needs the suite parameter ${JSON.stringify(name)}`, `parameters given: ${known}`);
}

function parseJson(text: string, where: string): unknown {
  if (text.length > TEXT_LENGTH_MAX) {
    invalid(where, `is ${text.length} characters long`, `a suite may have ${TEXT_LENGTH_MAX}`);
  }
  let suite: unknown;
  try {
    suite = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new SentinelError("quality.suite-invalid", `${where} is not JSON: ${messageOf(error)}`, {
      hint: "a suite is the JSON file that Great Expectations writes under gx/expectations",
      cause: error,
    });
  }
  const twice = repeatedKey(text);
  if (twice === null) return suite;
  return invalid(where, `has the key ${JSON.stringify(twice)} twice in one object`, "only one of them would count");
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asObject(value: unknown, where: string): Json {
  return isObject(value) ? value : invalid(where, "is not an object", "see docs/quality.md for the shape of a suite");
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === "string" && value !== "" ? value : otherwise;
}

/** GX allows notes as one text or as a list of lines. */
function joinNotes(notes: unknown): string | null {
  if (typeof notes === "string") return notes;
  return Array.isArray(notes) ? notes.map(String).join("\n") : null;
}

function invalid(where: string, what: string, hint: string): never {
  throw new SentinelError("quality.suite-invalid", `${where} ${what}`, { hint });
}
