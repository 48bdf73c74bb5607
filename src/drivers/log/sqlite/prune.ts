// Forgetting: deletes the oldest predictions, with their labels and shadows, a small batch per transaction, and notes where the log begins.
import type { Pruned, PruneLimits } from "../sql/log-end.ts";
import type { Row } from "../sql/rows.ts";
import { type Connection, single } from "./schema.ts";

/**
 * After each batch that was written: whether something is too old now, and one small prune when it is. Twice as many rows as a
 * batch writes, so that the log shrinks to a limit that was lowered while it goes on being written. `predictions`: of the log, as the batch left it.
 */
export function createPruner(options: {
  readonly rowsMax: number;
  readonly keptMsMax: number;
  readonly batchRowsMax: number;
  readonly archivedOnly: boolean;
}): (db: Connection, of: { readonly now: number; readonly predictions: number }) => Pruned | null {
  const { rowsMax, keptMsMax, batchRowsMax, archivedOnly } = options;
  let newest = 0;
  /** None came before; others may have forgotten more. A log with little traffic has a batch for nearly every record: it is asked once. */
  let oldest = Number.NEGATIVE_INFINITY;
  return (db, { now, predictions }) => {
    newest = Math.max(newest, now);
    const before = Number.isFinite(keptMsMax) ? newest - keptMsMax : 0;
    if (predictions <= rowsMax) {
      // Of an empty log: what comes next is younger than what is too old now.
      if (before > 0 && oldest < before) oldest = oldestArrival(db) ?? before;
      if (before <= 0 || oldest >= before) return null;
    }
    const pruned = pruneBatch(db, { rowsMax, before, archivedOnly }, 2 * batchRowsMax);
    oldest = Number.NEGATIVE_INFINITY;
    return pruned.predictions === 0 ? null : pruned;
  };
}

function oldestArrival(db: Connection): number | null {
  const [row] = db.prepare("SELECT received_at FROM predictions ORDER BY sequence LIMIT 1").raw().all([]) as Row[];
  return row === undefined ? null : Number(row[0]);
}

/** One transaction: the oldest predictions beyond the limits, at most `batchRowsMax`. */
export function pruneBatch(db: Connection, limits: PruneLimits, batchRowsMax: number): Pruned {
  db.exec("BEGIN IMMEDIATE");
  try {
    const removed = deleteOldest(db, limits, batchRowsMax);
    db.exec("COMMIT");
    return removed;
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function deleteOldest(db: Connection, limits: PruneLimits, batchRowsMax: number): Pruned {
  const total = single(db, "SELECT value FROM counters WHERE name = 'predictions'");
  const excess = Math.min(batchRowsMax, Math.max(0, total - (limits.rowsMax ?? total)));
  const oldest = db.prepare("SELECT sequence, received_at, time, applied FROM predictions ORDER BY sequence LIMIT ?");
  const rows = oldest.raw().all([batchRowsMax]) as Row[];
  const archived = limits.archivedOnly === true ? archivedThrough(db) : Number.MAX_SAFE_INTEGER;
  const mayGo = (row: Row, at: number): boolean =>
    Number(row[0]) <= archived && (at < excess || Number(row[1]) < (limits.before ?? 0));
  // Arrival order and sequence agree, so the rows to go are a prefix.
  let count = 0;
  while (count < rows.length && mayGo(rows[count], count)) count++;
  if (count === 0) return { predictions: 0, through: 0 };
  const gone = rows.slice(0, count);
  const last = Number(gone[count - 1][0]);
  const old = "transaction_id IN (SELECT transaction_id FROM predictions WHERE sequence <= ?)";
  // A label that is not archived stays when its transaction goes.
  const oldLabels = `${old} AND sequence <= ${archived}`;
  const ofLabels = db
    .prepare(`SELECT max(sequence), max(applied) FROM labels WHERE ${oldLabels} OR sequence <= ?`)
    .raw();
  const [labelSequence, labelApplied] = (ofLabels.all([last, last]) as Row[])[0];
  const labels = db.prepare(`DELETE FROM labels WHERE ${oldLabels}`).run([last]).changes;
  const shadows = db.prepare(`DELETE FROM shadows WHERE ${old}`).run([last]).changes;
  const predictions = db.prepare("DELETE FROM predictions WHERE sequence <= ?").run([last]).changes;
  // Labels as old as these whose transaction was never logged go along.
  const orphans = db
    .prepare(
      `DELETE FROM labels WHERE sequence <= ?
       AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.transaction_id = labels.transaction_id)`,
    )
    .run([last]).changes;
  // So do shadows whose prediction was dropped, when their turn has come.
  const strays = db
    .prepare(
      `DELETE FROM shadows WHERE id IN (SELECT id FROM shadows ORDER BY id LIMIT ?)
       AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.transaction_id = shadows.transaction_id)`,
    )
    .run([batchRowsMax]).changes;
  const subtract = db.prepare("UPDATE counters SET value = value - ? WHERE name = ?");
  subtract.run([predictions, "predictions"]);
  subtract.run([labels + orphans, "labels"]);
  subtract.run([shadows + strays, "shadows"]);
  const through = Math.max(last, Number(labelSequence ?? 0));
  markBegin(db, "pruned_through", through);
  markBegin(
    db,
    "pruned_time",
    gone.reduce((latest, row) => Math.max(latest, Number(row[2] ?? 0)), 0),
  );
  markBegin(
    db,
    "pruned_applied",
    gone.reduce((most, row) => Math.max(most, Number(row[3] ?? 0)), Number(labelApplied ?? 0)),
  );
  return { predictions, through };
}

/** How far the log is archived; 0 when nobody said so. */
function archivedThrough(db: Connection): number {
  return single(db, "SELECT coalesce(max(value), 0) FROM counters WHERE name = 'archived_through'");
}

export function noteArchived(db: Connection, through: number): void {
  markBegin(db, "archived_through", through);
}

/** Marks only grow: they say what no entry of the log can tell any more. */
function markBegin(db: Connection, name: string, value: number): void {
  db.prepare("INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)").run([
    name,
    value,
  ]);
}
