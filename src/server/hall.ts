// The hall: behind one door a room for each tenant, in which nothing is but what is the tenant's, and a lobby for who shows no key.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../core/errors.ts";
import { OPERATOR } from "../core/key.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";
import { Rounds } from "../lifecycle/rounds.ts";
import type { EngineLog } from "../online/counters.ts";
import type { Pipelines } from "../online/pipelines.ts";
import type { KeyStore } from "../ports/keys.ts";
import type { TenantRecord } from "../ports/store.ts";
import type { Access, Caller } from "./access.ts";
import type { Server, ServerParts } from "./parts.ts";

/** A tenant's part of the server, and what ends it. */
export interface Room {
  readonly server: Server;
  stop(drainMsMax: number): Promise<void>;
}

/** Who the tenants are, and how one's room is opened. */
export interface TenantsInput {
  /** All of them. */
  list(): Promise<readonly TenantRecord[]>;
  open(tenant: TenantRecord): Promise<{ readonly room: Room; readonly keys: KeyStore }>;
}

/** A room whose keys may still be unread. */
interface KeyedRoom extends Room {
  readonly keys: KeyStore;
}

/** A tenant that another process made is here within this time, and one that was removed is gone. */
const POLL_MS = 1000;
/** How long a removed tenant's requests are answered. */
const GRACE_MS = 2000;

export class Hall {
  readonly first: Server;
  private readonly lobby: Server;
  private readonly rooms = new Map<Tenant, KeyedRoom>();
  /** Why tenants are not served, so that it is said once. */
  private readonly faults = new Map<Tenant, string>();
  private readonly input: TenantsInput | null;
  private readonly logger: EngineLog;
  private readonly rounds: Rounds;
  private fault: string | null = null;

  constructor(of: {
    readonly first: Server;
    readonly lobby: Server;
    readonly input: TenantsInput | null;
    readonly pollMs?: number;
  }) {
    this.first = of.first;
    this.lobby = of.lobby;
    this.input = of.input;
    this.logger = of.first.logger;
    this.access.limit(DEFAULT_TENANT, this.first.quotas);
    this.rounds = new Rounds(() => this.look(), of.pollMs ?? POLL_MS);
  }

  /** The first look, and one every second from then on. Never throws. */
  async start(): Promise<void> {
    if (this.input === null) return;
    await this.rounds.next();
    this.rounds.start();
  }

  /** Ends all rooms but the first. */
  async stop(drainMsMax: number): Promise<void> {
    await this.rounds.stop();
    await Promise.all([...this.rooms.values()].map((room) => room.stop(drainMsMax)));
  }

  /** Looks for tenants now; never throws. */
  next(): Promise<void> {
    return this.input === null ? Promise.resolve() : this.rounds.next();
  }

  /**
   * Where a caller is. Once there are several tenants, who shows no key sees nothing of any of them, and neither does whoever runs the server:
   * the lobby has no pipelines.
   */
  of({ key, tenant }: Caller): Server {
    if (this.rooms.size === 0) return this.first;
    if (key === null || key.role === OPERATOR) return this.lobby;
    return tenant === DEFAULT_TENANT ? this.first : (this.rooms.get(tenant)?.server ?? this.lobby);
  }

  /** Where somebody is of whom nothing is known yet. */
  get nobodys(): Server {
    return this.rooms.size === 0 ? this.first : this.lobby;
  }

  /** The pipelines of whose key it is; the key is read only where there are several tenants. */
  pipelinesBy(key: () => string | null): Pipelines<ServerParts> {
    return this.rooms.size === 0 ? this.first.pipelines : this.of(this.first.access.find(key())).pipelines;
  }

  /** All rooms, the first one first. */
  all(): readonly Server[] {
    return [this.first, ...[...this.rooms.values()].map(({ server }) => server)];
  }

  private async look(): Promise<void> {
    try {
      const all = await this.input!.list();
      const wanted = all.filter(({ name, status }) => name !== DEFAULT_TENANT && status === "active");
      const own = all.find(({ name }) => name === DEFAULT_TENANT);
      if (own !== undefined) this.first.quotas.set(own.quotas);
      for (const tenant of [...this.rooms.keys()]) {
        if (!wanted.some(({ name }) => name === tenant)) await this.close(tenant);
      }
      for (const record of wanted) {
        if (this.rounds.stopped) return;
        this.rooms.get(record.name)?.server.quotas.set(record.quotas);
        await this.admit(record);
      }
      this.fault = null;
    } catch (error) {
      if (this.fault === null)
        this.logger.warn({ error: messageOf(error) }, "the tenants cannot be read; those that are known go on");
      this.fault = messageOf(error);
    }
  }

  /** Opens a tenant's room and reads its keys; each look does what the one before could not. */
  private async admit(record: TenantRecord): Promise<void> {
    const { name } = record;
    if (this.access.knows(name)) return;
    try {
      const room = this.rooms.get(name) ?? (await this.opened(record));
      await this.access.admitTenant(name, room.keys);
      this.faults.delete(name);
      this.logger.info({ tenant: name }, "a tenant is served");
    } catch (error) {
      const fault = messageOf(error);
      if (this.faults.get(name) !== fault)
        this.logger.error({ tenant: name, error: fault }, "a tenant cannot be served; it is tried again");
      this.faults.set(name, fault);
    }
  }

  /** The room stands before any key leads into it: a key without a room would find the first tenant's. */
  private async opened(record: TenantRecord): Promise<KeyedRoom> {
    const { room: own, keys } = await this.input!.open(record);
    const room = { ...own, keys };
    this.rooms.set(record.name, room);
    this.access.limit(record.name, own.server.quotas);
    return room;
  }

  private async close(tenant: Tenant): Promise<void> {
    const room = this.rooms.get(tenant)!;
    this.access.dropTenant(tenant);
    await sleep(GRACE_MS, undefined, { ref: false });
    await room.stop(GRACE_MS).catch((error: unknown) => {
      this.logger.error({ tenant, error: messageOf(error) }, "a tenant's pipelines did not end well");
    });
    this.rooms.delete(tenant);
    this.faults.delete(tenant);
    this.logger.info({ tenant }, "a tenant is served no more");
  }

  private get access(): Access {
    return this.first.access;
  }
}
