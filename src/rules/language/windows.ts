// Windows in rules: calls such as count_last('5m', user_id) become features of the same spec and the same state machine as the model's.
import { DAY_MS, parseDuration } from "../../core/duration.ts";
import { canonicalJson, sha256 } from "../../core/hash.ts";
import { nearestName } from "../../core/nearest.ts";
import { type DerivedValue, KEY_COLUMNS_MAX, RECENT_SCALE, WINDOW_DAYS_MAX } from "../../core/window.ts";
import { type ExpressionType, typesOf } from "../../expression/check.ts";
import { columnsOf } from "../../expression/compile.ts";
import { fault } from "../../expression/fault.ts";
import { printNode } from "../../expression/print.ts";
import { type Node, withChildren } from "../../expression/syntax.ts";
import type { RuleScope } from "../scope.ts";
import { sourceName } from "../scope.ts";
import type { RuleWindow } from "../window.ts";
import { readableColumn } from "./columns.ts";
import { speedStep } from "./speed.ts";

type Call = Extract<Node, { kind: "call" }>;

/** What resolving a rule may use, and what it collects. */
export interface WindowUse {
  readonly text: string;
  readonly scope: RuleScope;
  /** Hidden features by name; equal windows are one. */
  readonly windows: Map<string, RuleWindow>;
}

/** Functions that count the transaction itself, and those that say what came before it: nobody is unusual against himself. */
const AGGREGATE_OF = {
  count_last: { aggregate: "count", current: true },
  sum_last: { aggregate: "sum", current: true },
  distinct_last: { aggregate: "distinct", current: true },
  avg_last: { aggregate: "mean", current: false },
  max_last: { aggregate: "max", current: false },
  min_last: { aggregate: "min", current: false },
  stddev_last: { aggregate: "std", current: false },
} as const;

/** The functions of this file, with how each is written. */
export const WINDOW_FUNCTIONS: Readonly<Record<string, string>> = {
  count_last: "count_last('5m', user_id)",
  sum_last: "sum_last(amount, '1h', user_id)",
  avg_last: "avg_last(amount, '30d', user_id)",
  max_last: "max_last(amount, '30d', user_id)",
  min_last: "min_last(amount, '30d', user_id)",
  stddev_last: "stddev_last(amount, '30d', user_id)",
  distinct_last: "distinct_last(country, '1d', user_id)",
  first_seen: "first_seen('90d', user_id, device_id)",
  sequence: "sequence(user_id, '5m', amount < 1, amount > 500)",
  speed_kmh: "speed_kmh(lat, lon, '1d', user_id)",
};

/** The part that takes a call's place. `call` is as parsed; `resolve` resolves an inner condition of the transaction itself. */
export function windowOf(call: Call, use: WindowUse, resolve: (node: Node) => Node): Node {
  const name = call.name.toLowerCase();
  if (name === "sequence") return sequenceOf(call, use, resolve);
  if (name === "speed_kmh") return speedOf(call, use, resolve);
  const args = [...call.args];
  if (name === "first_seen") {
    const window = durationOf(args.shift(), call, use);
    const seen = hidden(use, { key: keysOf(args, call, use), over: "transactions", window, current: false });
    return { kind: "binary", op: "=", left: seen, right: { kind: "literal", value: 0, at: call.at }, at: call.at };
  }
  const { aggregate, current } = AGGREGATE_OF[name as keyof typeof AGGREGATE_OF];
  if (name === "count_last") {
    const window = durationOf(args.shift(), call, use);
    const last = args.at(-1);
    // A condition behind the keys: only transactions for which it was true count.
    if (args.length > 1 && last !== undefined && last.kind !== "column") {
      const derived = derivedOf(args.pop()!, { ...use, keeps: "time" });
      return hidden(use, { key: keysOf(args, call, use), over: "condition", aggregate, window, current, derived });
    }
    return hidden(use, { key: keysOf(args, call, use), over: "transactions", window, current });
  }
  const value = args.shift();
  if (value === undefined || args.length === 0) throw wrong(call, use, "too few arguments");
  const window = durationOf(args.shift(), call, use);
  const key = keysOf(args, call, use);
  if (aggregate === "distinct") {
    const column = columnOf(value, use);
    if (column === null) throw fault(use.text, value.at, { message: `${name} takes a column`, hint: written(name) });
    return hidden(use, { key, over: column, aggregate, window, current });
  }
  const column = columnOf(value, use);
  if (column !== null && use.scope.columns.get(column) === "number") {
    return hidden(use, { key, over: column, aggregate, window, current });
  }
  const derived = derivedOf(value, { ...use, keeps: "value" });
  return hidden(use, { key, over: "value", aggregate, window, current, derived });
}

