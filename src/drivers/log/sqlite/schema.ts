// The SQLite prediction log's tables: opening the file, making or recognising the schema, naming what went wrong.
import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import Database from "libsql";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../../../core/private.ts";

export type Connection = Database.Database;

/** "SNTL": marks the file as a Sentinel log, so that another program's database is never mistaken for one. */
const APPLICATION_ID = 0x534e544c;
const SCHEMA_VERSION = 7;
/** How long opening may wait for another process that is just making the schema. */
const OPEN_BUSY_MS_MAX = 5000;
/**
 * How long one statement may wait for another process's write lock. Short, because the wait blocks the other logs of the
 * thread; the thread tries again later instead.
 */
const STATEMENT_BUSY_MS_MAX = 3;

/** Checkpoints run elsewhere (checkpoint.ts); 80 MB of WAL is the bound should they fail. */
const WAL_PAGES_MAX = 20_000;

// Only rows of a shared feature state are in them: a server that has its state to itself pays nothing.
const APPLIED_INDEXES = `
CREATE INDEX IF NOT EXISTS predictions_applied ON predictions (applied) WHERE applied > 0;
CREATE UNIQUE INDEX IF NOT EXISTS labels_applied ON labels (applied) WHERE applied > 0;
`;

/** 48 random bits tell all logs from each other. Made with the file, so that a copy of it is the same log whenever it was taken. */
export const IDENTITY = "INSERT OR IGNORE INTO counters VALUES ('identity', abs(random()) % 281474976710656);";

// No NOT NULL on numbers: SQLite turns NaN into NULL, and one odd number must not stop the queue behind it.
const SCHEMA = `
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counters VALUES ('sequence', 0), ('predictions', 0), ('labels', 0), ('shadows', 0);
${IDENTITY}
CREATE TABLE IF NOT EXISTS predictions (
  sequence INTEGER PRIMARY KEY, transaction_id TEXT NOT NULL UNIQUE, time INTEGER, received_at INTEGER,
  fields TEXT NOT NULL, extra TEXT NOT NULL, vector BLOB NOT NULL, score REAL, anomaly_score REAL,
  decision TEXT NOT NULL, version TEXT NOT NULL, bundle TEXT NOT NULL, latency_ms REAL, degraded INTEGER NOT NULL, applied INTEGER, rules TEXT,
  explored TEXT, adapted TEXT, position TEXT);
CREATE TABLE IF NOT EXISTS labels (
  sequence INTEGER PRIMARY KEY, transaction_id TEXT NOT NULL, fraud INTEGER NOT NULL, known_at INTEGER,
  source TEXT NOT NULL, received_at INTEGER, applied INTEGER, review TEXT);
CREATE INDEX IF NOT EXISTS labels_latest ON labels (transaction_id, known_at, sequence);
CREATE TABLE IF NOT EXISTS shadows (
  id INTEGER PRIMARY KEY, transaction_id TEXT NOT NULL, time INTEGER,
  champion_version TEXT NOT NULL, champion_score REAL, champion_decision TEXT NOT NULL,
  candidate_version TEXT NOT NULL, candidate_score REAL, candidate_decision TEXT NOT NULL,
  bundle TEXT NOT NULL, latency_ms REAL, champion_latency_ms REAL, vector_hash TEXT NOT NULL,
  UNIQUE (transaction_id, candidate_version));
CREATE INDEX IF NOT EXISTS shadows_by_candidate ON shadows (candidate_version);
CREATE TABLE IF NOT EXISTS coverage (
  version TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (version, outcome)) WITHOUT ROWID;
${APPLIED_INDEXES}
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Opens or makes the file. Commits are atomic (WAL) and survive a killed process. Without `sync` a power cut may take the last
 * commits, never the file; with it each commit waits for the disk. Throws `log.unwritable`, `log.unreadable`.
 */
export function openLog(file: string, { sync = false }: { readonly sync?: boolean } = {}): Connection {
  let db: Connection | undefined;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: PRIVATE_FOLDER_MODE });
    makePrivately(file);
    db = new Database(file);
    // Before journal_mode: switching to WAL beside another process fails at once without it.
    db.exec(`PRAGMA busy_timeout = ${OPEN_BUSY_MS_MAX}`);
    recognise(db, file);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX};`);
    db.exec(`PRAGMA synchronous = ${sync ? "FULL" : "NORMAL"}`);
    const version = single(db, "PRAGMA user_version");
    if (version === 0) db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
    if (version > 0 && version < SCHEMA_VERSION) migrate(db);
    db.exec(`PRAGMA busy_timeout = ${STATEMENT_BUSY_MS_MAX}`);
    return db;
  } catch (error) {
    db?.close();
    throw logError(error, file);
  }
}

/** An empty file is a new database, and SQLite gives its companions (-wal, -shm) the database's own mode. */
function makePrivately(file: string): void {
  try {
    closeSync(openSync(file, "wx", PRIVATE_FILE_MODE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/**
 * Version 1 knew no shared feature state, version 2 no rules, version 3 no draw about what is blocked, version 4 no threshold that moves,
 * version 5 no streams, version 6 no reviews behind labels. Another process may be faster, so the version is read again under the lock.
 */
function migrate(db: Connection): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = single(db, "PRAGMA user_version");
    if (version === 1) {
      for (const table of ["predictions", "labels"]) db.exec(`ALTER TABLE ${table} ADD COLUMN applied INTEGER`);
      db.exec(APPLIED_INDEXES);
    }
    if (version < SCHEMA_VERSION) {
      const made = ["rules", "explored", "adapted", "position"];
      // Versions 3 to 6 each brought one.
      const missing = made.slice(Math.max(0, version - 2));
      for (const name of missing) db.exec(`ALTER TABLE predictions ADD COLUMN ${name} TEXT`);
      db.exec("ALTER TABLE labels ADD COLUMN review TEXT");
      db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    }
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** What SQLite or the file system said, as the log's own error. */
export function logError(error: unknown, file: string): SentinelError {
  if (error instanceof SentinelError) return error;
  const unreadable = /^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(error));
  return unreadable
    ? new SentinelError("log.unreadable", `${file} is not a readable prediction log: ${messageOf(error)}`, {
        hint: "move the file away (a new log is made) or restore it from a backup",
        cause: error,
      })
    : writeFailed(messageOf(error), file, codeOf(error));
}

/** What the log's thread said of a write that failed. */
export function writeFailed(message: string, file: string, code = ""): SentinelError {
  const full = code === "SQLITE_FULL";
  return new SentinelError("log.unwritable", `cannot write the prediction log ${file}: ${message}`, {
    hint: full
      ? "the disk is full: make room on it, and the log goes on by itself"
      : "check that the folder exists, is writable and has space, or choose another place for the log",
  });
}

/** True when another process holds the write lock: a retry will help. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Refuses a database that another program or a newer Sentinel made. */
function recognise(db: Connection, file: string): void {
  if (single(db, "SELECT count(*) FROM sqlite_master") === 0) return;
  const ours = single(db, "PRAGMA application_id") === APPLICATION_ID;
  const version = single(db, "PRAGMA user_version");
  if (ours && version >= 1 && version <= SCHEMA_VERSION) return;
  throw new SentinelError(
    "log.unreadable",
    ours ? `${file} has log format ${version}, not ${SCHEMA_VERSION}` : `${file} is a database of another program`,
    { hint: ours ? "use the version of Sentinel that wrote this log" : "choose another file for the prediction log" },
  );
}

/** The one number a query answers. */
export function single(db: Connection, query: string): number {
  return (db.prepare(query).raw().all([]) as readonly (readonly number[])[])[0][0];
}
