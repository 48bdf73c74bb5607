// Connections to a PostgreSQL: a small pool with a limit on every wait, and numbers that come back as they were sent.
import pg from "pg";

/** A server, one database of it, one schema in that, and who we are to it. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user?: string;
  readonly password?: string;
  readonly tls: "off" | "encrypted" | "verified";
  readonly schema: string;
}

export interface PoolLimits {
  readonly connectionsMax: number;
  /** For one statement, by the server's clock. */
  readonly statementMsMax: number;
  readonly connectMsMax?: number;
}

const CONNECT_MS_MAX = 5_000;
/** So much later, by our clock, a server that went silent is given up. */
const SILENCE_MS = 2_000;
/** For a row that another transaction holds. */
const LOCK_MS_MAX = 5_000;
/** A transaction of ours that stopped in the middle gives its rows back. */
const IDLE_IN_TRANSACTION_MS_MAX = 15_000;
const IDLE_MS_MAX = 30_000;

export function createPool(address: PostgresAddress, limits: PoolLimits): pg.Pool {
  const { connectionsMax, statementMsMax, connectMsMax = CONNECT_MS_MAX } = limits;
  const pool = new pg.Pool({
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password: address.password,
    ssl: address.tls === "off" ? false : { rejectUnauthorized: address.tls === "verified" },
    application_name: "sentinel",
    max: connectionsMax,
    connectionTimeoutMillis: connectMsMax,
    idleTimeoutMillis: IDLE_MS_MAX,
    statement_timeout: statementMsMax,
    query_timeout: statementMsMax + SILENCE_MS,
    lock_timeout: Math.min(LOCK_MS_MAX, statementMsMax),
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    keepAlive: true,
    // A role may be set to fewer digits than a double has: scores would come back changed.
    options: "-c extra_float_digits=1",
    types: { getTypeParser: parserOf },
  });
  // A connection that ends while nobody waits for an answer (idle, or between two statements of a transaction) says so by an event, which unheard
  // would end the process. Whoever uses it next gets an error, and the pool makes another one.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

const borrowed = new Map<string, { readonly pool: pg.Pool; users: number }>();

/** A pool that all of one use in this process (thread) share; it ends with the last of them. */
export function borrowPool(
  use: string,
  address: PostgresAddress,
  limits: PoolLimits,
): { readonly pool: pg.Pool; giveBack(): Promise<void> } {
  const key = JSON.stringify([use, address]);
  const entry = borrowed.get(key) ?? { pool: createPool(address, limits), users: 0 };
  borrowed.set(key, entry);
  entry.users++;
  let returned = false;
  return {
    pool: entry.pool,
    async giveBack() {
      if (returned) return;
      returned = true;
      if (--entry.users > 0) return;
      borrowed.delete(key);
      await entry.pool.end();
    },
  };
}

/** For people: without who we are and what opens it. */
export function placeOf({ host, port, database, schema }: PostgresAddress): string {
  return `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${database} (schema ${schema})`;
}

const INT8 = 20;
const JSONB = 3802;

/** Whole numbers stay below 2^53; JSON is parsed where it is known what it means. */
function parserOf(type: number, format?: string): (text: string) => unknown {
  if (type === INT8) return Number;
  if (type === JSONB) return (text) => text;
  return (pg.types.getTypeParser as (type: number, format?: string) => (text: string) => unknown)(type, format);
}
