// A log's place in PostgreSQL: the tables that a migration made, its row among the logs, and how this log alone is read.
import type pg from "pg";
import { DAY_MS } from "../../../core/duration.ts";
import { MIGRATIONS, tooNew, tooOld } from "../../store/sql/migrate.ts";
import type { LogTables } from "../sql/read.ts";
import type { Row } from "../sql/rows.ts";

/** A round trip costs as much as some hundred rows; a page of them still leaves the event loop within milliseconds. */
const PAGE_ROWS = 1024;
/** For the look-up of one record that a request waits for, by our clock. */
const LOOK_UP_MS_MAX = 3_000;
/** 128 bits that nobody else has; gen_random_uuid() came with version 13. */
const UNIQUE = "md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text)";
/** 48 of them tell all logs from each other. */
const IDENTITY = `('x' || substr(${UNIQUE}, 1, 12))::bit(48)::bigint`;
/** Who wrote nothing for so long has no batch under way. */
const WRITERS_KEPT = "7 days";

/** Errors: store.schema-old, store.schema-new, and the driver's. */
export async function checkTables(pool: pg.Pool, schema: string): Promise<void> {
  const there = await pool.query("SELECT to_regclass($1)::text AS found", [`${schema}.store_version`]);
  const found = (there.rows[0] as { readonly found: string | null }).found !== null;
  const { rows } = found ? await pool.query(`SELECT version FROM ${schema}.store_version`) : { rows: [] };
  const version = Number((rows[0] as { readonly version: number } | undefined)?.version ?? 0);
  if (version < MIGRATIONS.length) throw tooOld(version);
  if (version > MIGRATIONS.length) throw tooNew(version);
}

/** The log's number and a new writer's name; the log is made when absent, by however many at once. */
export async function findLog(
  pool: pg.Pool,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<{ readonly log: number; readonly writer: string }> {
  const find = `SELECT id, ${UNIQUE} AS writer FROM ${schema}.logs WHERE name = $1`;
  let { rows } = await pool.query(find, [name]);
  if (rows.length === 0) {
    await pool.query(
      `WITH made AS (INSERT INTO ${schema}.logs (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id)
       INSERT INTO ${schema}.log_counters (log, name, value)
       SELECT made.id, first.name, first.value FROM made, (VALUES
         ('sequence', 0), ('predictions', 0), ('labels', 0), ('shadows', 0), ('identity', ${IDENTITY})) AS first (name, value)`,
      [name],
    );
    ({ rows } = await pool.query(find, [name]));
  }
  const [{ id, writer }] = rows as { readonly id: number; readonly writer: string }[];
  await pool.query(
    `DELETE FROM ${schema}.log_writers WHERE log = $1 AND written_at < now() - interval '${WRITERS_KEPT}'`,
    [id],
  );
  return { log: id, writer };
}

/**
 * One log by the plain names of its tables. Each is a common table expression that PostgreSQL folds into the query (NOT MATERIALIZED), so that the
 * indexes, which begin with the log, serve as if it were alone.
 */
export function tablesOf(pool: pg.Pool, { schema, log }: { readonly schema: string; readonly log: number }): LogTables {
  const alone = ["counters", "predictions", "labels", "shadows", "coverage"].map(
    (table) => `${table} AS NOT MATERIALIZED (SELECT * FROM ${schema}.log_${table} WHERE log = ${log})`,
  );
  const texts = new Map<string, string>();
  return {
    pageRows: PAGE_ROWS,
    dayOf: (column) => `floor(${column} / ${DAY_MS}) * ${DAY_MS}`,
    async all(query, values, how) {
      let text = texts.get(query);
      if (text === undefined) {
        let place = 0;
        text = `WITH ${alone.join(", ")} ${query.replace(/\?/g, () => `$${++place}`)}`;
        texts.set(query, text);
      }
      const limit = how?.soon === true ? { query_timeout: LOOK_UP_MS_MAX } : {};
      const { rows } = await pool.query<unknown[]>({ text, values: [...values], rowMode: "array", ...limit });
      return rows as readonly Row[];
    },
  };
}
