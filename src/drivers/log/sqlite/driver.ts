// The prediction log in one SQLite file: a thread writes it, commands and look-ups read beside.
import { setTimeout as sleep } from "node:timers/promises";
import type { PredictionLog } from "../../../ports/log.ts";
import { readMatured } from "./matured.ts";
import { noteArchived, type PruneLimits, pruneBatch } from "./prune.ts";
import {
  countersOf,
  finder,
  identityOf,
  lastApplied,
  readAnswered,
  readApplied,
  readArrivals,
  readBegin,
  readBundles,
  readCoverage,
  readDays,
  readEvents,
  readIds,
  readLabels,
  readOld,
  readPairs,
  readRecent,
  readScored,
  readSpan,
} from "./read.ts";
import { isBusy, logError, openLog } from "./schema.ts";
import { Writer } from "./writer.ts";

export interface SqliteLogOptions {
  /** `sync`: an answer waits until its record is on the disk; `interval`: it does not. */
  readonly durability?: "sync" | "interval";
  /** How long a record waits for others before the thread gets it. */
  readonly flushMs?: number;
  /** How old the oldest unwritten record may be before more are refused. */
  readonly lagMsMax?: number;
  /** Records waiting to be written, and bytes of them; beyond either appends answer false. */
  readonly bufferMax?: number;
  readonly bufferBytesMax?: number;
  /** Written records that stay in memory for look-ups. */
  readonly recentMax?: number;
  /** Records in one transaction. */
  readonly batchRowsMax?: number;
  /** How long flush() keeps trying while another process holds the write lock. */
  readonly busyMsMax?: number;
  /** Predictions kept, and for how long after they were received; the oldest go, with their labels and shadows. */
  readonly rowsMax?: number;
  readonly keptMsMax?: number;
  /** Pages of 4 kB that the file may have; 0: no limit but SQLite's. */
  readonly pagesMax?: number;
  /** True: what is not archived is not forgotten, whatever the limits say. */
  readonly archivedOnly?: boolean;
  /** Names of the fields that carry the card and the amount. */
  readonly card?: string | null;
  readonly amount?: string | null;
  /** Milliseconds of a steady clock. */
  readonly elapsed?: () => number;
}

export interface SqliteLog extends PredictionLog {
  /** Records that were appended a second time and ignored, since this log was opened. */
  duplicates(): number;
  /** Deletes the oldest predictions beyond the limits, in small batches. Gives how many went. */
  prune(limits: PruneLimits): Promise<number>;
}

const BUFFER_MAX = 50_000;
const BUFFER_BYTES_MAX = 67_108_864;
const RECENT_MAX = 50_000;
/** With 20 µs per row a transaction takes 10 ms: long enough to share the cost of a commit, short enough to tell soon. */
const BATCH_ROWS_MAX = 512;
const FLUSH_MS = 5;
const LAG_MS_MAX = 5000;
const BUSY_MS_MAX = 10_000;
const ROWS_MAX = 10_000_000;
const BUSY_RETRY_MS = 5;

/**
 * A prediction log in `file`, made when absent. Appends go as bytes to a bounded buffer that a thread writes; after `flush()` they
 * survive a killed process, with `durability: "sync"` a power cut too. A prediction that is not yet written is found with sequence
 * 0. Throws `log.unwritable`, `log.unreadable`.
 */
