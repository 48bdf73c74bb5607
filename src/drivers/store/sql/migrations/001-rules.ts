// Version 1: counters, rules with their journal, sets and lists, and the audit.
import { sql as raw } from "kysely";
import type { Migration } from "../migration.ts";

export const rules: Migration = {
  name: "001-rules",
  async up(sql, { whole, kind, named }) {
    await sql.schema
      .createTable("counters")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("value", whole, (column) => column.notNull())
      .execute();
    for (const name of ["rule_numbers", "audit"]) await sql.insertInto("counters").values({ name, value: 0 }).execute();
    await sql.schema
      .createTable("rule_journal")
      .addColumn("pipeline", "text", (column) => column.notNull())
      .addColumn("place", whole, (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("rule_journal_key", ["pipeline", "place"])
      .execute();
    await sql.schema
      .createTable("rule_sets")
      .addColumn("pipeline", "text", (column) => column.notNull())
      .addColumn("hash", "text", (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("rule_sets_key", ["pipeline", "hash"])
      .execute();
    await sql.schema
      .createTable("rule_lists")
      .addColumn("pipeline", "text", (column) => column.notNull())
      .addColumn("list", "text", (column) => column.notNull())
      .addColumn("changes", whole, (column) => column.notNull())
      .addPrimaryKeyConstraint("rule_lists_key", ["pipeline", "list"])
      .execute();
    await sql.schema
      .createTable("rule_list_changes")
      .addColumn("pipeline", "text", (column) => column.notNull())
      .addColumn("list", "text", (column) => column.notNull())
      .addColumn("place", whole, (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("rule_list_changes_key", ["pipeline", "list", "place"])
      .execute();
    await sql.schema
      .createTable("rule_numbers")
      .addColumn("number", whole, (column) => column.primaryKey())
      .addColumn("pipeline", "text", (column) => column.notNull())
      .addColumn("rule", "text", (column) => column.notNull())
      .addUniqueConstraint("rule_numbers_rule", ["pipeline", "rule"])
      .execute();
    await sql.schema
      .createTable("audit")
      .addColumn("place", whole, (column) => column.primaryKey())
      .addColumn("at", whole, (column) => column.notNull())
      .addColumn("actor", "text", (column) => column.notNull())
      .addColumn("subject", "text", (column) => column.notNull())
      .addColumn("subject_id", "text", (column) => column.notNull())
      .addColumn("pipeline", "text")
      .addColumn("hash", "text", (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .execute();
    for (const columns of [
      ["pipeline", "place"],
      ["actor", "place"],
      ["subject", "subject_id", "place"],
    ]) {
      await sql.schema.createIndex(`audit_by_${columns[0]}`).on("audit").columns(columns).execute();
    }
    // What a seal makes visible afterwards, the database refuses in the first place.
    if (kind === "postgres") {
      await raw`create function ${named("refuse_change")}() returns trigger language plpgsql as
        'begin raise exception ''entries are never changed''; end'`.execute(sql);
    }
    for (const table of ["audit", "rule_journal"]) {
      if (kind === "embedded") {
        for (const verb of ["update", "delete"]) {
          await raw`create trigger ${raw.ref(`${table}_no_${verb}`)} before ${raw.raw(verb)} on ${named(table)}
            begin select raise(abort, 'entries are never changed'); end`.execute(sql);
        }
      } else {
        await raw`create trigger ${raw.ref(`${table}_fixed`)} before update or delete or truncate on ${named(table)}
          for each statement execute function ${named("refuse_change")}()`.execute(sql);
      }
    }
  },
};
