// The SQLite log's insert: one batch of records and shadow counts in one transaction.
import type { CoverageCount, LogRecord } from "../sql/records.ts";
import {
  LABEL_COLUMNS,
  labelRow,
  type Parameter,
  PREDICTION_COLUMNS,
  predictionRow,
  SHADOW_COLUMNS,
  shadowRow,
} from "../sql/rows.ts";
import type { Connection } from "./schema.ts";

const TABLES = { prediction: "predictions", label: "labels", shadow: "shadows" } as const;

/**
 * Prepared statements; the function writes one batch in one transaction and gives how many records were there already, and how many predictions the
 * log has now.
 */
export function inserter(
  db: Connection,
): (
  batch: readonly LogRecord[],
  coverage: readonly CoverageCount[],
) => { readonly duplicates: number; readonly predictions: number } {
  const marks = (columns: string): string => columns.replace(/\w+/g, "?");
  const into = (table: string, columns: string): string =>
    `INSERT INTO ${table} (${columns}) VALUES (${marks(columns)}) ON CONFLICT DO NOTHING`;
  const prediction = db.prepare(into("predictions", PREDICTION_COLUMNS));
  const label = db.prepare(into("labels", LABEL_COLUMNS));
  const shadow = db.prepare(into("shadows", SHADOW_COLUMNS));
  const settle = db.prepare("UPDATE predictions SET applied = ? WHERE transaction_id = ? AND applied = 0");
  const sequenceNow = db.prepare("SELECT value FROM counters WHERE name = 'sequence'").raw();
  const sequenceSet = db.prepare("UPDATE counters SET value = ? WHERE name = 'sequence'");
  const countAdd = db.prepare("UPDATE counters SET value = value + ? WHERE name = ?");
  const predictionsNow = db.prepare("SELECT value FROM counters WHERE name = 'predictions'").raw();
  const coverageAdd = db.prepare(
    "INSERT INTO coverage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const insert = (one: LogRecord, sequence: number): number => {
    if (one.kind === "shadow") return shadow.run(shadowRow(one.record)).changes;
    if (one.kind === "label") return label.run([sequence, ...labelRow(one.record)]).changes;
    const row: Parameter[] = predictionRow(one.record);
    const { changes } = prediction.run([sequence, ...row]);
    const applied = one.record.applied ?? 0;
    // Answered without the shared state, and applied after all.
    if (changes === 0 && applied > 0) settle.run([applied, row[0]]);
    return changes;
  };
  return (batch, coverage) => {
    // IMMEDIATE: the sequence is read and advanced under the write lock, so two processes never share a number.
    db.exec("BEGIN IMMEDIATE");
    try {
      let sequence = (sequenceNow.all([]) as readonly (readonly number[])[])[0][0];
      const added = { prediction: 0, label: 0, shadow: 0 };
      for (const one of batch) {
        const changes = insert(one, sequence + 1);
        added[one.kind] += changes;
        if (one.kind !== "shadow") sequence += changes;
      }
      sequenceSet.run([sequence]);
      for (const kind of ["prediction", "label", "shadow"] as const) {
        if (added[kind] > 0) countAdd.run([added[kind], TABLES[kind]]);
      }
      for (const { version, outcome, count } of coverage) coverageAdd.run([version, outcome, count]);
      const predictions = (predictionsNow.all([]) as readonly (readonly number[])[])[0][0];
      db.exec("COMMIT");
      return { duplicates: batch.length - added.prediction - added.label - added.shadow, predictions };
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
}
