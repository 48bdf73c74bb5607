// The store on PostgreSQL: a small pool with a limit on every wait; tables are made by `sentinel db migrate` only.
import { type CompiledQuery, Kysely, PostgresDialect, sql as raw } from "kysely";
import pg from "pg";
import { SentinelError } from "../../../core/errors.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { StoreSchema, StoreTables } from "../../../ports/store.ts";
import { inPlainWords, type Vendor } from "../sql/database.ts";
import { createSqlStore, type SqlStore } from "../sql/driver.ts";
import { MIGRATIONS, migrate, type SchemaPlace, schemaOf, tooNew, tooOld } from "../sql/migrate.ts";
import { columnTypes } from "../sql/migration.ts";
import type { Tables } from "../sql/tables.ts";
import { faultOf } from "./errors.ts";

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

/** Connections of one process: polls, a page of alerts and a batch of them at once. */
const CONNECTIONS_MAX = 4;
const CONNECT_MS_MAX = 5_000;
/** For one statement, by the server's clock; then, for a server that went silent, by ours. */
const STATEMENT_MS_MAX = 10_000;
const SILENCE_MS_MAX = 12_000;
/** For a row that another transaction holds. */
const LOCK_MS_MAX = 5_000;
/** A transaction of ours that stopped in the middle gives its rows back. */
const IDLE_IN_TRANSACTION_MS_MAX = 15_000;
const IDLE_MS_MAX = 30_000;
const MIGRATION_MS_MAX = 600_000;
/** Any number that no other program takes: "SNTL". */
const MIGRATION_LOCK = 0x534e544c;

export interface PostgresStoreOptions {
  readonly address: PostgresAddress;
  readonly clock: Pick<Clock, "elapsed">;
}

/** Errors: store.unreachable, store.schema-old, store.schema-new. */
export async function openPostgresStore({ address, clock }: PostgresStoreOptions): Promise<SqlStore> {
  const { sql, place } = connect(address, STATEMENT_MS_MAX);
  const where = placeOf(address);
  try {
    const version = await place.version();
    if (version < MIGRATIONS.length) throw tooOld(version);
    if (version > MIGRATIONS.length) throw tooNew(version);
  } catch (error) {
    await sql.destroy();
    throw inWords(error, where);
  }
  const vendor: Vendor = {
    kind: "postgres",
    where,
    sql: sql.withSchema(address.schema),
    faultOf,
    transaction: (change) => sql.withSchema(address.schema).transaction().execute(change),
    once: async <Row>(statement: CompiledQuery) => (await sql.executeQuery<Row>(statement)).rows,
    close: () => sql.destroy(),
  };
  return createSqlStore(vendor, { clock, place });
}

/** Makes or brings forward the tables; `to` for tests of what earlier versions left. Errors: as above but store.schema-old. */
export async function migratePostgres(
  address: PostgresAddress,
  { to }: { readonly to?: number } = {},
): Promise<readonly string[]> {
  return withPlace(address, (place) => migrate(place, { to }));
}

/** Which version the tables have; 0 where there are none. */
export async function postgresSchema(address: PostgresAddress): Promise<StoreSchema> {
  return withPlace(address, schemaOf);
}

/** The tables of a store on PostgreSQL, whatever version they have. */
export function postgresTables(address: PostgresAddress): StoreTables {
  return {
    where: placeOf(address),
    kind: "postgres",
    schema: () => postgresSchema(address),
    migrate: () => migratePostgres(address),
  };
}

async function withPlace<T>(address: PostgresAddress, use: (place: SchemaPlace) => Promise<T>): Promise<T> {
  const { sql, place } = connect(address, MIGRATION_MS_MAX);
  try {
    return await use(place);
  } catch (error) {
    throw inWords(error, placeOf(address));
  } finally {
    await sql.destroy();
  }
}

function connect(
  address: PostgresAddress,
  statementMsMax: number,
): { readonly sql: Kysely<Tables>; readonly place: SchemaPlace } {
  const { schema } = address;
  const pool = new pg.Pool({
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password: address.password,
    ssl: address.tls === "off" ? false : { rejectUnauthorized: address.tls === "verified" },
    application_name: "sentinel",
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: IDLE_MS_MAX,
    statement_timeout: statementMsMax,
    query_timeout: statementMsMax + SILENCE_MS_MAX - STATEMENT_MS_MAX,
    lock_timeout: Math.min(LOCK_MS_MAX, statementMsMax),
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  });
  // A connection that ends while nobody waits for an answer (idle, or between two statements of a transaction) says so by an event, which unheard
  // would end the process. Whoever uses it next gets an error, and the pool makes another one.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const sql = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const table = raw`${raw.id(schema, "store_version")}`;
  const place: SchemaPlace = {
    types: columnTypes(schema),
    async version() {
      const there = await raw<{
        found: string | null;
      }>`select to_regclass(${`${schema}.store_version`})::text as found`.execute(sql);
      if ((there.rows[0]?.found ?? null) === null) return 0;
      const { rows } = await raw<{ version: number }>`select version from ${table}`.execute(sql);
      return Number(rows[0]?.version ?? 0);
    },
    exclusively: (apply) =>
      sql
        .withSchema(schema)
        .transaction()
        .execute(async (inside) => {
          await raw`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(inside);
          await raw`create schema if not exists ${raw.id(schema)}`.execute(inside);
          await raw`create table if not exists ${table} (version bigint not null)`.execute(inside);
          const { rows } = await raw<{ version: number }>`select version from ${table}`.execute(inside);
          const next = await apply(inside, Number(rows[0]?.version ?? 0));
          await raw`delete from ${table}`.execute(inside);
          await raw`insert into ${table} (version) values (${next})`.execute(inside);
        }),
  };
  return { sql, place };
}

const INT8 = 20;
const JSONB = 3802;

/** Whole numbers stay below 2^53; JSON is parsed where it is known what it means. */
function parserOf(type: number, format?: string): (text: string) => unknown {
  if (type === INT8) return Number;
  if (type === JSONB) return (text) => text;
  return (pg.types.getTypeParser as (type: number, format?: string) => (text: string) => unknown)(type, format);
}

/** For people: without who we are and what opens it. */
function placeOf({ host, port, database, schema }: PostgresAddress): string {
  return `postgres://${host.includes(":") ? `[${host}]` : host}:${port}/${database} (schema ${schema})`;
}

function inWords(error: unknown, where: string): unknown {
  const fault = error instanceof SentinelError ? null : faultOf(error);
  return fault === null ? error : inPlainWords(where, { error, fault, doing: "open" });
}
