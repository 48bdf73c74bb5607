// Alerts in the store: appended in batches with their counts in one transaction; a second alert of one transaction is ignored.
import { type RawBuilder, sql as raw } from "kysely";
import { HOUR_MS } from "../../../core/duration.ts";
import { SentinelError } from "../../../core/errors.ts";
import type { RuleSeverity } from "../../../core/rule.ts";
import {
  ALERT_HOURS_MAX,
  ALERT_RULES_MAX,
  ALERTS_APPENDED_MAX,
  ALERTS_SEEN_MAX,
  type AlertCount,
  type AlertStore,
  type NewAlert,
  PIPELINES_MAX,
  STORE_TEXT_MAX,
} from "../../../ports/store.ts";
import { alertOf, pageOfAlerts } from "./alert-page.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { checkJson, checkLimit, checkText, whole } from "./limits.ts";
import type { AlertRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, storedJson } from "./text.ts";

/** Rows of one statement: the embedded store holds up answers for as long as one takes, about a millisecond. */
const WRITE_ROWS = 50;
const FIRED_ROWS = 300;
const SEVERITIES = 3;
/** Rows of one trend: more pipelines than that times hours are cut at the oldest end. */
const HOUR_ROWS_MAX = 100_000;

export function alertsOf(database: Database): AlertStore {
  return {
    async append(alerts) {
      if (alerts.length === 0) return [];
      if (alerts.length > ALERTS_APPENDED_MAX) {
        throw new SentinelError("store.invalid", `${alerts.length} alerts in one append`, {
          hint: `append at most ${ALERTS_APPENDED_MAX} at once`,
        });
      }
      const rows = alerts.map(rowFor);
      // A power cut may take the last alerts: the log has their transactions, and waiting for a disk would hold up answers.
      return database.write((sql) => append(sql, alerts, rows), { durable: false });
    },
    async find(id) {
      if (!Number.isSafeInteger(id)) return null;
      const row = await database.read((sql) =>
        sql.selectFrom("alerts").selectAll().where("id", "=", id).executeTakeFirst(),
      );
      return row === undefined ? null : alertOf(row);
    },
    page: (filter, page) => pageOfAlerts(database, filter, page),
    async after(id, limit) {
      checkLimit(limit);
      const rows = await database.read((sql) =>
        sql.selectFrom("alerts").selectAll().where("id", ">", whole("an id", id)).orderBy("id").limit(limit).execute(),
      );
      return rows.map(alertOf);
    },
    lastId: database.kept(lastId),
    async forget({ before, limit }) {
      checkLimit(limit);
      const instant = whole("an instant", before);
      return database.write((sql) => forget(sql, { which: raw`alerted_at < ${instant}`, order: "alerted_at", limit }));
    },
    async trim({ keep, limit }) {
      checkLimit(limit);
      const kept = whole("a number of alerts", keep);
      const last = await database.read(lastId);
      // Ids have no gaps when they are given: what lies so far behind the newest one is followed by enough, and nobody need count them.
      if (last <= kept) return 0;
      return database.write((sql) => forget(sql, { which: raw`id <= ${last - kept}`, order: "id", limit }));
    },
    counts: (since) =>
      database.read((sql) => (since === undefined ? totals(sql) : countsSince(sql, whole("since", since)))),
    async flagged({ since, pipelines }) {
      if (pipelines.length === 0) return { alerts: 0, amount: 0, whole: true };
      const row = await database.read((sql) =>
        sql
          .selectFrom(
            sql
              .selectFrom("alerts")
              .select("amount")
              .where("alerted_at", ">=", whole("since", since))
              .where("pipeline", "in", [...pipelines])
              .orderBy("alerted_at", "desc")
              .orderBy("id", "desc")
              .limit(ALERTS_SEEN_MAX)
              .as("seen"),
          )
          .select((seen) => [
            seen.fn.countAll<number>().as("alerts"),
            seen.fn.sum<number | null>("amount").as("amount"),
          ])
          .executeTakeFirstOrThrow(),
      );
      const alerts = Number(row.alerts);
      return { alerts, amount: Number(row.amount ?? 0), whole: alerts < ALERTS_SEEN_MAX };
    },
    async hours({ since, to }) {
      const end = whole("to", to);
      const begin = Math.max(hourOf(whole("since", since)), hourOf(end) - (ALERT_HOURS_MAX - 1) * HOUR_MS);
      const rows = await database.read((sql) =>
        sql
          .selectFrom("alert_hours")
          .selectAll()
          .where("hour", ">=", begin)
          .where("hour", "<", end)
          .orderBy("hour", "desc")
          .orderBy("pipeline", "desc")
          .orderBy("severity", "desc")
          .limit(HOUR_ROWS_MAX)
          .execute(),
      );
      return rows.reverse().map((row) => ({ hour: Number(row.hour), ...countOf(row) }));
    },
  };
}

