// Copies of SQLite files while others write them: one moment of the file, whole, in a file of its own.
import Database from "libsql";
import { messageOf, SentinelError } from "../../core/errors.ts";

/** How long others may keep the file to themselves. */
const BUSY_MS_MAX = 30_000;

/** `to` must not exist. Errors: store.unreadable. */
export async function copyDatabase(file: string, to: string): Promise<void> {
  try {
    const db = new Database(file);
    try {
      db.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      // One read transaction: what is written meanwhile is not in it, and nobody waits for it. The marks in the file's head go along.
      db.prepare("VACUUM INTO ?").run([to]);
    } finally {
      db.close();
    }
  } catch (error) {
    throw new SentinelError("store.unreadable", `${file} cannot be copied: ${messageOf(error)}`, {
      hint: "is there room where the backup goes, and may this user read the file?",
      cause: error,
    });
  }
}
