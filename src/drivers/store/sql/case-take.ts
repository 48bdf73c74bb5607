// Alerts become cases: in the order of their ids, each once, with the place that was reached in the same transaction.
import type { Case, CaseFields } from "../../../core/case.ts";
import { JOINED_MAX, type Joining } from "../../../ports/cases.ts";
import type { Alert } from "../../../ports/store.ts";
import { alertOf } from "./alert-page.ts";
import { writeEvent } from "./case-events.ts";
import { caseOf, caseRow, openKey } from "./case-rows.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { whole } from "./limits.ts";
import { putMessages } from "./outbox.ts";
import type { AlertRow, CaseAlertRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Snoozes of one look; each alert has one entity. */
const SNOOZES_SEEN_MAX = 10_000;

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
  for (const one of known.values()) if (one.alerts.length > 0) await write(sql, one, joining);
  const alertsOfCases = [...known.values()].flatMap((one) => one.alerts).sort((a, b) => a.id - b.id);
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

async function write(sql: SqlTransaction, { was, now, id, alerts }: Working, joining: Joining): Promise<void> {
  const row = caseRow(now, { id, version: (was?.version ?? 0) + 1 });
  if (was === null) await sql.insertInto("cases").values(row).execute();
  else {
    const { id: _, ...columns } = row;
    await sql.updateTable("cases").set(columns).where("id", "=", id).execute();
  }
  const joined = alerts.map((alert): CaseAlertRow => {
    const { why, propensity } = joining.reviewOf(alert);
    const transaction = alert.transactionId === null ? null : stored(alert.transactionId);
    return { case_id: id, alert: alert.id, transaction_id: transaction, why, propensity };
  });
  await sql.insertInto("case_alerts").values(joined).execute();
  const others = was === null ? alerts.length - 1 : alerts.length;
  const at = alerts[alerts.length - 1].alertedAt;
  if (was === null) {
    const text = `by alert ${alerts[0].id}`;
    await writeEvent(sql, id, { at: alerts[0].alertedAt, by: "sentinel", action: "opened", text });
  }
  if (others === 0) return;
  const text =
    others === 1
      ? `alert ${alerts[alerts.length - 1].id}`
      : `${others} alerts, the last ${alerts[alerts.length - 1].id}`;
  await writeEvent(sql, id, { at, by: "sentinel", action: "joined", text });
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
