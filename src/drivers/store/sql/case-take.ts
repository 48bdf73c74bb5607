// Alerts become cases: in the order of their ids, each once, with the place that was reached in the same transaction.
import type { Case, CaseFields } from "../../../core/case.ts";
import { JOINED_MAX, type Joining } from "../../../ports/cases.ts";
import type { Alert } from "../../../ports/store.ts";
import { alertOf } from "./alert-page.ts";
import { type EventOfCase, writeEvents } from "./case-events.ts";
import { caseOf, caseRow, openKey } from "./case-rows.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { whole } from "./limits.ts";
import { putMessages } from "./outbox.ts";
import type { AlertRow, CaseAlertRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Snoozes of one look; each alert has one entity. */
const SNOOZES_SEEN_MAX = 10_000;
/** Cases of one statement: some milliseconds of the thread that answers. */
const CASE_ROWS = 50;

/** Gives how many alerts were looked at. */
export async function takeAlerts(
  database: Database,
  pipeline: number,
  of: { readonly joining: Joining; readonly at: number },
): Promise<number> {
  // Most looks find nothing, and a look alone is no reason to write.
  const waiting = await database.read(async (sql) => next(sql, pipeline, await positionOf(sql, pipeline), 1));
  if (waiting.length === 0) return 0;
  return database.write((sql) => take(sql, pipeline, of), { durable: false });
}

async function take(
  sql: SqlTransaction,
  pipeline: number,
  { joining, at }: { readonly joining: Joining; readonly at: number },
): Promise<number> {
  let last = await raise(sql, "cases", 0);
  const before = last;
  const rows = await next(sql, pipeline, await positionOf(sql, pipeline), JOINED_MAX);
  if (rows.length === 0) return 0;
  const alerts = rows.map(alertOf);
  const entities = alerts.map((alert) => joining.entityOf(alert));
  const keys = entities.map((entity) => openKey(pipeline, { entity }));
  const asleep = await sleeping(sql, { pipeline, values: entities.map(({ value }) => value), at });
  const known = new Map<string, Working>();
  for (const row of await sql
    .selectFrom("cases")
    .selectAll()
    .where("open_key", "in", [...new Set(keys)])
    .execute()) {
    known.set(row.open_key!, { was: caseOf(row), now: caseOf(row), id: Number(row.id), alerts: [] });
  }
  for (const [place, alert] of alerts.entries()) {
    const open = known.get(keys[place]);
    const now = joining.join(alert, open?.now ?? null, asleep.get(entities[place].value) ?? NONE);
    if (now === null) continue;
    if (open === undefined) known.set(keys[place], { was: null, now, id: ++last, alerts: [alert] });
    else {
      open.now = now;
      open.alerts.push(alert);
    }
  }
  if (last > before) await raise(sql, "cases", last - before);
  const changed = [...known.values()].filter((one) => one.alerts.length > 0);
  if (changed.length > 0) await write(sql, changed, joining);
  const alertsOfCases = changed.flatMap((one) => one.alerts).sort((a, b) => a.id - b.id);
  const messages = alertsOfCases.flatMap((alert) => joining.messagesOf(alert));
  if (messages.length > 0) await putMessages(sql, messages, at);
  await sql
    .insertInto("case_positions")
    .values({ pipeline, alert: alerts[alerts.length - 1].id })
    .onConflict((conflicting) =>
      conflicting.column("pipeline").doUpdateSet((row) => ({ alert: row.ref("excluded.alert") })),
    )
    .execute();
  return alerts.length;
}

/** A case while alerts join it. */
interface Working {
  readonly was: Case | null;
  now: CaseFields;
  readonly id: number;
  readonly alerts: Alert[];
}

const NONE: ReadonlySet<string> = new Set();

/** By few statements for all cases: each costs the thread that answers more than the rows it brings. */
async function write(sql: SqlTransaction, works: readonly Working[], joining: Joining): Promise<void> {
  for (let start = 0; start < works.length; start += CASE_ROWS) {
    const rows = works
      .slice(start, start + CASE_ROWS)
      .map(({ was, now, id }) => caseRow(now, { id, version: (was?.version ?? 0) + 1 }));
    // Of a row all but what names it: each column that a case has now or will have.
    const { id: _, ...columns } = rows[0];
    const names = Object.keys(columns) as (keyof typeof columns)[];
    await sql
      .insertInto("cases")
      .values(rows)
      .onConflict((conflicting) =>
        conflicting
          .column("id")
          .doUpdateSet((row) => Object.fromEntries(names.map((name) => [name, row.ref(`excluded.${name}`)]))),
      )
      .execute();
  }
  const joined = works.flatMap(({ id, alerts }) => alerts.map((alert) => joinedRow(id, alert, joining)));
  await sql.insertInto("case_alerts").values(joined).execute();
  await writeEvents(sql, works.flatMap(eventsOf));
}

function joinedRow(id: number, alert: Alert, joining: Joining): CaseAlertRow {
  const { why, propensity } = joining.reviewOf(alert);
  const transaction = alert.transactionId === null ? null : stored(alert.transactionId);
  return { case_id: id, alert: alert.id, transaction_id: transaction, why, propensity };
}

function eventsOf({ was, id, alerts }: Working): readonly EventOfCase[] {
  const first = alerts[0];
  const last = alerts[alerts.length - 1];
  const opened: EventOfCase[] =
    was === null
      ? [{ id, event: { at: first.alertedAt, by: "sentinel", action: "opened", text: `by alert ${first.id}` } }]
      : [];
  const others = alerts.length - opened.length;
  if (others === 0) return opened;
  const text = others === 1 ? `alert ${last.id}` : `${others} alerts, the last ${last.id}`;
  return [...opened, { id, event: { at: last.alertedAt, by: "sentinel", action: "joined", text } }];
}

async function positionOf(sql: Sql, pipeline: number): Promise<number> {
  const row = await sql
    .selectFrom("case_positions")
    .select("alert")
    .where("pipeline", "=", whole("a pipeline", pipeline))
    .executeTakeFirst();
  return Number(row?.alert ?? 0);
}

/** An id becomes visible after all smaller ones: whoever asks for those after an id misses none. */
async function next(sql: Sql, pipeline: number, after: number, limit: number): Promise<readonly AlertRow[]> {
  return sql
    .selectFrom("alerts")
    .selectAll()
    .where("pipeline", "=", pipeline)
    .where("id", ">", after)
    .orderBy("id")
    .limit(limit)
    .execute();
}

/** Names of the rules that sleep, by the value of the entity. */
async function sleeping(
  sql: SqlTransaction,
  of: { readonly pipeline: number; readonly values: readonly string[]; readonly at: number },
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const rows = await sql
    .selectFrom("snoozes")
    .select(["entity", "rule"])
    .where("pipeline", "=", of.pipeline)
    .where("entity", "in", [...new Set(of.values.map(stored))])
    .where("until_at", ">", of.at)
    .limit(SNOOZES_SEEN_MAX)
    .execute();
  const found = new Map<string, Set<string>>();
  for (const row of rows) {
    const entity = unstored(row.entity);
    const rules = found.get(entity) ?? new Set();
    found.set(entity, rules.add(unstored(row.rule)));
  }
  return found;
}
