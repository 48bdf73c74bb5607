// For whom a transaction is: the setting by which PostgreSQL's row security tells one tenant's rows from those of others.
import { type Kysely, sql as raw } from "kysely";
import type { Tenant } from "../../../core/tenant.ts";
import type { SqlTransaction, Tables } from "../sql/tables.ts";

/** In place of a tenant: rows of all, for migrations and for whoever saves and restores the database. No tenant is called so. */
export const ALL_TENANTS = "*";

/**
 * Runs `work` in a transaction that is for one tenant, for all of them, or (null) for none. The setting ends with the transaction, so that a
 * connection never takes it to whoever borrows it next, also behind a pooler. Errors: the vendor's.
 */
export function asTenant<T>(
  sql: Kysely<Tables>,
  whose: Tenant | typeof ALL_TENANTS | null,
  work: (sql: SqlTransaction) => Promise<T>,
): Promise<T> {
  return sql.connection().execute(async (connection) => {
    try {
      // Two statements that are sent as one: naming the tenant costs no round trip. Without parameters, since only such texts may hold two.
      await raw`begin; select set_config('sentinel.tenant', ${raw.lit(whose ?? "")}, true)`.execute(connection);
      const result = await work(connection as SqlTransaction);
      await raw`commit`.execute(connection);
      return result;
    } catch (error) {
      // Where the connection broke the server has undone it, and the error that matters is the first one.
      await raw`rollback`.execute(connection).catch(() => {});
      throw error;
    }
  });
}
