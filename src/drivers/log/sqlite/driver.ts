// The prediction log in one SQLite file, for a server that writes and commands that read beside it.
import { setTimeout as sleep } from "node:timers/promises";
import type { PredictionLog, PredictionRecord } from "../../../ports/log.ts";
import { createCheckpointer } from "./checkpoint.ts";
import { type PruneLimits, pruneBatch } from "./prune.ts";
import {
  countersOf,
  finder,
  lastApplied,
  readApplied,
  readCoverage,
  readEvents,
  readPairs,
  readRecent,
} from "./read.ts";
import { labelRow, predictionRow, shadowRow } from "./rows.ts";
import { isBusy, logError, openLog } from "./schema.ts";
import { createWriter } from "./write.ts";

export interface SqliteLogOptions {
  /** Records waiting to be written; beyond it appends answer false. */
  readonly bufferMax?: number;
  /** Rows a transaction: with 20 µs a row, the event loop is held for about 3 ms. */
  readonly batchRowsMax?: number;
  /** How long a record waits for others. What a killed process loses is what it appended in this window. */
  readonly flushMs?: number;
  /** How long flush() keeps trying while another process holds the write lock. */
  readonly busyMsMax?: number;
  /** Predictions kept; the oldest go, with their labels and shadows. */
  readonly rowsMax?: number;
  /** Names of the fields that carry the card and the amount. */
  readonly card?: string;
  readonly amount?: string;
  readonly later?: (run: () => void, ms: number) => () => void;
  readonly onFailure?: (error: Error) => void;
}

export interface SqliteLog extends PredictionLog {
  /** Predictions and shadows that were appended a second time and ignored, since this log was opened. */
  duplicates(): number;
  /** Deletes the oldest predictions beyond the limits, in small batches. Gives how many went. */
  prune(limits: PruneLimits): Promise<number>;
}

const BUFFER_MAX = 50_000;
const BATCH_ROWS_MAX = 128;
const FLUSH_MS = 5;
const BUSY_MS_MAX = 10_000;
const ROWS_MAX = 10_000_000;
const BUSY_RETRY_MS = 5;

/**
 * A prediction log in `file`, made when absent. Appends go to a bounded buffer and reach the disk within a few
 * milliseconds; after `flush()` they survive a killed process. A prediction not yet written is found with sequence 0.
 * Throws `log.unwritable`, `log.unreadable`.
 */
export function createSqliteLog(input: { readonly file: string; readonly options?: SqliteLogOptions }): SqliteLog {
  const { file, options = {} } = input;
  const { batchRowsMax = BATCH_ROWS_MAX, rowsMax = ROWS_MAX } = options;
  const names = { card: options.card ?? "customer_id", amount: options.amount ?? "amount" };
  const db = openLog(file);
  const findWritten = finder(db);
  const counters = countersOf(db);
  const pending = new Map<string, PredictionRecord>();
  let ignored = 0;
  let closed = false;
  const onFailure = options.onFailure ?? (() => {});
  const checkpointer = createCheckpointer(file, onFailure);
  const writer = createWriter(db, {
    file,
    batchRowsMax,
    bufferMax: options.bufferMax ?? BUFFER_MAX,
    flushMs: options.flushMs ?? FLUSH_MS,
    busyMsMax: options.busyMsMax ?? BUSY_MS_MAX,
    later: options.later ?? laterUnref,
    onFailure,
    afterBatch: () => {
      checkpointer.batchWritten();
      if (counters().predictions > rowsMax) pruneBatch(db, { rowsMax }, batchRowsMax);
    },
  });
  const reading = async <T>(read: () => T | Promise<T>): Promise<T> => {
    await writer.flush();
    try {
      return await read();
    } catch (error) {
      throw logError(error, file);
    }
  };
  return {
    where: file,
    appendPrediction(record) {
      const { transactionId } = record;
      const before = pending.get(transactionId);
      if (before !== undefined && !(before.applied === 0 && (record.applied ?? 0) > 0)) {
        ignored++;
        return true;
      }
      const written = (): void => void pending.delete(transactionId);
      if (!writer.push({ kind: "prediction", row: predictionRow(record), written })) return false;
      pending.set(transactionId, { ...record, vector: record.vector.slice(), sequence: 0 });
      return true;
    },
    appendShadow: (record) => writer.push({ kind: "shadow", row: shadowRow(record), written: null }),
    appendLabel: (label) => writer.push({ kind: "label", row: labelRow(label), written: null }),
    addCoverage: (version, scored, missed) => writer.addCoverage(version, scored, missed),
    flush: () => writer.flush(),
    async find(transactionId) {
      const written = rethrown(file, () => findWritten(transactionId));
      return written ?? pending.get(transactionId) ?? null;
    },
    recent: (limit) => reading(() => readRecent(db, limit)),
    scan: (fromSequence) => streaming(file, writer.flush, () => readEvents(db, fromSequence)),
    scanApplied: (from) => streaming(file, writer.flush, () => readApplied(db, from)),
    last: () => reading(() => ({ sequence: counters().sequence, applied: lastApplied(db) })),
    pairs: (version, options) => streaming(file, writer.flush, () => readPairs(db, version, { ...names, ...options })),
    coverage: () => reading(() => readCoverage(db)),
    counts: () =>
      reading(() => {
        const { predictions, labels, shadows } = counters();
        return { predictions, labels, shadows };
      }),
    duplicates: () => ignored + writer.duplicates(),
    prune: (limits) => reading(() => pruneAll(() => pruneBatch(db, limits, batchRowsMax))),
    async close() {
      if (closed) return;
      closed = true;
      try {
        await writer.flush();
      } finally {
        writer.stop();
        await checkpointer.close();
        db.close();
      }
    },
  };
}

function laterUnref(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
}

function rethrown<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw logError(error, file);
  }
}

async function* streaming<T>(
  file: string,
  flush: () => Promise<void>,
  open: () => AsyncGenerator<T>,
): AsyncGenerator<T> {
  await flush();
  try {
    yield* open();
  } catch (error) {
    throw logError(error, file);
  }
}

/** Batches until nothing is left to remove; waits while another process writes. */
async function pruneAll(batch: () => number): Promise<number> {
  let removed = 0;
  for (;;) {
    try {
      const count = batch();
      if (count === 0) return removed;
      removed += count;
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    await sleep(BUSY_RETRY_MS);
  }
}
