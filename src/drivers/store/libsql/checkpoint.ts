// Moves the store's committed pages into its file on a native thread: SQLite would do it inside a commit, with two syncs of the disk.
import AsyncDatabase from "libsql/promise";

export interface Checkpointer {
  /** Called after every transaction; now and then begins a checkpoint and returns at once. */
  written(): void;
  /** Moves what is left. */
  close(): Promise<void>;
}

/** A batch of alerts is some dozens of pages: about as often as SQLite would, every thousand pages. */
const TRANSACTIONS_MAX = 32;

/** PASSIVE makes nobody wait; what it cannot move stays for the next time, as after a failure: the pages are safe where they are. */
export function createCheckpointer(file: string): Checkpointer {
  let transactions = 0;
  let db: AsyncDatabase | null = null;
  let running: Promise<void> | null = null;
  const checkpoint = async (): Promise<void> => {
    transactions = 0;
    try {
      db ??= new AsyncDatabase(file, {});
      const statement = await db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      await statement.all([]);
    } catch {
      // Whatever is wrong with the file, the next transaction says it to somebody who can act on it.
    }
  };
  return {
    written() {
      transactions++;
      if (transactions < TRANSACTIONS_MAX || running !== null) return;
      running = checkpoint().finally(() => {
        running = null;
      });
    },
    async close() {
      await running;
      if (transactions > 0) await checkpoint();
      db?.close();
    },
  };
}
