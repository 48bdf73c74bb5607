// Transactions of the embedded store that wait for each other share one commit, which costs more than most of them: each is whole or not there.
import { sql as raw } from "kysely";
import type { SqlTransaction } from "../sql/tables.ts";

/** Of one commit; reads wait for it. */
const TOGETHER_MAX = 16;

interface Waiting {
  readonly durable: boolean;
  run(sql: SqlTransaction): Promise<void>;
  /** Once it is committed. */
  resolve(): void;
  reject(error: unknown): void;
}

/** Begins a transaction, does the work in it and commits. Errors: the vendor's, and those of the work, which undo it. */
type Begin = (work: (sql: SqlTransaction) => Promise<void>, of: { readonly durable: boolean }) => Promise<void>;

/** In the order of the calls; whoever waits for nobody begins at once. One that fails takes back what it did, and the others go on. */
export function together(
  begin: Begin,
): <T>(change: (sql: SqlTransaction) => Promise<T>, of: { readonly durable: boolean }) => Promise<T> {
  const waiting: Waiting[] = [];
  let isWorking = false;
  const work = async (): Promise<void> => {
    isWorking = true;
    while (waiting.length > 0) await share(begin, waiting.splice(0, TOGETHER_MAX));
    isWorking = false;
  };
  return (change, { durable }) =>
    new Promise((resolve, reject) => {
      let result: Awaited<ReturnType<typeof change>>;
      waiting.push({
        durable,
        async run(sql) {
          result = await change(sql);
        },
        resolve: () => resolve(result),
        reject,
      });
      if (!isWorking) void work();
    });
}

/** Never rejects. */
async function share(begin: Begin, all: readonly Waiting[]): Promise<void> {
  const faults = new Map<Waiting, unknown>();
  try {
    await begin(
      async (sql) => {
        for (const one of all) {
          if (all.length === 1) await one.run(sql);
          else {
            const fault = await faultWithin(sql, one);
            if (fault !== null) faults.set(one, fault.cause);
          }
        }
      },
      { durable: all.some(({ durable }) => durable) },
    );
  } catch (error) {
    for (const one of all) one.reject(faults.get(one) ?? error);
    return;
  }
  for (const one of all) {
    if (faults.has(one)) one.reject(faults.get(one));
    else one.resolve();
  }
}

/** Null where it ended well. Throws where the database gave the whole transaction up, so that nothing can be taken back alone. */
async function faultWithin(sql: SqlTransaction, one: Waiting): Promise<{ readonly cause: unknown } | null> {
  await raw`savepoint change`.execute(sql);
  try {
    await one.run(sql);
  } catch (cause) {
    await raw`rollback to change`.execute(sql).catch(() => {
      throw cause;
    });
    await raw`release change`.execute(sql);
    return { cause };
  }
  await raw`release change`.execute(sql);
  return null;
}
