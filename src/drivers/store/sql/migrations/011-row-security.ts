// Row security: PostgreSQL itself shows and takes only rows of the tenant that a transaction names; an embedded store has no such wall.
import { sql as raw } from "kysely";
import type { Migration } from "../migration.ts";

/** Tables with a column `tenant`, as they were when this was written. */
const TABLES = [
  "counters",
  "pipelines",
  "rule_journal",
  "rule_sets",
  "rule_lists",
  "rule_list_changes",
  "rule_numbers",
  "alerts",
  "alert_rules",
  "alert_hours",
  "alert_totals",
  "audit",
  "ledger",
  "cases",
  "case_alerts",
  "case_events",
  "case_labels",
  "case_positions",
  "snoozes",
  "outbox",
  "dead_letters",
] as const;

export const rowSecurity: Migration = {
  name: "011-row-security",
  async up(sql, { kind, named }) {
    if (kind === "embedded") return;
    // Where nothing is set it is null or empty, which no tenant is called.
    const whose = raw`current_setting('sentinel.tenant', true)`;
    for (const table of TABLES) {
      await raw`create policy of_its_tenant on ${named(table)} using (tenant = ${whose}) with check (tenant = ${whose})`.execute(
        sql,
      );
      await raw`create policy of_all_tenants on ${named(table)} using (${whose} = '*') with check (${whose} = '*')`.execute(
        sql,
      );
      await raw`alter table ${named(table)} enable row level security`.execute(sql);
      // Whoever made the tables is usually who serves.
      await raw`alter table ${named(table)} force row level security`.execute(sql);
    }
  },
};
