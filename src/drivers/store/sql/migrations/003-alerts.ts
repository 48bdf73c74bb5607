// Version 3: alerts, which rules fired in each, and how many there are.
import type { Migration } from "../migration.ts";

export const alerts: Migration = {
  name: "003-alerts",
  async up(sql, { whole, real, json }) {
    await sql.schema
      .createTable("alerts")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("transaction_id", "text")
      .addColumn("severity", "text", (column) => column.notNull())
      .addColumn("rules", json, (column) => column.notNull())
      .addColumn("decision", "text", (column) => column.notNull())
      .addColumn("decided_by", "text", (column) => column.notNull())
      .addColumn("score", real)
      .addColumn("reasons", json, (column) => column.notNull())
      .addColumn("bundle", "text")
      .addColumn("rule_set", "text")
      .addColumn("vector_hash", "text")
      .addColumn("entity", "text")
      .addColumn("amount", real)
      .addColumn("body", json, (column) => column.notNull())
      .addColumn("time", whole, (column) => column.notNull())
      .addColumn("alerted_at", whole, (column) => column.notNull())
      .addUniqueConstraint("alerts_transaction", ["transaction_id", "pipeline"])
      .execute();
    // Each leads pages: they are in the order of alerted_at and id.
    const leads: readonly (readonly string[])[] = [
      [],
      ["pipeline"],
      ["severity"],
      ["pipeline", "severity"],
      ["entity"],
    ];
    for (const lead of leads) {
      await sql.schema
        .createIndex(["alerts", "by", ...lead, "time"].join("_"))
        .on("alerts")
        .columns([...lead, "alerted_at", "id"])
        .execute();
    }
    await sql.schema
      .createTable("alert_rules")
      .addColumn("rule", "text", (column) => column.notNull())
      .addColumn("alerted_at", whole, (column) => column.notNull())
      .addColumn("alert", whole, (column) => column.notNull())
      .addPrimaryKeyConstraint("alert_rules_key", ["rule", "alerted_at", "alert"])
      .execute();
    await sql.schema
      .createTable("alert_hours")
      .addColumn("hour", whole, (column) => column.notNull())
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("severity", "text", (column) => column.notNull())
      .addColumn("count", whole, (column) => column.notNull())
      .addPrimaryKeyConstraint("alert_hours_key", ["hour", "pipeline", "severity"])
      .execute();
    await sql.schema
      .createTable("alert_totals")
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("severity", "text", (column) => column.notNull())
      .addColumn("count", whole, (column) => column.notNull())
      .addPrimaryKeyConstraint("alert_totals_key", ["pipeline", "severity"])
      .execute();
    await sql.insertInto("counters").values({ name: "alerts", value: 0 }).execute();
  },
};
