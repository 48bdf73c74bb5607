// Locks over what servers of several machines share in PostgreSQL: held by a session, so that a dead holder's lock is free at once.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { Lock } from "../../ports/ports.ts";
import { faultOf } from "../store/postgres/errors.ts";
import { createPool, type PostgresAddress, placeOf } from "../store/postgres/pool.ts";

const STATEMENT_MS_MAX = 5_000;
/** A session that broke took its locks along: they are taken again so often. */
const RETAKE_MS = 1_000;

export interface PostgresLocksOptions {
  readonly address: PostgresAddress;
  /** What a lock is called where there are those of other tenants too. */
  readonly nameOf: (name: string) => string;
  /** Locks among the processes of this machine, which are taken first. */
  readonly local: Lock;
  /** Hears of a lock that was lost with its session and that somebody else has now. */
  readonly onLost: (message: string) => void;
}

/** `local`, and where a lock is meant `everywhere` one holder on all machines too. Errors: lifecycle.locked, store.unreachable. */
export function createPostgresLocks({ address, nameOf, local, onLost }: PostgresLocksOptions): Lock & {
  close(): Promise<void>;
} {
  const session = new Session(address, onLost);
  return {
    async acquire(name, options) {
      const here = await local.acquire(name);
      if (options?.everywhere !== true) return here;
      try {
        await session.take(nameOf(name));
      } catch (error) {
        await here.release();
        throw error;
      }
      return {
        async release() {
          await session.release(nameOf(name));
          await here.release();
        },
      };
    },
    close: () => session.close(),
  };
}

/** All locks of one process are of one session: a connection more, however many pipelines it serves. */
class Session {
  private readonly address: PostgresAddress;
  private readonly onLost: (message: string) => void;
  private readonly pool: pg.Pool;
  private client: pg.PoolClient | null = null;
  private readonly names = new Set<string>();
  /** One after the other: several takers would make several sessions. */
  private turn: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(address: PostgresAddress, onLost: (message: string) => void) {
    this.address = address;
    this.onLost = onLost;
    this.pool = createPool(address, { connectionsMax: 1, statementMsMax: STATEMENT_MS_MAX });
  }

  take(name: string): Promise<void> {
    return this.inTurn(async () => {
      await this.lock(name);
      this.names.add(name);
    });
  }

  release(name: string): Promise<void> {
    return this.inTurn(async () => {
      this.names.delete(name);
      // A session that is gone has released its locks; one that fails here is given up, and releases them so.
      await this.client
        ?.query("SELECT pg_advisory_unlock(hashtextextended($1, 0))", [this.keyOf(name)])
        .catch(() => this.giveUp());
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.turn;
    this.giveUp();
    await this.pool.end();
  }

  private giveUp(): void {
    const { client } = this;
    this.client = null;
    client?.release(true);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  private keyOf(name: string): string {
    return `${this.address.schema} ${name}`;
  }

  /** Errors: lifecycle.locked, store.unreachable. */
  private async lock(name: string): Promise<void> {
    const where = placeOf(this.address);
    try {
      this.client ??= await this.begin();
      const key = this.keyOf(name);
      const { rows } = await this.client.query("SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked", [key]);
      if ((rows[0] as { readonly locked: boolean }).locked) return;
      throw await lockedBy(this.client, { name, key, where });
    } catch (error) {
      if (error instanceof SentinelError || faultOf(error) === null) throw error;
      throw new SentinelError(
        "store.unreachable",
        `the lock ${name} cannot be asked for in ${where}: ${messageOf(error)}`,
        { hint: "is PostgreSQL running, and reachable from here? Try again when it is back", cause: error },
      );
    }
  }

  private async begin(): Promise<pg.PoolClient> {
    const client = await this.pool.connect();
    client.once("end", () => {
      // The pool makes another one once this one is given back.
      if (this.client === client) this.giveUp();
      if (!this.closed && this.names.size > 0) void this.retake();
    });
    // Whoever is refused reads who has a lock in the name of the session.
    const name = `sentinel ${hostname()} ${process.pid}`;
    try {
      await client.query("SELECT set_config('application_name', $1, false)", [name]);
    } catch (error) {
      client.release(true);
      throw error;
    }
    return client;
  }

  /** Takes what the session that broke had, until it has all of it again. Away, nobody else can take it; whoever was faster is reported once. */
  private async retake(): Promise<void> {
    const missing = new Set(this.names);
    const lost = new Set<string>();
    while (missing.size > 0 && !this.closed) {
      await sleep(RETAKE_MS, undefined, { ref: false });
      for (const name of missing) {
        if (!this.names.has(name) || (await this.retakeOne(name, lost))) missing.delete(name);
      }
    }
  }

  private async retakeOne(name: string, lost: Set<string>): Promise<boolean> {
    try {
      await this.inTurn(async () => {
        if (!this.closed && this.names.has(name)) await this.lock(name);
      });
      return true;
    } catch (error) {
      if (error instanceof SentinelError && error.code === "lifecycle.locked" && !lost.has(name)) {
        lost.add(name);
        this.onLost(`${error.message}; ${error.hint}`);
      }
      return false;
    }
  }
}

async function lockedBy(
  client: pg.PoolClient,
  { name, key, where }: { readonly name: string; readonly key: string; readonly where: string },
): Promise<SentinelError> {
  const { rows } = await client.query(
    `SELECT a.application_name AS holder FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted
       AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended($1, 0) LIMIT 1`,
    [key],
  );
  const holder = (rows[0] as { readonly holder: string } | undefined)?.holder ?? "somebody";
  return new SentinelError("lifecycle.locked", `${name} is locked by ${holder} in ${where}`, {
    hint: "wait until it has ended; servers of several machines serve one pipeline together where they share its state (SENTINEL_REDIS_URL)",
  });
}
