// The log's way out, in SQL that both vendors read: everything in small pages, so that a long report never holds the event loop.

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
  type Parameter,
  PREDICTION_COLUMNS,
  pairOf,
  predictionOf,
  type Row,
  SHADOW_COLUMNS,
  storeText,
  vectorOf,
} from "./rows.ts";

/** A log's tables as a vendor reads them: by their plain names, of this log alone. */
export interface LogTables {
  /** Rows of a query; `?` stands for each of the values. Queries are few: a vendor may keep them prepared. `soon`: a request waits for it. */
  all(
    query: string,
    values: readonly Parameter[],
    how?: { readonly soon: boolean },
  ): readonly Row[] | Promise<readonly Row[]>;
  /** The begin of the day, in milliseconds, of a time that is a column. */
  readonly dayOf: (column: string) => string;
  /** Whole rows read at a time: a few milliseconds of a core, joins included. */
  readonly pageRows: number;
}

/** Pages of ids alone, and of vectors and scores without text to parse, are so many times as large. */
const IDS_PAGES = 8;
const ANSWERED_PAGES = 4;
/** Of the labels `m` of a transaction the one known last first; PostgreSQL would put those without a time first. */
export const LATEST_LABEL = "m.known_at DESC NULLS LAST, m.sequence DESC";
/** Label code of a transaction that nobody labelled. */
const UNLABELLED = 2;

const FIND = `SELECT ${PREDICTION_COLUMNS} FROM predictions WHERE transaction_id = ?`;

/** Every request may ask whether its transaction was answered before. */
export async function readPrediction(tables: LogTables, transactionId: string): Promise<PredictionRecord | null> {
  const rows = await tables.all(FIND, [storeText(transactionId)], { soon: true });
  return rows.length === 0 ? null : predictionOf(rows[0]);
}

export async function readRecent(tables: LogTables, limit: number): Promise<PredictionRecord[]> {
  const query = `SELECT ${PREDICTION_COLUMNS} FROM predictions WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`;
  const newestFirst: PredictionRecord[] = [];
  let before = Number.MAX_SAFE_INTEGER;
  while (newestFirst.length < limit) {
    const rows = await tables.all(query, [before, Math.min(tables.pageRows, limit - newestFirst.length)]);
    if (rows.length === 0) break;
    for (const row of rows) newestFirst.push(predictionOf(row));
    before = newestFirst[newestFirst.length - 1].sequence;
    await breathe();
  }
  return newestFirst.reverse();
}

/** Up to what had been written when the scan began; what comes later belongs to the next scan. */
export async function* readEvents(tables: LogTables, fromSequence: number): AsyncGenerator<LogEntry> {
  const { sequence: last } = await readCounters(tables);
  yield* merged(tables, FULL, { by: "sequence", from: fromSequence, last });
}

/** As {@link readEvents}, without vectors and answers: a third of the time. */
export async function* readArrivals(tables: LogTables, fromSequence: number): AsyncGenerator<LogArrivalEntry> {
  const { sequence: last } = await readCounters(tables);
  yield* merged(tables, LEARNED, { by: "sequence", from: fromSequence, last });
}

/** What a shared state applied, in its order, up to what had been written when the scan began. */
export async function* readApplied(tables: LogTables, from: number): AsyncGenerator<LogEntry> {
  yield* merged(tables, FULL, { by: "applied", from: Math.max(1, from), last: await lastApplied(tables) });
}

