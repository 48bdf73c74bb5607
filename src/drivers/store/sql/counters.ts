// Counters: whoever raises one holds its row until the transaction ends, so that what it numbers becomes visible in the order of its numbers.
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

/** Raises a counter by `by` and gives the value that it has then. */
export async function raise(sql: SqlTransaction, name: Counter, by = 1): Promise<number> {
  const { value } = await sql
    .updateTable("counters")
    .set((row) => ({ value: row("value", "+", by) }))
    .where("name", "=", name)
    .returning("value")
    .executeTakeFirstOrThrow();
  return Number(value);
}
