// JSON at the door: parsed strictly; a fault is reported with its line and column.
import { isUtf8 } from "node:buffer";
import { SentinelError } from "../core/errors.ts";
import { colonsIn, hasEachKeyOnce, repeatedKey } from "../core/json-keys.ts";
import { invalidRequest } from "./faults.ts";

/** Nesting deeper than this is refused; no transaction needs it, and it keeps the walk below off the stack's end. */
const DEPTH_MAX = 64;

/**
 * Parses JSON text. Throws `request.malformed` with the position, also for numbers that no double holds (1e999), and `request.invalid` for a
 * key that stands twice in one object: of two amounts either would be a guess, where JSON.parse takes the last. `part` says what the text is
 * where it is no request's body: the line of an NDJSON stream, or in words.
 */
export function parseJson(text: string, part?: number | string): unknown {
  const where = whereOf(part);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed(text, part);
  }
  const colons = checkNumbers(value, where, 0);
  if (!hasEachKeyOnce(text, { value, colons })) throw keyTwice(text, where);
  return value;
}

/** {@link parseJson} of bytes. Throws `request.malformed` also for those that are no UTF-8. */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) {
    throw new SentinelError("request.malformed", "the body is not UTF-8", { hint: "send JSON in UTF-8" });
  }
  const from = hasMark(bytes) ? BYTE_ORDER_MARK.length : 0;
  return parseJson(Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString("utf8"));
}

/** Some programs write it before a text (RFC 8259, 8.1: who reads may ignore it). */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

function hasMark(bytes: Uint8Array): boolean {
  return bytes[0] === BYTE_ORDER_MARK[0] && bytes[1] === BYTE_ORDER_MARK[1] && bytes[2] === BYTE_ORDER_MARK[2];
}

/** Gives the members of all objects and the colons of all texts in a value. */
function checkNumbers(value: unknown, where: string, depth: number): number {
  if (typeof value === "number") {
    if (Number.isFinite(value)) return 0;
    throw new SentinelError("request.malformed", `${where} holds a number that is too large`, {
      hint: "send numbers within ±1.7e308, and null for what is missing",
    });
  }
  if (typeof value === "string") return colonsIn(value);
  if (value === null || typeof value !== "object") return 0;
  if (depth === DEPTH_MAX) {
    throw new SentinelError("request.malformed", `${where} is nested deeper than ${DEPTH_MAX}`, {
      hint: "send flat objects",
    });
  }
  let colons = 0;
  if (Array.isArray(value)) for (const item of value) colons += checkNumbers(item, where, depth + 1);
  // What JSON.parse made has no inherited members that would be listed.
  else for (const key in value) colons += 1 + checkNumbers((value as Record<string, unknown>)[key], where, depth + 1);
  return colons;
}

function keyTwice(text: string, where: string): SentinelError {
  const field = repeatedKey(text) ?? "a key";
  return invalidRequest([{ field, message: "stands twice in one object; send one" }], where);
}

function malformed(text: string, part: number | string | undefined): SentinelError {
  const where = whereOf(part);
  if (text.trim() === "") {
    return new SentinelError("request.malformed", `${where} is empty`, { hint: "send a JSON document" });
  }
  const at = faultAt(text);
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = at - before.lastIndexOf("\n");
  // A line of a stream has one number: its own.
  const place = typeof part !== "number" ? `line ${line}, column ${column} (offset ${at})` : `column ${column}`;
  const found = at < text.length ? JSON.stringify(text.slice(at, at + 12)) : "the end";
  return new SentinelError("request.malformed", `${where} is no JSON: fault at ${place}, found ${found}`, {
    hint: "send JSON as RFC 8259 has it: double quotes, no trailing commas, null rather than NaN or Infinity",
  });
}

function whereOf(part: number | string | undefined): string {
  if (typeof part === "string") return part;
  return part === undefined ? "the body" : `line ${part}`;
}

const TOKEN =
  /[ \t\n\r]*(?:([{}[\]:,])|("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y;

/** What may come next. */
type Expected = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma-or-end" | "nothing";

/** Offset of the first character at which the text stops being JSON; engines differ in telling it, so we look ourselves. */
function faultAt(text: string): number {
  const open: string[] = [];
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    const match = tokenAt(text, at);
    const next: Expected | null = match === null ? null : step(expected, match, open);
    if (match === null || next === null) return at + /^[ \t\n\r]*/.exec(text.slice(at))![0].length;
    expected = next;
    at = TOKEN.lastIndex;
  }
}

/** Null also for a text literal so long that the expression's own stack does not hold it. */
function tokenAt(text: string, at: number): RegExpExecArray | null {
  TOKEN.lastIndex = at;
  try {
    return TOKEN.exec(text);
  } catch {
    return null;
  }
}

function step(expected: Expected, match: RegExpExecArray, open: string[]): Expected | null {
  const [, mark, text, scalar] = match;
  const after = (): Expected => (open.length === 0 ? "nothing" : "comma-or-end");
  if (expected === "colon") return mark === ":" ? "value" : null;
  if (expected === "key" || expected === "key-or-end") {
    if (text !== undefined) return "colon";
    return mark === "}" && expected === "key-or-end" && open.pop() === "{" ? after() : null;
  }
  if (expected === "comma-or-end") {
    const inside = open[open.length - 1];
    if (mark === ",") return inside === "{" ? "key" : "value";
    if (mark !== (inside === "{" ? "}" : "]")) return null;
    open.pop();
    return after();
  }
  if (expected === "nothing") return null;
  if (text !== undefined || scalar !== undefined) return after();
  if (mark === "{" || mark === "[") {
    open.push(mark);
    return mark === "{" ? "key-or-end" : "value-or-end";
  }
  if (mark === "]" && expected === "value-or-end") {
    open.pop();
    return after();
  }
  return null;
}
