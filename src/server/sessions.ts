// Sessions: people who logged in by a key or a provider, kept in memory: bounded, rotated at each login, gone when idle, old, logged out or without their key.
import { sha256 } from "../core/hash.ts";
import type { KeyRecord } from "../core/key.ts";
import type { Tenant } from "../core/tenant.ts";
import type { Clock } from "../ports/ports.ts";

/** The cookie that names a session. */
export const SESSION_COOKIE = "sentinel_session";
/** A session ends so long after its login, whatever happens: a working day. */
export const SESSION_MS_MAX = 12 * 3_600_000;
/** And so long after its last request. An open page asks every few seconds. */
export const SESSION_IDLE_MS_MAX = 2 * 3_600_000;
/** Sessions of one tenant at once; the one that was idle for longest makes room. Keys are at most 200, so that this is some browsers per person. */
export const SESSIONS_MAX = 1000;
/** And of one key or person, so that whoever logs in again and again ends their own sessions alone. */
export const SESSIONS_PER_KEY_MAX = 50;
const TOKEN_BYTES = 32;
/** What {@link TOKEN_BYTES} look like in a cookie; nothing else is looked up. */
const TOKEN = /^[\w-]{43}$/;

/** Whom an identity provider vouched for. */
export interface Person {
  /** What the person may do; no key of the workspace. */
  readonly record: KeyRecord;
  /** What a logout at the provider wants to see; null where it is too long to be kept. */
  readonly idToken: string | null;
}

/** What a session remembers of its key: enough to find the key again, and to see that it is still the same one. */
export interface Session {
  readonly keyId: string;
  readonly keyHash: string;
  /** null: who logged in by a key. */
  readonly person: Person | null;
  /** Milliseconds since 1970, by the server's clock. */
  readonly begunAt: number;
}

interface Entry extends Session {
  readonly tenant: Tenant;
  usedAt: number;
}

/** The table of sessions. It holds hashes of tokens, so that a dump of the memory opens none. */
export class Sessions {
  private readonly clock: Clock;
  private readonly random: (bytes: number) => Uint8Array;
  /** By hash of the token; the least recently used first. */
  private readonly table = new Map<string, Entry>();

  constructor(clock: Clock, random: (bytes: number) => Uint8Array) {
    this.clock = clock;
    this.random = random;
  }

  /** Begins a session and gives its token, which is always a new one: what a browser brought along is never taken over. */
  open(
    key: Pick<KeyRecord, "id" | "hash">,
    { tenant, person = null }: { readonly tenant: Tenant; readonly person?: Person | null },
  ): string {
    const now = this.clock.now();
    this.makeRoom({ keyHash: key.hash, tenant }, now);
    const token = Buffer.from(this.random(TOKEN_BYTES)).toString("base64url");
    this.table.set(sha256(token), { keyId: key.id, keyHash: key.hash, tenant, person, begunAt: now, usedAt: now });
    return token;
  }

  /** The session of a token, which counts as used by that; null where there is none any more. */
  find(token: string): Session | null {
    if (!TOKEN.test(token)) return null;
    const name = sha256(token);
    const entry = this.table.get(name);
    if (entry === undefined) return null;
    const now = this.clock.now();
    this.table.delete(name);
    if (isOver(entry, now)) return null;
    entry.usedAt = now;
    this.table.set(name, entry);
    return entry;
  }

  /** As {@link find}, and it does not count as used: an open stream alone keeps nobody logged in. */
  peek(token: string): Session | null {
    const entry = TOKEN.test(token) ? this.table.get(sha256(token)) : undefined;
    return entry === undefined || isOver(entry, this.clock.now()) ? null : entry;
  }

  /** Ends a session; one that there is not is no error. */
  close(token: string): void {
    if (TOKEN.test(token)) this.table.delete(sha256(token));
  }

  get size(): number {
    return this.table.size;
  }

  /** Removes what is over, and where a bound is reached the least recently used one that counts towards it. */
  private makeRoom({ keyHash, tenant }: Pick<Entry, "keyHash" | "tenant">, now: number): void {
    const [ofKey, ofTenant]: string[][] = [[], []];
    for (const [name, entry] of this.table) {
      if (isOver(entry, now)) this.table.delete(name);
      else if (entry.tenant === tenant) {
        ofTenant.push(name);
        if (entry.keyHash === keyHash) ofKey.push(name);
      }
    }
    if (ofKey.length >= SESSIONS_PER_KEY_MAX) this.table.delete(ofKey[0]);
    else if (ofTenant.length >= SESSIONS_MAX) this.table.delete(ofTenant[0]);
  }
}

function isOver({ begunAt, usedAt }: Entry, now: number): boolean {
  return now - begunAt >= SESSION_MS_MAX || now - usedAt >= SESSION_IDLE_MS_MAX;
}

/** The token that a Cookie header carries (RFC 6265, 4.2); null where it has none. */
export function tokenIn(cookies: string | null | undefined, name = SESSION_COOKIE): string | null {
  for (const pair of (cookies ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return null;
}

/** The Set-Cookie header of a login, or with `token` null of a logout. No script reads it, and no other site sends it. */
export function cookieOf(token: string | null, { secure }: { readonly secure: boolean }): string {
  const parts = [
    `${SESSION_COOKIE}=${token ?? ""}`,
    "Path=/",
    "HttpOnly",
    "SameSite=Strict",
    `Max-Age=${token === null ? 0 : SESSION_MS_MAX / 1000}`,
  ];
  return (secure ? [...parts, "Secure"] : parts).join("; ");
}
