// Moves committed log pages from the WAL into the database file on a native thread, away from the event loop.
import AsyncDatabase from "libsql/promise";
import { isBusy, logError } from "./schema.ts";

export interface Checkpointer {
  /** Called after every batch; now and then starts a checkpoint and returns at once. */
  batchWritten(): void;
  close(): Promise<void>;
}

/** About a thousand pages, SQLite's own measure. */
const BATCHES_A_CHECKPOINT = 32;

/**
 * SQLite checkpoints inside a commit, with two syncs of the disk: one batch in thirty took 10 ms instead of one. PASSIVE
 * never makes readers or the writer wait; what it cannot move stays for the next time.
 */
export function createCheckpointer(file: string, onFailure: (error: Error) => void): Checkpointer {
  let batches = 0;
  let db: AsyncDatabase | null = null;
  let running: Promise<void> | null = null;
  const checkpoint = async (): Promise<void> => {
    try {
      db ??= new AsyncDatabase(file, {});
      const statement = await db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      await statement.all([]);
    } catch (error) {
      if (!isBusy(error)) onFailure(logError(error, file));
    }
  };
  return {
    batchWritten() {
      batches++;
      if (batches < BATCHES_A_CHECKPOINT || running !== null) return;
      batches = 0;
      running = checkpoint().finally(() => {
        running = null;
      });
    },
    async close() {
      await running;
      db?.close();
      db = null;
    },
  };
}
