// The SQLite log's way in: a bounded buffer in memory, written in small transactions off the caller's path.
import { setTimeout as sleep } from "node:timers/promises";
import { SHADOW_MISSES, type ShadowMiss } from "../../../ports/log.ts";
import { LABEL_COLUMNS, type Parameter, PREDICTION_COLUMNS, SHADOW_COLUMNS } from "./rows.ts";
import { type Connection, isBusy, logError } from "./schema.ts";

type Kind = "prediction" | "label" | "shadow";

export interface Queued {
  readonly kind: Kind;
  /** Called once the row is on disk. */
  readonly written: (() => void) | null;
  readonly row: readonly Parameter[];
}

export interface WriterOptions {
  readonly file: string;
  readonly bufferMax: number;
  readonly batchRowsMax: number;
  readonly flushMs: number;
  /** How long a flush keeps trying while another process writes. */
  readonly busyMsMax: number;
  /** Runs later without keeping the process alive; gives back how to cancel. */
  readonly later: (run: () => void, ms: number) => () => void;
  /** Told of a write that failed in the background; the rows stay in the buffer and are tried again. */
  readonly onFailure: (error: Error) => void;
  /** Called after each transaction that was written, still off the caller's path. */
  readonly afterBatch: () => void;
}

export interface Writer {
  /** False when the buffer is full, or the log closed. */
  push(item: Queued): boolean;
  addCoverage(version: string, scored: number, missed: Readonly<Partial<Record<ShadowMiss, number>>>): void;
  flush(): Promise<void>;
  /** Rows that were already there and were ignored. */
  readonly duplicates: () => number;
  stop(): void;
}

const BUSY_RETRY_MS = 5;
const FAILURE_RETRY_MS = 1000;
/** Of a prediction's row: where it stands in the order of a shared state. */
const APPLIED_AT = 13;
const INSERTED = { prediction: "predictions", label: "labels", shadow: "shadows" } as const;

export function createWriter(db: Connection, options: WriterOptions): Writer {
  const insert = inserts(db);
  let queue: Queued[] = [];
  let coverage = new Map<string, number>();
  let pushed = 0;
  let done = 0;
  let duplicates = 0;
  let stopped = false;
  let cancel: (() => void) | null = null;

  /** One transaction of at most batchRowsMax rows; everything stays queued when it fails. */
  const writeBatch = (): void => {
    const batch = queue.slice(0, options.batchRowsMax);
    duplicates += insert(batch, coverage);
    queue = queue.slice(batch.length);
    coverage = new Map();
    done += batch.length;
    for (const item of batch) item.written?.();
    options.afterBatch();
  };
  const schedule = (ms: number): void => {
    if (!stopped) cancel ??= options.later(tick, ms);
  };
  const tick = (): void => {
    cancel = null;
    try {
      if (queue.length > 0 || coverage.size > 0) writeBatch();
      if (queue.length > 0) schedule(0);
    } catch (error) {
      if (!isBusy(error)) options.onFailure(logError(error, options.file));
      schedule(isBusy(error) ? BUSY_RETRY_MS : FAILURE_RETRY_MS);
    }
  };
  /** Writes until the first `target` rows ever pushed are on disk; what comes in meanwhile does not prolong it. */
  const drain = async (target: number): Promise<void> => {
    // The first batch takes the whole coverage ledger along.
    let ledgerDone = coverage.size === 0;
    for (let waitedMs = 0; done < target || !ledgerDone; ) {
      try {
        writeBatch();
        ledgerDone = true;
        // Let the event loop run between transactions.
        await new Promise((resolve) => setImmediate(resolve));
      } catch (error) {
        schedule(FAILURE_RETRY_MS);
        if (!isBusy(error) || waitedMs >= options.busyMsMax) throw logError(error, options.file);
        await sleep(BUSY_RETRY_MS);
        waitedMs += BUSY_RETRY_MS;
      }
    }
  };
  return {
    push(item) {
      if (stopped || queue.length >= options.bufferMax) return false;
      queue.push(item);
      pushed++;
      schedule(options.flushMs);
      return true;
    },
    addCoverage(version, scored, missed) {
      const add = (outcome: string, count: number): void => {
        const key = `${outcome} ${version}`;
        if (count > 0) coverage.set(key, (coverage.get(key) ?? 0) + count);
      };
      add("scored", scored);
      for (const miss of SHADOW_MISSES) add(miss, missed[miss] ?? 0);
      schedule(options.flushMs);
    },
    flush: () => drain(pushed),
    duplicates: () => duplicates,
    stop() {
      stopped = true;
      cancel?.();
      cancel = null;
    },
  };
}

/** Prepared statements; the function writes one batch in one transaction and says how many rows were there already. */
function inserts(db: Connection): (batch: readonly Queued[], coverage: ReadonlyMap<string, number>) => number {
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
  const coverageAdd = db.prepare(
    "INSERT INTO coverage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  return (batch, coverage) => {
    // IMMEDIATE: the sequence is read and advanced under the write lock, so two processes never share a number.
    db.exec("BEGIN IMMEDIATE");
    try {
      let sequence = (sequenceNow.all([]) as readonly (readonly number[])[])[0][0];
      const added = { prediction: 0, label: 0, shadow: 0 };
      for (const { kind, row } of batch) {
        let changes: number;
        if (kind === "shadow") changes = shadow.run([...row]).changes;
        else changes = (kind === "prediction" ? prediction : label).run([sequence + 1, ...row]).changes;
        // Answered without the shared state, and applied after all.
        if (changes === 0 && kind === "prediction" && Number(row[APPLIED_AT]) > 0)
          settle.run([row[APPLIED_AT], row[0]]);
        added[kind] += changes;
        if (kind !== "shadow") sequence += changes;
      }
      sequenceSet.run([sequence]);
      for (const kind of ["prediction", "label", "shadow"] as const) {
        if (added[kind] > 0) countAdd.run([added[kind], INSERTED[kind]]);
      }
      for (const [key, count] of coverage) {
        const space = key.indexOf(" ");
        coverageAdd.run([key.slice(space + 1), key.slice(0, space), count]);
      }
      db.exec("COMMIT");
      return batch.length - added.prediction - added.label - added.shadow;
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
}
