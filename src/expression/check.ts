// The type check: every part of an expression gets a type, or the expression is refused where it goes wrong.

import type { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { fault } from "./fault.ts";
import { FUNCTIONS, ROUND_DIGITS_MAX, typeTaken } from "./functions.ts";
import { compileRegex } from "./regex.ts";
import type { Node } from "./syntax.ts";
import { childrenOf } from "./syntax.ts";
import { likePattern } from "./text.ts";

/** A `time` is an instant, in milliseconds since 1970 UTC: it is compared and taken apart, never calculated with. */
export type ExpressionType = "number" | "text" | "boolean" | "time";
/** Type of a part; a bare NULL has none of its own and fits everywhere. */
export type PartType = ExpressionType | "null";

/** Types of all parts. Throws `expression.invalid`. */
export function typesOf(
  root: Node,
  scope: {
    readonly text: string;
    readonly columns: ReadonlyMap<string, ExpressionType>;
    /** Parts whose types are known already; those that are found are added. */
    readonly known?: Map<Node, PartType>;
  },
): ReadonlyMap<Node, PartType> {
  const types = scope.known ?? new Map<Node, PartType>();
  const visit = (node: Node): void => {
    // Parts may be shared; each is visited once.
    if (types.has(node)) return;
    for (const child of childrenOf(node)) visit(child);
    types.set(node, typeOf(node, { ...scope, types }));
  };
  visit(root);
  return types;
}

interface Scope {
  readonly text: string;
  readonly columns: ReadonlyMap<string, ExpressionType>;
  /** Of the nodes below. */
  readonly types: ReadonlyMap<Node, PartType>;
}

function typeOf(node: Node, scope: Scope): PartType {
  switch (node.kind) {
    case "literal":
      if (node.time) return "time";
      return node.value === null ? "null" : TYPE_OF_VALUE[typeof node.value as "number" | "string" | "boolean"];
    case "column":
      return columnType(node, scope);
    case "minus":
      return demand([node.of], { type: "number", by: "-" }, scope);
    case "not":
      return demand([node.of], { type: "boolean", by: "NOT" }, scope);
    case "is null":
      return "boolean";
    case "binary":
      return binaryType(node, scope);
    case "in":
      common([node.of, ...node.list], "IN", scope);
      return "boolean";
    case "like": {
      demand([node.of, node.pattern], { type: "text", by: node.ignoreCase ? "ILIKE" : "LIKE" }, scope);
      const { pattern } = node;
      if (
        pattern.kind === "literal" &&
        typeof pattern.value === "string" &&
        likePattern(pattern.value, node.escape) === null
      ) {
        const hint = `write ${node.escape} twice for the character itself`;
        throw fault(scope.text, pattern.at, { message: "the pattern ends in its escape character", hint });
      }
      return "boolean";
    }
    case "rlike":
      demand([node.of], { type: "text", by: "RLIKE" }, scope);
      if (typeof compileRegex(node.pattern) === "string") {
        const hint = `${compileRegex(node.pattern)}; patterns are RE2's: no look-around, no back references`;
        throw fault(scope.text, node.at, { message: "the pattern of RLIKE cannot be used", hint });
      }
      return "boolean";
    case "in list": {
      const hint = "an expression has no subquery; refer to columns and earlier features by name";
      throw fault(scope.text, node.at, { message: "SELECT is not allowed", hint });
    }
    case "made":
      for (const { node: arg, type } of node.args) demand([arg], { type, by: node.name }, scope);
      return node.gives;
    case "case": {
      demand(
        node.whens.map(({ when }) => when),
        { type: "boolean", by: "WHEN" },
        scope,
      );
      const values = node.whens.map(({ value }) => value);
      return common(node.otherwise === null ? values : [...values, node.otherwise], "CASE", scope);
    }
    case "call":
      return callType(node, scope);
  }
}

const TYPE_OF_VALUE = { number: "number", string: "text", boolean: "boolean" } as const;

function columnType(node: Extract<Node, { kind: "column" }>, { text, columns }: Scope): PartType {
  const type = columns.get(node.name);
  if (type !== undefined) return type;
  const near = nearestName(node.name, columns.keys());
  const known = [...columns.keys()].slice(0, 30).join(", ") + (columns.size > 30 ? ", …" : "");
  const hint = `${near === null ? "" : `did you mean ${near}? `}columns: ${known || "none"}; a text stands in 'single quotes'`;
  throw fault(text, node.at, { message: `no column ${node.name}`, hint });
}

function binaryType({ op, left, right }: Extract<Node, { kind: "binary" }>, scope: Scope): PartType {
  if (op === "and" || op === "or") return demand([left, right], { type: "boolean", by: op.toUpperCase() }, scope);
  if (op === "||") return demand([left, right], { type: "text", by: op }, scope);
  if (op === "+" || op === "-" || op === "*" || op === "/" || op === "%") {
    return demand([left, right], { type: "number", by: op }, scope);
  }
  common([left, right], op.toUpperCase(), scope);
  return "boolean";
}

function callType(node: Extract<Node, { kind: "call" }>, scope: Scope): PartType {
  const name = node.name.toLowerCase();
  const rule = FUNCTIONS.get(name);
  if (rule === undefined) {
    const near = nearestName(name, FUNCTIONS.keys());
    const hint = `${near === null ? "" : `did you mean ${near}? `}functions: ${[...FUNCTIONS.keys()].join(", ")}`;
    throw fault(scope.text, node.at, { message: `no function ${node.name}`, hint });
  }
  const { takes, least, most, gives } = rule;
  if (node.args.length < least || node.args.length > most) {
    const hint = least === most ? `give ${least}` : `give ${least} to ${most}`;
    throw fault(scope.text, node.at, { message: `${name} has ${node.args.length} arguments`, hint });
  }
  if (name === "round" && node.args.length === 2) checkDigits(node.args[1], scope);
  if (typeof takes === "object") {
    for (const [at, arg] of node.args.entries()) demand([arg], { type: typeTaken(takes, at), by: name }, scope);
    return gives as PartType;
  }
  const type =
    takes === "number" || takes === "text" || takes === "time"
      ? demand(node.args, { type: takes, by: name }, scope)
      : common(node.args, name, scope);
  if (takes === "ordered" && type === "boolean") {
    throw mismatch(node.args[0], { message: `${name} takes numbers or texts, this is a boolean`, scope });
  }
  return gives === "same" ? type : gives;
}

/** A literal, so that the scale is a constant. */
function checkDigits(node: Node, scope: Scope): void {
  const literal = node.kind === "minus" ? node.of : node;
  const digits = literal.kind === "literal" ? literal.value : null;
  if (typeof digits === "number" && Number.isInteger(digits) && digits <= ROUND_DIGITS_MAX) return;
  const hint = `write a whole number from -${ROUND_DIGITS_MAX} to ${ROUND_DIGITS_MAX}`;
  throw fault(scope.text, node.at, { message: "round takes its digits as a plain whole number", hint });
}

/** All of one given type; that type. */
function demand(
  nodes: readonly Node[],
  want: { readonly type: ExpressionType; readonly by: string },
  scope: Scope,
): ExpressionType {
  for (const node of nodes) {
    const type = scope.types.get(node)!;
    if (type === want.type || type === "null") continue;
    throw mismatch(node, { message: `${want.by} takes ${PLURAL[want.type]}, this is ${SINGULAR[type]}`, scope });
  }
  return want.type;
}

/** All of the same type, whichever; that type, or null when there is only NULL. */
function common(nodes: readonly Node[], by: string, scope: Scope): PartType {
  let first: PartType = "null";
  for (const node of nodes) {
    const type = scope.types.get(node)!;
    if (first === "null") first = type;
    else if (type !== "null" && type !== first) {
      const message = `${by} mixes ${PLURAL[first]} with ${SINGULAR[type]}`;
      throw mismatch(node, { message, scope });
    }
  }
  return first;
}

const PLURAL: Readonly<Record<ExpressionType, string>> = {
  number: "numbers",
  text: "texts",
  boolean: "booleans",
  time: "times",
};
const SINGULAR: Readonly<Record<ExpressionType, string>> = {
  number: "a number",
  text: "a text",
  boolean: "a boolean",
  time: "a time",
};

function mismatch(node: Node, what: { readonly message: string; readonly scope: Scope }): SentinelError {
  const hint = what.message.includes("time")
    ? "a time is compared with TIMESTAMP '2024-01-31 12:00:00' or taken apart with hour(…), dayofweek(…), date_part('month', …)"
    : "values are never converted: a number is written 12, a text '12', a boolean TRUE or a comparison";
  return fault(what.scope.text, node.at, { message: what.message, hint });
}
