// Pages of alerts: one index leads, at most ALERTS_SEEN_MAX rows along it are looked at, and a page that finds too few says where to go on.
import { type RawBuilder, sql as raw, type SelectQueryBuilder } from "kysely";
import type { Decision } from "../../../core/decision.ts";
import { SentinelError } from "../../../core/errors.ts";
import type { RuleSeverity } from "../../../core/rule.ts";
import {
  ALERTS_SEEN_MAX,
  type Alert,
  type AlertFilter,
  type AlertRule,
  type Json,
  type JsonObject,
  type Page,
} from "../../../ports/store.ts";
import { cursorOf, placeOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { checkLimit, whole } from "./limits.ts";
import type { AlertRow, Sql, Tables } from "./tables.ts";
import { stored, storedJson, unstored } from "./text.ts";
import { widening } from "./widening.ts";

/** The order of pages: newest first; alerts of one millisecond by id. */
interface Place {
  readonly alertedAt: number;
  readonly id: number;
}

/** What can lead: each has an index that ends in the order of pages. */
type Lead = { readonly by: "rule"; readonly rule: string } | { readonly by: "alerts"; readonly equal: Partial<Equal> };
type Equal = Pick<AlertRow, "pipeline" | "severity" | "decision" | "entity" | "transaction_id">;

/** Errors: store.invalid, store.unreachable. */
export async function pageOfAlerts(
  database: Database,
  filter: AlertFilter,
  { limit, cursor = null }: { readonly limit: number; readonly cursor?: string | null },
): Promise<Page<Alert>> {
  checkLimit(limit);
  const place = placeOf(cursor, 2);
  const below: Place | null = place === null ? null : { alertedAt: place[0], id: place[1] };
  const question = { filter: checked(filter), lead: leadOf(filter), below };
  const whole = isWhole(question);
  // Asked first: what comes meanwhile stands before it and moves nothing.
  const seenTo = whole ? null : await database.read((sql) => lastSeen(sql, question));
  // Where all that is asked for leads, rows behind the page are of no use.
  const rows = await widening(limit + 1, whole ? limit + 1 : 2 * ALERTS_SEEN_MAX, (seenMax) =>
    database.read((sql) => found(sql, question, { limit: limit + 1, seenTo, seenMax })),
  );
  const items = rows.slice(0, limit).map(alertOf);
  if (rows.length > limit) return { items, next: cursorFor(rows[limit - 1]) };
  return { items, next: seenTo === null ? null : cursorFor(seenTo) };
}

interface Question {
  readonly filter: AlertFilter;
  readonly lead: Lead;
  readonly below: Place | null;
}

/** The narrowest first. */
function leadOf({ transactionId, entity, rule, pipeline, severity }: AlertFilter): Lead {
  if (transactionId !== undefined) return { by: "alerts", equal: { transaction_id: stored(transactionId) } };
  if (entity !== undefined) return { by: "alerts", equal: { entity: stored(entity) } };
  if (rule !== undefined) return { by: "rule", rule: stored(rule) };
  if (pipeline !== undefined && severity !== undefined) return { by: "alerts", equal: { pipeline, severity } };
  if (pipeline !== undefined) return { by: "alerts", equal: { pipeline } };
  return { by: "alerts", equal: severity === undefined ? {} : { severity } };
}

/** Whether all that is asked for leads: then every row along it is found. A rule is asked for within its pipeline, which does not lead. */
function isWhole({ filter, lead }: Question): boolean {
  if (lead.by === "rule" || filter.rule !== undefined) return false;
  const { decision, amountMin, amountMax, text, transactionId, entity, pipeline, severity } = filter;
  const { equal } = lead;
  return (
    [decision, amountMin, amountMax, text].every((asked) => asked === undefined) &&
    (transactionId === undefined || equal.transaction_id !== undefined) &&
    (entity === undefined || equal.entity !== undefined) &&
    (pipeline === undefined || equal.pipeline !== undefined) &&
    (severity === undefined || equal.severity !== undefined)
  );
}

type Along = SelectQueryBuilder<Tables, "alerts", { alerted_at: number; id: number }>;

/** Rows that the index leads to, newest first; `end`: none behind that place. */
function along(sql: Sql, { filter, lead, below }: Question, end: Place | null = null): Along {
  const { from, to } = filter;
  if (lead.by === "rule") {
    let query = sql.selectFrom("alert_rules").select(["alerted_at", "alert as id"]).where("rule", "=", lead.rule);
    if (from !== undefined) query = query.where("alerted_at", ">=", from);
    if (to !== undefined) query = query.where("alerted_at", "<", to);
    if (below !== null) query = query.where(raw<boolean>`(alerted_at, alert) < (${below.alertedAt}, ${below.id})`);
    if (end !== null) query = query.where(raw<boolean>`(alerted_at, alert) >= (${end.alertedAt}, ${end.id})`);
    // Whichever table leads, its rows are places: the types of the two queries differ in the table's name alone.
    return query.orderBy("alerted_at", "desc").orderBy("alert", "desc") as unknown as Along;
  }
  let query = sql.selectFrom("alerts").select(["alerted_at", "id"]);
  for (const [column, value] of Object.entries(lead.equal)) query = query.where(column as keyof Equal, "=", value);
  if (from !== undefined) query = query.where("alerted_at", ">=", from);
  if (to !== undefined) query = query.where("alerted_at", "<", to);
  if (below !== null) query = query.where(raw<boolean>`(alerted_at, id) < (${below.alertedAt}, ${below.id})`);
  if (end !== null) query = query.where(raw<boolean>`(alerted_at, id) >= (${end.alertedAt}, ${end.id})`);
  return query.orderBy("alerted_at", "desc").orderBy("id", "desc");
}

async function found(
  sql: Sql,
  question: Question,
  { limit, seenTo, seenMax }: { readonly limit: number; readonly seenTo: Place | null; readonly seenMax: number },
): Promise<readonly AlertRow[]> {
  const { filter, lead } = question;
  let query = sql
    .selectFrom(along(sql, question, seenTo).limit(seenMax).as("seen"))
    .innerJoin("alerts", "alerts.id", "seen.id")
    .selectAll("alerts");
  const { pipeline, severity, decision, entity, transactionId } = filter;
  if (pipeline !== undefined) query = query.where(raw<number>`alerts.pipeline + 0`, "=", pipeline);
  if (severity !== undefined) query = query.where(unled("severity"), "=", severity);
  if (decision !== undefined) query = query.where("alerts.decision", "=", decision);
  if (entity !== undefined) query = query.where(unled("entity"), "=", stored(entity));
  if (transactionId !== undefined) query = query.where(unled("transaction_id"), "=", stored(transactionId));
  if (filter.amountMin !== undefined) query = query.where("alerts.amount", ">=", filter.amountMin);
  if (filter.amountMax !== undefined) query = query.where("alerts.amount", "<=", filter.amountMax);
  if (filter.text !== undefined) query = query.where(holds(filter.text));
  if (filter.rule !== undefined && lead.by !== "rule") {
    const rule = stored(filter.rule);
    query = query.where((row) =>
      row.exists(
        row
          .selectFrom("alert_rules")
          .select("alert_rules.alert")
          .where("alert_rules.rule", "=", rule)
          .whereRef("alert_rules.alerted_at", "=", "alerts.alerted_at")
          .whereRef("alert_rules.alert", "=", "alerts.id"),
      ),
    );
  }
  return query.orderBy("seen.alerted_at", "desc").orderBy("seen.id", "desc").limit(limit).execute();
}

/**
 * A column as no index has it. Rows are looked up by their ids here, ten thousand at most; PostgreSQL, which may know nothing of a young table
 * yet, would else go through all rows of the column's value for each of them.
 */
function unled(column: "severity" | "entity" | "transaction_id"): RawBuilder<string> {
  return raw<string>`alerts.${raw.id(column)} || ''`;
}

/** Whether a text stands in an alert. In JSON it stands as JSON has it; both sides are lowered by the database, each by its own rules. */
function holds(text: string): RawBuilder<boolean> {
  const inside = (written: string): string => `%${written.replace(/[\\%_]/g, "\\$&")}%`;
  const json = inside(storedJson(text).slice(1, -1));
  const plain = inside(stored(text));
  return raw<boolean>`(lower(cast(alerts.body as text)) like lower(${json}) escape '\\'
    or lower(cast(alerts.rules as text)) like lower(${json}) escape '\\'
    or lower(alerts.transaction_id) like lower(${plain}) escape '\\'
    or lower(alerts.entity) like lower(${plain}) escape '\\')`;
}

/** Where looking ended, if it ended before the rows did; null: there is nothing behind. */
async function lastSeen(sql: Sql, question: Question): Promise<Place | null> {
  const row = await along(sql, question)
    .offset(ALERTS_SEEN_MAX - 1)
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : { alertedAt: Number(row.alerted_at), id: Number(row.id) };
}

function cursorFor(place: Place | AlertRow): string {
  return cursorOf(["alertedAt" in place ? place.alertedAt : Number(place.alerted_at), Number(place.id)]);
}

/** Errors: store.invalid. */
function checked(filter: AlertFilter): AlertFilter {
  for (const name of ["pipeline", "from", "to"] as const) {
    if (filter[name] !== undefined) whole(name, filter[name]);
  }
  for (const name of ["amountMin", "amountMax"] as const) {
    if (filter[name] === undefined || Number.isFinite(filter[name])) continue;
    throw new SentinelError("store.invalid", `${name} is ${filter[name]}`, { hint: "give a number" });
  }
  return filter;
}

export function alertOf(row: AlertRow): Alert {
  const text = (value: string | null): string | null => (value === null ? null : unstored(value));
  const number = (value: number | null): number | null => (value === null ? null : Number(value));
  return {
    id: Number(row.id),
    pipeline: Number(row.pipeline),
    transactionId: text(row.transaction_id),
    severity: row.severity as RuleSeverity,
    rules: JSON.parse(row.rules) as readonly AlertRule[],
    decision: row.decision as Decision,
    decidedBy: unstored(row.decided_by),
    score: number(row.score),
    reasons: JSON.parse(row.reasons) as Json,
    bundle: text(row.bundle),
    ruleSet: text(row.rule_set),
    vectorHash: text(row.vector_hash),
    entity: text(row.entity),
    amount: number(row.amount),
    transaction: JSON.parse(row.body) as JsonObject,
    time: Number(row.time),
    alertedAt: Number(row.alerted_at),
  };
}
