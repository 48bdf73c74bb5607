// What the serving thread and the log's thread say to each other.
import type { PostgresAddress } from "../../store/postgres/pool.ts";
import type { EndFault } from "./log-end.ts";
import type { CoverageCount } from "./records.ts";

/** Where the log is: which vendor the thread loads, and what that one must know. */
export type LogPlace =
  | {
      readonly vendor: "sqlite";
      readonly file: string;
      /** Pages the file may have; 0: as many as SQLite allows. */
      readonly pagesMax: number;
    }
  | {
      readonly vendor: "postgres";
      readonly address: PostgresAddress;
      /** The log's number there. */
      readonly log: number;
      /** Tells this writer's batches from those of others, so that none is written twice. */
      readonly writer: string;
    };

/** How one log is written. */
export interface ThreadOptions {
  readonly place: LogPlace;
  /** True: a commit is on the disk (fsync) before the thread reports it. */
  readonly sync: boolean;
  /** Records in one transaction. */
  readonly batchRowsMax: number;
  /** Predictions kept, and for how long after they were received; the oldest go. */
  readonly rowsMax: number;
  readonly keptMsMax: number;
  readonly archivedOnly: boolean;
}

/** Records [from, to) of a chunk's bytes, the first `skip` of them written before; or counts for the ledger. */
export type Work =
  | {
      readonly kind: "records";
      readonly chunk: number;
      /** Given with the first part of a chunk. */
      readonly memory: SharedArrayBuffer | null;
      /** Names that parts before have not brought. */
      readonly names: readonly string[];
      readonly from: number;
      readonly to: number;
      readonly skip: number;
      /** True: no part of this chunk follows. */
      readonly last: boolean;
    }
  | { readonly kind: "coverage"; readonly counts: readonly CoverageCount[] };

export type ToThread =
  | {
      readonly log: number;
      readonly say: "open";
      readonly options: ThreadOptions;
      /** Items that an earlier thread wrote. */
      readonly written: number;
    }
  | { readonly log: number; readonly say: "work"; readonly work: Work }
  | { readonly log: number; readonly say: "close" };

export type FromThread =
  /** So many more items of the work, in its order, are written. */
  | { readonly log: number; readonly say: "written"; readonly items: number; readonly duplicates: number }
  /** The last try failed; it is tried again. `busy`: another process writes. */
  | ({ readonly log: number; readonly say: "failed" } & EndFault)
  /** Predictions forgotten; the log begins after this entry. */
  | { readonly log: number; readonly say: "pruned"; readonly predictions: number; readonly through: number }
  | { readonly log: number; readonly say: "upkeep-failed"; readonly code: string; readonly message: string }
  | { readonly log: number; readonly say: "closed" };
