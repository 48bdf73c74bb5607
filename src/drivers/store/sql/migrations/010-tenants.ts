// Tenants: every row belongs to one, keys begin with it, and what was there belongs to `default`.
import { type Kysely, sql as raw } from "kysely";
import type { ColumnTypes, Migration } from "../migration.ts";

/** A table with what identifies a row of one tenant, what must be unique besides, and what questions lead along. */
interface Shape {
  readonly key: readonly string[];
  readonly unique?: Readonly<Record<string, readonly string[]>>;
  readonly indexes?: Readonly<Record<string, readonly string[]>>;
}

const SHAPES: Readonly<Record<string, Shape>> = {
  counters: { key: ["name"] },
  pipelines: { key: ["id"], unique: { pipelines_slug: ["slug"], pipelines_name: ["name"] } },
  rule_journal: { key: ["pipeline", "place"] },
  rule_sets: { key: ["pipeline", "hash"] },
  rule_lists: { key: ["pipeline", "list"] },
  rule_list_changes: { key: ["pipeline", "list", "place"] },
  rule_numbers: { key: ["number"], unique: { rule_numbers_rule: ["pipeline", "rule"] } },
  alerts: {
    key: ["id"],
    unique: { alerts_transaction: ["transaction_id", "pipeline"] },
    indexes: {
      alerts_by_time: ["alerted_at", "id"],
      alerts_by_pipeline_time: ["pipeline", "alerted_at", "id"],
      alerts_by_severity_time: ["severity", "alerted_at", "id"],
      alerts_by_pipeline_severity_time: ["pipeline", "severity", "alerted_at", "id"],
      alerts_by_entity_time: ["entity", "alerted_at", "id"],
      alerts_by_pipeline_id: ["pipeline", "id"],
    },
  },
  alert_rules: { key: ["rule", "alerted_at", "alert"] },
  alert_hours: { key: ["hour", "pipeline", "severity"] },
  alert_totals: { key: ["pipeline", "severity"] },
  audit: {
    key: ["place"],
    indexes: {
      audit_by_pipeline: ["pipeline", "place"],
      audit_by_actor: ["actor", "place"],
      audit_by_subject: ["subject", "subject_id", "place"],
    },
  },
  ledger: { key: ["id"], indexes: { ledger_pending: ["pending", "received_at", "id"] } },
  cases: {
    key: ["id"],
    unique: { cases_open_key: ["open_key"] },
    indexes: {
      cases_by_pipeline_id: ["pipeline", "id"],
      cases_by_open_id: ["open", "id"],
      cases_by_entity_id: ["entity", "id"],
      cases_by_assignee_id: ["assignee", "id"],
      cases_by_disposition_id: ["disposition", "id"],
      cases_by_open_pipeline_worth_id: ["open", "pipeline", "worth", "id"],
      cases_by_open_pipeline_due_at_id: ["open", "pipeline", "due_at", "id"],
      cases_by_open_why_pipeline_id: ["open", "why", "pipeline", "id"],
      cases_by_closed_at: ["closed_at"],
    },
  },
  case_alerts: { key: ["case_id", "alert"], unique: { case_alerts_alert: ["alert"] } },
  case_events: { key: ["case_id", "place"] },
  case_labels: {
    key: ["case_id", "closing", "transaction_id"],
    indexes: { case_labels_by_state: ["pipeline", "state", "next_at"] },
  },
  case_positions: { key: ["pipeline"] },
  snoozes: { key: ["id"], indexes: { snoozes_by_entity: ["pipeline", "entity", "rule", "until_at"] } },
  outbox: {
    key: ["id"],
    unique: { outbox_happening: ["target", "happening"] },
    indexes: { outbox_order: ["waiting", "target", "id"] },
  },
  dead_letters: { key: ["id"], indexes: { dead_letters_target: ["target", "id"] } },
};

/** Tables whose rows nobody changes. */
const FIXED = ["audit", "rule_journal"] as const;

export const tenants: Migration = {
  name: "010-tenants",
  async up(sql, types) {
    await makeTenants(sql, types);
    const embedded = types.kind === "embedded";
    if (embedded) for (const table of FIXED) await dropTriggers(sql, table);
    for (const [table, shape] of Object.entries(SHAPES)) {
      if (embedded) await rebuilt(sql, table, shape);
      else await altered(sql, types, { table, shape });
      for (const [name, columns] of Object.entries(shape.indexes ?? {})) {
        await sql.schema
          .createIndex(name)
          .on(table)
          .columns(["tenant", ...columns])
          .execute();
      }
    }
    await keepFixed(sql, types);
  },
};

// biome-ignore lint/suspicious/noExplicitAny: a migration works on tables as they were then, which have no types.
type Untyped = Kysely<any>;