export function createSqliteLog(input: { readonly file: string; readonly options?: SqliteLogOptions }): SqliteLog {
  const { file, options = {} } = input;
  const { batchRowsMax = BATCH_ROWS_MAX, durability = "interval", archivedOnly = false } = options;
  const names = {
    card: options.card === undefined ? "customer_id" : options.card,
    amount: options.amount === undefined ? "amount" : options.amount,
  };
  const db = openLog(file);
  const findWritten = finder(db);
  const counters = countersOf(db);
  let closed = false;
  const writer = new Writer({
    file,
    sync: durability === "sync",
    batchRowsMax,
    rowsMax: options.rowsMax ?? ROWS_MAX,
    keptMsMax: options.keptMsMax ?? Number.POSITIVE_INFINITY,
    pagesMax: options.pagesMax ?? 0,
    archivedOnly,
    bufferMax: options.bufferMax ?? BUFFER_MAX,
    bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_MAX,
    recentMax: options.recentMax ?? RECENT_MAX,
    flushMs: options.flushMs ?? FLUSH_MS,
    lagMsMax: options.lagMsMax ?? LAG_MS_MAX,
    busyMsMax: options.busyMsMax ?? BUSY_MS_MAX,
    elapsed: options.elapsed ?? (() => performance.now()),
  });
  const flush = (): Promise<void> => writer.flush();
  const reading = async <T>(read: () => T | Promise<T>): Promise<T> => {
    await flush();
    try {
      return await read();
    } catch (error) {
      throw logError(error, file);
    }
  };
  return {
    where: file,
    durability,
    appendPrediction: (record) => writer.prediction(record),
    appendShadow: (record) => writer.shadow(record),
    appendLabel: (label) => writer.label(label),
    addCoverage: (version, scored, missed) => writer.addCoverage(version, scored, missed),
    refusal: (records = 1) => writer.refusal(records),
    durable: (transactionId) => (durability === "sync" ? writer.durable(transactionId) : null),
    prepare: () => writer.prepare(),
    health: () => writer.health(),
    watch: (watcher) => {
      writer.watcher = watcher;
    },
    recall: (transactionId) => writer.recall(transactionId)?.record ?? null,
    flush,
    async find(transactionId) {
      const remembered = writer.recall(transactionId);
      const written = rethrown(file, () => findWritten(transactionId));
      return written ?? remembered?.record ?? null;
    },
    labelsOf: (transactionId) => reading(() => readLabels(db, transactionId)),
    recent: (limit) => reading(() => readRecent(db, limit)),
    scan: (fromSequence) => streaming(file, flush, () => readEvents(db, fromSequence)),
    arrivals: (fromSequence) => streaming(file, flush, () => readArrivals(db, fromSequence)),
    scanApplied: (from) => streaming(file, flush, () => readApplied(db, from)),
    answered: (given) => streaming(file, flush, () => readAnswered(db, given)),
    ids: (fromSequence) => streaming(file, flush, () => readIds(db, fromSequence)),
    bundles: () => reading(() => readBundles(db)),
    old: (before) => streaming(file, flush, () => readOld(db, before)),
    forget: (before) =>
      reading(() => pruneAll(() => pruneBatch(db, { before, archivedOnly }, batchRowsMax).predictions)),
    begin: () => reading(() => readBegin(db)),
    identity: () => reading(() => untilFree(() => identityOf(db))),
    archived: (through) => reading(() => untilFree(() => noteArchived(db, through))),
    scored: (given) => reading(() => readScored(db, given)),
    days: (rows) => reading(() => readDays(db, rows)),
    matured: (given) => reading(() => readMatured(db, given)),
    last: () => reading(() => ({ sequence: counters().sequence, applied: lastApplied(db) })),
    pairs: (version, given) => streaming(file, flush, () => readPairs(db, version, { ...names, ...given })),
    coverage: () => reading(() => readCoverage(db)),
    counts: () =>
      reading(() => {
        const { predictions, labels, shadows } = counters();
        return { predictions, labels, shadows };
      }),
    span: () => reading(() => readSpan(db)),
    duplicates: () => writer.duplicates,
    prune: (limits) =>
      reading(() => pruneAll(() => pruneBatch(db, { archivedOnly, ...limits }, batchRowsMax).predictions)),
    async close() {
      if (closed) return;
      closed = true;
      try {
        await writer.close();
      } finally {
        db.close();
      }
    },
  };
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
    const count = await untilFree(batch);
    if (count === 0) return removed;
    removed += count;
    await sleep(BUSY_RETRY_MS);
  }
}

/** Tries again while another process writes. */
async function untilFree<T>(work: () => T): Promise<T> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    await sleep(BUSY_RETRY_MS);
  }
}
