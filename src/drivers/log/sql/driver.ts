// The prediction log on SQL: a thread writes it, commands and look-ups read beside; a vendor opens its tables.
import { setTimeout as sleep } from "node:timers/promises";
import type { Erased, Eraser } from "../../../core/erasure.ts";
import type { SentinelError } from "../../../core/errors.ts";
import type { PredictionLog } from "../../../ports/log.ts";
import type { EndFault, Pruned, PruneLimits } from "./log-end.ts";
import { readMatured } from "./matured.ts";
import type { LogPlace } from "./messages.ts";
import {
  type LogTables,
  lastApplied,
  readAnswered,
  readApplied,
  readArrivals,
  readBegin,
  readBundles,
  readCounters,
  readCoverage,
  readDays,
  readEvents,
  readIds,
  readLabels,
  readOld,
  readPairs,
  readPrediction,
  readRecent,
  readScored,
  readSpan,
} from "./read.ts";
import { Writer } from "./writer.ts";

/** What both vendors let a pipeline or a test choose. */
export interface LogOptions {
  /** `sync`: an answer waits until its record is on the disk; `interval`: it does not. */
  readonly durability?: "sync" | "interval";
  /** How long a record waits for others before the thread gets it. */
  readonly flushMs?: number;
  /** Bytes of waiting records beyond which the thread gets them at once. */
  readonly handOverBytes?: number;
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
  /** True: what is not archived is not forgotten, whatever the limits say. */
  readonly archivedOnly?: boolean;
  /** Names of the fields that carry the card and the amount. */
  readonly card?: string | null;
  readonly amount?: string | null;
  /** Milliseconds of a steady clock. */
  readonly elapsed?: () => number;
}

/** A prediction log with what only tests and upkeep ask of it. */
export interface SqlLog extends PredictionLog {
  /** Records that were appended a second time and ignored, since this log was opened. */
  duplicates(): number;
  /** Deletes the oldest predictions beyond the limits, in small batches. Gives how many went. */
  prune(limits: PruneLimits): Promise<number>;
}

/** A log's tables, opened by a vendor. */
export interface LogVendor {
  /** For people; never a password. */
  readonly where: string;
  readonly place: LogPlace;
  readonly tables: LogTables;
  readonly batchRowsMax: number;
  /** What went wrong while reading, as the log's own error. */
  readFailed(error: unknown): SentinelError;
  writeFailed(fault: Pick<EndFault, "code" | "message">): SentinelError;
  /** True when another process holds the write lock: a retry will help. */
  isBusy(error: unknown): boolean;
  /** One transaction: the oldest predictions beyond the limits, at most `rowsMax`. */
  pruneBatch(limits: PruneLimits, rowsMax: number): Pruned | Promise<Pruned>;
  /** Raises the mark of what is archived; it never falls. */
  noteArchived(through: number): void | Promise<void>;
  identity(): Promise<string>;
  /** A page of rows per transaction; with `write` the files are cleaned afterwards. */
  erase(eraser: Eraser, write: boolean): Promise<readonly Erased[]>;
  close(): void | Promise<void>;
}

const BUFFER_MAX = 50_000;
const BUFFER_BYTES_MAX = 67_108_864;
const RECENT_MAX = 50_000;
const FLUSH_MS = 5;
const HAND_OVER_BYTES = 65_536;
const LAG_MS_MAX = 5000;
const BUSY_MS_MAX = 10_000;
const ROWS_MAX = 10_000_000;
const BUSY_RETRY_MS = 5;

