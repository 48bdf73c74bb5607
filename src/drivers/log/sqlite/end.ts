// The SQLite log as its thread writes it.
import { messageOf } from "../../../core/errors.ts";
import type { EndMaker, LogEnd } from "../sql/log-end.ts";
import type { ThreadOptions } from "../sql/messages.ts";
import { createCheckpointer } from "./checkpoint.ts";
import { inserter } from "./insert.ts";
import { createPruner } from "./prune.ts";
import { codeOf, isBusy, openLog } from "./schema.ts";

/** `onUpkeep` hears of a checkpoint that failed: the log goes on without. */
export function sqliteEnd(
  options: ThreadOptions & { readonly file: string; readonly pagesMax: number },
  onUpkeep: (error: Error) => void,
): EndMaker {
  const { file, pagesMax, sync, rowsMax, keptMsMax, batchRowsMax, archivedOnly } = options;
  return {
    open(): LogEnd {
      const db = openLog(file, { sync });
      if (pagesMax > 0) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
      const insert = inserter(db);
      const prune = createPruner({ rowsMax, keptMsMax, batchRowsMax, archivedOnly });
      const checkpointer = createCheckpointer(file, onUpkeep);
      return {
        write({ records, coverage }) {
          const isEmpty = records.length === 0 && coverage.length === 0;
          const { duplicates } = isEmpty ? { duplicates: 0 } : insert(records, coverage);
          checkpointer.batchWritten();
          return { duplicates, already: 0 };
        },
        prune: (now) => prune(db, now),
        async close() {
          await checkpointer.close();
          db.close();
        },
      };
    },
    faultOf: (error) => ({ busy: isBusy(error), code: codeOf(error), message: messageOf(error) }),
  };
}
