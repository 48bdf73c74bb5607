// Version 5: cases, their alerts and history, the labels that closings owe, snoozes, and up to which alert cases were made.
import { sql as raw } from "kysely";
import type { Migration } from "../migration.ts";

export const cases: Migration = {
  name: "005-cases",
  async up(sql, { whole, real, named }) {
    await sql.schema
      .createTable("cases")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("entity_column", "text", (column) => column.notNull())
      .addColumn("entity", "text", (column) => column.notNull())
      // One open case per entity: a closed one has none, and nulls are never equal.
      .addColumn("open_key", "text", (column) => column.unique())
      .addColumn("open", whole, (column) => column.notNull())
      .addColumn("status", "text", (column) => column.notNull())
      .addColumn("severity", "text", (column) => column.notNull())
      .addColumn("why", "text", (column) => column.notNull())
      .addColumn("disposition", "text")
      .addColumn("assignee", "text")
      .addColumn("free_at", whole)
      .addColumn("kept_for", "text")
      .addColumn("opened_at", whole, (column) => column.notNull())
      .addColumn("due_at", whole, (column) => column.notNull())
      .addColumn("closed_at", whole)
      .addColumn("worth", whole, (column) => column.notNull())
      .addColumn("words", "text", (column) => column.notNull())
      .addColumn("version", whole, (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .execute();
    // Pages lead along one of these; the queue along the last three.
    for (const columns of [
      ["pipeline", "id"],
      ["open", "id"],
      ["entity", "id"],
      ["assignee", "id"],
      ["disposition", "id"],
      ["open", "pipeline", "worth", "id"],
      ["open", "pipeline", "due_at", "id"],
      ["open", "why", "pipeline", "id"],
      ["closed_at"],
    ]) {
      await sql.schema
        .createIndex(["cases_by", ...columns].join("_"))
        .on("cases")
        .columns(columns)
        .execute();
    }
    await sql.schema
      .createTable("case_alerts")
      .addColumn("case_id", whole, (column) => column.notNull())
      .addColumn("alert", whole, (column) => column.notNull().unique())
      .addColumn("transaction_id", "text")
      .addColumn("why", "text", (column) => column.notNull())
      .addColumn("propensity", real)
      .addPrimaryKeyConstraint("case_alerts_key", ["case_id", "alert"])
      .execute();
    await sql.schema
      .createTable("case_events")
      .addColumn("case_id", whole, (column) => column.notNull())
      .addColumn("place", whole, (column) => column.notNull())
      .addColumn("at", whole, (column) => column.notNull())
      .addColumn("actor", "text", (column) => column.notNull())
      .addColumn("action", "text", (column) => column.notNull())
      .addColumn("words", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("case_events_key", ["case_id", "place"])
      .execute();
    await sql.schema
      .createTable("case_labels")
      .addColumn("case_id", whole, (column) => column.notNull())
      .addColumn("closing", whole, (column) => column.notNull())
      .addColumn("transaction_id", "text", (column) => column.notNull())
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("fraud", whole, (column) => column.notNull())
      .addColumn("why", "text", (column) => column.notNull())
      .addColumn("propensity", real)
      .addColumn("state", "text", (column) => column.notNull())
      .addColumn("cause", "text", (column) => column.notNull())
      .addColumn("tries", whole, (column) => column.notNull())
      .addColumn("next_at", whole, (column) => column.notNull())
      .addPrimaryKeyConstraint("case_labels_key", ["case_id", "closing", "transaction_id"])
      .execute();
    await sql.schema
      .createIndex("case_labels_by_state")
      .on("case_labels")
      .columns(["pipeline", "state", "next_at"])
      .execute();
    await sql.schema
      .createTable("case_positions")
      .addColumn("pipeline", whole, (column) => column.primaryKey())
      .addColumn("alert", whole, (column) => column.notNull())
      .execute();
    await sql.schema
      .createTable("snoozes")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("pipeline", whole, (column) => column.notNull())
      .addColumn("entity", "text", (column) => column.notNull())
      .addColumn("rule", "text", (column) => column.notNull())
      .addColumn("until_at", whole, (column) => column.notNull())
      .addColumn("reason", "text", (column) => column.notNull())
      .addColumn("actor", "text", (column) => column.notNull())
      .addColumn("at", whole, (column) => column.notNull())
      .execute();
    await sql.schema
      .createIndex("snoozes_by_entity")
      .on("snoozes")
      .columns(["pipeline", "entity", "rule", "until_at"])
      .execute();
    await sql.schema.createIndex("alerts_by_pipeline_id").on("alerts").columns(["pipeline", "id"]).execute();
    for (const name of ["cases", "snoozes"]) await sql.insertInto("counters").values({ name, value: 0 }).execute();
    // Alerts of before this version open no cases: nobody worked them here, and there may be years of them.
    await raw`insert into ${named("case_positions")} (pipeline, alert)
      select pipeline, max(id) from ${named("alerts")} group by pipeline`.execute(sql);
  },
};
