// Version 4: the ledger of gateways.
import type { Migration } from "../migration.ts";

export const ledger: Migration = {
  name: "004-ledger",
  async up(sql, { whole }) {
    await sql.schema
      .createTable("ledger")
      .addColumn("id", "text", (column) => column.primaryKey())
      // Texts, not JSON: what was received and sent stays as it was, byte for byte.
      .addColumn("body", "text", (column) => column.notNull())
      .addColumn("answer", "text", (column) => column.notNull())
      .addColumn("by", "text", (column) => column.notNull())
      .addColumn("brain", "text")
      .addColumn("received_at", whole, (column) => column.notNull())
      .addColumn("answered_at", whole, (column) => column.notNull())
      // 1 while a brain has yet to score it.
      .addColumn("pending", whole, (column) => column.notNull())
      .addColumn("later_answer", "text")
      .addColumn("later_brain", "text")
      .addColumn("later_at", whole)
      .execute();
    await sql.schema.createIndex("ledger_pending").on("ledger").columns(["pending", "received_at", "id"]).execute();
  },
};
