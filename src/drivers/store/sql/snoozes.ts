// Snoozes in the store: an entity whose alerts of one rule open no case until a date; what was ever asked stays, as the audit does.
import { SentinelError } from "../../../core/errors.ts";
import type { NewSnooze, Snooze } from "../../../ports/cases.ts";
import type { ChangedBy, Json } from "../../../ports/store.ts";
import { writeAudit } from "./audit.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { checkLimit, checkText, whole } from "./limits.ts";
import type { SnoozeRow, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

export async function snooze(database: Database, wanted: NewSnooze, by: ChangedBy): Promise<Snooze> {
  checkText("the entity", wanted.entity);
  checkText("the reason", wanted.reason);
  const until = whole("the end of a snooze", wanted.until);
  return database.write(async (sql) => {
    const id = await raise(sql, "snoozes");
    const row: SnoozeRow = {
      id,
      pipeline: wanted.pipeline,
      entity: stored(wanted.entity),
      rule: stored(wanted.rule),
      until_at: until,
      reason: stored(wanted.reason),
      actor: stored(by.actor),
      at: whole("the time of a change", by.at),
    };
    await sql.insertInto("snoozes").values(row).execute();
    const made = snoozeOf(row);
    await audit(sql, { action: "snooze.create", before: null, after: made, by });
    return made;
  });
}

export async function snoozesAt(
  database: Database,
  of: { readonly pipelines: readonly number[]; readonly at: number; readonly limit: number },
): Promise<readonly Snooze[]> {
  checkLimit(of.limit);
  if (of.pipelines.length === 0) return [];
  const rows = await database.read((sql) =>
    sql
      .selectFrom("snoozes")
      .selectAll()
      .where("pipeline", "in", of.pipelines)
      .where("until_at", ">", whole("the time of a question", of.at))
      .orderBy("id", "desc")
      .limit(of.limit)
      .execute(),
  );
  return rows.map(snoozeOf);
}

export async function findSnooze(database: Database, id: number): Promise<Snooze | null> {
  if (!Number.isSafeInteger(id)) return null;
  const row = await database.read((sql) =>
    sql.selectFrom("snoozes").selectAll().where("id", "=", id).executeTakeFirst(),
  );
  return row === undefined ? null : snoozeOf(row);
}

export async function wake(database: Database, id: number, by: ChangedBy): Promise<Snooze> {
  return database.write(async (sql) => {
    await raise(sql, "snoozes", 0);
    const row = await sql.selectFrom("snoozes").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined) {
      throw new SentinelError("store.unknown", `there is no snooze ${id}`, {
        hint: "list the snoozes to see their numbers",
      });
    }
    const before = snoozeOf(row);
    const after = { ...before, until: Math.min(before.until, whole("the time of a change", by.at)) };
    await sql.updateTable("snoozes").set({ until_at: after.until }).where("id", "=", id).execute();
    await audit(sql, { action: "snooze.end", before, after, by });
    return after;
  });
}

async function audit(
  sql: SqlTransaction,
  entry: { readonly action: string; readonly before: Snooze | null; readonly after: Snooze; readonly by: ChangedBy },
): Promise<void> {
  const { action, before, after, by } = entry;
  const row = await sql.selectFrom("pipelines").select("slug").where("id", "=", after.pipeline).executeTakeFirst();
  await writeAudit(sql, {
    at: by.at,
    actor: by.actor,
    action,
    subject: "snooze",
    subjectId: String(after.id),
    pipeline: row === undefined ? null : unstored(row.slug),
    reason: by.reason ?? after.reason,
    before: before as unknown as Json,
    after: after as unknown as Json,
  });
}

function snoozeOf(row: SnoozeRow): Snooze {
  return {
    id: Number(row.id),
    pipeline: Number(row.pipeline),
    entity: unstored(row.entity),
    rule: unstored(row.rule),
    until: Number(row.until_at),
    reason: unstored(row.reason),
    by: unstored(row.actor),
    at: Number(row.at),
  };
}
