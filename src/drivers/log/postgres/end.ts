// The PostgreSQL log as its thread writes it: connections that all logs of the thread share, made anew after a failure.
import type pg from "pg";
import { borrowPool, type PostgresAddress } from "../../store/postgres/pool.ts";
import type { EndMaker, LogEnd } from "../sql/log-end.ts";
import type { ThreadOptions } from "../sql/messages.ts";
import { endFaultOf } from "./errors.ts";
import { inserter } from "./insert.ts";
import { oldestArrival, pruneBatch } from "./prune.ts";

/** Of all logs that a process writes; a batch needs one for milliseconds. */
const CONNECTIONS_MAX = 3;
/** Well below the time after which whoever waits for a record gives up, so that a silent server is reported as a failure. */
const CONNECT_MS_MAX = 3_000;
const STATEMENT_MS_MAX = 5_000;

export function postgresEnd(
  options: ThreadOptions & { readonly address: PostgresAddress; readonly log: number; readonly writer: string },
): EndMaker {
  const { address, log, writer, rowsMax, keptMsMax, batchRowsMax, archivedOnly } = options;
  const table = { schema: address.schema, log };
  return {
    open(): LogEnd {
      const { pool, giveBack } = borrowPool("write logs", address, {
        connectionsMax: CONNECTIONS_MAX,
        statementMsMax: STATEMENT_MS_MAX,
        connectMsMax: CONNECT_MS_MAX,
      });
      const insert = inserter({ ...table, writer });
      let predictions = 0;
      let newest = 0;
      /** No prediction came before; others may have forgotten more. */
      let oldest = Number.NEGATIVE_INFINITY;
      return {
        async write(batch) {
          if (batch.items === 0) return { duplicates: 0, already: 0 };
          const outcome = await using(pool, (client) => insert(client, batch));
          if (outcome.already === 0) predictions = outcome.predictions;
          return outcome;
        },
        async prune(now) {
          newest = Math.max(newest, now);
          const before = Number.isFinite(keptMsMax) ? newest - keptMsMax : 0;
          if (predictions <= rowsMax && oldest >= before) return null;
          if (predictions <= rowsMax) {
            // Of an empty log: what comes next is younger than what is too old now.
            if (before > 0) oldest = (await using(pool, (client) => oldestArrival(client, table))) ?? before;
            if (oldest >= before || before <= 0) return null;
          }
          // Twice as many rows as a batch writes, so that the log shrinks to a limit that was lowered while it goes on being written.
          const limits = { rowsMax, before, archivedOnly, batchRowsMax: 2 * batchRowsMax };
          const pruned = await using(pool, (client) => pruneBatch(client, table, limits));
          oldest = Number.NEGATIVE_INFINITY;
          predictions -= pruned.predictions;
          return pruned.predictions === 0 ? null : pruned;
        },
        close: giveBack,
      };
    },
    faultOf: endFaultOf,
  };
}

/** A connection on which something failed is used no more: what it did half is undone with it. */
export async function using<T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    const result = await use(client);
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}
