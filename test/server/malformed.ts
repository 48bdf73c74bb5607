// Malformed requests, drawn at random: valid ones of every route with something broken in bytes, JSON, headers, path or method.
import { gzipSync } from "node:zlib";
import type { Random } from "../../src/core/random.ts";

export interface MalformedRequest {
  readonly method: string;
  /** The route it was made of, as the document names it. */
  readonly route: string;
  /** Head and body, as they go over the wire. */
  readonly bytes: Buffer;
}

/** What requests are made of. */
export interface RouteSeed {
  readonly method: string;
  readonly path: string;
  /** Valid bodies by content type. */
  readonly bodies: readonly { readonly type: string; readonly value: unknown }[];
}

const NAMES = ["card-fraud", "nobody", "1", "..", "%2e%2e", "%00", "a b", "é", "<b>", "x".repeat(300)];
const WEIRD: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  " ",
  "\u0000",
  "\ud800",
  "x".repeat(5000),
  "__proto__",
  "NaN",
  "1e999",
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 63),
  1e300,
  [],
  {},
  [[[]]],
  { constructor: { prototype: 1 } },
  "2026-02-30",
  "0000-01-01",
  Number.MAX_VALUE,
];
const KEYS = [
  "",
  "__proto__",
  "constructor",
  "toString",
  "a\nb",
  "transaction_id",
  "id",
  "fraud",
  "against",
  "x".repeat(2000),
];
const TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/json; charset=latin1",
  "APPLICATION/JSON",
  "application/x-ndjson",
  "application/octet-stream",
  "text/csv",
  "text/plain",
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
  "",
  ";",
  "é",
];
const METHODS = [
  "GET",
  "POST",
  "PUT",
  "DELETE",
  "PATCH",
  "OPTIONS",
  "HEAD",
  "TRACE",
  "CONNECT",
  "PROPFIND",
  "post",
  "BREW",
  "",
];
const HEADERS = [
  "Content-Encoding: gzip",
  "Content-Encoding: br",
  "Content-Encoding: zstd",
  "Content-Encoding: gzip, gzip",
  "Expect: 100-continue",
  "Expect: wonders",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: nonsense",
  "Content-Length: 5",
  "Content-Length: -1",
  "Content-Length: 1e3",
  "Content-Length: 99999999999999999999",
  "X-Request-Id: é",
  `X-Request-Id: ${"i".repeat(500)}`,
  "Authorization: Bearer x",
  "Authorization: Basic eDp4",
  "X-API-Key: x",
  "Inference-Header-Content-Length: 5",
  "Inference-Header-Content-Length: -5",
  "Inference-Header-Content-Length: x",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Accept: image/png",
  "Host: a b",
  "Host:",
  "Traceparent: 00-0-0-0",
  "Range: bytes=0-1",
  "A",
  ": x",
  "A b: c",
  "X: \u0001",
  `X: ${"y".repeat(20_000)}`,
];
const QUERIES = [
  "?explain=true",
  "?explain=maybe",
  "?explain",
  "?explain=true&explain=false",
  "?%zz",
  "?a[]=%ff",
  "?",
  `?${"q".repeat(3000)}`,
];

/** Requests of the routes, one after the other, broken in one to three ways. `name`: what is there, for paths that name something. */
export function malformed(random: Random, seeds: readonly RouteSeed[], name = NAMES[0]): MalformedRequest {
  const pick = <T>(values: readonly T[]): T => values[random.integer(values.length)];
  const chance = (share: number): boolean => random.next() < share;
  const seed = pick(seeds);
  const method = chance(0.12) ? pick(METHODS) : seed.method;
  let target = seed.path.replace(/\{\w+\}/g, () => (chance(0.6) ? name : pick(NAMES)));
  if (chance(0.1)) target = brokenPath(target, pick);
  if (chance(0.2)) target += pick(QUERIES);
  const given = seed.bodies.length === 0 ? null : pick(seed.bodies);
  let body: Buffer = given === null ? (chance(0.1) ? Buffer.from("{}") : Buffer.alloc(0)) : bodyOf(random, given.value);
  const type = given !== null && !chance(0.15) ? given.type : pick(TYPES);
  const headers = [`Content-Type: ${type}`];
  if (chance(0.05)) {
    body = gzipSync(body);
    headers.push("Content-Encoding: gzip");
  }
  if (chance(0.2)) headers.push(pick(HEADERS));
  if (!chance(0.05)) headers.push("Host: x");
  let isShort = false;
  if (chance(0.1)) {
    headers.push("Transfer-Encoding: chunked");
    body = chunked(body, chance(0.4) ? pick(["zz\r\n", "-1\r\n\r\n", "5\r\nab\r\n", "ffffffffffffffffff\r\n"]) : null);
  } else if (!(body.length === 0 && chance(0.5))) {
    isShort = chance(0.04);
    headers.push(`Content-Length: ${isShort ? body.length + 1 + random.integer(50) : body.length}`);
  }
  const version = chance(0.03) ? pick(["HTTP/1.0", "HTTP/2.0", "HTTP/9", "http/1.1", ""]) : "HTTP/1.1";
  const end = chance(0.03) ? "\n\n" : "\r\n\r\n";
  // A connection that stays open is what the road without node:http takes; what lacks a part of its body would keep it waiting.
  if (isShort || chance(0.5)) headers.push("Connection: close");
  const head = `${method} ${target} ${version}\r\n${headers.join("\r\n")}${end}`;
  let bytes: Buffer = Buffer.concat([Buffer.from(head, chance(0.9) ? "utf8" : "latin1"), body]);
  if (chance(0.03)) bytes = flipped(random, bytes);
  return { method, route: seed.path, bytes };
}

