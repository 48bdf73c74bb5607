// Single statements of the embedded store whose wait for the disk is a native thread's: the thread that answers goes on meanwhile.
import type { CompiledQuery } from "kysely";
import AsyncDatabase from "libsql/promise";

/** Runs statements one after the other, each a durable transaction of its own, on a connection that is opened at the first. */
export interface Single {
  run<Row>(statement: CompiledQuery): Promise<readonly Row[]>;
  close(): Promise<void>;
}

type Cells = readonly (string | number | null)[];
type Statement = Awaited<ReturnType<AsyncDatabase["prepare"]>>;

/** Statements that are kept ready: batches of a load have some dozens of sizes, and to prepare one takes as long as to run it. */
const KEPT_MAX = 32;

export function singleStatements(file: string): Single {
  let db: AsyncDatabase | null = null;
  let last: Promise<unknown> = Promise.resolve();
  /** By their text; the longest unused one goes first. */
  const ready = new Map<string, Statement>();
  const prepared = async (own: AsyncDatabase, text: string): Promise<Statement> => {
    const statement = ready.get(text) ?? (await own.prepare(text));
    ready.delete(text);
    ready.set(text, statement);
    if (ready.size > KEPT_MAX) ready.delete(ready.keys().next().value!);
    return statement;
  };
  const opened = async (): Promise<AsyncDatabase> => {
    if (db !== null) return db;
    const made = new AsyncDatabase(file, {});
    // A lock that another one has is tried again by whoever asks, as on the store's other connection.
    await made.exec("PRAGMA busy_timeout = 0");
    await made.exec("PRAGMA synchronous = FULL");
    db = made;
    return made;
  };
  const inTransaction = async <Row>({ sql, parameters }: CompiledQuery): Promise<readonly Row[]> => {
    const own = await opened();
    await own.exec("BEGIN IMMEDIATE");
    try {
      const statement = await prepared(own, sql);
      const rows = (await statement.all(parameters as Cells)) as readonly Row[];
      // What waits for the disk is the commit.
      await own.exec("COMMIT");
      return rows;
    } catch (error) {
      // One that failed may be in the middle of its rows.
      ready.delete(sql);
      // Where the failure ended it already there is nothing to roll back.
      await own.exec("ROLLBACK").catch(() => {});
      throw error;
    }
  };
  return {
    run<Row>(statement: CompiledQuery) {
      const running = last.then(
        () => inTransaction<Row>(statement),
        () => inTransaction<Row>(statement),
      );
      last = running.catch(() => {});
      return running;
    },
    async close() {
      await last;
      ready.clear();
      db?.close();
    },
  };
}
