// Forgetting on PostgreSQL: deletes the oldest predictions, with their labels and shadows, a small batch per transaction, and notes where the log begins.
import type pg from "pg";
import type { Pruned, PruneLimits } from "../sql/log-end.ts";

export interface LogTable {
  readonly schema: string;
  readonly log: number;
}

type Counts = Readonly<Record<string, number>>;

/** The oldest predictions beyond the limits, at most `rowsMax`, in the client's own transaction. */
export async function pruneBatch(
  client: pg.ClientBase,
  { schema, log }: LogTable,
  limits: PruneLimits & { readonly batchRowsMax: number },
): Promise<Pruned> {
  await client.query("BEGIN");
  // As those who write do: what is counted here is counted by nobody else meanwhile.
  const locked = await client.query(
    `SELECT name, value FROM ${schema}.log_counters WHERE log = $1 AND name = 'sequence' FOR UPDATE`,
    [log],
  );
  if (locked.rows.length === 0) throw new Error(`log ${log} is gone`);
  const { rows } = await client.query(`SELECT name, value FROM ${schema}.log_counters WHERE log = $1`, [log]);
  const counters = new Map((rows as { name: string; value: number }[]).map(({ name, value }) => [name, value]));
  const archived = limits.archivedOnly === true ? (counters.get("archived_through") ?? 0) : Number.MAX_SAFE_INTEGER;
  const total = counters.get("predictions") ?? 0;
  const excess = Math.max(0, total - (limits.rowsMax ?? total));
  // Arrival order and sequence agree, so the rows to go are a prefix: it ends before the first that may stay.
  const last = await client.query(
    `WITH oldest AS (
       SELECT sequence, received_at, row_number() OVER (ORDER BY sequence) AS place FROM (
         SELECT sequence, received_at FROM ${schema}.log_predictions WHERE log = $1 ORDER BY sequence LIMIT $2) AS page),
     stays AS (
       SELECT min(sequence) AS sequence FROM oldest
       WHERE sequence > $3 OR NOT (place <= $4 OR coalesce(received_at, 0) < $5))
     SELECT max(o.sequence) AS last FROM oldest o, stays s WHERE s.sequence IS NULL OR o.sequence < s.sequence`,
    [log, limits.batchRowsMax, archived, excess, limits.before ?? 0],
  );
  const through = (last.rows[0] as { readonly last: number | null }).last;
  if (through === null) {
    await client.query("ROLLBACK");
    return { predictions: 0, through: 0 };
  }
  // A label that is not archived stays when its transaction goes. Labels as old as these whose transaction was never logged go along, and so do
  // shadows whose prediction was dropped, when their turn has come.
  const gone = await client.query(
    `WITH gone AS (
       DELETE FROM ${schema}.log_predictions WHERE log = $1 AND sequence <= $2 RETURNING transaction_id, time, applied),
     labels AS (
       DELETE FROM ${schema}.log_labels l WHERE l.log = $1 AND (
         (l.sequence <= $3 AND l.transaction_id IN (SELECT transaction_id FROM gone))
         OR (l.sequence <= $2 AND NOT EXISTS (
           SELECT 1 FROM ${schema}.log_predictions p WHERE p.log = $1 AND p.transaction_id = l.transaction_id)))
       RETURNING l.sequence, l.applied),
     strays AS (
       SELECT s.id FROM (SELECT id, transaction_id FROM ${schema}.log_shadows WHERE log = $1 ORDER BY id LIMIT $4) AS s
       WHERE NOT EXISTS (
         SELECT 1 FROM ${schema}.log_predictions p WHERE p.log = $1 AND p.transaction_id = s.transaction_id)),
     shadows AS (
       DELETE FROM ${schema}.log_shadows s WHERE s.log = $1 AND (
         s.transaction_id IN (SELECT transaction_id FROM gone) OR s.id IN (SELECT id FROM strays)) RETURNING 1),
     early AS (SELECT max(sequence) AS sequence, max(applied) AS applied FROM ${schema}.log_labels WHERE log = $1 AND sequence <= $2)
     SELECT (SELECT count(*) FROM gone) AS predictions, (SELECT count(*) FROM labels) AS labels,
       (SELECT count(*) FROM shadows) AS shadows, (SELECT coalesce(max(time), 0) FROM gone) AS time,
       greatest((SELECT max(sequence) FROM labels), (SELECT sequence FROM early), $2) AS through,
       greatest((SELECT max(applied) FROM gone), (SELECT max(applied) FROM labels), (SELECT applied FROM early), 0) AS applied`,
    [log, through, archived, limits.batchRowsMax],
  );
  const counts = gone.rows[0] as Counts;
  await client.query(
    `UPDATE ${schema}.log_counters SET value = value - CASE name
       WHEN 'predictions' THEN $2::bigint WHEN 'labels' THEN $3::bigint ELSE $4::bigint END
     WHERE log = $1 AND name IN ('predictions', 'labels', 'shadows')`,
    [log, counts.predictions, counts.labels, counts.shadows],
  );
  await mark(client, { schema, log }, { name: "pruned_through", value: counts.through });
  await mark(client, { schema, log }, { name: "pruned_time", value: Math.round(counts.time) });
  await mark(client, { schema, log }, { name: "pruned_applied", value: counts.applied });
  await client.query("COMMIT");
  return { predictions: counts.predictions, through: counts.through };
}

/** When the oldest prediction came; 0 where nobody knows, null where there is none. */
export async function oldestArrival(client: pg.ClientBase, { schema, log }: LogTable): Promise<number | null> {
  const { rows } = await client.query(
    `SELECT received_at FROM ${schema}.log_predictions WHERE log = $1 ORDER BY sequence LIMIT 1`,
    [log],
  );
  const [oldest] = rows as readonly { readonly received_at: number | null }[];
  return oldest === undefined ? null : (oldest.received_at ?? 0);
}

/** Marks only grow: they say what no entry of the log can tell any more. */
export async function mark(
  client: Pick<pg.ClientBase, "query">,
  { schema, log }: LogTable,
  { name, value }: { readonly name: string; readonly value: number },
): Promise<void> {
  await client.query(
    `INSERT INTO ${schema}.log_counters AS c (log, name, value) VALUES ($1, $2, $3)
     ON CONFLICT (log, name) DO UPDATE SET value = greatest(c.value, excluded.value)`,
    [log, name, value],
  );
}
