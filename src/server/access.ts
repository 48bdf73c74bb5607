// Access: which routes ask for a key, which key may do what, and how often.
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { bearerIn, findKey, isFor, isValid, type KeyRecord, OPERATOR, ROLES, type Role } from "../core/key.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";
import type { EngineLog } from "../online/counters.ts";
import type { KeyStore } from "../ports/keys.ts";
import type { Clock } from "../ports/ports.ts";
import type { Quotas } from "./quotas.ts";
import type { Session } from "./sessions.ts";

/**
 * What a route asks for once keys exist: nothing, a key of any role, or one of this role (admin may do everything, an analyst what a viewer
 * may). `owner`: a key of the role admin; as with the others nobody is asked before keys exist, which routes of `admin` and `operator` do
 * not allow.
 */
export type Need = "open" | "any" | "owner" | Role;

/** Who asks. */
export interface Caller {
  /** null: without a valid key. */
  readonly key: KeyRecord | null;
  /** Whose key it is; the first tenant without one. */
  readonly tenant: Tenant;
}

/** Who asks, before it is known whether they may. */
export interface Asking extends Caller {
  /** Whether a key or a session came along, whatever it is worth. */
  readonly given: boolean;
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
const NOBODY: Caller = { key: null, tenant: DEFAULT_TENANT };

/** Keys of one tenant, as they were read last. */
interface Ring {
  readonly store: KeyStore;
  /** As they were read; those that count. */
  read: readonly KeyRecord[];
  keys: readonly KeyRecord[];
  fault: string;
  /** A read that is slow must not end after a later one, and bring back what was there before. */
  reading: boolean;
}

/** The keys of a server. Without any it asks nobody, until {@link Access.close} was called. */
export class Access {
  private readonly options: AccessOptions;
  private readonly rings = new Map<Tenant, Ring>();
  /** By hash: a thousand tenants have more keys than a request could look through. A hash tells nobody who guesses how near a guess was. */
  private byHash: ReadonlyMap<string, readonly Caller[]> = new Map();
  private closed = false;
  private following = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly buckets = new Map<string, { tokens: number; at: number }>();
  private readonly quotas = new Map<Tenant, Pick<Quotas, "charge">>();

  constructor(options: AccessOptions) {
    this.options = options;
    this.index();
  }

  /** Reads the keys, and follows them from then on. Errors: config.invalid. */
  async open(): Promise<void> {
    const { store } = this.options;
    if (store !== null) await this.admitTenant(DEFAULT_TENANT, store);
    this.timer = setInterval(() => void this.followAll(), LOOK_MS).unref();
  }

  /** From now on the keys of a tenant count. Errors: config.invalid. */
  async admitTenant(tenant: Tenant, store: KeyStore): Promise<void> {
    const read = await store.read();
    this.rings.set(tenant, { store, read, keys: keysFor(tenant, read), fault: "", reading: false });
    this.index();
  }

  /** Whether a tenant's keys were read. */
  knows(tenant: Tenant): boolean {
    return this.rings.has(tenant);
  }

  /** From now on all keys of a tenant together pay from this too. */
  limit(tenant: Tenant, quotas: Pick<Quotas, "charge">): void {
    this.quotas.set(tenant, quotas);
  }

