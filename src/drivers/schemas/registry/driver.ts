// A schema registry with Confluent's routes, and Avro records that carry a schema's number.
import type { Type } from "avsc";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import type { Compatibility, Schemas, SchemaVersion } from "../../../ports/schemas.ts";
import { decodeBy, encodeBy, fieldsOf, follows, idOf, typeOf } from "./codec.ts";

export interface RegistryAddress {
  /** Without credentials and without a slash at its end. */
  readonly url: string;
  readonly login: { readonly user: string; readonly password: string } | null;
}

const ANSWER_MS_MAX = 10_000;
const ANSWER_CHARACTERS_MAX = 4_194_304;
/** Schemas that one process meets; each version of a topic's is one. */
const SCHEMAS_MAX = 10_000;
const VERSIONS_MAX = 1_000;
/** A number that the registry does not know is asked for again after this: its schema may just have been put back. */
const UNKNOWN_MS = 10_000;
const CONTENT = "application/vnd.schemaregistry.v1+json";

export function createRegistrySchemas(address: RegistryAddress): Schemas {
  const types = new Map<number, Type>();
  const unknown = new Map<number, { readonly at: number; readonly error: SentinelError }>();
  const asking = new Map<number, Promise<Type>>();
  const ask = (route: string, body?: object): Promise<Answer> => askRegistry(address, route, body);

  const fetchType = async (id: number): Promise<Type> => {
    const { status, json } = await ask(`/schemas/ids/${id}`);
    if (status === 404) {
      const error = new SentinelError("request.malformed", `the record's schema ${id} is not in the registry`, {
        hint: `is ${address.url} the registry that the producer registers with? Then judge the record again with sentinel stream --from-dead-letters`,
      });
      if (unknown.size >= SCHEMAS_MAX) unknown.clear();
      unknown.set(id, { at: performance.now(), error });
      throw error;
    }
    const { schema, schemaType = "AVRO" } = json as { readonly schema?: unknown; readonly schemaType?: unknown };
    if (status !== 200 || typeof schema !== "string") throw unexpected(address, `schema ${id}`, status);
    if (schemaType !== "AVRO") throw malformedSchema(id, `it is ${String(schemaType)}, and Avro is read`);
    let type: Type;
    try {
      type = typeOf(JSON.parse(schema));
    } catch (error) {
      throw malformedSchema(id, messageOf(error));
    }
    if (types.size >= SCHEMAS_MAX) types.clear();
    types.set(id, type);
    return type;
  };
  const typeLater = (id: number): Promise<Type> => {
    const known = unknown.get(id);
    if (known !== undefined && performance.now() - known.at < UNKNOWN_MS) return Promise.reject(known.error);
    let pending = asking.get(id);
    if (pending === undefined) {
      pending = fetchType(id).finally(() => asking.delete(id));
      asking.set(id, pending);
    }
    return pending;
  };
  const versions = async (subject: string): Promise<readonly SchemaVersion[]> => {
    const route = `/subjects/${encodeURIComponent(subject)}/versions`;
    const { status, json } = await ask(route);
    if (status === 404) return [];
    if (status !== 200 || !Array.isArray(json)) throw unexpected(address, `the versions of ${subject}`, status);
    const found: SchemaVersion[] = [];
    for (const version of json.slice(-VERSIONS_MAX)) {
      const one = await ask(`${route}/${String(version)}`);
      const { id, schema } = one.json as { readonly id?: unknown; readonly schema?: unknown };
      if (one.status !== 200 || typeof id !== "number" || typeof schema !== "string") {
        throw unexpected(address, `version ${String(version)} of ${subject}`, one.status);
      }
      found.push({ version: Number(version), id, schema: JSON.parse(schema) });
    }
    return found;
  };
  const check = async (subject: string, schema: unknown): Promise<Compatibility> => {
    // What is no schema is said before anybody is asked.
    typeOf(schema);
    const newest = (await versions(subject)).at(-1);
    if (newest === undefined) return { compatible: true, reasons: [] };
    const own = follows(newest.schema, schema);
    const route = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`;
    const { status, json } = await ask(route, { schema: JSON.stringify(schema) });
    const { is_compatible: theirs, messages } = json as {
      readonly is_compatible?: unknown;
      readonly messages?: readonly unknown[];
    };
    if (status !== 200 || typeof theirs !== "boolean")
      throw unexpected(address, `whether ${subject} may change`, status);
    if (theirs && own.compatible) return own;
    const why = own.reasons.length > 0 ? own.reasons : (messages ?? []).map(String).slice(0, 10);
    return { compatible: false, reasons: why.length > 0 ? why : ["the registry's rule for the subject refuses it"] };
  };
  return {
    where: address.url,
    decode(bytes) {
      const id = idOf(bytes);
      const type = types.get(id);
      return type === undefined ? typeLater(id).then((found) => decodeBy(found, bytes, id)) : decodeBy(type, bytes, id);
    },
    async encoder(subject, schema) {
      const type = typeOf(schema);
      const route = `/subjects/${encodeURIComponent(subject)}/versions`;
      const { status, json } = await ask(route, { schema: JSON.stringify(schema) });
      if (status === 409) {
        const { reasons } = await check(subject, schema);
        throw new SentinelError("schemas.invalid", `${subject} may not change like this: ${reasons.join("; ")}`, {
          hint: "add fields with a default, and keep the types of those that are there; or write to another topic",
        });
      }
      const { id } = json as { readonly id?: unknown };
      if (status !== 200 || typeof id !== "number") throw unexpected(address, `the registration of ${subject}`, status);
      return (value) => encodeBy(type, value, id);
    },
    versions,
    check,
    fields: fieldsOf,
  };
}

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

/** Errors: schemas.unreachable, config.invalid. */
async function askRegistry({ url, login }: RegistryAddress, route: string, body?: object): Promise<Answer> {
  const headers: Record<string, string> = { accept: CONTENT };
  if (body !== undefined) headers["content-type"] = CONTENT;
  if (login !== null) {
    headers.authorization = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString("base64")}`;
  }
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}${route}`, {
      method: body === undefined ? "GET" : "POST",
      headers,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw unreachable(url, messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error));
  }
  if (status === 401 || status === 403) {
    throw new SentinelError("config.invalid", `the schema registry at ${url} lets us not in (${status})`, {
      hint: "write user and password into SENTINEL_SCHEMA_REGISTRY_URL: https://user:password@host",
    });
  }
  if (status >= 500) throw unreachable(url, `it answers ${status}`);
  if (text.length > ANSWER_CHARACTERS_MAX)
    throw unreachable(url, `it answers more than ${ANSWER_CHARACTERS_MAX} characters`);
  try {
    return { status, json: text === "" ? {} : JSON.parse(text) };
  } catch {
    throw unreachable(url, "it answers no JSON: is that the registry's address, with its path?");
  }
}

function unreachable(url: string, what: string): SentinelError {
  return new SentinelError("schemas.unreachable", `the schema registry at ${url} cannot be asked: ${what}`, {
    hint: "is it up and does SENTINEL_SCHEMA_REGISTRY_URL name it? A stream tries again by itself",
  });
}

function unexpected({ url }: RegistryAddress, what: string, status: number): SentinelError {
  return new SentinelError(
    "schemas.unreachable",
    `the schema registry at ${url} says nothing usable about ${what} (${status})`,
    {
      hint: "name a registry with Confluent's routes, such as http://host:8081 or http://host:8080/apis/ccompat/v7",
    },
  );
}

function malformedSchema(id: number, what: string): SentinelError {
  return new SentinelError("request.malformed", `the record's schema ${id} cannot be used: ${what}`, {
    hint: "write records of transactions by an Avro record schema",
  });
}
