// The audit: one entry per change, each sealing the one before, written in the transaction of the change itself.
import { nextEntry } from "../../../core/journal.ts";
import type {
  AuditEntry,
  AuditFilter,
  AuditStore,
  ChangedBy,
  Json,
  NewAuditEntry,
  Page,
} from "../../../ports/store.ts";
import { STORE_JSON_MAX, STORE_TEXT_MAX } from "../../../ports/store.ts";
import { raise } from "./counters.ts";
import { cursorOf, placeOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { checkLimit, whole } from "./limits.ts";
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
    async forget({ before, limit, by }) {
      checkLimit(limit);
      return database.write((sql) => forget(sql, { before: whole("an instant", before), limit, by }));
    },
  };
}

async function forget(
  sql: SqlTransaction,
  { before, limit, by }: { readonly before: number; readonly limit: number; readonly by: ChangedBy },
): Promise<number> {
  // All who append wait here too: the newest entry is the newest until the end.
  const next = await raise(sql, "audit", 0);
  const oldest = await sql
    .selectFrom("audit")
    .select(["place", "at", "hash"])
    .where("place", "<", next - 1)
    .orderBy("place")
    .limit(limit)
    .execute();
  const stays = oldest.findIndex(({ at }) => Number(at) >= before);
  const gone = stays < 0 ? oldest : oldest.slice(0, stays);
  const last = gone.at(-1);
  if (last === undefined) return 0;
  const begin = Number(last.place) + 1;
  await sql.updateTable("counters").set({ value: begin }).where("name", "=", "audit_begin").execute();
  await sql.deleteFrom("audit").where("place", "<", begin).execute();
  await writeAudit(sql, {
    at: by.at,
    actor: by.actor,
    action: "audit.forget",
    subject: "audit",
    subjectId: "",
    pipeline: null,
    reason: by.reason ?? "",
    before: { from: Number(gone[0].place), through: begin - 1, hash: last.hash },
    after: null,
  });
  return gone.length;
}

/** Writes what a change made of a record, as {@link writeAudit} does. */
export async function auditChange<Kept>(
  sql: SqlTransaction,
  about: Pick<NewAuditEntry, "action" | "subject" | "subjectId" | "pipeline">,
  { before, after, by }: { readonly before: Kept | null; readonly after: Kept; readonly by: ChangedBy },
): Promise<void> {
  await writeAudit(sql, {
    ...about,
    at: by.at,
    actor: by.actor,
    reason: by.reason ?? "",
    before: before as unknown as Json,
    after: after as unknown as Json,
  });
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