/** 0 when no shared state applied anything. */
export async function lastApplied(tables: LogTables): Promise<number> {
  const last = (table: string): Promise<number> =>
    single(tables, `SELECT coalesce(max(applied), 0) FROM ${table} WHERE applied > 0`);
  return Math.max(await last("predictions"), await last("labels"));
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
  tables: LogTables,
  { columns, entry }: Detail<T>,
  { by, from, last }: Stretch,
): AsyncGenerator<T | Extract<LogEntry, { readonly kind: "label" }>> {
  const partial = (table: string): string => (by === "applied" ? `${table}.applied > 0 AND ` : "");
  const { pageRows } = tables;
  const predictions = `SELECT ${columns}, ${by} FROM predictions
    WHERE ${partial("predictions")}${by} >= ? AND ${by} <= ? ORDER BY ${by} LIMIT ?`;
  const labels = `SELECT ${qualified("l", LABEL_COLUMNS)}, p.time, p.fields, l.${by} FROM labels l
    LEFT JOIN predictions p ON p.transaction_id = l.transaction_id
    WHERE ${partial("l")}l.${by} >= ? AND l.${by} <= ? ORDER BY l.${by} LIMIT ?`;
  const placeOf = (row: Row): number => Number(row[row.length - 1]);
  for (let at = from; at <= last; ) {
    const page = await tables.all(predictions, [at, last, pageRows]);
    // The page's stretch: up to its last prediction where there may be more, else to the end.
    const end = page.length < pageRows ? last : placeOf(page[page.length - 1]);
    let next = 0;
    for (let labelsFrom = at; ; ) {
      const labelRows = await tables.all(labels, [labelsFrom, end, pageRows]);
      for (const row of labelRows) {
        const place = placeOf(row);
        while (next < page.length && placeOf(page[next]) < place) yield entry(page[next++]);
        yield { kind: "label", record: labelOf(row), about: aboutOf(row) };
      }
      if (labelRows.length < pageRows) break;
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
export async function readLabels(tables: LogTables, transactionId: string): Promise<LabelRecord[]> {
  const query = `SELECT ${LABEL_COLUMNS} FROM labels WHERE transaction_id = ? ORDER BY sequence DESC LIMIT ?`;
  const rows = await tables.all(query, [storeText(transactionId), LABELS_OF_ONE_MAX]);
  return rows.map(labelOf).reverse();
}

/** Ids of predictions, oldest first: only as much is read at a time as leaves the event loop free. */
export async function* readIds(tables: LogTables, fromSequence: number): AsyncGenerator<readonly string[]> {
  const query = "SELECT transaction_id, sequence FROM predictions WHERE sequence >= ? ORDER BY sequence LIMIT ?";
  for (let from = fromSequence; ; ) {
    const rows = await tables.all(query, [from, IDS_PAGES * tables.pageRows]);
    if (rows.length === 0) return;
    yield rows.map((row) => loadText(row[0]));
    from = Number(rows[rows.length - 1][1]) + 1;
    await breathe();
  }
}

/** Up to what had been written when the reading began: only the columns that a summary counts. */
export async function* readAnswered(
  tables: LogTables,
  { bundle, from }: { readonly bundle: string; readonly from: number },
): AsyncGenerator<readonly AnsweredRow[]> {
  const { sequence: last } = await readCounters(tables);
  const query = `SELECT sequence, transaction_id, time, score, vector, CASE WHEN bundle = ? AND degraded = 0 THEN 1 ELSE 0 END
    FROM predictions WHERE sequence >= ? AND sequence <= ? ORDER BY sequence LIMIT ?`;
  for (let next = from; ; ) {
    // All bundles' rows are paged through: a page of one bundle alone could take the whole log to find.
    const rows = await tables.all(query, [bundle, next, last, ANSWERED_PAGES * tables.pageRows]);
    if (rows.length === 0) return;
    const wanted = rows.filter((row) => row[5] === 1);
    yield wanted.map((row) => ({
      sequence: Number(row[0]),
      transactionId: loadText(row[1]),
      time: numberOf(row[2]),
      score: numberOf(row[3]),
      vector: vectorOf(row[4]),
    }));
    next = Number(rows[rows.length - 1][0]) + 1;
    await breathe();
  }
}

/** As a prune finds them: up to the first that was received at `before` or later. */
export async function* readOld(tables: LogTables, before: number): AsyncGenerator<OldRecord> {
  const query = `SELECT ${qualified("p", PREDICTION_COLUMNS)}, l.fraud, l.known_at, l.source FROM predictions p
    LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m WHERE m.transaction_id = p.transaction_id
      ORDER BY ${LATEST_LABEL} LIMIT 1)
    WHERE p.sequence >= ? ORDER BY p.sequence LIMIT ?`;
  for (let from = 0; ; ) {
    const rows = await tables.all(query, [from, tables.pageRows]);
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

export async function readBundles(tables: LogTables): Promise<{ readonly version: string; readonly bundle: string }[]> {
  const rows = await tables.all("SELECT DISTINCT version, bundle FROM predictions ORDER BY version, bundle", []);
  return rows.map(([version, bundle]) => ({ version: loadText(version), bundle: String(bundle) }));
}

export async function readBegin(tables: LogTables): Promise<LogBegin> {
  const marks = await marksOf(tables);
  const mark = (name: string): number => marks.get(name) ?? 0;
  return { through: mark("pruned_through"), time: mark("pruned_time"), applied: mark("pruned_applied") };
}

/** Null: a log of an earlier version, that has none yet. */
export async function readIdentity(tables: LogTables): Promise<string | null> {
  const identity = (await marksOf(tables)).get("identity");
  return identity === undefined ? null : identity.toString(16).padStart(12, "0");
}

export async function readSpan(tables: LogTables): Promise<{ readonly from: number; readonly to: number } | null> {
  const at = async (order: string): Promise<Row | undefined> =>
    (await tables.all(`SELECT received_at FROM predictions ORDER BY sequence ${order} LIMIT 1`, []))[0];
  const [first, last] = [await at("ASC"), await at("DESC")];
  return first === undefined || last === undefined ? null : { from: numberOf(first[0]), to: numberOf(last[0]) };
}

/** Columns instead of records: 200,000 records took a kilobyte each. */
export async function readScored(
  tables: LogTables,
  given: { readonly bundle: string; readonly width: number; readonly rows: number; readonly until: number | null },
): Promise<ScoredWindow> {
  const { bundle, width } = given;
  const first = await single(
    tables,
    "SELECT coalesce(min(sequence), 0) FROM (SELECT sequence FROM predictions ORDER BY sequence DESC LIMIT ?) newest",
    [given.rows],
  );
  const among = "sequence >= ? AND bundle = ? AND degraded = 0";
  const about = `SELECT count(*), max(time) FROM predictions WHERE ${among}`;
  const [count, newest] = (await tables.all(about, [first, bundle]))[0];
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
  const query = `SELECT time, score, vector, (SELECT m.fraud FROM labels m WHERE m.transaction_id = p.transaction_id AND m.known_at <= ?
      ORDER BY ${LATEST_LABEL} LIMIT 1), sequence
    FROM predictions p WHERE ${among} ORDER BY sequence LIMIT ?`;
  const latest = Number.isFinite(until) ? until : 0;
  let row = 0;
  for (let from = first; row < rows; ) {
    const page = await tables.all(query, [latest, from, bundle, tables.pageRows]);
    if (page.length === 0) break;
    for (const [time, score, vector, fraud, sequence] of page) {
      // More may have been written since they were counted.
      if (row === rows) break;
      window.time[row] = numberOf(time);
      window.score[row] = numberOf(score);
      const values = vectorOf(vector);
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
  tables: LogTables,
  candidateVersion: string,
  options: { readonly card: string | null; readonly amount: string | null; readonly newest?: number },
): AsyncGenerator<ShadowPair> {
  // SQLite reads tables of a CROSS JOIN in the order written; to PostgreSQL it is a join like any other.
  const query = `SELECT ${qualified("s", SHADOW_COLUMNS)}, p.fields, l.fraud, l.known_at, p.decision, p.explored, s.id
    FROM shadows s CROSS JOIN predictions p
    LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m WHERE m.transaction_id = s.transaction_id
      ORDER BY ${LATEST_LABEL} LIMIT 1)
    WHERE p.transaction_id = s.transaction_id AND s.candidate_version = ? AND s.id > ? ORDER BY s.id LIMIT ?`;
  const version = storeText(candidateVersion);
  for (let after = options.newest === undefined ? 0 : await lastBefore(tables, version, options.newest); ; ) {
    const rows = await tables.all(query, [version, after, tables.pageRows]);
    if (rows.length === 0) return;
    for (const row of rows) yield pairOf(row, options);
    after = Number(rows[rows.length - 1][17]);
    await breathe();
  }
}

/** The id before the newest `count` records of a version; 0 when there are no more than that. */
async function lastBefore(tables: LogTables, version: string, count: number): Promise<number> {
  const query = "SELECT id FROM shadows WHERE candidate_version = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
  const [row] = await tables.all(query, [version, count]);
  return row === undefined ? 0 : Number(row[0]);
}

/** Rows of one question about days: some ten milliseconds, labels looked up. */
const DAY_ROWS = 4096;

/** Counts page after page along the order of arrival; a page brings one row per day and not one per answer. */
export async function readDays(tables: LogTables, rows: number): Promise<readonly LoggedDay[]> {
  const flagged = "CASE WHEN p.decision <> 'approve' THEN 1 ELSE 0 END";
  const query = `SELECT ${tables.dayOf("p.time")} AS day, count(*), sum(${flagged}), count(l.fraud),
      sum(CASE WHEN l.fraud = 1 THEN 1 ELSE 0 END), sum(CASE WHEN l.fraud = 1 THEN ${flagged} ELSE 0 END)
    FROM predictions p LEFT JOIN labels l ON l.sequence = (SELECT m.sequence FROM labels m
      WHERE m.transaction_id = p.transaction_id ORDER BY ${LATEST_LABEL} LIMIT 1)
    WHERE p.sequence > ? AND p.sequence <= ? AND p.time >= 0 GROUP BY 1`;
  const place = "SELECT sequence FROM predictions WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1 OFFSET ?";
  const before = async (last: number, count: number): Promise<number> => {
    const [row] = await tables.all(place, [last, count]);
    return row === undefined ? 0 : Number(row[0]);
  };
  const days = new Map<number, { -readonly [name in keyof LoggedDay]: LoggedDay[name] }>();
  let { sequence: last } = await readCounters(tables);
  for (let left = rows; left > 0 && last > 0; left -= DAY_ROWS) {
    const first = await before(last, Math.min(DAY_ROWS, left));
    for (const [day, transactions, flaggedOnes, labelled, frauds, caught] of await tables.all(query, [first, last])) {
      const at = Number(day);
      const own = days.get(at) ?? { day: at, transactions: 0, flagged: 0, labelled: 0, frauds: 0, caught: 0 };
      own.transactions += Number(transactions);
      own.flagged += Number(flaggedOnes);
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

export async function readCoverage(tables: LogTables): Promise<Coverage[]> {
  const rows = await tables.all("SELECT version, outcome, count FROM coverage ORDER BY version", []);
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

/** Kept by the writers, because counting rows takes a pass over them. */
export async function readCounters(tables: LogTables): Promise<Counters> {
  const marks = await marksOf(tables);
  const value = (name: string): number => marks.get(name) ?? 0;
  return {
    sequence: value("sequence"),
    predictions: value("predictions"),
    labels: value("labels"),
    shadows: value("shadows"),
  };
}

async function marksOf(tables: LogTables): Promise<ReadonlyMap<string, number>> {
  const rows = await tables.all("SELECT name, value FROM counters", []);
  return new Map(rows.map(([name, value]) => [String(name), Number(value)]));
}

/** The one number a query answers. */
export async function single(tables: LogTables, query: string, values: readonly Parameter[] = []): Promise<number> {
  return Number((await tables.all(query, values))[0][0]);
}

function qualified(table: string, columns: string): string {
  return columns.replace(/\w+/g, (column) => `${table}.${column}`);
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
