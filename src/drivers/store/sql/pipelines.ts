// Pipelines in the store: made and changed under their version, each change with its audit entry in one transaction.
import { SentinelError } from "../../../core/errors.ts";
import { canonicalJson } from "../../../core/hash.ts";
import {
  type ChangedBy,
  type JsonObject,
  PIPELINE_SOURCES,
  PIPELINE_STATUSES,
  PIPELINES_MAX,
  type PipelineFields,
  type PipelinePatch,
  type PipelineRecord,
  type PipelineStore,
  SCHEMA_FIELDS_MAX,
  SCHEMA_TYPES,
  type SchemaField,
} from "../../../ports/store.ts";
import { auditChange } from "./audit.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import { checkJson, checkText, whole } from "./limits.ts";
import type { PipelineRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, storedJson, unstored } from "./text.ts";

/** As a pipeline file may be called. */
const SLUG = /^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/;

export function pipelinesOf(database: Database): PipelineStore {
  const one = (column: "id" | "slug", value: number | string): Promise<PipelineRecord | null> =>
    database.read(async (sql) => recordOrNull(await rowOf(sql, column, value)));
  return {
    async list() {
      const rows = await database.read((sql) =>
        sql.selectFrom("pipelines").selectAll().orderBy("id").limit(PIPELINES_MAX).execute(),
      );
      return rows.map(recordOf);
    },
    // What no id can be is none: a database would complain of it instead.
    find: async (id) => (Number.isSafeInteger(id) ? one("id", id) : null),
    findBySlug: (slug) => one("slug", stored(slug)),
    async create(fields, by) {
      checkFields(fields);
      return naming(database, fields, () => database.write((sql) => insert(sql, fields, by)));
    },
    async update(id, { expected, patch }, by) {
      return naming(database, patch, () => database.write((sql) => change(sql, { id, expected, patch, by })));
    },
    async declare(fields, by) {
      checkFields(fields);
      return naming(database, fields, () => database.write((sql) => declare(sql, fields, by)));
    },
    revision: database.kept(async (sql) => {
      const row = await sql
        .selectFrom("counters")
        .select("value")
        .where("name", "=", "pipelines_revision")
        .executeTakeFirst();
      return Number(row?.value ?? 0);
    }),
  };
}