/** Steps of a sequence, the last of them the transaction itself. */
const STEPS_MAX = 3;

/**
 * A, and later B within the time, of one key; or A, B, and later C. The last step is the transaction itself. With NOT D: no D since the last A, nor at
 * the same instant; of three steps, since the first A within the time: the first A and the last B are what a state can always tell.
 */
function sequenceOf(call: Call, use: WindowUse, resolve: (node: Node) => Node): Node {
  const [keyNode, span, ...parts] = call.args;
  const last = parts.at(-1);
  // Of two parts the second is a step, whatever it says.
  const not = parts.length > 2 && last?.kind === "not" ? last : undefined;
  const steps = not === undefined ? parts : parts.slice(0, -1);
  if (steps.length > STEPS_MAX && last !== undefined && parts.length === STEPS_MAX + 1) {
    const hint = "what must not come in between stands last: sequence(key, '5m', A, B, C, NOT D)";
    throw fault(use.text, last.at, {
      message: `after ${STEPS_MAX} steps the last part of sequence begins with NOT`,
      hint,
    });
  }
  if (steps.length > STEPS_MAX) {
    const hint = "cut it in two: sequence(key, '5m', A, B, C) needs three steps, the last of them this transaction";
    throw fault(use.text, call.at, {
      message: `sequence has ${steps.length} steps, and at most ${STEPS_MAX} are told apart`,
      hint,
    });
  }
  if (steps.length < 2) throw wrong(call, use, `it has ${call.args.length} arguments`);
  const window = durationOf(span, call, use);
  const key = keysOf([keyNode], call, use);
  const timeOf = (node: Node, aggregate: "min" | "max"): Node => {
    const derived = derivedOf(node, { ...use, keeps: "time" });
    return hidden(use, { key, over: "condition", aggregate, window, current: false, derived });
  };
  const { at } = call;
  const both = (left: Node, right: Node): Node => ({ kind: "binary", op: "and", left, right, at });
  const after = (left: Node, right: Node): Node => ({ kind: "binary", op: ">", left, right, at });
  // Some A is before some B exactly where the first A is before the last B.
  const isLong = steps.length === STEPS_MAX;
  const first = timeOf(steps[0], isLong ? "min" : "max");
  const came: Node = isLong
    ? after(timeOf(steps[1], "max"), first)
    : { kind: "not", of: { kind: "is null", of: first, at }, at };
  const whole = both(resolve(steps[steps.length - 1]), came);
  if (not === undefined) return whole;
  const between = timeOf(not.of, "max");
  return both(whole, {
    kind: "binary",
    op: "or",
    left: { kind: "is null", of: between, at },
    right: after(first, between),
    at,
  });
}

/** Kilometres per hour since the key's last place within the time; NULL where there was none. */
function speedOf(call: Call, use: WindowUse, resolve: (node: Node) => Node): Node {
  const [lat, lon, span, ...keyNodes] = call.args;
  if (call.args.length < 4) throw wrong(call, use, `it has ${call.args.length} arguments`);
  const window = durationOf(span, call, use);
  const key = keysOf(keyNodes, call, use);
  const { at } = call;
  const number = (value: number): Node => ({ kind: "literal", value, at });
  const lastOf = (node: Node, [low, reach]: readonly [number, number]): Node => {
    // (degrees − low) ÷ reach × (2^21 − 1): some ten metres a step.
    const above: Node = { kind: "binary", op: "-", left: node, right: number(low), at };
    const share: Node = { kind: "binary", op: "/", left: above, right: number(reach), at };
    const scaled: Node = { kind: "binary", op: "*", left: share, right: number(RECENT_SCALE - 1), at };
    const derived = derivedOf(scaled, { ...use, keeps: "recent" });
    return hidden(use, { key, over: "place", aggregate: "max", window, current: false, derived });
  };
  const time: Node = { kind: "column", name: sourceName("column", use.scope.time), at };
  return {
    kind: "made",
    name: "speed_kmh",
    args: [
      { node: resolve(lat), type: "number" },
      { node: resolve(lon), type: "number" },
      { node: time, type: "time" },
      { node: lastOf(lat, [-90, 180]), type: "number" },
      { node: lastOf(lon, [-180, 360]), type: "number" },
    ],
    gives: "number",
    step: speedStep,
    at,
  };
}

