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
      let predictions = 0;
      return {
        write({ records, coverage }) {
          const isEmpty = records.length === 0 && coverage.length === 0;
          const written = isEmpty ? { duplicates: 0, predictions } : insert(records, coverage);
          const { duplicates } = written;
          ({ predictions } = written);
          // A quiet log gives its pages back, of which it would otherwise keep megabytes: the next batch reads the few that it needs.
          if (checkpointer.batchWritten(records.length)) db.exec("PRAGMA shrink_memory");
          return { duplicates, already: 0 };
        },
        prune: (now) => prune(db, { now, predictions }),
        async close() {
          await checkpointer.close();
          db.close();
        },
      };
    },
    faultOf: (error) => ({ busy: isBusy(error), code: codeOf(error), message: messageOf(error) }),
  };
}
