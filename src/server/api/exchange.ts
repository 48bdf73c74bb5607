// What the routes below /api share: bodies that are checked once, numbers and cursors of the query, versions, and who asks.
import type { ValidateFunction } from "ajv/dist/2020.js";
import { SentinelError } from "../../core/errors.ts";
import { isFor } from "../../core/key.ts";
import { nearestName } from "../../core/nearest.ts";
import { readInstant } from "../../core/time.ts";
import { type FieldFault, invalidRequest } from "../../online/faults.ts";
import { parseJson } from "../../online/json.ts";
import { compileSchema, faultOf } from "../../online/parse.ts";
import type { PipelineRecord } from "../../ports/store.ts";
import type { Caller } from "../access.ts";
import { mediaType, PLATFORM_BODY_BYTES_MAX, readText, sourceOf } from "../body.ts";
import type { PlatformParts, RequestContext, Server, ServerParts, ServerRoute } from "../parts.ts";

/** A body with its schema: what the document says is what is checked. */
export interface BodyKind<T> {
  readonly schema: object;
  /** `optional`: a request that names no type of its body has none, which counts as an empty object. */
  read(server: Server, context: RequestContext, given?: { readonly optional: boolean }): Promise<T>;
}

/** Unknown members are refused, with the nearest known name: a misspelt `stage` would make a rule live. */
export function bodyKind<T>(
  what: string,
  schema: { readonly required?: readonly string[]; readonly properties: Readonly<Record<string, object>> },
): BodyKind<T> {
  const closed = { type: "object", additionalProperties: false, ...schema };
  let valid: ValidateFunction | null = null;
  return {
    schema: closed,
    async read(server, context, { optional } = { optional: false }) {
      if (optional && context.req.header("content-type") === undefined) return {} as T;
      mediaType(context.req.raw, ["application/json"]);
      const value = parseJson(await readText({ ...sourceOf(context), intake: server.intake }, PLATFORM_BODY_BYTES_MAX));
      valid ??= compileSchema(closed);
      if (valid(value)) return value as T;
      const faults = (valid.errors ?? []).map((fault): FieldFault => {
        const { field, message } = faultOf(fault, new Map());
        if (fault.keyword !== "additionalProperties") return { field, message };
        const names = namesAt(closed, fault.schemaPath);
        const near = nearestName(String(fault.params.additionalProperty), names);
        return {
          field,
          message: `is not known${near === null ? "" : `: did you mean ${near}?`} (known: ${names.join(", ")})`,
        };
      });
      throw invalidRequest(faults, what);
    },
  };
}

/** The members that a schema knows where it refuses others: `#/properties/cases/additionalProperties` is about those of `cases`. */
function namesAt(schema: object, schemaPath: string): readonly string[] {
  let here: unknown = schema;
  for (const part of schemaPath.split("/").slice(1, -1)) here = (here as Readonly<Record<string, unknown>>)[part];
  return Object.keys((here as { readonly properties?: object }).properties ?? {});
}

/**
 * A route below /api, as one line says it: what it takes and what it gives is JSON. It finds the pipeline that it is about by itself, unless it
 * is about none.
 */
export function apiRoute(
  line: `${ServerRoute["method"]} /api/${string}`,
  of: Pick<ServerRoute, "access" | "summary" | "done" | "query" | "findsPipeline" | "bodyIsOptional" | "mayBeEmpty"> & {
    readonly takes?: Pick<BodyKind<unknown>, "schema">;
    readonly gives: object;
    /** Other media types that may be asked for, with their schemas. */
    readonly alsoGives?: Readonly<Record<string, object>>;
    readonly run: ServerRoute["runServer"];
  },
): ServerRoute {
  const { takes, gives, alsoGives = {}, run, findsPipeline = true, ...more } = of;
  const [method, path] = line.split(" ") as [ServerRoute["method"], string];
  const body = takes === undefined ? {} : { body: { "application/json": takes.schema } };
  const answers = { "application/json": gives, ...alsoGives };
  return { method, path, ...more, findsPipeline, ...body, answers, runServer: run };
}

/** The platform of a server. Throws `request.not-found` where it has none. */
export function platformOf({ platform }: Server): PlatformParts {
  if (platform !== null) return platform;
  throw new SentinelError("request.not-found", "this server keeps no store, so there is nothing below /api", {
    hint: "start it with `sentinel serve` in a workspace",
  });
}

/** Who changes something, for rules, audit and four eyes. */
export function actorOf({ key }: Caller): string {
  return key === null ? "anonymous" : key.name;
}

/** A pipeline's record by the number or the name in the path, if the caller's key is for it. Errors: request.not-found, server.key-role, store.*. */
export async function recordAt(
  server: Server,
  context: RequestContext,
  given = context.req.param("id") ?? "",
): Promise<PipelineRecord> {
  const store = await platformOf(server).store();
  const record = /^[1-9]\d{0,14}$/.test(given)
    ? await store.pipelines.find(Number(given))
    : await store.pipelines.findBySlug(given);
  if (record === null) {
    throw new SentinelError("request.not-found", `there is no pipeline ${JSON.stringify(given.slice(0, 100))}`, {
      hint: "GET /api/pipelines lists them with their ids",
    });
  }
  server.access.checkPipeline(context.get("caller"), record.slug);
  return record;
}

/** The engine of a pipeline, so that the request is counted there. Errors: request.not-found, server.not-ready. */
export function engineOf(server: Server, context: RequestContext, slug: string): ServerParts {
  const parts = server.pipelines.find(slug);
  context.set("parts", parts);
  return parts;
}

