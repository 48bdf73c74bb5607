// Version 2: pipelines.
import type { Migration } from "../migration.ts";

export const pipelines: Migration = {
  name: "002-pipelines",
  async up(sql, { whole, json }) {
    await sql.schema
      .createTable("pipelines")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("slug", "text", (column) => column.notNull().unique())
      .addColumn("name", "text", (column) => column.notNull().unique())
      .addColumn("source", "text", (column) => column.notNull())
      .addColumn("kafka_topic", "text")
      .addColumn("fields", json, (column) => column.notNull())
      .addColumn("settings", json, (column) => column.notNull())
      .addColumn("status", "text", (column) => column.notNull())
      .addColumn("schema_version", whole, (column) => column.notNull())
      .addColumn("version", whole, (column) => column.notNull())
      .addColumn("created_at", whole, (column) => column.notNull())
      .addColumn("changed_at", whole, (column) => column.notNull())
      .execute();
    for (const name of ["pipelines", "pipelines_revision"]) {
      await sql.insertInto("counters").values({ name, value: 0 }).execute();
    }
  },
};
