// A store as the tenant has it whose everything was before there were others.
import { DEFAULT_TENANT } from "../../../src/core/tenant.ts";
import type { SqlStore, SqlStores } from "../../../src/drivers/store/sql/driver.ts";

/** A tenant's handle, what it is a part of, and what closes that. */
export interface OpenStore extends SqlStore {
  readonly stores: SqlStores;
  close(): Promise<void>;
}

export async function ofDefault(opening: Promise<SqlStores>): Promise<OpenStore> {
  const stores = await opening;
  return { ...stores.of(DEFAULT_TENANT), stores, close: () => stores.close() };
}
