// The SQLite log's way out: everything is read in small pages, so that a long report never holds the event loop.

import { DAY_MS } from "../../../core/duration.ts";
import {
  type AnsweredRow,
  type Coverage,
  LABELS_OF_ONE_MAX,
  type LabelRecord,
  type LogArrivalEntry,
  type LogBegin,
  type LogEntry,
  type LoggedDay,
  type LoggedTransaction,
  type OldRecord,
  type PredictionRecord,
  type ScoredWindow,
  SHADOW_MISSES,
  type ShadowMiss,
  type ShadowPair,
} from "../../../ports/log.ts";
import {
  fieldsOf,
  LABEL_COLUMNS,
  LEARNED_COLUMNS,
  labelOf,
  learnedOf,
  loadText,
  numberOf,
  PREDICTION_COLUMNS,
  pairOf,
  predictionOf,
  type Row,
  SHADOW_COLUMNS,
  storeText,
} from "./rows.ts";
import { type Connection, IDENTITY, single } from "./schema.ts";

/** Rows read at a time: a few milliseconds of a core, joins included. */
const PAGE_ROWS = 256;
/** Of ids alone. */
const IDS_PAGE_ROWS = 2048;
/** Of vectors and scores, without text to parse. */
const ANSWERED_PAGE_ROWS = 1024;
/** Label code of a transaction that nobody labelled. */
const UNLABELLED = 2;

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
  return merged(db, FULL, { by: "sequence", from: fromSequence, last: countersOf(db)().sequence });
}

/** As {@link readEvents}, without vectors and answers: a third of the time. */
export function readArrivals(db: Connection, fromSequence: number): AsyncGenerator<LogArrivalEntry> {
  return merged(db, LEARNED, { by: "sequence", from: fromSequence, last: countersOf(db)().sequence });
}