/** The pipeline that is named, or the only one, with its engine. Errors: request.invalid, request.not-found, server.not-ready. */
export async function whoseOf(
  server: Server,
  context: RequestContext,
  given: number | string | undefined,
): Promise<{ readonly record: PipelineRecord; readonly parts: ServerParts }> {
  let name = given === undefined ? undefined : String(given);
  if (name === undefined) {
    const slots = server.pipelines.all();
    if (slots.length === 1) name = slots[0].name;
  }
  if (name === undefined) {
    throw new SentinelError("request.invalid", "there are several pipelines", {
      hint: "name the pipeline, as GET /api/pipelines lists them",
    });
  }
  const record = await recordAt(server, context, name);
  return { record, parts: engineOf(server, context, record.slug) };
}

/** Whether a caller's key lets them see a pipeline. */
export function sees({ key }: Caller, slug: string): boolean {
  return key === null || isFor(key, slug);
}

/** A rule by its number. Errors: request.not-found, server.key-role, store.*. */
export async function ruleAt(
  server: Server,
  context: RequestContext,
  given = context.req.param("rule") ?? "",
): Promise<{
  readonly number: number;
  readonly id: string;
  readonly record: PipelineRecord;
  readonly parts: ServerParts;
}> {
  const store = await platformOf(server).store();
  const found = /^[1-9]\d{0,14}$/.test(given) ? await store.ruleNumbers.find(Number(given)) : null;
  if (found === null) {
    throw new SentinelError("request.not-found", `there is no rule ${JSON.stringify(given.slice(0, 100))}`, {
      hint: "GET /api/pipelines/{id}/rules lists rules with their ids",
    });
  }
  const record = await recordAt(server, context, found.pipeline);
  return { number: found.number, id: found.rule, record, parts: engineOf(server, context, found.pipeline) };
}

/** A whole number of the query. Throws `request.invalid`. */
export function integerIn(
  context: RequestContext,
  name: string,
  { low, high, fallback }: { readonly low: number; readonly high: number; readonly fallback: number },
): number {
  const given = context.req.query(name);
  if (given === undefined) return fallback;
  const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= low && value <= high) return value;
  throw invalidRequest([{ field: name, message: `must be a whole number from ${low} to ${high}` }], "the query");
}

/** A number of the query; undefined where it is not there. Throws `request.invalid`. */
export function numberIn(context: RequestContext, name: string): number | undefined {
  const given = context.req.query(name);
  if (given === undefined) return undefined;
  const value = given.trim() === "" ? Number.NaN : Number(given);
  if (Number.isFinite(value)) return value;
  throw invalidRequest([{ field: name, message: "must be a number" }], "the query");
}

/** An instant of the query or of a body, as ISO 8601 or milliseconds; undefined where it is not there. Throws `request.invalid`. */
export function timeOf(given: string | number | undefined, name: string): number | undefined {
  if (given === undefined) return undefined;
  const value = readInstant(given);
  if (!Number.isNaN(value)) return value;
  throw invalidRequest([
    { field: name, message: "must be a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970" },
  ]);
}

/** One of some words of the query; undefined where it is not there. Throws `request.invalid`. */
export function wordIn<W extends string>(context: RequestContext, name: string, words: readonly W[]): W | undefined {
  const given = context.req.query(name);
  if (given === undefined) return undefined;
  const word = words.find((one) => one === given);
  if (word !== undefined) return word;
  throw invalidRequest([{ field: name, message: `must be one of ${words.join(", ")}` }], "the query");
}

/** Refuses parameters that no filter reads: a misspelt one would show more than was asked for. */
export function checkQuery(context: RequestContext, known: readonly string[]): void {
  const unknown = Object.keys(context.req.query()).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const near = nearestName(unknown, known);
  const message = `is not known${near === null ? "" : `: did you mean ${near}?`} (known: ${known.join(", ")})`;
  throw invalidRequest([{ field: unknown, message }], "the query");
}

/**
 * Throws `request.changed` where the request's If-Match does not name the version, `request.unconditional` where it must have one and has
 * none.
 */
export function checkMatch(context: RequestContext, tag: string, { needed }: { readonly needed: boolean }): void {
  const given = context.req.header("if-match");
  if (given === undefined) {
    if (!needed) return;
    throw new SentinelError("request.unconditional", "the request does not say which version it changes", {
      hint: `read it first, and send its ETag: If-Match: "${tag}"; or If-Match: * to change it whatever it is now`,
    });
  }
  const tags = given.split(",").map((one) => one.trim().replace(/^W\//, ""));
  if (tags.includes("*") || tags.includes(`"${tag}"`)) return;
  throw new SentinelError("request.changed", "somebody else changed it since it was read", {
    hint: `its version is now "${tag}": read it again, and repeat the change if it is still wanted`,
  });
}

export function etag(tag: string): Readonly<Record<string, string>> {
  return { etag: `"${tag}"` };
}

/** The headers that lead to the next page; none at the end. */
export function nextPage(context: RequestContext, cursor: string | null): Readonly<Record<string, string>> {
  if (cursor === null) return {};
  const query = new URLSearchParams(context.req.query());
  query.set("cursor", cursor);
  return { "x-next-cursor": cursor, link: `<${context.req.path}?${query}>; rel="next"` };
}

export const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Plain data with its names as the API spells them. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([name, member]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    snakeCased(member),
  ]);
  return Object.fromEntries(entries);
}
