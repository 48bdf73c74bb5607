// Brings the tables of the store forward to this version.
import type { StoreTables } from "../ports/store.ts";

export interface StoreMigration {
  readonly where: string;
  readonly from: number;
  readonly to: number;
  /** Names of the steps that were taken, in order. */
  readonly applied: readonly string[];
}

/** Errors: store.schema-new, and those of the store. */
export async function migrateStore(tables: StoreTables): Promise<StoreMigration> {
  const { version: from } = await tables.schema();
  const applied = await tables.migrate();
  const { version: to } = await tables.schema();
  return { where: tables.where, from, to, applied };
}
