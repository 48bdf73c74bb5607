// A prediction log of millions for the benches: what stands in it copied under new ids and later times, by the database alone.
import { openLog, single } from "../src/drivers/log/sqlite/schema.ts";
import { borrowPool, type PostgresAddress } from "../src/drivers/store/postgres/pool.ts";

const FILL_ROWS = 100_000;

export interface Fill {
  /** Predictions in the log afterwards, at least. */
  readonly rows: number;
  /** Event time from each to the next; the first follows the newest that is there. */
  readonly stepMs: number;
  /** SQL of the fields of the copy numbered `n.i` of the record `p`. */
  readonly fields?: string;
  /** Random vectors of the same length; else those of the records copied. */
  readonly randomVectors?: boolean;
  /** Every so many is reported as a fraud, a week after it; absent: none. */
  readonly fraudEvery?: number;
}

const WEEK_MS = 7 * 86_400_000;

/** Returns how many predictions the log has then. */
export function fillLog(file: string, { rows, stepMs, fields, randomVectors = false, fraudEvery }: Fill): number {
  const db = openLog(file);
  const have = single(db, "SELECT count(*) FROM predictions");
  const first = single(db, "SELECT min(sequence) FROM predictions");
  const last = Math.max(
    single(db, "SELECT max(sequence) FROM predictions"),
    single(db, "SELECT coalesce(max(sequence), 0) FROM labels"),
  );
  const newest = single(db, "SELECT max(time) FROM predictions");
  const wanted = Math.max(0, rows - have);
  // Records are copied in turn; there are no labels among the first of them.
  const insert = db.prepare(`
    WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO predictions (sequence, transaction_id, time, received_at, fields, extra, vector, score, anomaly_score, decision, version,
      bundle, latency_ms, degraded, applied)
    SELECT ${last} + n.i, 'filled-' || (${last} + n.i), ${newest} + CAST(n.i * ${stepMs} AS INTEGER),
      ${newest} + CAST(n.i * ${stepMs} AS INTEGER), ${fields ?? "p.fields"}, p.extra,
      ${randomVectors ? "randomblob(length(p.vector))" : "p.vector"}, p.score, p.anomaly_score, p.decision, p.version, p.bundle,
      p.latency_ms, 0, p.applied
    FROM n JOIN predictions p ON p.sequence = ${first} + n.i % ${have}`);
  for (let from = 1; from <= wanted; from += FILL_ROWS) insert.run([from, Math.min(wanted, from + FILL_ROWS - 1)]);
  let labels = 0;
  if (fraudEvery !== undefined) {
    const through = last + wanted;
    const reported = db.prepare(`
      INSERT INTO labels (sequence, transaction_id, fraud, known_at, source, received_at)
      SELECT ${through} + row_number() OVER (ORDER BY sequence), transaction_id, 1, time + ${WEEK_MS}, 'chargeback', time + ${WEEK_MS}
      FROM predictions WHERE sequence > ? AND sequence % ${fraudEvery} = 0 AND time + ${WEEK_MS} <= ${newest} + ${wanted * stepMs}`);
    labels = Number(reported.run([last]).changes);
  }
  db.exec(`UPDATE counters SET value = ${last + wanted + labels} WHERE name = 'sequence';
    UPDATE counters SET value = value + ${wanted} WHERE name = 'predictions';
    UPDATE counters SET value = value + ${labels} WHERE name = 'labels'`);
  db.close();
  return have + wanted;
}

const FILL_MS_MAX = 600_000;

/** As {@link fillLog}, of the one log of a fresh PostgreSQL database. */
export async function fillPostgresLog(
  address: PostgresAddress,
  { rows, stepMs, fields }: Pick<Fill, "rows" | "stepMs"> & { readonly fields: string },
): Promise<number> {
  const { schema } = address;
  const { pool, giveBack } = borrowPool("fill a log", address, { connectionsMax: 1, statementMsMax: FILL_MS_MAX });
  try {
    const found =
      await pool.query(`SELECT log, count(*) AS have, min(sequence) AS first, max(sequence) AS last, max(time) AS newest
      FROM ${schema}.log_predictions GROUP BY log`);
    if (found.rows.length !== 1) throw new Error(`the database has ${found.rows.length} logs, and one is filled`);
    const [log, have, first, last, newest] = ["log", "have", "first", "last", "newest"].map((name) =>
      Number(found.rows[0][name]),
    );
    const wanted = Math.max(0, rows - have);
    for (let from = 1; from <= wanted; from += FILL_ROWS) {
      const to = Math.min(wanted, from + FILL_ROWS - 1);
      await pool.query(`INSERT INTO ${schema}.log_predictions (log, sequence, transaction_id, time, received_at, fields, extra, vector,
          score, anomaly_score, decision, version, bundle, latency_ms, degraded, applied)
        SELECT ${log}, ${last} + n.i, 'filled-' || (${last} + n.i), ${newest}::float8 + n.i * ${stepMs}, ${newest}::float8 + n.i * ${stepMs}, ${fields},
          p.extra, p.vector, p.score, p.anomaly_score, p.decision, p.version, p.bundle, p.latency_ms, 0, NULL
        FROM generate_series(${from}::bigint, ${to}::bigint) AS n(i)
        JOIN ${schema}.log_predictions p ON p.log = ${log} AND p.sequence = ${first} + n.i % ${have}`);
    }
    await pool.query(`UPDATE ${schema}.log_counters
      SET value = CASE name WHEN 'sequence' THEN ${last + wanted} ELSE value + ${wanted} END
      WHERE log = ${log} AND name IN ('sequence', 'predictions')`);
    return have + wanted;
  } finally {
    await giveBack();
  }
}
