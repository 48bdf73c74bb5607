// The store on PostgreSQL: a small pool with a limit on every wait; tables are made by `sentinel db migrate` only.
import { type CompiledQuery, Kysely, PostgresDialect, sql as raw } from "kysely";
import { SentinelError } from "../../../core/errors.ts";
import type { Tenant } from "../../../core/tenant.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { StoreSchema, StoreTables } from "../../../ports/store.ts";
import { type Erasing, inPlainWords, type Vendor } from "../sql/database.ts";
import { createSqlStores, type SqlStores } from "../sql/driver.ts";
import { MIGRATIONS, migrate, type SchemaPlace, schemaOf, tooNew, tooOld } from "../sql/migrate.ts";
import { columnTypes } from "../sql/migration.ts";
import type { Tables } from "../sql/tables.ts";
import { faultOf } from "./errors.ts";
import { createPool, type PostgresAddress, placeOf } from "./pool.ts";
import { ALL_TENANTS, asTenant } from "./tenancy.ts";

/** Connections of one process: polls, a page of alerts and a batch of them at once. */
const CONNECTIONS_MAX = 4;
/** For one statement, by the server's clock. */
const STATEMENT_MS_MAX = 10_000;
const MIGRATION_MS_MAX = 600_000;
/** Any number that no other program takes: "SNTL". */
const MIGRATION_LOCK = 0x534e544c;

export interface PostgresStoreOptions {
  readonly address: PostgresAddress;
  readonly clock: Pick<Clock, "elapsed">;
}

/** Errors: store.unreachable, store.schema-old, store.schema-new. */
export async function openPostgresStore({ address, clock }: PostgresStoreOptions): Promise<SqlStores> {
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
  const ours = sql.withSchema(address.schema);
  const vendor: Vendor = {
    kind: "postgres",
    where,
    sql: ours,
    faultOf,
    read: (ask, { tenant }) => asTenant(ours, tenant, ask),
    transaction: (change, { tenant }) => asTenant(ours, tenant, change),
    once: <Row>(statement: CompiledQuery, { tenant }: { readonly tenant: Tenant | null }) =>
      asTenant(ours, tenant, async (inside) => (await inside.executeQuery<Row>(statement)).rows),
    erasing: erasingOf(address),
    close: () => sql.destroy(),
  };
  return createSqlStores(vendor, { clock, place });
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

function erasingOf(address: PostgresAddress): Erasing {
  const named = (table: string) => raw`${raw.id(address.schema, table)}`;
  const triggers = (table: string, word: "disable" | "enable") =>
    raw`alter table ${named(table)} ${raw.raw(word)} trigger user`;
  return {
    async begin() {},
    // Statements that are written out whole have no tenant: triggers are of all.
    unseal: async (sql, table) => void (await triggers(table, "disable").execute(sql.withoutPlugins())),
    seal: async (sql, table) => void (await triggers(table, "enable").execute(sql.withoutPlugins())),
    async clean(tables) {
      const { sql } = connect(address, MIGRATION_MS_MAX);
      try {
        // Dead rows hold what they held until they are written over: the tables are written anew.
        for (const table of tables) await raw`vacuum (full) ${named(table)}`.execute(sql);
      } finally {
        await sql.destroy();
      }
    },
  };
}

function connect(
  address: PostgresAddress,
  statementMsMax: number,
): { readonly sql: Kysely<Tables>; readonly place: SchemaPlace } {
  const { schema } = address;
  const pool = createPool(address, { connectionsMax: CONNECTIONS_MAX, statementMsMax });
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
    async rowSecurity() {
      const { rows } = await raw<{
        free: boolean;
      }>`select rolsuper or rolbypassrls as free from pg_roles where rolname = current_user`.execute(sql);
      return rows[0]?.free === false ? "on" : "bypassed";
    },
    // A migration is for the rows of all.
    exclusively: (apply) =>
      asTenant(sql.withSchema(schema), ALL_TENANTS, async (inside) => {
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

function inWords(error: unknown, where: string): unknown {
  const fault = error instanceof SentinelError ? null : faultOf(error);
  return fault === null ? error : inPlainWords(where, { error, fault, doing: "open" });
}
