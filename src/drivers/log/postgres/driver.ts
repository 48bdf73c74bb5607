// The prediction log on PostgreSQL, where several servers write one log; tables are made by `sentinel db migrate` only.
import type pg from "pg";
import { borrowPool, type PostgresAddress, placeOf } from "../../store/postgres/pool.ts";
import { createSqlLog, type LogOptions, type SqlLog } from "../sql/driver.ts";
import { readIdentity } from "../sql/read.ts";
import { using } from "./end.ts";
import { eraseRows } from "./erase.ts";
import { endFaultOf, readFailed, writeFailed } from "./errors.ts";
import { mark, pruneBatch } from "./prune.ts";
import { checkTables, findLog, tablesOf } from "./schema.ts";

/** A batch is three round trips under a lock that all servers of the log want: larger ones than a file's. */
const BATCH_ROWS_MAX = 2048;
/** For look-ups and reports of all logs of one process; the thread that writes has its own. */
const CONNECTIONS_MAX = 4;
const STATEMENT_MS_MAX = 60_000;

/** Opens the log of a name, made when absent. Errors: log.unreadable, store.schema-old, store.schema-new. */
export async function openPostgresLog(input: {
  readonly address: PostgresAddress;
  readonly name: string;
  readonly options?: LogOptions;
}): Promise<SqlLog> {
  const { address, name, options = {} } = input;
  const { schema } = address;
  const where = `${name} in ${placeOf(address)}`;
  const { pool, giveBack } = borrowPool("read logs", address, {
    connectionsMax: CONNECTIONS_MAX,
    statementMsMax: STATEMENT_MS_MAX,
  });
  const { log, writer } = await ready(pool, { schema, name }).catch(async (error: unknown) => {
    await giveBack();
    throw readFailed(where, error);
  });
  const table = { schema, log };
  const tables = tablesOf(pool, table);
  return createSqlLog(
    {
      where,
      place: { vendor: "postgres", address, log, writer },
      tables,
      batchRowsMax: BATCH_ROWS_MAX,
      readFailed: (error) => readFailed(where, error),
      writeFailed: (fault) => writeFailed(where, fault),
      isBusy: (error) => endFaultOf(error).busy,
      pruneBatch: (limits, rowsMax) =>
        using(pool, (client) => pruneBatch(client, table, { ...limits, batchRowsMax: rowsMax })),
      noteArchived: (through) => mark(pool, table, { name: "archived_through", value: through }),
      // Made with the log, and kept for ever.
      identity: async () => (await readIdentity(tables))!,
      erase: (eraser, write) => eraseRows(pool, table, { eraser, write, address }),
      close: giveBack,
    },
    options,
  );
}

async function ready(
  pool: pg.Pool,
  at: { readonly schema: string; readonly name: string },
): Promise<{ readonly log: number; readonly writer: string }> {
  await checkTables(pool, at.schema);
  return findLog(pool, at);
}