async function insert(sql: SqlTransaction, fields: PipelineFields, by: ChangedBy): Promise<PipelineRecord> {
  // The counter is also the lock: of two that come at once, the second one counts the first.
  await raise(sql, "pipelines_revision");
  const { count } = await sql
    .selectFrom("pipelines")
    .select((row) => row.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  if (Number(count) >= PIPELINES_MAX) {
    throw new SentinelError("store.limit", `there are ${count} pipelines already`, {
      hint: `a store keeps at most ${PIPELINES_MAX}`,
    });
  }
  const at = whole("the time of a change", by.at);
  const record: PipelineRecord = {
    ...fieldsOf(fields),
    id: await raise(sql, "pipelines"),
    status: "active",
    schemaVersion: 1,
    version: 1,
    createdAt: at,
    changedAt: at,
  };
  await sql.insertInto("pipelines").values(rowFor(record)).execute();
  await audit(sql, { action: "pipeline.create", before: null, after: record, by });
  return record;
}

async function change(
  sql: SqlTransaction,
  of: { readonly id: number; readonly expected: number; readonly patch: PipelinePatch; readonly by: ChangedBy },
): Promise<PipelineRecord> {
  const { id, expected, patch, by } = of;
  // Before the row is read, so that what is read is not changed by others until the end.
  await raise(sql, "pipelines_revision");
  const before = Number.isSafeInteger(id) ? recordOrNull(await rowOf(sql, "id", id)) : null;
  if (before === null) {
    throw new SentinelError("store.unknown", `there is no pipeline ${id}`, {
      hint: "list the pipelines to see their ids",
    });
  }
  if (before.version !== expected) throw stale(before, expected);
  const after = patched(before, patch, whole("the time of a change", by.at));
  checkFields(after);
  const { id: _id, ...row } = rowFor(after);
  await sql.updateTable("pipelines").set(row).where("id", "=", id).execute();
  await audit(sql, { action: actionOf(before, after), before, after, by });
  return after;
}

async function declare(sql: SqlTransaction, fields: PipelineFields, by: ChangedBy): Promise<PipelineRecord> {
  // Raised by nothing it is a lock alone: several servers declare their files in the same moment.
  await raise(sql, "pipelines_revision", 0);
  const known = recordOrNull(await rowOf(sql, "slug", stored(fields.slug)));
  if (known === null) return insert(sql, fields, by);
  if (known.source !== fields.source) {
    throw new SentinelError("store.conflict", `the pipeline ${fields.slug} was made by the ${known.source}`, {
      hint: fields.source === "file" ? "give the pipeline file another name" : "take another name",
    });
  }
  const { slug: _slug, ...patch } = fieldsOf(fields);
  if (sameFields(known, patched(known, patch, known.changedAt))) return known;
  return change(sql, { id: known.id, expected: known.version, patch, by });
}

function patched(before: PipelineRecord, patch: PipelinePatch, at: number): PipelineRecord {
  const named = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  const after: PipelineRecord = { ...before, ...named, version: before.version + 1, changedAt: at };
  const sameSchema = canonicalJson(before.schema) === canonicalJson(after.schema);
  return { ...after, schemaVersion: before.schemaVersion + (sameSchema ? 0 : 1) };
}

function sameFields(one: PipelineFields, other: PipelineFields): boolean {
  return canonicalJson(fieldsOf(one)) === canonicalJson(fieldsOf(other));
}

/** Without what the store adds. */
function fieldsOf({ slug, name, source, kafkaTopic, schema, settings }: PipelineFields): PipelineFields {
  const fields = schema.map((field) => ({ name: field.name, type: field.type, nullable: field.nullable }));
  return { slug, name, source, kafkaTopic, schema: fields, settings };
}

function actionOf(before: PipelineRecord, after: PipelineRecord): string {
  if (before.schemaVersion !== after.schemaVersion) return "pipeline.schema";
  return before.status === after.status ? "pipeline.update" : "pipeline.status";
}

async function audit(
  sql: SqlTransaction,
  entry: {
    readonly action: string;
    readonly before: PipelineRecord | null;
    readonly after: PipelineRecord;
    readonly by: ChangedBy;
  },
): Promise<void> {
  const { action, after } = entry;
  const about = { action, subject: "pipeline", subjectId: String(after.id), pipeline: after.slug };
  await auditChange(sql, about, entry);
}

/** Errors: store.invalid. */
function checkFields(fields: PipelineFields & Partial<Pick<PipelineRecord, "status">>): void {
  const wrong = (what: string, hint: string): SentinelError => new SentinelError("store.invalid", what, { hint });
  if (!SLUG.test(fields.slug)) {
    throw wrong(
      `${JSON.stringify(fields.slug.slice(0, 100))} names no pipeline`,
      "letters, digits, _ and -, at most 80, beginning with a letter or a digit",
    );
  }
  checkText("the name of a pipeline", fields.name);
  if (fields.kafkaTopic !== null) checkText("kafka_topic", fields.kafkaTopic);
  if (!PIPELINE_SOURCES.includes(fields.source))
    throw wrong("a pipeline has no such source", PIPELINE_SOURCES.join(" or "));
  if (fields.status !== undefined && !PIPELINE_STATUSES.includes(fields.status)) {
    throw wrong(`${JSON.stringify(fields.status)} is no status of a pipeline`, PIPELINE_STATUSES.join(", "));
  }
  if (fields.schema.length > SCHEMA_FIELDS_MAX) {
    throw wrong(`the schema has ${fields.schema.length} fields`, `at most ${SCHEMA_FIELDS_MAX}`);
  }
  const names = new Set<string>();
  for (const { name, type, nullable } of fields.schema) {
    checkText("the name of a field", name);
    if (names.has(name)) throw wrong(`the schema names ${JSON.stringify(name)} twice`, "each field once");
    names.add(name);
    if (!SCHEMA_TYPES.includes(type))
      throw wrong(`field ${name} has type ${JSON.stringify(type)}`, SCHEMA_TYPES.join(", "));
    if (typeof nullable !== "boolean")
      throw wrong(`field ${name}: nullable is neither true nor false`, "true or false");
  }
  checkJson("the settings of a pipeline", storedJson(fields.settings));
}

function stale(now: PipelineRecord, expected: number): SentinelError {
  return new SentinelError("store.stale", `pipeline ${now.id} is at version ${now.version}, not ${expected}`, {
    hint: "somebody else changed it: look at it again, then repeat the change if it is still wanted",
  });
}

/** A name that is taken is for the caller to change. */
async function naming<T>(database: Database, fields: Partial<PipelineFields>, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!database.isTaken(error)) throw error;
    throw new SentinelError(
      "store.conflict",
      `there is a pipeline ${JSON.stringify(fields.name ?? fields.slug)} already`,
      {
        hint: "take another name",
        cause: error,
      },
    );
  }
}

async function rowOf(
  sql: Sql | SqlTransaction,
  column: "id" | "slug",
  value: number | string,
): Promise<PipelineRow | undefined> {
  return sql.selectFrom("pipelines").selectAll().where(column, "=", value).executeTakeFirst();
}

function recordOrNull(row: PipelineRow | undefined): PipelineRecord | null {
  return row === undefined ? null : recordOf(row);
}

function recordOf(row: PipelineRow): PipelineRecord {
  return {
    id: Number(row.id),
    slug: unstored(row.slug),
    name: unstored(row.name),
    source: row.source as PipelineRecord["source"],
    kafkaTopic: row.kafka_topic === null ? null : unstored(row.kafka_topic),
    schema: JSON.parse(row.fields) as readonly SchemaField[],
    settings: JSON.parse(row.settings) as JsonObject,
    status: row.status as PipelineRecord["status"],
    schemaVersion: Number(row.schema_version),
    version: Number(row.version),
    createdAt: Number(row.created_at),
    changedAt: Number(row.changed_at),
  };
}

function rowFor(record: PipelineRecord): PipelineRow {
  return {
    id: record.id,
    slug: stored(record.slug),
    name: stored(record.name),
    source: record.source,
    kafka_topic: record.kafkaTopic === null ? null : stored(record.kafkaTopic),
    fields: storedJson(record.schema),
    settings: storedJson(record.settings),
    status: record.status,
    schema_version: record.schemaVersion,
    version: record.version,
    created_at: record.createdAt,
    changed_at: record.changedAt,
  };
}
