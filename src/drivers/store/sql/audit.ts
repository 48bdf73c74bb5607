// The audit: one entry per change, each sealing the one before, written in the transaction of the change itself.
import { nextEntry } from "../../../core/journal.ts";
import type { AuditEntry, AuditFilter, AuditStore, Json, NewAuditEntry, Page } from "../../../ports/store.ts";
import { STORE_JSON_MAX, STORE_TEXT_MAX } from "../../../ports/store.ts";
import { raise } from "./counters.ts";
import { cursorOf, placeOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { checkLimit } from "./limits.ts";
import type { SqlTransaction } from "./tables.ts";
import { stored } from "./text.ts";

export function auditOf(database: Database): AuditStore {
  return {
    append: (entry) => database.write((sql) => writeAudit(sql, entry)),
    async page(filter, { limit, cursor = null }) {
      checkLimit(limit);
      const before = placeOf(cursor, 1)?.[0];
      const rows = await database.read((sql) => {
        let query = sql
          .selectFrom("audit")
          .select(["place", "body"])
          .orderBy("place", "desc")
          .limit(limit + 1);
        if (before !== undefined) query = query.where("place", "<", before);
        for (const [column, value] of conditionsOf(filter)) query = query.where(column, "=", value);
        if (filter.from !== undefined) query = query.where("at", ">=", filter.from);
        if (filter.to !== undefined) query = query.where("at", "<", filter.to);
        return query.execute();
      });
      return pageOf(rows, limit);
    },
    async scan(from, limit) {
      checkLimit(limit);
      const rows = await database.read((sql) =>
        sql.selectFrom("audit").select("body").where("place", ">=", from).orderBy("place").limit(limit).execute(),
      );
      return rows.map(({ body }) => JSON.parse(body) as AuditEntry);
    },
  };
}

/** Writes an entry as part of a change. It is the last thing of its transaction: all changes wait here for each other. */
export async function writeAudit(sql: SqlTransaction, entry: NewAuditEntry): Promise<AuditEntry> {
  const place = (await raise(sql, "audit")) - 1;
  const last = await sql
    .selectFrom("audit")
    .select(["place", "hash"])
    .where("place", "=", place - 1)
    .executeTakeFirst();
  const sealed = nextEntry(
    {
      at: Math.round(entry.at),
      actor: entry.actor.slice(0, STORE_TEXT_MAX),
      action: entry.action.slice(0, STORE_TEXT_MAX),
      subject: entry.subject.slice(0, STORE_TEXT_MAX),
      subjectId: entry.subjectId.slice(0, STORE_TEXT_MAX),
      pipeline: entry.pipeline,
      reason: entry.reason.slice(0, STORE_TEXT_MAX),
      before: bounded(entry.before),
      after: bounded(entry.after),
    },
    last === undefined ? null : { index: Number(last.place), hash: last.hash, previous: "" },
  );
  await sql
    .insertInto("audit")
    .values({
      place,
      at: sealed.at,
      actor: stored(sealed.actor),
      subject: stored(sealed.subject),
      subject_id: stored(sealed.subjectId),
      pipeline: sealed.pipeline === null ? null : stored(sealed.pipeline),
      hash: sealed.hash,
      body: JSON.stringify(sealed),
    })
    .execute();
  return sealed;
}

/** A state that is too long to keep is named by its size: the change itself is not refused for it. */
function bounded(state: Json): Json {
  const { length } = JSON.stringify(state);
  return length <= STORE_JSON_MAX ? state : { cut: true, characters: length };
}

function conditionsOf(
  filter: AuditFilter,
): readonly (readonly ["pipeline" | "actor" | "subject" | "subject_id", string])[] {
  const named = [
    ["pipeline", filter.pipeline],
    ["actor", filter.actor],
    ["subject", filter.subject],
    ["subject_id", filter.subjectId],
  ] as const;
  return named.flatMap(([column, value]) => (value === undefined ? [] : [[column, stored(value)] as const]));
}

function pageOf(rows: readonly { readonly place: number; readonly body: string }[], limit: number): Page<AuditEntry> {
  const shown = rows.slice(0, limit);
  return {
    items: shown.map(({ body }) => JSON.parse(body) as AuditEntry),
    next: rows.length > limit ? cursorOf([Number(shown[limit - 1].place)]) : null,
  };
}
