// The oldest entries of the audit may go, those before a mark; all others stay as they are.
import { sql as raw } from "kysely";
import type { Migration } from "../migration.ts";

export const retention: Migration = {
  name: "009-retention",
  async up(sql, { kind, named }) {
    await sql.insertInto("counters").values({ name: "audit_begin", value: 0 }).execute();
    const begin = raw`(select value from ${named("counters")} where name = 'audit_begin')`;
    if (kind === "embedded") {
      await raw`drop trigger audit_no_delete`.execute(sql);
      await raw`create trigger audit_no_delete before delete on audit when old.place >= ${begin}
        begin select raise(abort, 'entries are never changed'); end`.execute(sql);
      return;
    }
    await raw`create function ${named("keep_from_begin")}() returns trigger language plpgsql as
      ${raw.raw("$body$")} begin
        if old.place < ${begin} then return old; end if;
        raise exception 'entries are never changed';
      end ${raw.raw("$body$")}`.execute(sql);
    await raw`drop trigger audit_fixed on ${named("audit")}`.execute(sql);
    await raw`create trigger audit_fixed before update or truncate on ${named("audit")}
      for each statement execute function ${named("refuse_change")}()`.execute(sql);
    await raw`create trigger audit_kept before delete on ${named("audit")}
      for each row execute function ${named("keep_from_begin")}()`.execute(sql);
  },
};