/** A value that a schema allows, mostly: of each choice the first. */
export function sampleOf(schema: Schema, schemas: Readonly<Record<string, object>>): unknown {
  const of = (one: Schema): unknown => sampleOf(one, schemas);
  if (schema.$ref !== undefined) return of(schemas[schema.$ref.split("/").at(-1)!]);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice !== undefined) return of(choice[0]);
  if (schema.allOf !== undefined) return Object.assign({}, ...schema.allOf.map(of));
  const [type = "object"] = [schema.type ?? []].flat();
  if (type === "string") return schema.format === "date-time" ? "2026-02-01T00:00:00Z" : "amount > 10";
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type === "boolean") return true;
  if (type === "array") return [of(schema.items ?? {})];
  if (type === "null") return null;
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, of(one)]));
}

interface Schema {
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly minimum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

function brokenPath(path: string, pick: <T>(values: readonly T[]) => T): string {
  return pick([
    `/${path}`,
    `${path}/`,
    `${path}//`,
    path.toUpperCase(),
    `${path}%00`,
    `${path}/..${path}`,
    path.replace("/", "/%2e%2e/"),
    `${path}\u00e9`,
    `http://x${path}`,
    `${path}#x`,
    path.slice(1),
    "*",
    "/",
    `/${"p".repeat(5000)}`,
  ]);
}

function bodyOf(random: Random, value: unknown): Buffer {
  const changed = random.next() < 0.7 ? mutated(random, value) : value;
  const text =
    typeof changed === "string"
      ? changed
      : Array.isArray(changed) && changed[0] === LINES
        ? lines(changed)
        : jsonOf(changed);
  return random.next() < 0.2 ? brokenText(random, text) : Buffer.from(text);
}

/** Marks an array that is sent as lines. */
export const LINES = "\u0000lines";

function lines([, ...values]: readonly unknown[]): string {
  return values.map(jsonOf).join("\n");
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

/** One to three values replaced, removed or added, anywhere. */
function mutated(random: Random, value: unknown): unknown {
  let result = value;
  for (let changes = 1 + random.integer(3); changes > 0; changes--) result = mutatedOnce(random, result);
  return result;
}

function mutatedOnce(random: Random, value: unknown): unknown {
  const weird = (): unknown => WEIRD[random.integer(WEIRD.length)];
  if (value === null || typeof value !== "object" || random.next() < 0.1) return weird();
  if (Array.isArray(value)) {
    if (value.length === 0) return [weird()];
    const at = random.integer(value.length);
    if (value[at] === LINES) return value;
    return value.map((item, index) => (index === at ? mutatedOnce(random, item) : item));
  }
  const keys = Object.keys(value);
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  if (keys.length === 0 || random.next() < 0.2) {
    const key = KEYS[random.integer(KEYS.length)];
    return Object.fromEntries([...entries, [key, weird()]]);
  }
  const at = random.integer(keys.length);
  if (random.next() < 0.2) return Object.fromEntries(entries.filter((_, index) => index !== at));
  return Object.fromEntries(
    entries.map(([key, item], index) => [key, index === at ? mutatedOnce(random, item) : item]),
  );
}

function brokenText(random: Random, text: string): Buffer {
  const at = random.integer(text.length + 1);
  const inserts = ["{", "]", '"', ",", "\\", "\u0000", "//", "NaN", "\ufeff", "'", "1e999", '"a":1,"a":2,'];
  const broken = [
    () => Buffer.from(text.slice(0, at)),
    () => Buffer.from(text.slice(0, at) + inserts[random.integer(inserts.length)] + text.slice(at)),
    () => Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.of(0xff, 0xc0), Buffer.from(text.slice(at))]),
    () => Buffer.from("[".repeat(20_000)),
    () => Buffer.from(`{"a":`.repeat(5000)),
    () => Buffer.from(`"${"x".repeat(70_000)}"`),
    () => Buffer.from(text, "utf16le"),
    () => Buffer.from(`${text}${text}`),
  ];
  return broken[random.integer(broken.length)]();
}

function chunked(body: Buffer, broken: string | null): Buffer {
  const half = body.length >> 1;
  const part = (bytes: Buffer): Buffer =>
    bytes.length === 0
      ? bytes
      : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  const end = Buffer.from(broken ?? "0\r\n\r\n");
  return Buffer.concat([part(body.subarray(0, half)), part(body.subarray(half)), end]);
}

function flipped(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = 0; i < 3; i++) copy[random.integer(copy.length)] ^= 1 << random.integer(8);
  return copy;
}