/** What a shared state applied, in its order, up to what had been written when the scan began. */
export function readApplied(db: Connection, from: number): AsyncGenerator<LogEntry> {
  return merged(db, FULL, { by: "applied", from: Math.max(1, from), last: lastApplied(db) });
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

/** How much of a prediction is read. */
interface Detail<T> {
  readonly columns: string;
  readonly entry: (row: Row) => T;
}

const FULL: Detail<LogEntry> = {
  columns: PREDICTION_COLUMNS,
  entry: (row) => ({ kind: "prediction", record: predictionOf(row) }),
};
const LEARNED: Detail<LogArrivalEntry> = {
  columns: LEARNED_COLUMNS,
  entry: (row) => ({ kind: "prediction", record: learnedOf(row) }),
};

/** Both tables in one order. Labels are joined with their transactions here: a look-up per label took most of a start. */
async function* merged<T>(
  db: Connection,
  { columns, entry }: Detail<T>,
  { by, from, last }: Stretch,
): AsyncGenerator<T | Extract<LogEntry, { readonly kind: "label" }>> {
  const partial = (table: string): string => (by === "applied" ? `${table}.applied > 0 AND ` : "");
  const predictions = db
    .prepare(
      `SELECT ${columns}, ${by} FROM predictions WHERE ${partial("predictions")}${by} >= ? AND ${by} <= ? ORDER BY ${by} LIMIT ?`,
    )
    .raw();
  const labels = db
    .prepare(
      `SELECT ${qualified("l", LABEL_COLUMNS)}, p.time, p.fields, l.${by} FROM labels l
       LEFT JOIN predictions p ON p.transaction_id = l.transaction_id
       WHERE ${partial("l")}l.${by} >= ? AND l.${by} <= ? ORDER BY l.${by} LIMIT ?`,
    )
    .raw();
  const placeOf = (row: Row): number => Number(row[row.length - 1]);
  for (let at = from; at <= last; ) {
    const page = predictions.all([at, last, PAGE_ROWS]) as Row[];
    // The page's stretch: up to its last prediction where there may be more, else to the end.
    const end = page.length < PAGE_ROWS ? last : placeOf(page[page.length - 1]);
    let next = 0;
    for (let labelsFrom = at; ; ) {
      const labelRows = labels.all([labelsFrom, end, PAGE_ROWS]) as Row[];
      for (const row of labelRows) {
        const place = placeOf(row);
        while (next < page.length && placeOf(page[next]) < place) yield entry(page[next++]);
        yield { kind: "label", record: labelOf(row), about: aboutOf(row) };
      }
      if (labelRows.length < PAGE_ROWS) break;
      labelsFrom = placeOf(labelRows[labelRows.length - 1]) + 1;
      await breathe();
    }
    while (next < page.length) yield entry(page[next++]);
    at = end + 1;
    await breathe();
  }
}

function aboutOf(row: Row): LoggedTransaction | null {
  // Behind the label's own columns.
  return row[9] === null ? null : { transactionId: loadText(row[1]), time: numberOf(row[8]), fields: fieldsOf(row[9]) };
}

/** Labels of one transaction, oldest first. */
export function readLabels(db: Connection, transactionId: string): LabelRecord[] {
  const rows = db
    .prepare(`SELECT ${LABEL_COLUMNS} FROM labels WHERE transaction_id = ? ORDER BY sequence DESC LIMIT ?`)
    .raw()
    .all([storeText(transactionId), LABELS_OF_ONE_MAX]) as Row[];
  return rows.map(labelOf).reverse();
}

/** Ids of predictions, oldest first: only as much is read at a time as leaves the event loop free. */
export async function* readIds(db: Connection, fromSequence: number): AsyncGenerator<readonly string[]> {
  const query = db
    .prepare("SELECT transaction_id, sequence FROM predictions WHERE sequence >= ? ORDER BY sequence LIMIT ?")
    .raw();
  for (let from = fromSequence; ; ) {
    const rows = query.all([from, IDS_PAGE_ROWS]) as Row[];
    if (rows.length === 0) return;
    yield rows.map((row) => loadText(row[0]));
    from = Number(rows[rows.length - 1][1]) + 1;
    await breathe();
  }
}

/** Up to what had been written when the reading began: only the columns that a summary counts. */
export async function* readAnswered(
  db: Connection,
  { bundle, from }: { readonly bundle: string; readonly from: number },
): AsyncGenerator<readonly AnsweredRow[]> {
  const last = countersOf(db)().sequence;
  const query = db
    .prepare(
      `SELECT sequence, transaction_id, time, score, vector, bundle = ? AND degraded = 0 FROM predictions
       WHERE sequence >= ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
    )
    .raw();
  for (let next = from; ; ) {
    // All bundles' rows are paged through: a page of one bundle alone could take the whole log to find.
    const rows = query.all([bundle, next, last, ANSWERED_PAGE_ROWS]) as Row[];
    if (rows.length === 0) return;
    const wanted = rows.filter((row) => row[5] === 1);
    yield wanted.map((row) => ({
      sequence: Number(row[0]),
      transactionId: loadText(row[1]),
      time: numberOf(row[2]),
      score: numberOf(row[3]),
      vector: new Float32Array(Uint8Array.from(row[4] as Uint8Array).buffer),
    }));
    next = Number(rows[rows.length - 1][0]) + 1;
    await breathe();
  }
}

/** As a prune finds them: up to the first that was received at `before` or later. */
export async function* readOld(db: Connection, before: number): AsyncGenerator<OldRecord> {
  const query = db
    .prepare(
      `SELECT ${qualified("p", PREDICTION_COLUMNS)}, l.fraud, l.known_at, l.source FROM predictions p
       LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m WHERE m.transaction_id = p.transaction_id
         ORDER BY m.known_at DESC, m.sequence DESC LIMIT 1)
       WHERE p.sequence >= ? ORDER BY p.sequence LIMIT ?`,
    )
    .raw();
  for (let from = 0; ; ) {
    const rows = query.all([from, PAGE_ROWS]) as Row[];
    if (rows.length === 0) return;
    for (const row of rows) {
      const record = predictionOf(row);
      if (!(record.receivedAt < before)) return;
      const label = { fraud: row[19] === 1, knownAt: numberOf(row[20]), source: loadText(row[21]) };
      yield { record, label: row[19] === null ? null : label };
      from = record.sequence + 1;
    }
    await breathe();
  }
}

export function readBundles(db: Connection): { readonly version: string; readonly bundle: string }[] {
  const rows = db.prepare("SELECT DISTINCT version, bundle FROM predictions").raw().all([]) as Row[];
  return rows.map(([version, bundle]) => ({ version: loadText(version), bundle: String(bundle) }));
}

export function readBegin(db: Connection): LogBegin {
  const rows = db.prepare("SELECT name, value FROM counters").raw().all([]) as Row[];
  const marks = new Map(rows.map(([name, value]) => [String(name), Number(value)]));
  const mark = (name: string): number => marks.get(name) ?? 0;
  return { through: mark("pruned_through"), time: mark("pruned_time"), applied: mark("pruned_applied") };
}

/** A log of an earlier version gets one when it is first asked. */
export function identityOf(db: Connection): string {
  const read = db.prepare("SELECT value FROM counters WHERE name = 'identity'").raw();
  const known = read.get([]) as Row | undefined;
  if (known === undefined) db.exec(IDENTITY);
  const [identity] = known ?? (read.get([]) as Row);
  return Number(identity).toString(16).padStart(12, "0");
}

export function readSpan(db: Connection): { readonly from: number; readonly to: number } | null {
  const at = (order: string): Row | undefined =>
    db.prepare(`SELECT received_at FROM predictions ORDER BY sequence ${order} LIMIT 1`).raw().get([]) as
      | Row
      | undefined;
  const [first, last] = [at("ASC"), at("DESC")];
  return first === undefined || last === undefined ? null : { from: numberOf(first[0]), to: numberOf(last[0]) };
}

/** Columns instead of records: 200,000 records took a kilobyte each. */
export async function readScored(
  db: Connection,
  given: { readonly bundle: string; readonly width: number; readonly rows: number; readonly until: number | null },
): Promise<ScoredWindow> {
  const { bundle, width } = given;
  const first = single(
    db,
    `SELECT coalesce(min(sequence), 0) FROM (SELECT sequence FROM predictions ORDER BY sequence DESC LIMIT ${given.rows})`,
  );
  const among = "sequence >= ? AND bundle = ? AND degraded = 0";
  const about = db.prepare(`SELECT count(*), max(time) FROM predictions WHERE ${among}`).raw();
  const [count, newest] = (about.all([first, bundle]) as Row[])[0];
  const rows = Number(count);
  const until = given.until ?? (newest === null ? Number.NEGATIVE_INFINITY : Number(newest));
  const window = {
    rows,
    time: new Float64Array(rows),
    score: new Float64Array(rows),
    vectors: new Float32Array(rows * width).fill(Number.NaN),
    label: new Uint8Array(rows).fill(UNLABELLED),
    until,
  };
  const query = db
    .prepare(
      `SELECT time, score, vector, (SELECT fraud FROM labels l WHERE l.transaction_id = p.transaction_id AND l.known_at <= ?
         ORDER BY known_at DESC, l.sequence DESC LIMIT 1), sequence
       FROM predictions p WHERE ${among} ORDER BY sequence LIMIT ?`,
    )
    .raw();
  const latest = Number.isFinite(until) ? until : 0;
  let row = 0;
  for (let from = first; row < rows; ) {
    const page = query.all([latest, from, bundle, PAGE_ROWS]) as Row[];
    if (page.length === 0) break;
    for (const [time, score, vector, fraud, sequence] of page) {
      // More may have been written since they were counted.
      if (row === rows) break;
      window.time[row] = numberOf(time);
      window.score[row] = numberOf(score);
      const values = new Float32Array(Uint8Array.from(vector as Uint8Array).buffer);
      window.vectors.set(values.length > width ? values.subarray(0, width) : values, row * width);
      if (fraud !== null) window.label[row] = fraud === 1 ? 1 : 0;
      from = Number(sequence) + 1;
      row++;
    }
    await breathe();
  }
  return window;
}

/**
 * Shadows of one candidate in order of writing, with the latest label. A shadow whose prediction is gone (pruned or
 * dropped) is left out: without its card it cannot be resampled honestly.
 */
export async function* readPairs(
  db: Connection,
  candidateVersion: string,
  options: { readonly card: string | null; readonly amount: string | null; readonly newest?: number },
): AsyncGenerator<ShadowPair> {
  const query = db
    .prepare(
      `SELECT ${qualified("s", SHADOW_COLUMNS)}, p.fields, l.fraud, l.known_at, p.decision, p.explored, s.id
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
    after = Number(rows[rows.length - 1][17]);
    await breathe();
  }
}

