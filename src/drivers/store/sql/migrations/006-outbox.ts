// Version 6: messages on their way to receivers, and those that nobody took.
import type { Migration } from "../migration.ts";

export const outbox: Migration = {
  name: "006-outbox",
  async up(sql, { whole }) {
    await sql.schema
      .createTable("outbox")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("target", "text", (column) => column.notNull())
      // What happened: told to a target once.
      .addColumn("happening", "text", (column) => column.notNull())
      .addColumn("notice", "text", (column) => column.notNull())
      .addColumn("pipeline", "text")
      .addColumn("body", "text", (column) => column.notNull())
      .addColumn("at", whole, (column) => column.notNull())
      // 1 while it waits; then it is kept for a while, so that the same is not told again.
      .addColumn("waiting", whole, (column) => column.notNull())
      .addColumn("tries", whole, (column) => column.notNull())
      .addColumn("cause", "text", (column) => column.notNull())
      .addColumn("next_at", whole, (column) => column.notNull())
      .addUniqueConstraint("outbox_happening", ["target", "happening"])
      .execute();
    await sql.schema.createIndex("outbox_order").on("outbox").columns(["waiting", "target", "id"]).execute();
    await sql.schema
      .createTable("dead_letters")
      .addColumn("id", whole, (column) => column.primaryKey())
      .addColumn("target", "text", (column) => column.notNull())
      .addColumn("happening", "text", (column) => column.notNull())
      .addColumn("notice", "text", (column) => column.notNull())
      .addColumn("pipeline", "text")
      .addColumn("body", "text", (column) => column.notNull())
      .addColumn("at", whole, (column) => column.notNull())
      .addColumn("tries", whole, (column) => column.notNull())
      .addColumn("cause", "text", (column) => column.notNull())
      .addColumn("died_at", whole, (column) => column.notNull())
      .execute();
    await sql.schema.createIndex("dead_letters_target").on("dead_letters").columns(["target", "id"]).execute();
    await sql.insertInto("counters").values({ name: "outbox", value: 0 }).execute();
  },
};