  /** From now on they open nothing. */
  dropTenant(tenant: Tenant): void {
    this.rings.delete(tenant);
    this.quotas.delete(tenant);
    this.index();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Asks everybody for a key from now on. Throws `server.keys-needed` where no key would do. */
  close(host: string): void {
    const now = this.options.clock.now();
    if (this.options.hasProvider !== true && !this.all().some(({ key }) => isValid(key!, now))) {
      throw new SentinelError("server.keys-needed", `${host} can be reached from outside, and no key exists`, {
        hint: "make one: `sentinel keys add --role predict --name checkout` (or set SENTINEL_ADMIN_KEY); or listen on 127.0.0.1; or say --insecure",
      });
    }
    this.closed = true;
  }

  /** Whether requests are asked for a key. */
  get asks(): boolean {
    const { hasProvider, fixed } = this.options;
    if (this.closed || hasProvider === true || fixed.length > 0) return true;
    for (const { keys } of this.rings.values()) if (keys.length > 0) return true;
    return false;
  }

  /**
   * `pipeline`: whose route it is; null: the server's; undefined: the route finds it and asks {@link checkPipeline}. Throws
   * `server.key-missing`, `server.key-role`, `server.rate-limited`.
   */
  check(need: Need, key: string | null, pipeline?: string | null): Caller {
    return this.admit(need, this.asking(key), pipeline);
  }

  /** Whose key it is. */
  asking(key: string | null): Asking {
    return { ...this.find(key), given: key !== null };
  }

  /** As {@link asking}, for a session: what its key is now, which is nothing once the key is revoked or has expired. */
  askingBy(session: Session): Asking {
    return { ...this.callerOf(session), given: true };
  }

  /** The owner of a key that is valid now; nobody where it is none. */
  find(key: string | null): Caller {
    if (key === null) return NOBODY;
    const known = this.byHash.get(sha256(key)) ?? [];
    const keys = known.map((caller) => caller.key!);
    const found = findKey(keys, key, this.options.clock.now());
    return known.find((caller) => caller.key === found) ?? NOBODY;
  }

  /** The owner of a session, while its key is valid. */
  callerOf({ keyId, keyHash, person }: Session): Caller {
    // The identity provider is the first tenant's.
    if (person !== null) return { key: person.record, tenant: DEFAULT_TENANT };
    const now = this.options.clock.now();
    const known = this.byHash.get(keyHash) ?? [];
    return known.find(({ key }) => key!.id === keyId && isValid(key!, now)) ?? NOBODY;
  }

  /** As {@link check}, for somebody who was looked up already. */
  admit(need: Need, asking: Asking, pipeline?: string | null): Caller {
    const { key: record, tenant, given } = asking;
    const caller: Caller = { key: record, tenant };
    if (need === "open") return caller;
    if (record === null) {
      if (need === "admin" || need === OPERATOR || this.asks) throw this.missing(need, given);
      this.charge(caller, 1);
      return caller;
    }
    if (need === OPERATOR && record.role !== OPERATOR) throw notOperator(record.role);
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

  /**
   * Takes so many requests from the allowances of the key and of its tenant; a batch counts by its items. Whoever runs the server sets the
   * limits of tenants, and pays from none: else a limit could never be undone. Throws `server.rate-limited`.
   */
  charge({ key, tenant }: Caller, count: number): void {
    if (key?.role !== OPERATOR) this.quotas.get(tenant)?.charge(count);
    if (key === null || key.rate === null || count <= 0) return;
    const { perSecond, burst } = key.rate;
    const now = this.options.clock.elapsed();
    // By hash: keys of two tenants may have one id.
    const bucket = this.buckets.get(key.hash) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    this.buckets.set(key.hash, bucket);
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

  private all(): readonly Caller[] {
    return [...this.byHash.values()].flat();
  }

  private index(): void {
    const { fixed, admin } = this.options;
    const byHash = new Map<string, Caller[]>();
    const add = (key: KeyRecord, tenant: Tenant): void => {
      const known = byHash.get(key.hash);
      if (known === undefined) byHash.set(key.hash, [{ key, tenant }]);
      else known.push({ key, tenant });
    };
    for (const key of [...(admin === null ? [] : [admin]), ...fixed]) add(key, DEFAULT_TENANT);
    for (const [tenant, { keys }] of this.rings) for (const key of keys) add(key, tenant);
    this.byHash = byHash;
  }

  private missing(need: Need, given: boolean): SentinelError {
    const now = this.options.clock.now();
    const able = ROLES.filter((role) => this.all().some(({ key }) => key!.role === role && isValid(key!, now)));
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

  /** Of a thousand tenants one after the other: their questions to the disk, asked at once, would keep requests waiting. */
  private async followAll(): Promise<void> {
    if (this.following) return;
    this.following = true;
    for (const [tenant, ring] of [...this.rings]) {
      if (this.rings.get(tenant) === ring) void this.follow(tenant, ring);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.following = false;
  }

  /** Keys that cannot be read any more leave the last ones in force. */
  private async follow(tenant: Tenant, ring: Ring): Promise<void> {
    if (ring.reading) return;
    ring.reading = true;
    try {
      const read = await ring.store.read();
      ring.fault = "";
      if (read === ring.read) return;
      ring.read = read;
      const keys = keysFor(tenant, read);
      if (JSON.stringify(keys) === JSON.stringify(ring.keys)) return;
      ring.keys = keys;
      this.index();
    } catch (error) {
      if (ring.fault !== messageOf(error)) {
        this.options.logger.error({ error: messageOf(error) }, "the keys cannot be read; the last ones stay in force");
      }
      ring.fault = messageOf(error);
    } finally {
      ring.reading = false;
    }
  }
}

/** Whoever runs the server has keys of the first tenant alone: an administrator of another one must not become an operator. */
function keysFor(tenant: Tenant, keys: readonly KeyRecord[]): readonly KeyRecord[] {
  return tenant === DEFAULT_TENANT ? keys : keys.filter(({ role }) => role !== OPERATOR);
}

function notOperator(role: Role): SentinelError {
  return new SentinelError("server.key-role", `this key is for ${role}, and this needs one for ${OPERATOR}`, {
    hint: `whoever runs the server makes one: \`sentinel keys add --role ${OPERATOR}\``,
  });
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