/** The id before the newest `count` records of a version; 0 when there are no more than that. */
function lastBefore(db: Connection, version: string, count: number): number {
  const query = "SELECT id FROM shadows WHERE candidate_version = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
  const row = db.prepare(query).raw().get([version, count]) as Row | undefined;
  return row === undefined ? 0 : Number(row[0]);
}

/** Rows of one question about days: some ten milliseconds, labels looked up. */
const DAY_ROWS = 4096;

/** Counts page after page along the order of arrival; a page brings one row per day and not one per answer. */
export async function readDays(db: Connection, rows: number): Promise<readonly LoggedDay[]> {
  const query = db
    .prepare(
      `SELECT p.time - (p.time % ${DAY_MS}) AS day, count(*), sum(p.decision <> 'approve'), count(l.fraud), sum(l.fraud = 1),
         sum(l.fraud = 1 AND p.decision <> 'approve')
       FROM predictions p LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m
         WHERE m.transaction_id = p.transaction_id ORDER BY m.known_at DESC, m.sequence DESC LIMIT 1)
       WHERE p.sequence > ? AND p.sequence <= ? AND p.time >= 0 GROUP BY day`,
    )
    .raw();
  const place = db
    .prepare("SELECT sequence FROM predictions WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1 OFFSET ?")
    .raw();
  const before = (last: number, count: number): number => {
    const row = place.get([last, count]) as Row | undefined;
    return row === undefined ? 0 : Number(row[0]);
  };
  const days = new Map<number, { -readonly [name in keyof LoggedDay]: LoggedDay[name] }>();
  let last = countersOf(db)().sequence;
  for (let left = rows; left > 0 && last > 0; left -= DAY_ROWS) {
    const first = before(last, Math.min(DAY_ROWS, left));
    for (const [day, transactions, flagged, labelled, frauds, caught] of query.all([first, last]) as Row[]) {
      const at = Number(day);
      const own = days.get(at) ?? { day: at, transactions: 0, flagged: 0, labelled: 0, frauds: 0, caught: 0 };
      own.transactions += Number(transactions);
      own.flagged += Number(flagged);
      own.labelled += Number(labelled);
      own.frauds += Number(frauds ?? 0);
      own.caught += Number(caught ?? 0);
      days.set(at, own);
    }
    last = first;
    await breathe();
  }
  return [...days.values()].sort((one, other) => one.day - other.day);
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

function qualified(table: string, columns: string): string {
  return columns.replace(/\w+/g, (column) => `${table}.${column}`);
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
