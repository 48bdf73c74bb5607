// A person is erased from a log's file: rows in place, then a file that holds no byte of before.
import { setTimeout as sleep } from "node:timers/promises";
import type { Erased, Eraser } from "../../../core/erasure.ts";
import { SentinelError } from "../../../core/errors.ts";
import { ERASE_PAGE_ROWS, ERASED_TABLES, type ErasedTable, erasedCells } from "../sql/erase.ts";
import type { Row } from "../sql/rows.ts";
import { type Connection, isBusy } from "./schema.ts";

/** How long others may hold the file, and how often they are asked. */
const BUSY_TRIES_MAX = 1000;
const BUSY_RETRY_MS = 10;

export async function eraseRows(db: Connection, eraser: Eraser, write: boolean): Promise<readonly Erased[]> {
  // What a cell gives up is overwritten by zeros at once; the file is written anew all the same, because earlier versions left more.
  if (write) db.exec("PRAGMA secure_delete = ON");
  const erased: Erased[] = [];
  for (const table of ERASED_TABLES) {
    let [last, found] = [Number.MIN_SAFE_INTEGER, 0];
    for (;;) {
      const page = await untilFree(() => erasePage(db, table, { eraser, write, after: last }));
      found += page.found;
      if (page.last === null) break;
      last = page.last;
      await sleep(0);
    }
    erased.push({ what: table.name, found });
  }
  if (write) await cleanFile(db);
  return erased;
}

function erasePage(
  db: Connection,
  table: ErasedTable,
  on: { readonly eraser: Eraser; readonly write: boolean; readonly after: number },
): { readonly found: number; readonly last: number | null } {
  const names = table.columns.map(([name]) => name);
  const { needles } = on.eraser;
  const each = (needles ?? []).map(() => `(${names.map((name) => `instr(${name}, ?) > 0`).join(" OR ")})`);
  const where = needles === null ? "" : `AND (${each.join(" OR ")})`;
  const values = (needles ?? []).flatMap((needle) => names.map(() => needle));
  if (on.write) db.exec("BEGIN IMMEDIATE");
  try {
    const query = `SELECT rowid, ${names.join(", ")} FROM ${table.name} WHERE rowid > ? ${where} ORDER BY rowid LIMIT ${ERASE_PAGE_ROWS}`;
    const rows = db
      .prepare(query)
      .raw()
      .all([on.after, ...values]) as Row[];
    const set = names.map((name) => `${name} = ?`).join(", ");
    const update = on.write ? db.prepare(`UPDATE ${table.name} SET ${set} WHERE rowid = ?`) : null;
    let found = 0;
    for (const [row, ...cells] of rows) {
      const after = erasedCells(table, cells, on.eraser);
      if (after === null) continue;
      found++;
      update?.run([...after, row as number]);
    }
    if (on.write) db.exec("COMMIT");
    return { found, last: rows.length < ERASE_PAGE_ROWS ? null : Number(rows[rows.length - 1][0]) };
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** The file without what was deleted, and no log of pages beside it. */
async function cleanFile(db: Connection): Promise<void> {
  await untilFree(() => db.exec("VACUUM"));
  await untilFree(() => {
    const [[busy]] = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all([]) as readonly (readonly number[])[];
    if (busy !== 0) throw Object.assign(new Error("another process reads the file"), { code: "SQLITE_BUSY" });
  });
}

async function untilFree<T>(work: () => T): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (tries === BUSY_TRIES_MAX) {
        throw new SentinelError(
          "log.unwritable",
          "another process holds the prediction log, so that bytes of before stay in its file",
          {
            hint: "stop what reads it (monitor, replay, a copy under way), then run the command again: it goes on where it was",
            cause: error,
          },
        );
      }
      await sleep(BUSY_RETRY_MS);
    }
  }
}
