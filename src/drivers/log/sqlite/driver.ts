// The prediction log in one SQLite file.
import { DAY_MS } from "../../../core/duration.ts";
import { createSqlLog, type LogOptions, type SqlLog } from "../sql/driver.ts";
import { type LogTables, readIdentity } from "../sql/read.ts";
import type { Row } from "../sql/rows.ts";
import { eraseRows } from "./erase.ts";
import { noteArchived, pruneBatch } from "./prune.ts";
import { type Connection, IDENTITY, isBusy, logError, openLog, writeFailed } from "./schema.ts";

export interface SqliteLogOptions extends LogOptions {
  /** Pages of 4 kB that the file may have; 0: no limit but SQLite's. */
  readonly pagesMax?: number;
}

export type SqliteLog = SqlLog;

/** With 10 µs per row a transaction takes 10 ms: long enough to share the cost of a commit, short enough to tell soon. */
const BATCH_ROWS_MAX = 1_024;
const PAGE_ROWS = 256;

/**
 * A prediction log in `file`, made when absent. After `flush()` records survive a killed process, with `durability: "sync"` a power
 * cut too. Throws `log.unwritable`, `log.unreadable`.
 */
export function createSqliteLog(input: { readonly file: string; readonly options?: SqliteLogOptions }): SqliteLog {
  const { file, options = {} } = input;
  const db = openLog(file);
  const tables = tablesOf(db);
  return createSqlLog(
    {
      where: file,
      place: { vendor: "sqlite", file, pagesMax: options.pagesMax ?? 0 },
      tables,
      batchRowsMax: BATCH_ROWS_MAX,
      readFailed: (error) => logError(error, file),
      writeFailed: ({ message, code }) => writeFailed(message, file, code),
      isBusy,
      pruneBatch: (limits, rowsMax) => pruneBatch(db, limits, rowsMax),
      noteArchived: (through) => noteArchived(db, through),
      async identity() {
        const known = await readIdentity(tables);
        if (known !== null) return known;
        // A log of an earlier version gets one when it is first asked.
        db.exec(IDENTITY);
        return (await readIdentity(tables))!;
      },
      erase: (eraser, write) => eraseRows(db, eraser, write),
      close: () => void db.close(),
    },
    options,
  );
}

/** Statements are prepared once: the texts are constants of the reading side, some twenty of them. */
function tablesOf(db: Connection): LogTables {
  const prepared = new Map<string, ReturnType<Connection["prepare"]>>();
  return {
    pageRows: PAGE_ROWS,
    dayOf: (column) => `${column} - (${column} % ${DAY_MS})`,
    all(query, values) {
      let statement = prepared.get(query);
      if (statement === undefined) {
        statement = db.prepare(query).raw();
        prepared.set(query, statement);
      }
      return statement.all(values as unknown[]) as readonly Row[];
    },
  };
}
