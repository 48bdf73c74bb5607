// The SQLite log's way out: everything is read in small pages, so that a long report never holds the event loop.

import type { LabelRecord, PredictionRecord } from "../ports.ts";
import { type Coverage, SHADOW_MISSES, type ShadowMiss, type ShadowPair } from "../ports.ts";
import {
  LABEL_COLUMNS,
  labelOf,
  loadText,
  PREDICTION_COLUMNS,
  pairOf,
  predictionOf,
  type Row,
  SHADOW_COLUMNS,
  storeText,
} from "./log-sqlite-rows.ts";
import type { Connection } from "./log-sqlite-schema.ts";

/** Rows read at a time: a few milliseconds of a core, joins included. */
const PAGE_ROWS = 256;

type Event =
  | { readonly kind: "prediction"; readonly record: PredictionRecord }
  | { readonly kind: "label"; readonly record: LabelRecord };

/** Prepared once: every request may ask whether its transaction was answered before. */
export function finder(db: Connection): (transactionId: string) => PredictionRecord | null {
  const query = db.prepare(`SELECT ${PREDICTION_COLUMNS} FROM predictions WHERE transaction_id = ?`).raw();
  return (transactionId) => {
    const rows = query.all([storeText(transactionId)]) as Row[];
    return rows.length === 0 ? null : predictionOf(rows[0]);
  };
}

export async function readRecent(db: Connection, limit: number): Promise<PredictionRecord[]> {
  const query = db
    .prepare(`SELECT ${PREDICTION_COLUMNS} FROM predictions WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`)
    .raw();
  const newestFirst: PredictionRecord[] = [];
  let before = Number.MAX_SAFE_INTEGER;
  while (newestFirst.length < limit) {
    const rows = query.all([before, Math.min(PAGE_ROWS, limit - newestFirst.length)]) as Row[];
    if (rows.length === 0) break;
    for (const row of rows) newestFirst.push(predictionOf(row));
    before = newestFirst[newestFirst.length - 1].sequence;
    await breathe();
  }
  return newestFirst.reverse();
}

/** Up to what had been written when the scan began; what comes later belongs to the next scan. */
export async function* readEvents(db: Connection, fromSequence: number): AsyncGenerator<Event> {
  const last = countersOf(db)().sequence;
  const predictions = pages(db, { table: "predictions", columns: PREDICTION_COLUMNS, from: fromSequence, last });
  const labels = pages(db, { table: "labels", columns: LABEL_COLUMNS, from: fromSequence, last });
  let prediction = await predictions.next();
  let label = await labels.next();
  while (!prediction.done || !label.done) {
    if (!prediction.done && (label.done || Number(prediction.value[0]) < Number(label.value[0]))) {
      yield { kind: "prediction", record: predictionOf(prediction.value) };
      prediction = await predictions.next();
    } else if (!label.done) {
      yield { kind: "label", record: labelOf(label.value) };
      label = await labels.next();
    }
  }
}

/**
 * Shadows of one candidate in order of writing, with the latest label. A shadow whose prediction is gone (pruned or
 * dropped) is left out: without its card it cannot be resampled honestly.
 */
export async function* readPairs(
  db: Connection,
  candidateVersion: string,
  options: { readonly card: string; readonly amount: string; readonly newest?: number },
): AsyncGenerator<ShadowPair> {
  const query = db
    .prepare(
      `SELECT ${qualified("s", SHADOW_COLUMNS)}, p.fields, l.fraud, l.known_at, s.id
       FROM shadows s CROSS JOIN predictions p ON p.transaction_id = s.transaction_id
       LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m WHERE m.transaction_id = s.transaction_id
         ORDER BY m.known_at DESC, m.sequence DESC LIMIT 1)
       WHERE s.candidate_version = ? AND s.id > ? ORDER BY s.id LIMIT ?`,
    )
    .raw();
  const version = storeText(candidateVersion);
  for (let after = options.newest === undefined ? 0 : lastBefore(db, version, options.newest); ; ) {
    const rows = query.all([version, after, PAGE_ROWS]) as Row[];
    if (rows.length === 0) return;
    for (const row of rows) yield pairOf(row, options);
    after = Number(rows[rows.length - 1][15]);
    await breathe();
  }
}

/** The id before the newest `count` records of a version; 0 when there are no more than that. */
function lastBefore(db: Connection, version: string, count: number): number {
  const query = "SELECT id FROM shadows WHERE candidate_version = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
  const row = db.prepare(query).raw().get([version, count]) as Row | undefined;
  return row === undefined ? 0 : Number(row[0]);
}

export function readCoverage(db: Connection): Coverage[] {
  const rows = db.prepare("SELECT version, outcome, count FROM coverage ORDER BY version").raw().all([]) as Row[];
  const byVersion = new Map<string, Map<string, number>>();
  for (const [version, outcome, count] of rows) {
    const counts = byVersion.get(loadText(version)) ?? new Map<string, number>();
    byVersion.set(loadText(version), counts.set(String(outcome), Number(count)));
  }
  return [...byVersion].map(([version, counts]) => ({
    version,
    scored: counts.get("scored") ?? 0,
    missed: Object.fromEntries(SHADOW_MISSES.map((miss) => [miss, counts.get(miss) ?? 0])) as Record<
      ShadowMiss,
      number
    >,
  }));
}

type Counters = Readonly<Record<"sequence" | "predictions" | "labels" | "shadows", number>>;

/** Prepared once: the writer asks after every batch. Kept by the writers, because counting rows takes a pass over them. */
export function countersOf(db: Connection): () => Counters {
  const query = db.prepare("SELECT name, value FROM counters").raw();
  return () => {
    const values = new Map(query.all([]).map((row) => row as [string, number]));
    const value = (name: string): number => values.get(name) ?? 0;
    return {
      sequence: value("sequence"),
      predictions: value("predictions"),
      labels: value("labels"),
      shadows: value("shadows"),
    };
  };
}

async function* pages(
  db: Connection,
  what: { readonly table: string; readonly columns: string; readonly from: number; readonly last: number },
): AsyncGenerator<Row, undefined> {
  const query = db
    .prepare(
      `SELECT ${what.columns} FROM ${what.table} WHERE sequence >= ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
    )
    .raw();
  for (let from = what.from; ; ) {
    const rows = query.all([from, what.last, PAGE_ROWS]) as Row[];
    if (rows.length === 0) return undefined;
    yield* rows;
    from = Number(rows[rows.length - 1][0]) + 1;
    await breathe();
  }
}

function qualified(table: string, columns: string): string {
  return columns.replace(/\w+/g, (column) => `${table}.${column}`);
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