async function lastId(sql: Sql): Promise<number> {
  // Not the newest that is there: the oldest go, and those of a quiet pipeline may all be old.
  const row = await sql.selectFrom("counters").select("value").where("name", "=", "alerts").executeTakeFirst();
  return Number(row?.value ?? 0);
}

async function forget(
  sql: SqlTransaction,
  of: {
    readonly which: RawBuilder<boolean>;
    readonly order: "alerted_at" | "id";
    readonly limit: number;
  },
): Promise<number> {
  const { which, order, limit } = of;
  const rows = await sql
    .selectFrom("alerts")
    .select(["id", "alerted_at", "rules"])
    .where(which)
    // What somebody still works on stays, however old it is.
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("case_alerts")
            .innerJoin("cases", "cases.id", "case_alerts.case_id")
            .select("case_alerts.alert")
            .whereRef("case_alerts.alert", "=", "alerts.id")
            .where("cases.open", "=", 1),
        ),
      ),
    )
    .orderBy(order)
    .orderBy("id")
    .limit(limit)
    .execute();
  if (rows.length === 0) return 0;
  const ids = rows.map(({ id }) => id);
  const until = Math.max(...rows.map((row) => Number(row.alerted_at)));
  // By the rules that each alert names, since its place among those of a rule is all that an index leads to.
  const named = rows.flatMap(({ rules }) =>
    (JSON.parse(rules) as readonly { readonly id: string }[]).map(({ id }) => id),
  );
  for (const rule of new Set(named)) {
    await sql
      .deleteFrom("alert_rules")
      .where("rule", "=", stored(rule))
      .where("alerted_at", "<=", until)
      .where("alert", "in", ids)
      .execute();
  }
  await sql.deleteFrom("alerts").where("id", "in", ids).execute();
  return rows.length;
}

type NewRow = Omit<AlertRow, "id">;

async function append(
  sql: SqlTransaction,
  alerts: readonly NewAlert[],
  rows: readonly NewRow[],
): Promise<readonly (number | null)[]> {
  // Whoever raises the counter appends alone until the end: then nobody else can bring the same transaction meanwhile.
  const last = await raise(sql, "alerts", 0);
  await checkPipelines(sql, rows);
  const known = await knownIds(sql, rows);
  const fresh: AlertRow[] = [];
  const fired: { rule: string; alerted_at: number; alert: number }[] = [];
  const ids = rows.map((row, index) => {
    const key = keyOf(row);
    if (key !== null && known.has(key)) return null;
    if (key !== null) known.add(key);
    const id = last + fresh.length + 1;
    fresh.push({ id, ...row });
    const rules = new Set(alerts[index].rules.map((rule) => rule.id).slice(0, ALERT_RULES_MAX));
    for (const rule of rules) fired.push({ rule: stored(rule), alerted_at: row.alerted_at, alert: id });
    return id;
  });
  if (fresh.length === 0) return ids;
  await raise(sql, "alerts", fresh.length);
  for (let start = 0; start < fresh.length; start += WRITE_ROWS) {
    await sql
      .insertInto("alerts")
      .values(fresh.slice(start, start + WRITE_ROWS))
      .execute();
  }
  for (let start = 0; start < fired.length; start += FIRED_ROWS) {
    await sql
      .insertInto("alert_rules")
      .values(fired.slice(start, start + FIRED_ROWS))
      .execute();
  }
  await count(sql, fresh);
  return ids;
}

/** Errors: store.unknown. */
async function checkPipelines(sql: SqlTransaction, rows: readonly NewRow[]): Promise<void> {
  const wanted = [...new Set(rows.map(({ pipeline }) => pipeline))];
  const found = await sql.selectFrom("pipelines").select("id").where("id", "in", wanted).execute();
  const known = new Set(found.map(({ id }) => Number(id)));
  const unknown = wanted.find((id) => !known.has(id));
  if (unknown === undefined) return;
  throw new SentinelError("store.unknown", `there is no pipeline ${unknown}`, {
    hint: "declare the pipeline before its alerts",
  });
}

/** Pipeline and transaction of those that have an alert already. */
async function knownIds(sql: SqlTransaction, rows: readonly NewRow[]): Promise<Set<string>> {
  const known = new Set<string>();
  const ids = rows.flatMap(({ transaction_id }) => (transaction_id === null ? [] : [transaction_id]));
  const pipelines = ids.length === 0 ? [] : [...new Set(rows.map(({ pipeline }) => pipeline))];
  for (const pipeline of pipelines) {
    const found = await sql
      .selectFrom("alerts")
      .select(["pipeline", "transaction_id"])
      .where("pipeline", "=", pipeline)
      .where("transaction_id", "in", ids)
      .execute();
    for (const row of found) known.add(keyOf(row)!);
  }
  return known;
}

