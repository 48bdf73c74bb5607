// The SQLite log's way out: everything is read in small pages, so that a long report never holds the event loop.

import type { LogEntry, PredictionRecord } from "../../../ports/log.ts";
import { type Coverage, SHADOW_MISSES, type ShadowMiss, type ShadowPair } from "../../../ports/log.ts";
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
} from "./rows.ts";
import { type Connection, single } from "./schema.ts";

/** Rows read at a time: a few milliseconds of a core, joins included. */
const PAGE_ROWS = 256;

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
export function readEvents(db: Connection, fromSequence: number): AsyncGenerator<LogEntry> {
  return merged(db, { by: "sequence", from: fromSequence, last: countersOf(db)().sequence });
}

/** What a shared state applied, in its order, up to what had been written when the scan began. */
export function readApplied(db: Connection, from: number): AsyncGenerator<LogEntry> {
  return merged(db, { by: "applied", from: Math.max(1, from), last: lastApplied(db) });
}

/** 0 when no shared state applied anything. */
export function lastApplied(db: Connection): number {
  const last = (table: string): number =>
    single(db, `SELECT coalesce(max(applied), 0) FROM ${table} WHERE applied > 0`);
  return Math.max(last("predictions"), last("labels"));
}

interface Stretch {
  readonly by: "sequence" | "applied";
  readonly from: number;
  readonly last: number;
}

/** Both tables are ordered by the number, which every page has last. */
async function* merged(db: Connection, stretch: Stretch): AsyncGenerator<LogEntry> {
  const predictions = pages(db, { table: "predictions", columns: PREDICTION_COLUMNS, ...stretch });
  const labels = pages(db, { table: "labels", columns: LABEL_COLUMNS, ...stretch });
  const at = (row: Row): number => Number(row[row.length - 1]);
  let prediction = await predictions.next();
  let label = await labels.next();
  while (!prediction.done || !label.done) {
    if (!prediction.done && (label.done || at(prediction.value) < at(label.value))) {
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
  what: Stretch & { readonly table: string; readonly columns: string },
): AsyncGenerator<Row, undefined> {
  const { table, columns, by } = what;
  const partial = by === "applied" ? "applied > 0 AND " : "";
  const query = db
    .prepare(`SELECT ${columns}, ${by} FROM ${table} WHERE ${partial}${by} >= ? AND ${by} <= ? ORDER BY ${by} LIMIT ?`)
    .raw();
  for (let from = what.from; ; ) {
    const rows = query.all([from, what.last, PAGE_ROWS]) as Row[];
    if (rows.length === 0) return undefined;
    yield* rows;
    const last = rows[rows.length - 1];
    from = Number(last[last.length - 1]) + 1;
    await breathe();
  }
}

function qualified(table: string, columns: string): string {
  return columns.replace(/\w+/g, (column) => `${table}.${column}`);
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
