// Cases in the store: one change after the other, each with its history, what it owes and its audit entry in one transaction.
import { sql as raw } from "kysely";
import type { Case, CaseFields, Disposition, ReviewCause } from "../../../core/case.ts";
import { DAY_MS } from "../../../core/duration.ts";
import { SentinelError } from "../../../core/errors.ts";
import type { RuleSeverity } from "../../../core/rule.ts";
import { type CaseChange, type CaseStore, QUEUE_SEEN_MAX } from "../../../ports/cases.ts";
import { type ChangedBy, type Json, PIPELINES_MAX } from "../../../ports/store.ts";
import { writeAudit } from "./audit.ts";
import { writeEvent } from "./case-events.ts";
import { labelsOf, owe, owed, settle } from "./case-labels.ts";
import { pageOfCases } from "./case-page.ts";
import { caseOf, caseRow } from "./case-rows.ts";
import { takeAlerts } from "./case-take.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { checkLimit, whole } from "./limits.ts";
import { findSnooze, snooze, snoozesAt, wake } from "./snoozes.ts";
import type { CaseRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

const SEVERITIES = 3;
const DISPOSITIONS = 3;

export function casesOf(database: Database): CaseStore {
  return {
    async find(id) {
      if (!Number.isSafeInteger(id)) return null;
      const row = await database.read((sql) => rowOf(sql, id));
      return row === undefined ? null : caseOf(row);
    },
    page: (filter, page) => pageOfCases(database, filter, page),
    async free({ pipelines, actor, at }) {
      if (pipelines.length === 0) return [];
      const rows = await database.read(async (sql) => [
        ...(await freeRows(sql, { pipelines, actor, at }).orderBy("worth", "desc").execute()),
        ...(await freeRows(sql, { pipelines, actor, at }).where("due_at", ">", at).orderBy("due_at").execute()),
        ...(await freeRows(sql, { pipelines, actor, at }).where("why", "=", "exploration").orderBy("id").execute()),
      ]);
      return [...new Map(rows.map((row) => [Number(row.id), caseOf(row)])).values()];
    },
    async alertsOf(id, limit) {
      checkLimit(limit);
      const rows = await database.read((sql) =>
        sql
          .selectFrom("case_alerts")
          .selectAll()
          .where("case_id", "=", id)
          .orderBy("alert", "desc")
          .limit(limit)
          .execute(),
      );
      return rows.map((row) => ({
        alert: Number(row.alert),
        transactionId: row.transaction_id === null ? null : unstored(row.transaction_id),
        why: row.why as ReviewCause,
        propensity: row.propensity === null ? null : Number(row.propensity),
      }));
    },
    async casesOf(alerts) {
      if (alerts.length === 0) return new Map();
      checkLimit(alerts.length);
      const rows = await database.read((sql) =>
        sql.selectFrom("case_alerts").select(["alert", "case_id"]).where("alert", "in", alerts).execute(),
      );
      return new Map(rows.map((row) => [Number(row.alert), Number(row.case_id)]));
    },
    async historyOf(id, limit) {
      checkLimit(limit);
      const rows = await database.read((sql) =>
        sql
          .selectFrom("case_events")
          .selectAll()
          .where("case_id", "=", id)
          .orderBy("place", "desc")
          .limit(limit)
          .execute(),
      );
      return rows
        .reverse()
        .map((row) => ({ at: Number(row.at), by: unstored(row.actor), action: row.action, text: unstored(row.words) }));
    },
    labelsOf: (id, limit) => labelsOf(database, id, limit),
    take: (pipeline, joining, at) => takeAlerts(database, pipeline, { joining, at }),
    async change(change, by) {
      try {
        return await database.write((sql) => changeCase(sql, change, by));
      } catch (error) {
        if (!database.isTaken(error)) throw error;
        const { entity } = change.after;
        throw new SentinelError(
          "store.conflict",
          `${entity.column} ${JSON.stringify(entity.value)} has an open case already`,
          {
            hint: "go on in the case that is open; there is one per entity",
            cause: error,
          },
        );
      }
    },
    async note(id, event) {
      await database.write(async (sql) => {
        await raise(sql, "cases", 0);
        const row = await rowOf(sql, id);
        if (row === undefined) throw unknown(id);
        await writeEvent(sql, id, event);
        await writeAudit(sql, {
          at: event.at,
          actor: event.by,
          action: `case.${event.action}`,
          subject: "case",
          subjectId: String(id),
          pipeline: await slugOf(sql, Number(row.pipeline)),
          reason: event.text,
          before: null,
          after: null,
        });
      });
    },
    owed: (of) => owed(database, of),
    settle: (labels) => settle(database, labels),
    snooze: (wanted, by) => snooze(database, wanted, by),
    snoozes: (of) => snoozesAt(database, of),
    findSnooze: (id) => findSnooze(database, id),
    wake: (id, by) => wake(database, id, by),
    async summary({ pipelines, at, since, daysMax }) {
      if (pipelines.length === 0) return { open: [], closed: [] };
      const now = whole("the time of a question", at);
      const from = whole("the time of a question", since);
      return database.read(async (sql) => {
        // Bound numbers are doubles to one database and whole to the other: times are divided by what stands in the text.
        const age = raw<number>`case when (${raw.lit(now)} - opened_at) / ${raw.lit(DAY_MS)} > ${raw.lit(daysMax)} then ${raw.lit(daysMax)}
          when opened_at > ${raw.lit(now)} then 0 else (${raw.lit(now)} - opened_at) / ${raw.lit(DAY_MS)} end`;
        const open = await sql
          .selectFrom("cases")
          .select(["pipeline", "severity", age.as("days"), (row) => row.fn.countAll<number>().as("count")])
          .select(raw<number>`sum(case when due_at < ${raw.lit(now)} then 1 else 0 end)`.as("overdue"))
          .where("open", "=", 1)
          .where("pipeline", "in", pipelines)
          .groupBy(["pipeline", "severity", age])
          .limit(PIPELINES_MAX * SEVERITIES * (daysMax + 1))
          .execute();
        const day = raw<number>`closed_at / ${raw.lit(DAY_MS)}`;
        const closed = await sql
          .selectFrom("cases")
          .select(["pipeline", "disposition", day.as("day"), (row) => row.fn.countAll<number>().as("count")])
          .where("closed_at", ">=", from)
          .where("closed_at", "<=", now)
          .where("pipeline", "in", pipelines)
          .groupBy(["pipeline", "disposition", day])
          .orderBy("day")
          .limit(PIPELINES_MAX * DISPOSITIONS * (daysMax + 1))
          .execute();
        return {
          open: open.map((row) => ({
            pipeline: Number(row.pipeline),
            severity: row.severity as RuleSeverity,
            days: Number(row.days),
            count: Number(row.count),
            overdue: Number(row.overdue),
          })),
          closed: closed.map((row) => ({
            pipeline: Number(row.pipeline),
            disposition: row.disposition as Disposition,
            day: Number(row.day) * DAY_MS,
            count: Number(row.count),
          })),
        };
      });
    },
  };
}

function freeRows(
  sql: Sql,
  of: { readonly pipelines: readonly number[]; readonly actor: string; readonly at: number },
) {
  return (
    sql
      .selectFrom("cases")
      .selectAll()
      .where("open", "=", 1)
      // Rows of several pipelines stand in no index in the order of all of them: that of all pipelines leads then.
      .where(of.pipelines.length === 1 ? raw<number>`pipeline` : raw<number>`pipeline + 0`, "in", of.pipelines)
      .where("free_at", "<=", of.at)
      .where((row) => row.or([row("kept_for", "is", null), row("kept_for", "=", stored(of.actor))]))
      .limit(QUEUE_SEEN_MAX)
  );
}

async function rowOf(sql: Sql | SqlTransaction, id: number): Promise<CaseRow | undefined> {
  return sql.selectFrom("cases").selectAll().where("id", "=", id).executeTakeFirst();
}

async function changeCase(sql: SqlTransaction, change: CaseChange, by: ChangedBy): Promise<Case> {
  const { before, after, event, labels } = change;
  // Whoever raises the counter changes cases alone until the end: what is read here is not changed by others.
  await raise(sql, "cases", 0);
  const row = await rowOf(sql, before.id);
  if (row === undefined) throw unknown(before.id);
  const version = Number(row.version);
  if (version !== before.version) {
    throw new SentinelError("store.stale", `case ${before.id} is at version ${version}, not ${before.version}`, {
      hint: "somebody else changed it: look at it again, then repeat the change if it is still wanted",
    });
  }
  const now: Case = { ...after, id: before.id, version: version + 1 };
  const { id: _, ...columns } = caseRow(now, now);
  await sql.updateTable("cases").set(columns).where("id", "=", before.id).execute();
  await writeEvent(sql, before.id, event);
  if (labels) await owe(sql, now);
  await writeAudit(sql, {
    at: by.at,
    actor: by.actor,
    action: `case.${event.action}`,
    subject: "case",
    subjectId: String(before.id),
    pipeline: await slugOf(sql, before.pipeline),
    reason: by.reason ?? event.text,
    before: auditOf(before),
    after: auditOf(now),
  });
  return now;
}

/** What the audit says of a case: what people decide about, not what alerts add up to. */
function auditOf({ status, assignee, claimedUntil, waitingUntil, proposed, closing, version }: Case): Json {
  const end = (one: CaseFields["closing"]): Json => (one === null ? null : { ...one });
  return { version, status, assignee, claimedUntil, waitingUntil, proposed: end(proposed), closing: end(closing) };
}

async function slugOf(sql: SqlTransaction, pipeline: number): Promise<string | null> {
  const row = await sql.selectFrom("pipelines").select("slug").where("id", "=", pipeline).executeTakeFirst();
  return row === undefined ? null : unstored(row.slug);
}

function unknown(id: number): SentinelError {
  return new SentinelError("store.unknown", `there is no case ${id}`, { hint: "list the cases to see their numbers" });
}