function keyOf(row: Pick<AlertRow, "pipeline" | "transaction_id">): string | null {
  return row.transaction_id === null ? null : `${Number(row.pipeline)} ${row.transaction_id}`;
}

async function count(sql: SqlTransaction, rows: readonly AlertRow[]): Promise<void> {
  const hours = new Map<string, { hour: number; pipeline: number; severity: string; count: number }>();
  const sums = new Map<string, { pipeline: number; severity: string; count: number }>();
  for (const { pipeline, severity, alerted_at } of rows) {
    const hour = hourOf(alerted_at);
    const key = `${pipeline} ${severity}`;
    const inHour = hours.get(`${hour} ${key}`) ?? { hour, pipeline, severity, count: 0 };
    hours.set(`${hour} ${key}`, { ...inHour, count: inHour.count + 1 });
    const sum = sums.get(key) ?? { pipeline, severity, count: 0 };
    sums.set(key, { ...sum, count: sum.count + 1 });
  }
  await sql
    .insertInto("alert_hours")
    .values([...hours.values()])
    .onConflict((conflicting) =>
      conflicting
        .columns(["hour", "pipeline", "severity"])
        .doUpdateSet((row) => ({ count: row("alert_hours.count", "+", row.ref("excluded.count")) })),
    )
    .execute();
  await sql
    .insertInto("alert_totals")
    .values([...sums.values()])
    .onConflict((conflicting) =>
      conflicting
        .columns(["pipeline", "severity"])
        .doUpdateSet((row) => ({ count: row("alert_totals.count", "+", row.ref("excluded.count")) })),
    )
    .execute();
}

async function totals(sql: Sql): Promise<readonly AlertCount[]> {
  const rows = await sql
    .selectFrom("alert_totals")
    .selectAll()
    .orderBy("pipeline")
    .orderBy("severity")
    .limit(PIPELINES_MAX * SEVERITIES)
    .execute();
  return rows.map(countOf);
}

/** Whole hours are counted already; only the one that `since` cuts is counted alert by alert. */
async function countsSince(sql: Sql, since: number): Promise<readonly AlertCount[]> {
  const whole = hourOf(since) === since ? since : hourOf(since) + HOUR_MS;
  const inHours = await sql
    .selectFrom("alert_hours")
    .select(["pipeline", "severity", (row) => row.fn.sum<number>("count").as("count")])
    .where("hour", ">=", whole)
    .groupBy(["pipeline", "severity"])
    .limit(PIPELINES_MAX * SEVERITIES)
    .execute();
  const before = await sql
    .selectFrom("alerts")
    .select(["pipeline", "severity", (row) => row.fn.countAll<number>().as("count")])
    .where("alerted_at", ">=", since)
    .where("alerted_at", "<", whole)
    .groupBy(["pipeline", "severity"])
    .limit(PIPELINES_MAX * SEVERITIES)
    .execute();
  const sums = new Map<string, AlertCount>();
  for (const row of [...inHours, ...before].map(countOf)) {
    const key = `${row.pipeline} ${row.severity}`;
    sums.set(key, { ...row, count: row.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()].sort(
    (one, other) => one.pipeline - other.pipeline || (one.severity < other.severity ? -1 : 1),
  );
}

function countOf(row: { readonly pipeline: number; readonly severity: string; readonly count: number }): AlertCount {
  return { pipeline: Number(row.pipeline), severity: row.severity as RuleSeverity, count: Number(row.count) };
}

function hourOf(time: number): number {
  return Math.floor(time / HOUR_MS) * HOUR_MS;
}

/** Errors: store.invalid. */
function rowFor(alert: NewAlert): NewRow {
  const text = (value: string | null): string | null => (value === null ? null : stored(value));
  const number = (value: number | null): number | null => (value === null || !Number.isFinite(value) ? null : value);
  if (alert.transactionId !== null) checkText("the id of a transaction", alert.transactionId);
  const rules = alert.rules.slice(0, ALERT_RULES_MAX).map((rule) => ({
    id: rule.id,
    description: rule.description.slice(0, STORE_TEXT_MAX),
    severity: rule.severity,
  }));
  const row: NewRow = {
    pipeline: alert.pipeline,
    transaction_id: text(alert.transactionId),
    severity: alert.severity,
    rules: storedJson(rules),
    decision: alert.decision,
    decided_by: stored(alert.decidedBy),
    score: number(alert.score),
    reasons: storedJson(alert.reasons),
    bundle: text(alert.bundle),
    rule_set: text(alert.ruleSet),
    vector_hash: text(alert.vectorHash),
    entity: text(alert.entity),
    amount: number(alert.amount),
    body: storedJson(alert.transaction),
    time: whole("the time of a transaction", alert.time),
    alerted_at: whole("the time of an alert", alert.alertedAt),
  };
  checkJson("a transaction", row.body);
  checkJson("the reasons of an alert", row.reasons);
  return row;
}
