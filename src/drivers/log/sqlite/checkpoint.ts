// Moves committed log pages from the WAL into the database file on a native thread, away from the event loop.
import AsyncDatabase from "libsql/promise";
import { isBusy, logError } from "./schema.ts";

export interface Checkpointer {
  /**
   * Called after every batch with its records; now and then starts a checkpoint and returns at once. True, once in some dozens of batches: the
   * log was quiet meanwhile.
   */
  batchWritten(records: number): boolean;
  close(): Promise<void>;
}

/** About a thousand pages, SQLite's own measure. */
const BATCHES_A_CHECKPOINT = 32;
/** Records of so many batches below which a log counts as quiet: it has a batch for nearly every record. */
const RECORDS_QUIET = 4 * BATCHES_A_CHECKPOINT;
/**
 * Batches of a quiet log are some pages each: a thousand pages are six times as many. A hundred logs would else wait for the disk dozens of times a
 * second, and all that writes waits with them.
 */
const BATCHES_A_CHECKPOINT_QUIET = 6 * BATCHES_A_CHECKPOINT;

/**
 * SQLite checkpoints inside a commit, with two syncs of the disk: one batch in thirty took 10 ms instead of one. PASSIVE
 * never makes readers or the writer wait; what it cannot move stays for the next time.
 */
export function createCheckpointer(file: string, onFailure: (error: Error) => void): Checkpointer {
  let batches = 0;
  let records = 0;
  /** Batches of a quiet log since its last checkpoint. */
  let quiet = 0;
  let db: AsyncDatabase | null = null;
  let running: Promise<void> | null = null;
  const checkpoint = async (isQuiet: boolean): Promise<void> => {
    try {
      db ??= new AsyncDatabase(file, {});
      const statement = await db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      await statement.all([]);
    } catch (error) {
      if (!isBusy(error)) onFailure(logError(error, file));
    }
    // A server may have a hundred quiet logs: none of them keeps a connection for the next checkpoint, which is seconds away.
    if (!isQuiet) return;
    db?.close();
    db = null;
  };
  return {
    batchWritten(count) {
      batches++;
      records += count;
      if (batches < BATCHES_A_CHECKPOINT || running !== null) return false;
      const isQuiet = records < RECORDS_QUIET;
      quiet = isQuiet ? quiet + batches : 0;
      batches = 0;
      records = 0;
      if (isQuiet && quiet < BATCHES_A_CHECKPOINT_QUIET) return true;
      quiet = 0;
      running = checkpoint(isQuiet).finally(() => {
        running = null;
      });
      return isQuiet;
    },
    async close() {
      await running;
      db?.close();
      db = null;
    },
  };
}
