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

/** Columns in which rows that come together mostly say the same: then it is bound once for all of them, because to bind a cell costs as much as to store it. */
const ALIKE: Readonly<Record<(typeof KINDS)[number], readonly string[]>> = {
  prediction: ["extra", "version", "bundle", "degraded", "applied", "rules", "explored", "adapted"],
  label: ["source", "applied", "review"],
  shadow: ["champion_version", "candidate_version", "bundle", "vector_hash"],
};
const COLUMNS = { prediction: PREDICTION_COLUMNS, label: LABEL_COLUMNS, shadow: SHADOW_COLUMNS } as const;

type Added = Record<(typeof KINDS)[number], number>;

interface Written {
  readonly duplicates: number;
  readonly predictions: number;
}

/**
 * Prepared statements; the function writes one batch in one transaction and gives how many records were there already, and how many predictions the
 * log has now.
 */
export function inserter(db: Connection): (batch: readonly LogRecord[], coverage: readonly CoverageCount[]) => Written {
  const single = {
    prediction: db.prepare(into("prediction", 1)),
    label: db.prepare(into("label", 1)),
    shadow: db.prepare(into("shadow", 1)),
  };
  const together = { prediction: later(db, "prediction"), label: later(db, "label"), shadow: later(db, "shadow") };
  const settle = db.prepare("UPDATE predictions SET applied = ? WHERE transaction_id = ? AND applied = 0");
  const sequenceNow = db.prepare("SELECT value FROM counters WHERE name = 'sequence'").raw();
  const sequenceSet = db.prepare("UPDATE counters SET value = ? WHERE name = 'sequence'");
  const countAdd = db.prepare("UPDATE counters SET value = value + ? WHERE name = ?");
  const predictionsNow = db.prepare("SELECT value FROM counters WHERE name = 'predictions'").raw();
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
        if (together[kind](all, at) < ROWS_TOGETHER) return null;
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
  ): Written | null => {
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
      const predictions = (predictionsNow.all([]) as readonly (readonly number[])[])[0][0];
      db.exec("COMMIT");
      const duplicates = batch.length - added.prediction - added.label - added.shadow;
      return { duplicates, predictions };
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
  return (batch, coverage) => write(insertNew, batch, coverage) ?? write(insertEach, batch, coverage)!;
}

/** Rows of a kind; `alike` first, each once, and then what is left of every row. */
function into(kind: (typeof KINDS)[number], rows: number, alike: readonly string[] = []): string {
  const columns = COLUMNS[kind];
  let mark = alike.length;
  const marks = Array.from({ length: rows }, () => {
    const cells = columns.split(", ").map((name) => {
      const place = alike.indexOf(name);
      return `?${place < 0 ? ++mark : place + 1}`;
    });
    return `(${cells.join(", ")})`;
  });
  return `INSERT INTO ${TABLES[kind]} (${columns}) VALUES ${marks.join(", ")} ON CONFLICT DO NOTHING`;
}

/**
 * Writes {@link ROWS_TOGETHER} rows from a place on and gives how many of them are new. The statements are prepared at their first use: a quiet log
 * has no batch of so many rows, and a server may hold a hundred.
 */
function later(db: Connection, kind: (typeof KINDS)[number]): (rows: readonly Parameter[][], at: number) => number {
  const alike = ALIKE[kind];
  const names = COLUMNS[kind].split(", ");
  const shared = alike.map((name) => names.indexOf(name));
  const own = names.flatMap((name, place) => (alike.includes(name) ? [] : [place]));
  const all = names.map((_, place) => place);
  let plain: ReturnType<Connection["prepare"]> | null = null;
  let once: ReturnType<Connection["prepare"]> | null = null;
  return (rows, at) => {
    if (areAlike(rows, at, shared)) {
      once ??= db.prepare(into(kind, ROWS_TOGETHER, alike));
      return once.run(cellsOf(rows, at, { first: shared, each: own })).changes;
    }
    plain ??= db.prepare(into(kind, ROWS_TOGETHER));
    return plain.run(cellsOf(rows, at, { first: NO_PLACES, each: all })).changes;
  };
}

const NO_PLACES: readonly number[] = [];

/** Whether the rows that come together say the same at these places. */
function areAlike(rows: readonly Parameter[][], at: number, places: readonly number[]): boolean {
  const first = rows[at];
  for (let row = at + 1; row < at + ROWS_TOGETHER; row++) {
    for (const place of places) if (rows[row][place] !== first[place]) return false;
  }
  return true;
}

/** The first row's cells at the places `first`, then those of each row at `each`; `flat` took a fifth of the thread's time. */
function cellsOf(
  rows: readonly Parameter[][],
  at: number,
  { first, each }: { readonly first: readonly number[]; readonly each: readonly number[] },
): Parameter[] {
  const cells: Parameter[] = [];
  for (const place of first) cells.push(rows[at][place]);
  for (let row = at; row < at + ROWS_TOGETHER; row++) for (const place of each) cells.push(rows[row][place]);
  return cells;
}

function numbered(one: Exclude<LogRecord, { readonly kind: "shadow" }>, sequence: number): Parameter[] {
  return [sequence, ...(one.kind === "prediction" ? predictionRow(one.record) : labelRow(one.record))];
}
