// Service keys: what is kept of one (never the key itself), how a key is recognised by its hash, and what its role may do.
import { timingSafeEqual } from "node:crypto";
import { sha256 } from "./hash.ts";

/**
 * Of programs: predict, transactions in, decisions out; label: labels, which train models. Of people: viewer looks at pipelines, rules and
 * alerts; analyst changes rules and lists too. admin: everything.
 */
export const ROLES = ["predict", "label", "viewer", "analyst", "admin"] as const;
/** Of whoever runs the server: makes and removes tenants, and sees nothing of what is theirs. Such keys are the first tenant's alone. */
export const OPERATOR = "operator";
/** Before the names of persons whom an identity provider vouches for; no key is called so, or it would act as one of them. */
export const PERSON_PREFIX = "oidc:";
export type Role = (typeof ROLES)[number] | typeof OPERATOR;

/** Requests (and items of a batch) per second, and how many may come at once. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** What is kept of a key. A revoked one stays, so that nobody wonders, and so that a server with revoked keys alone stays closed. */
export interface KeyRecord {
  readonly id: string;
  /** Who uses it. */
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of the key, hexadecimal. A key has 192 random bits, so that no slower hash is needed to keep it from being guessed. */
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
  /** null: it does not expire. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly rate: RateLimit | null;
  /** The pipelines that it is for; absent or null: all of them. */
  readonly pipelines?: readonly string[] | null;
}

/** Keys of one workspace, revoked ones included. Each request looks at all of them, so that its time tells nothing. */
export const KEYS_MAX = 200;
export const RATE_MAX = 1_000_000;
/** Pipelines that one key names. */
export const KEY_PIPELINES_MAX = 100;

const KEY_BYTES = 24;
const ID_BYTES = 4;

/** A new key with its id and hash. `random` gives so many random bytes. */
export function newKey(random: (bytes: number) => Uint8Array): {
  readonly id: string;
  readonly key: string;
  readonly hash: string;
} {
  const id = Buffer.from(random(ID_BYTES)).toString("hex");
  const key = `sentinel_${id}_${Buffer.from(random(KEY_BYTES)).toString("base64url")}`;
  return { id, key, hash: sha256(key) };
}

/** The record of a key that is valid now, or null. Takes the same time whichever it is. */
export function findKey(records: readonly KeyRecord[], key: string, now: number): KeyRecord | null {
  const given = Buffer.from(sha256(key), "hex");
  let found: KeyRecord | null = null;
  for (const record of records) {
    const same = timingSafeEqual(given, Buffer.from(record.hash, "hex"));
    if (same && isValid(record, now)) found = record;
  }
  return found;
}

export function isValid({ revokedAt, expiresAt }: KeyRecord, now: number): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt);
}

/** Whether a key may ask that pipeline; null: the server itself, which is for keys of all pipelines. */
export function isFor({ pipelines }: KeyRecord, pipeline: string | null): boolean {
  return pipelines === undefined || pipelines === null || (pipeline !== null && pipelines.includes(pipeline));
}

const HASH = /^[0-9a-f]{64}$/;

/** Whether a value has the shape of a record; what files and environments hold is checked by it. */
export function isKeyRecord(value: unknown): value is KeyRecord {
  if (value === null || typeof value !== "object") return false;
  const record = value as Record<keyof KeyRecord, unknown>;
  const time = (given: unknown): boolean => given === null || (typeof given === "number" && Number.isFinite(given));
  const texts = [record.id, record.name, record.createdBy].every((text) => typeof text === "string");
  const role = [...ROLES, OPERATOR].some((known) => known === record.role);
  const hash = typeof record.hash === "string" && HASH.test(record.hash);
  const times = record.createdAt !== null && [record.createdAt, record.expiresAt, record.revokedAt].every(time);
  return texts && role && hash && times && (record.rate === null || isRate(record.rate)) && areNames(record.pipelines);
}

/** A list that holds anything else is refused: a key must not be for more than was meant. */
function areNames(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  const names = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return names.length > 0 && names.length <= KEY_PIPELINES_MAX && names.every((name) => typeof name === "string");
}

function isRate(value: unknown): boolean {
  const { perSecond, burst } = (value ?? {}) as Partial<RateLimit>;
  return [perSecond, burst].every((count) => typeof count === "number" && count > 0 && count <= RATE_MAX);
}

/** The key that a request carries: that of X-API-Key, else of an Authorization header. */
export function bearerIn(
  apiKey: string | readonly string[] | null | undefined,
  authorization: string | null | undefined,
): string | null {
  if (typeof apiKey === "string") return apiKey;
  return /^Bearer +(\S+)\s*$/i.exec(authorization ?? "")?.[1] ?? null;
}
