// Counters: whoever raises one holds its row until the transaction ends, so that what it numbers becomes visible in the order of its numbers.
import { SentinelError } from "../../../core/errors.ts";
import type { SqlTransaction } from "./tables.ts";

export const COUNTERS = [
  "pipelines",
  "pipelines_revision",
  "rule_numbers",
  "alerts",
  "audit",
  "audit_begin",
  "cases",
  "snoozes",
  "outbox",
] as const;
export type Counter = (typeof COUNTERS)[number];

/** Raises a counter by `by` and gives the value that it has then. Only tenants that there are have counters. Errors: tenant.missing. */
export async function raise(sql: SqlTransaction, name: Counter, by = 1): Promise<number> {
  const row = await sql
    .updateTable("counters")
    .set((row) => ({ value: row("value", "+", by) }))
    .where("name", "=", name)
    .returning("value")
    .executeTakeFirst();
  if (row !== undefined) return Number(row.value);
  throw new SentinelError("tenant.missing", "nothing can be written for a tenant that there is not", {
    hint: "`sentinel tenants list` shows the tenants; `sentinel tenants add NAME` makes one",
  });
}
