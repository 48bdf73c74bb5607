// Access: which routes ask for a key, which key may do what, and how often.
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { bearerIn, findKey, isFor, isValid, type KeyRecord, ROLES, type Role } from "../core/key.ts";
import type { EngineLog } from "../online/counters.ts";
import type { KeyStore } from "../ports/keys.ts";
import type { Clock } from "../ports/ports.ts";
import type { Session } from "./sessions.ts";

/**
 * What a route asks for once keys exist: nothing, a key of any role, or one of this role (admin may do everything, an analyst what a viewer
 * may). `owner`: a key of the role admin; as with the others nobody is asked before keys exist, which routes of `admin` do not allow.
 */
export type Need = "open" | "any" | "owner" | Role;

/** Who asks. */
export interface Caller {
  /** null: without a valid key. */
  readonly key: KeyRecord | null;
}

export interface AccessOptions {
  readonly clock: Clock;
  readonly logger: EngineLog;
  /** The workspace's keys; null where there are none. */
  readonly store: KeyStore | null;
  /** Keys that the environment gives. */
  readonly fixed: readonly KeyRecord[];
  /** The administrator's key, as the environment gives it; null: none. */
  readonly admin: KeyRecord | null;
  /** Whether people log in by a provider, so that nobody may do anything without. */
  readonly hasProvider?: boolean;
}

/** A key that was added or revoked counts within this time. */
const LOOK_MS = 1000;
const NOBODY: Caller = { key: null };

/** The keys of a server. Without any it asks nobody, until {@link Access.close} was called. */
export class Access {
  private readonly options: AccessOptions;
  private stored: readonly KeyRecord[] = [];
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  private fault = "";
  private readonly buckets = new Map<string, { tokens: number; at: number }>();

  constructor(options: AccessOptions) {
    this.options = options;
  }

