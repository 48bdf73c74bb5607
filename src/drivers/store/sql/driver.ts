// The store on SQL: one of each part, on a database that a vendor opened.
import { SentinelError } from "../../../core/errors.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { RulesCopy } from "../../../ports/rules.ts";
import type { Store } from "../../../ports/store.ts";
import { alertsOf } from "./alerts.ts";
import { auditOf } from "./audit.ts";
import { casesOf } from "./cases.ts";
import { Database, inPlainWords, type Vendor } from "./database.ts";
import { eraseFromStore } from "./erase.ts";
import { ledgerOf } from "./ledger.ts";
import { type SchemaPlace, schemaOf } from "./migrate.ts";
import { outboxOf } from "./outbox.ts";
import { pipelinesOf } from "./pipelines.ts";
import { ruleNumbersOf } from "./rule-numbers.ts";
import { adoptRules, rulesOf } from "./rules.ts";

/** A store with what only wiring and the command line ask of it. */
export interface SqlStore extends Store {
  /** False where the store has rules of the pipeline already. */
  adoptRules(pipeline: string, copy: RulesCopy): Promise<boolean>;
  close(): Promise<void>;
}

export function createSqlStore(
  vendor: Vendor,
  options: { readonly clock: Pick<Clock, "elapsed">; readonly place: SchemaPlace },
): SqlStore {
  const database = new Database(vendor, options.clock);
  let closed = false;
  return {
    where: vendor.where,
    kind: vendor.kind,
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
    ping: async () => {
      await database.read((sql) => sql.selectFrom("counters").select("name").limit(1).execute());
    },
    schema: () => schemaOf(options.place),
    async close() {
      if (closed) return;
      closed = true;
      await vendor.close();
    },
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