/** Appends go as bytes to a bounded buffer that a thread writes; a prediction that is not yet written is found with sequence 0. */
export function createSqlLog(vendor: LogVendor, options: LogOptions): SqlLog {
  const { durability = "interval", archivedOnly = false } = options;
  const batchRowsMax = options.batchRowsMax ?? vendor.batchRowsMax;
  const { tables } = vendor;
  const names = {
    card: options.card === undefined ? "customer_id" : options.card,
    amount: options.amount === undefined ? "amount" : options.amount,
  };
  let closed = false;
  const writer = new Writer({
    where: vendor.where,
    writeFailed: (fault) => vendor.writeFailed(fault),
    place: vendor.place,
    sync: durability === "sync",
    batchRowsMax,
    rowsMax: options.rowsMax ?? ROWS_MAX,
    keptMsMax: options.keptMsMax ?? Number.POSITIVE_INFINITY,
    archivedOnly,
    bufferMax: options.bufferMax ?? BUFFER_MAX,
    bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_MAX,
    recentMax: options.recentMax ?? RECENT_MAX,
    flushMs: options.flushMs ?? FLUSH_MS,
    handOverBytes: options.handOverBytes ?? HAND_OVER_BYTES,
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
      throw vendor.readFailed(error);
    }
  };
  async function* streaming<T>(open: () => AsyncGenerator<T>): AsyncGenerator<T> {
    await flush();
    try {
      yield* open();
    } catch (error) {
      throw vendor.readFailed(error);
    }
  }
  /** Tries again while another process writes. */
  const untilFree = async <T>(work: () => T | Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!vendor.isBusy(error)) throw error;
      }
      await sleep(BUSY_RETRY_MS);
    }
  };
  /** Batches until nothing is left to remove; waits while another process writes. */
  const pruneAll = (limits: PruneLimits): Promise<number> =>
    reading(async () => {
      let removed = 0;
      for (;;) {
        const { predictions } = await untilFree(() => vendor.pruneBatch({ archivedOnly, ...limits }, batchRowsMax));
        if (predictions === 0) return removed;
        removed += predictions;
        await sleep(BUSY_RETRY_MS);
      }
    });
  return {
    where: vendor.where,
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
      const remembered = writer.recall(transactionId)?.record ?? null;
      try {
        return (await readPrediction(tables, transactionId)) ?? remembered;
      } catch (error) {
        // What this process answered it knows, also while the tables cannot be read.
        if (remembered !== null) return remembered;
        throw vendor.readFailed(error);
      }
    },
    labelsOf: (transactionId) => reading(() => readLabels(tables, transactionId)),
    recent: (limit) => reading(() => readRecent(tables, limit)),
    scan: (fromSequence) => streaming(() => readEvents(tables, fromSequence)),
    arrivals: (fromSequence) => streaming(() => readArrivals(tables, fromSequence)),
    scanApplied: (from) => streaming(() => readApplied(tables, from)),
    answered: (given) => streaming(() => readAnswered(tables, given)),
    ids: (fromSequence) => streaming(() => readIds(tables, fromSequence)),
    bundles: () => reading(() => readBundles(tables)),
    old: (before) => streaming(() => readOld(tables, before)),
    forget: (before) => pruneAll({ before }),
    erase: async (eraser, { write }) => {
      await flush();
      try {
        return await vendor.erase(eraser, write);
      } catch (error) {
        throw vendor.readFailed(error);
      }
    },
    begin: () => reading(() => readBegin(tables)),
    identity: () => reading(() => untilFree(() => vendor.identity())),
    archived: (through) => reading(() => untilFree(() => vendor.noteArchived(through))),
    scored: (given) => reading(() => readScored(tables, given)),
    days: (rows) => reading(() => readDays(tables, rows)),
    matured: (given) => reading(() => readMatured(tables, given)),
    last: () =>
      reading(async () => {
        const { sequence } = await readCounters(tables);
        return { sequence, applied: await lastApplied(tables) };
      }),
    pairs: (version, given) => streaming(() => readPairs(tables, version, { ...names, ...given })),
    coverage: () => reading(() => readCoverage(tables)),
    counts: () =>
      reading(async () => {
        const { predictions, labels, shadows } = await readCounters(tables);
        return { predictions, labels, shadows };
      }),
    span: () => reading(() => readSpan(tables)),
    duplicates: () => writer.duplicates,
    prune: pruneAll,
    async close() {
      if (closed) return;
      closed = true;
      try {
        await writer.close();
      } finally {
        await vendor.close();
      }
    },
  };
}
