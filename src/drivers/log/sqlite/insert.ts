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
const KINDS = ["prediction", "label", "shadow"] as const;

/** Rows of one statement: a call into SQLite costs as much as a row or two. */
const ROWS_TOGETHER = 16;

type Added = Record<(typeof KINDS)[number], number>;

/** Prepared statements; the function writes one batch in one transaction and gives how many records were there already. */
export function inserter(
  db: Connection,
): (batch: readonly LogRecord[], coverage: readonly CoverageCount[]) => { readonly duplicates: number } {
  const into = (table: string, columns: string, rows = 1): string => {
    const marks = `(${columns.replace(/\w+/g, "?")})`;
    return `INSERT INTO ${table} (${columns}) VALUES ${new Array(rows).fill(marks).join(", ")} ON CONFLICT DO NOTHING`;
  };
  const single = {
    prediction: db.prepare(into("predictions", PREDICTION_COLUMNS)),
    label: db.prepare(into("labels", LABEL_COLUMNS)),
    shadow: db.prepare(into("shadows", SHADOW_COLUMNS)),
  };
  const together = {
    prediction: db.prepare(into("predictions", PREDICTION_COLUMNS, ROWS_TOGETHER)),
    label: db.prepare(into("labels", LABEL_COLUMNS, ROWS_TOGETHER)),
    shadow: db.prepare(into("shadows", SHADOW_COLUMNS, ROWS_TOGETHER)),
  };
  const settle = db.prepare("UPDATE predictions SET applied = ? WHERE transaction_id = ? AND applied = 0");
  const sequenceNow = db.prepare("SELECT value FROM counters WHERE name = 'sequence'").raw();
  const sequenceSet = db.prepare("UPDATE counters SET value = ? WHERE name = 'sequence'");
  const countAdd = db.prepare("UPDATE counters SET value = value + ? WHERE name = ?");
  const coverageAdd = db.prepare(
    "INSERT INTO coverage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const lastSequence = (): number => (sequenceNow.all([]) as readonly (readonly number[])[])[0][0];

  /** Rows of each kind by many; null where one of them was there already, so that the numbers of those behind it are others. */
  const insertNew = (batch: readonly LogRecord[], from: number): Added | null => {
    const rows: Record<(typeof KINDS)[number], Parameter[][]> = { prediction: [], label: [], shadow: [] };
    let sequence = from;
    for (const one of batch)
      rows[one.kind].push(one.kind === "shadow" ? shadowRow(one.record) : numbered(one, ++sequence));
    for (const kind of KINDS) {
      const all = rows[kind];
      let at = 0;
      for (; at + ROWS_TOGETHER <= all.length; at += ROWS_TOGETHER) {
        if (together[kind].run(inARow(all, at)).changes < ROWS_TOGETHER) return null;
      }
      for (; at < all.length; at++) if (single[kind].run(all[at]).changes === 0) return null;
    }
    return { prediction: rows.prediction.length, label: rows.label.length, shadow: rows.shadow.length };
  };

  /** One after the other: a row that is there already takes no number. */
  const insertEach = (batch: readonly LogRecord[], from: number): Added => {
    const added: Added = { prediction: 0, label: 0, shadow: 0 };
    let sequence = from;
    for (const one of batch) {
      const row = one.kind === "shadow" ? shadowRow(one.record) : numbered(one, sequence + 1);
      const { changes } = single[one.kind].run(row);
      added[one.kind] += changes;
      if (one.kind !== "shadow") sequence += changes;
      if (one.kind !== "prediction" || changes > 0) continue;
      const applied = one.record.applied ?? 0;
      // Answered without the shared state, and applied after all.
      if (applied > 0) settle.run([applied, row[1]]);
    }
    return added;
  };

  /** IMMEDIATE: the sequence is read and advanced under the write lock, so two processes never share a number. */
  const write = (
    insert: (batch: readonly LogRecord[], from: number) => Added | null,
    batch: readonly LogRecord[],
    coverage: readonly CoverageCount[],
  ): Added | null => {
    db.exec("BEGIN IMMEDIATE");
    try {
      const from = lastSequence();
      const added = insert(batch, from);
      if (added === null) {
        db.exec("ROLLBACK");
        return null;
      }
      sequenceSet.run([from + added.prediction + added.label]);
      for (const kind of KINDS) if (added[kind] > 0) countAdd.run([added[kind], TABLES[kind]]);
      for (const { version, outcome, count } of coverage) coverageAdd.run([version, outcome, count]);
      db.exec("COMMIT");
      return added;
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
  return (batch, coverage) => {
    const added = write(insertNew, batch, coverage) ?? write(insertEach, batch, coverage)!;
    return { duplicates: batch.length - added.prediction - added.label - added.shadow };
  };
}

/** The values of the rows from `at` on, one after the other; `flat` took a fifth of the thread's time. */
function inARow(rows: readonly (readonly Parameter[])[], at: number): Parameter[] {
  const values: Parameter[] = [];
  for (let row = at; row < at + ROWS_TOGETHER; row++) for (const value of rows[row]) values.push(value);
  return values;
}

function numbered(one: Exclude<LogRecord, { readonly kind: "shadow" }>, sequence: number): Parameter[] {
  return [sequence, ...(one.kind === "prediction" ? predictionRow(one.record) : labelRow(one.record))];
}
