// Migrations: forward only, each in one transaction with its own record, so that a killed process leaves the form before or the one after.
import { SentinelError } from "../../../core/errors.ts";
import type { StoreSchema } from "../../../ports/store.ts";
import type { ColumnTypes, Migration } from "./migration.ts";
import { rules } from "./migrations/001-rules.ts";
import { pipelines } from "./migrations/002-pipelines.ts";
import { alerts } from "./migrations/003-alerts.ts";
import { ledger } from "./migrations/004-ledger.ts";
import { cases } from "./migrations/005-cases.ts";
import { outbox } from "./migrations/006-outbox.ts";
import { log } from "./migrations/008-log.ts";
import { retention } from "./migrations/009-retention.ts";
import { tenants } from "./migrations/010-tenants.ts";
import { rowSecurity } from "./migrations/011-row-security.ts";
import { pages } from "./migrations/012-pages.ts";
import type { SqlTransaction } from "./tables.ts";

/** In order; the first makes version 1. Never changed once released: what is wrong is put right by a later one. */
export const MIGRATIONS: readonly Migration[] = [
  rules,
  pipelines,
  alerts,
  ledger,
  cases,
  outbox,
  log,
  retention,
  tenants,
  rowSecurity,
  pages,
];

/** How a vendor remembers which version its tables have. */
export interface SchemaPlace {
  readonly types: ColumnTypes;
  /** 0 where there are no tables. */
  version(): Promise<number>;
  rowSecurity(): Promise<StoreSchema["rowSecurity"]>;
  /** Runs `apply` in a transaction that no other migration shares, with the version as it is in there. */
  exclusively(apply: (sql: SqlTransaction, version: number) => Promise<number>): Promise<void>;
}

export async function schemaOf(place: SchemaPlace): Promise<StoreSchema> {
  const version = await place.version();
  return {
    version,
    known: MIGRATIONS.length,
    pending: MIGRATIONS.slice(version).map(({ name }) => name),
    rowSecurity: await place.rowSecurity(),
  };
}

/** Brings the tables to a version (the newest one), one migration a transaction. Gives what was applied. Errors: store.schema-new. */
export async function migrate(place: SchemaPlace, { to = MIGRATIONS.length } = {}): Promise<readonly string[]> {
  const applied: string[] = [];
  const now = await place.version();
  if (now > MIGRATIONS.length) throw tooNew(now);
  for (let more = now < to; more; ) {
    more = false;
    await place.exclusively(async (sql, version) => {
      if (version > MIGRATIONS.length) throw tooNew(version);
      if (version >= to) return version;
      const migration = MIGRATIONS[version];
      await migration.up(sql, place.types);
      applied.push(migration.name);
      more = version + 1 < to;
      return version + 1;
    });
  }
  return applied;
}

export function tooNew(version: number): SentinelError {
  return new SentinelError(
    "store.schema-new",
    `the store has version ${version}, and this Sentinel knows versions up to ${MIGRATIONS.length}`,
    { hint: "use the Sentinel that migrated it, or a newer one; migrations never go back" },
  );
}

export function tooOld(version: number): SentinelError {
  const names = MIGRATIONS.slice(version).map(({ name }) => name);
  return new SentinelError(
    "store.schema-old",
    `the store has version ${version} of ${MIGRATIONS.length}; not applied yet: ${names.join(", ")}`,
    { hint: "run `sentinel db migrate` once, with the same SENTINEL_DATABASE_URL; it keeps what is there" },
  );
}