  /** Reads the keys, and follows them from then on. Errors: config.invalid. */
  async open(): Promise<void> {
    const { store } = this.options;
    if (store === null) return;
    this.stored = await store.read();
    this.timer = setInterval(() => void this.follow(store), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Asks everybody for a key from now on. Throws `server.keys-needed` where no key would do. */
  close(host: string): void {
    const now = this.options.clock.now();
    if (this.options.hasProvider !== true && !this.all().some((record) => isValid(record, now))) {
      throw new SentinelError("server.keys-needed", `${host} can be reached from outside, and no key exists`, {
        hint: "make one: `sentinel keys add --role predict --name checkout` (or set SENTINEL_ADMIN_KEY); or listen on 127.0.0.1; or say --insecure",
      });
    }
    this.closed = true;
  }

  /** Whether requests are asked for a key. */
  get asks(): boolean {
    const { hasProvider, fixed } = this.options;
    return this.closed || hasProvider === true || this.stored.length + fixed.length > 0;
  }

  /**
   * `pipeline`: whose route it is; null: the server's; undefined: the route finds it and asks {@link checkPipeline}. Throws
   * `server.key-missing`, `server.key-role`, `server.rate-limited`.
   */
  check(need: Need, key: string | null, pipeline?: string | null): Caller {
    return this.admit(need, { record: this.find(key), given: key !== null, pipeline });
  }

  /** As {@link check}, for a session: what its key may do now, which is nothing once the key is revoked or has expired. */
  checkSession(need: Need, session: Session, pipeline?: string | null): Caller {
    return this.admit(need, { record: this.recordOf(session), given: true, pipeline });
  }

  /** The record of a key that is valid now; null where it is none. */
  find(key: string | null): KeyRecord | null {
    return key === null ? null : findKey(this.all(), key, this.options.clock.now());
  }

  /** The record behind a session, while it is valid. */
  recordOf({ keyId, keyHash, person }: Session): KeyRecord | null {
    if (person !== null) return person.record;
    const now = this.options.clock.now();
    return this.all().find((record) => record.id === keyId && record.hash === keyHash && isValid(record, now)) ?? null;
  }

  private admit(
    need: Need,
    of: { readonly record: KeyRecord | null; readonly given: boolean; readonly pipeline: string | null | undefined },
  ): Caller {
    const { record, given, pipeline } = of;
    const caller = record === null ? NOBODY : { key: record };
    if (need === "open") return caller;
    if (record === null) {
      if (need !== "admin" && !this.asks) return caller;
      throw this.missing(need, given);
    }
    if (need !== "any" && record.role !== "admin" && record.role !== need && !includes(record.role, need)) {
      const role = roleOf(need);
      throw new SentinelError("server.key-role", `this key is for ${record.role}, and this needs one for ${role}`, {
        hint: `use a key made with \`sentinel keys add --role ${role}\``,
      });
    }
    if (pipeline !== undefined) this.checkPipeline(caller, pipeline);
    this.charge(caller, 1);
    return caller;
  }

  /** Throws `server.key-role` for a key of other pipelines. */
  checkPipeline({ key }: Caller, pipeline: string | null): void {
    if (key === null || isFor(key, pipeline)) return;
    const names = key.pipelines!.join(", ");
    const what = pipeline === null ? "this is about all of them" : `not for ${pipeline}`;
    throw new SentinelError("server.key-role", `this key is for pipeline ${names}, ${what}`, {
      hint: `ask /pipelines/${key.pipelines![0]}/…, or use a key that \`sentinel keys add\` makes without --only`,
    });
  }

  /** Takes so many requests from the key's allowance; a batch counts by its items. Throws `server.rate-limited`. */
  charge({ key }: Caller, count: number): void {
    if (key === null || key.rate === null || count <= 0) return;
    const { perSecond, burst } = key.rate;
    const now = this.options.clock.elapsed();
    const bucket = this.buckets.get(key.id) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    this.buckets.set(key.id, bucket);
    // A batch beyond the burst waits for a full bucket, of which its request took one, and leaves it in debt.
    const wanted = Math.min(count, Math.max(1, burst - 1));
    if (bucket.tokens >= wanted) {
      bucket.tokens -= count;
      return;
    }
    const retryAfterS = Math.max(1, Math.ceil((wanted - bucket.tokens) / perSecond));
    throw new SentinelError("server.rate-limited", `this key may send ${perSecond} a second, ${burst} at once`, {
      hint: "send again after Retry-After seconds, or ask for a key with a higher rate",
      cause: { retryAfterS },
    });
  }

  private all(): readonly KeyRecord[] {
    const { fixed, admin } = this.options;
    return admin === null ? [...fixed, ...this.stored] : [admin, ...fixed, ...this.stored];
  }

  private missing(need: Need, given: boolean): SentinelError {
    const now = this.options.clock.now();
    const able = ROLES.filter((role) => this.all().some((record) => record.role === role && isValid(record, now)));
    if (need === "admin" && !able.includes("admin")) {
      return new SentinelError("server.key-missing", "admin routes are off: the server has no key for them", {
        hint: "set SENTINEL_ADMIN_KEY and start the server again, or `sentinel keys add --role admin`",
      });
    }
    const what = need === "any" ? "" : `${roleOf(need)} `;
    return new SentinelError(
      "server.key-missing",
      `the ${what}key is ${given ? "wrong, revoked or expired" : "missing"}`,
      {
        hint: "send Authorization: Bearer KEY (or X-API-Key: KEY); `sentinel keys add` makes one",
      },
    );
  }

  /** Keys that cannot be read any more leave the last ones in force. */
  private async follow(store: KeyStore): Promise<void> {
    try {
      this.stored = await store.read();
      this.fault = "";
    } catch (error) {
      if (this.fault !== messageOf(error)) {
        this.options.logger.error({ error: messageOf(error) }, "the keys cannot be read; the last ones stay in force");
      }
      this.fault = messageOf(error);
    }
  }
}

function includes(role: Role, need: Need): boolean {
  return role === "analyst" && need === "viewer";
}

/** The role to ask for. */
function roleOf(need: Need): string {
  return need === "owner" ? "admin" : need;
}

/** The key that a request carries, or null. */
export function keyIn(headers: { get(name: string): string | null }): string | null {
  return bearerIn(headers.get("x-api-key"), headers.get("authorization"));
}

/** SENTINEL_ADMIN_KEY as one of the keys. */
export function adminRecord(key: string): KeyRecord {
  const times = { createdAt: 0, expiresAt: null, revokedAt: null };
  return {
    id: "admin",
    name: "admin",
    role: "admin",
    hash: sha256(key),
    createdBy: "environment",
    rate: null,
    ...times,
  };
}
