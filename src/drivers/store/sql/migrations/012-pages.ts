// What pages of cases lead along where a question is about several pipelines, or about what one person has.
import type { Migration } from "../migration.ts";

/** Each begins with the tenant and ends in the order of pages or of the queue. */
const INDEXES: Readonly<Record<string, readonly string[]>> = {
  cases_by_open_worth_id: ["open", "worth", "id"],
  cases_by_open_due_at_id: ["open", "due_at", "id"],
  cases_by_open_why_id: ["open", "why", "id"],
  cases_by_open_pipeline_id: ["open", "pipeline", "id"],
  cases_by_open_assignee_worth_id: ["open", "assignee", "worth", "id"],
};

export const pages: Migration = {
  name: "012-pages",
  async up(sql) {
    for (const [name, columns] of Object.entries(INDEXES)) {
      await sql.schema
        .createIndex(name)
        .on("cases")
        .columns(["tenant", ...columns])
        .execute();
    }
  },
};