function hidden(use: WindowUse, def: Omit<RuleWindow, "kind" | "name">): Node {
  const name = `w${sha256(canonicalJson(def)).slice(0, 16)}`;
  use.windows.set(name, { kind: "window", name, ...def });
  return { kind: "column", name: sourceName("window", name), at: 0 };
}

/** A value of the transaction itself, for the state to keep. */
function derivedOf(node: Node, use: WindowUse & { readonly keeps: DerivedValue["keeps"] }): DerivedValue {
  const { scope, text, keeps } = use;
  const plain = withColumns(node, use);
  const columns = new Map<string, ExpressionType>();
  for (const name of columnsOf(plain)) columns.set(name, scope.columns.get(name)!);
  const type = typesOf(plain, { text, columns }).get(plain);
  const wanted = keeps === "time" ? "boolean" : "number";
  if (type !== wanted) {
    const hint = keeps === "time" ? "write a condition, such as amount < 1" : "write a number, such as amount * rate";
    throw fault(text, node.at, { message: `this is a ${type}, not a ${wanted}`, hint });
  }
  return { sql: printNode(plain), columns: Object.fromEntries([...columns].sort()), keeps };
}

/** The tree with canonical columns; nothing but columns of the transaction may stand in it. */
function withColumns(node: Node, use: WindowUse): Node {
  const { scope, text } = use;
  if (node.kind === "column") {
    const name = readableColumn(node, use);
    if (name !== null) return { ...node, name };
    const near = nearestName(node.name, scope.columns.keys());
    const hint = `${near === null ? "" : `did you mean ${near}? `}a value inside a window is made of the transaction's own columns`;
    throw fault(text, node.at, { message: `no column ${node.name}`, hint });
  }
  if (node.kind === "call" && Object.hasOwn(WINDOW_FUNCTIONS, node.name.toLowerCase())) {
    const hint = "a window within a window is not there; a window sees single transactions";
    throw fault(text, node.at, { message: `${node.name} stands inside another window`, hint });
  }
  if (node.kind === "in list" || node.kind === "made") {
    const hint = "a list may change while its window goes on: ask the list outside of the window";
    throw fault(text, node.at, { message: "a list inside a window is not allowed", hint });
  }
  return withChildren(node, (one) => withColumns(one, use));
}

function columnOf(node: Node, use: WindowUse): string | null {
  if (node.kind !== "column") return null;
  const name = readableColumn(node, use);
  return name !== use.scope.time ? name : null;
}

function keysOf(nodes: readonly (Node | undefined)[], call: Call, use: WindowUse): string[] {
  if (nodes.length < 1 || nodes.length > KEY_COLUMNS_MAX) {
    throw wrong(call, use, `its key has ${nodes.length} columns, not 1 to ${KEY_COLUMNS_MAX}`);
  }
  const keys = nodes.map((node) => {
    if (node?.kind !== "column") {
      throw fault(use.text, node?.at ?? call.at, {
        message: `${call.name} takes a column as its key`,
        hint: written(call.name),
      });
    }
    const name = columnOf(node, use);
    if (name !== null) return name;
    const near = nearestName(node.name, use.scope.columns.keys());
    const hint = `${near === null ? "" : `did you mean ${near}? `}columns: ${[...use.scope.columns.keys()].slice(0, 30).join(", ")}`;
    throw fault(use.text, node.at, { message: `no column ${node.name} to be a key`, hint });
  });
  if (new Set(keys).size < keys.length) throw wrong(call, use, "its key names a column twice");
  return keys;
}

/** The duration as it is canonically written. */
function durationOf(node: Node | undefined, call: Call, use: WindowUse): string {
  const text = node?.kind === "literal" && typeof node.value === "string" ? node.value : null;
  if (text === null) throw wrong(call, use, "no duration stands where one should", node?.at);
  const ms = parseDuration(text);
  if (!(ms >= 1) || !Number.isInteger(ms)) {
    const hint = "write so many s, m, h or d in quotes, such as '90s', '15m', '6h' or '30d'";
    throw fault(use.text, node!.at, { message: `'${text}' is no duration`, hint });
  }
  if (ms > WINDOW_DAYS_MAX * DAY_MS) {
    throw fault(use.text, node!.at, {
      message: `'${text}' reaches back more than ${WINDOW_DAYS_MAX} days`,
      hint: "write a shorter window",
    });
  }
  return `${ms}ms`;
}

function wrong(call: Call, use: WindowUse, what: string, at = call.at) {
  return fault(use.text, at, { message: `${call.name}: ${what}`, hint: written(call.name) });
}

function written(name: string): string {
  return `write it as in ${WINDOW_FUNCTIONS[name.toLowerCase()]}`;
}
