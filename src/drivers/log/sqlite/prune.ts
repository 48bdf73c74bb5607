// Forgetting: deletes the oldest predictions, with their labels and shadows, a small batch a transaction.
import type { Row } from "./rows.ts";
import { type Connection, single } from "./schema.ts";

/** What is too much: predictions received before an instant, or more than so many of them. */
export interface PruneLimits {
  /** Milliseconds since 1970 UTC, compared with the time of arrival. */
  readonly before?: number;
  readonly rowsMax?: number;
}

/** One transaction: the oldest predictions beyond the limits, at most `batchRowsMax`. Gives how many went. */
export function pruneBatch(db: Connection, limits: PruneLimits, batchRowsMax: number): number {
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

function deleteOldest(db: Connection, limits: PruneLimits, batchRowsMax: number): number {
  const total = single(db, "SELECT value FROM counters WHERE name = 'predictions'");
  const excess = Math.min(batchRowsMax, Math.max(0, total - (limits.rowsMax ?? total)));
  const oldest = db.prepare("SELECT sequence, received_at FROM predictions ORDER BY sequence LIMIT ?").raw();
  const rows = oldest.all([batchRowsMax]) as Row[];
  // Arrival order and sequence agree, so the rows to go are a prefix.
  let count = 0;
  while (count < rows.length && (count < excess || Number(rows[count][1]) < (limits.before ?? 0))) count++;
  if (count === 0) return 0;
  const last = Number(rows[count - 1][0]);
  const old = "transaction_id IN (SELECT transaction_id FROM predictions WHERE sequence <= ?)";
  const labels = db.prepare(`DELETE FROM labels WHERE ${old}`).run([last]).changes;
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
  return predictions;
}