async function makeTenants(sql: Untyped, { whole, json }: ColumnTypes): Promise<void> {
  await sql.schema
    .createTable("tenants")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("title", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("quotas", json, (column) => column.notNull())
    .addColumn("created_at", whole, (column) => column.notNull())
    .addColumn("changed_at", whole, (column) => column.notNull())
    .execute();
  const quotas = JSON.stringify({ requestsPerSecond: null, pipelines: null, rules: null, alerts: null });
  await sql
    .insertInto("tenants")
    .values({ name: "default", title: "default", status: "active", quotas, created_at: 0, changed_at: 0 })
    .execute();
}

async function dropTriggers(sql: Untyped, table: string): Promise<void> {
  for (const verb of ["update", "delete"]) await raw`drop trigger ${raw.id(`${table}_no_${verb}`)}`.execute(sql);
}

/** SQLite changes no key of a table: its rows move to a new one. */
async function rebuilt(sql: Untyped, table: string, { key, unique = {} }: Shape): Promise<void> {
  const { rows } = await raw<{ name: string; type: string; required: number }>`
    select name, type, "notnull" as required from pragma_table_info(${table}) order by cid`.execute(sql);
  const columns = rows.map(
    ({ name, type, required }) =>
      raw`${raw.id(name)} ${raw.raw(type)}${raw.raw(required !== 0 || key.includes(name) ? " not null" : "")}`,
  );
  const among = (names: readonly string[]) => raw.join(["tenant", ...names].map((name) => raw.id(name)));
  const uniques = Object.entries(unique).map(([name, of]) => raw`, constraint ${raw.id(name)} unique (${among(of)})`);
  const next = raw.id(`${table}_next`);
  await raw`create table ${next} (tenant text not null, ${raw.join(columns)},
    primary key (${among(key)})${raw.join(uniques, raw``)})`.execute(sql);
  const names = raw.join(rows.map(({ name }) => raw.id(name)));
  await raw`insert into ${next} (tenant, ${names}) select 'default', ${names} from ${raw.id(table)}`.execute(sql);
  await raw`drop table ${raw.id(table)}`.execute(sql);
  await raw`alter table ${next} rename to ${raw.id(table)}`.execute(sql);
}

/** PostgreSQL does so in place: the rows stay where they are. */
async function altered(
  sql: Untyped,
  { named, schema }: ColumnTypes,
  { table, shape: { key, unique = {} } }: { readonly table: string; readonly shape: Shape },
): Promise<void> {
  const of = named(table);
  await raw`alter table ${of} add column tenant text not null default 'default'`.execute(sql);
  // Whatever comes from now on says whose it is.
  await raw`alter table ${of} alter column tenant drop default`.execute(sql);
  const constraints = await raw<{ name: string }>`select c.conname as name from pg_constraint c
    join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${schema} and t.relname = ${table} and c.contype in ('p', 'u')`.execute(sql);
  for (const { name } of constraints.rows) await raw`alter table ${of} drop constraint ${raw.id(name)}`.execute(sql);
  const indexes = await raw<{ name: string }>`select indexname as name from pg_indexes
    where schemaname = ${schema} and tablename = ${table}`.execute(sql);
  for (const { name } of indexes.rows) await raw`drop index ${named(name)}`.execute(sql);
  const among = (names: readonly string[]) => raw.join(["tenant", ...names].map((name) => raw.id(name)));
  await raw`alter table ${of} add primary key (${among(key)})`.execute(sql);
  for (const [name, columns] of Object.entries(unique)) {
    await raw`alter table ${of} add constraint ${raw.id(name)} unique (${among(columns)})`.execute(sql);
  }
}

/** What a seal makes visible afterwards the database refuses in the first place; of a tenant's audit the oldest may go, up to its mark. */
async function keepFixed(sql: Untyped, { kind, named }: ColumnTypes): Promise<void> {
  const begin = raw`(select value from ${named("counters")} where name = 'audit_begin' and tenant = old.tenant)`;
  if (kind === "postgres") {
    await raw`create or replace function ${named("keep_from_begin")}() returns trigger language plpgsql as
      ${raw.raw("$body$")} begin
        if old.place < ${begin} then return old; end if;
        raise exception 'entries are never changed';
      end ${raw.raw("$body$")}`.execute(sql);
    return;
  }
  for (const table of FIXED) {
    for (const verb of ["update", "delete"]) {
      const when = table === "audit" && verb === "delete" ? raw` when old.place >= ${begin}` : raw``;
      await raw`create trigger ${raw.id(`${table}_no_${verb}`)} before ${raw.raw(verb)} on ${named(table)}${when}
        begin select raise(abort, 'entries are never changed'); end`.execute(sql);
    }
  }
}
