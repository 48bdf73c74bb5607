// The store on SQL: one of each part, on a database that a vendor opened.
import { SentinelError } from "../../../core/errors.ts";
import type { Tenant } from "../../../core/tenant.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { RulesCopy } from "../../../ports/rules.ts";
import type { Store, Stores } from "../../../ports/store.ts";
import { alertsOf } from "./alerts.ts";
import { auditOf } from "./audit.ts";
import { casesOf } from "./cases.ts";
import { Database, inPlainWords, patiently, type Vendor } from "./database.ts";
import { eraseFromStore } from "./erase.ts";
import { ledgerOf } from "./ledger.ts";
import { type SchemaPlace, schemaOf } from "./migrate.ts";
import { outboxOf } from "./outbox.ts";
import { pipelinesOf } from "./pipelines.ts";
import { ruleNumbersOf } from "./rule-numbers.ts";
import { adoptRules, rulesOf } from "./rules.ts";
import { tenantsOf } from "./tenants.ts";

/** A tenant's store with what only wiring asks of it. */
export interface SqlStore extends Store {
  /** False where the store has rules of the pipeline already. */
  adoptRules(pipeline: string, copy: RulesCopy): Promise<boolean>;
}

export interface SqlStores extends Stores {
  of(tenant: Tenant): SqlStore;
  close(): Promise<void>;
}

export function createSqlStores(
  vendor: Vendor,
  options: { readonly clock: Pick<Clock, "elapsed">; readonly place: SchemaPlace },
): SqlStores {
  const { clock, place } = options;
  /** One per tenant that somebody asked for: what their parts remember of what they read stays. */
  const stores = new Map<Tenant, SqlStore>();
  const common = {
    where: vendor.where,
    kind: vendor.kind,
    ping: async () => {
      await patiently({ vendor, clock }, "read", () =>
        vendor.read((sql) => sql.selectFrom("tenants").select("name").limit(1).execute(), { tenant: null }),
      );
    },
    schema: () => schemaOf(place),
  };
  let closed = false;
  return {
    ...common,
    tenants: tenantsOf(vendor, clock),
    of(tenant) {
      const store = stores.get(tenant) ?? { ...common, ...storeOf(new Database(vendor, { clock, tenant })) };
      stores.set(tenant, store);
      return store;
    },
    async close() {
      if (closed) return;
      closed = true;
      await vendor.close();
    },
  };
}

function storeOf(database: Database): Omit<SqlStore, "where" | "kind" | "ping" | "schema"> {
  return {
    tenant: database.tenant,
    pipelines: pipelinesOf(database),
    ruleNumbers: ruleNumbersOf(database),
    alerts: alertsOf(database),
    audit: auditOf(database),
    ledger: ledgerOf(database),
    cases: casesOf(database),
    outbox: outboxOf(database),
    rules: (pipeline) => rulesOf(database, pipeline),
    adoptRules: (pipeline, copy) => adoptRules(database, pipeline, copy),
    erase: (eraser, run) => vendorErrors(database, () => eraseFromStore(database, { eraser, run })),
  };
}

/** Writing a file anew is neither a read nor a change of ours: its errors come as the vendor gave them. */
async function vendorErrors<T>(database: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fault = error instanceof SentinelError ? null : database.vendor.faultOf(error);
    throw fault === null ? error : inPlainWords(database.vendor.where, { error, fault, doing: "write" });
  }
}
