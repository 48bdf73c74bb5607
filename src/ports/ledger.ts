// The ledger port: every transaction that came through a gateway and the answer that it was given, written once.

/** A transaction and its answer. Both are JSON as it was received and sent. */
export interface LedgerEntry {
  readonly id: string;
  readonly transaction: string;
  readonly answer: string;
  readonly by: "brain" | "policy";
  /** Which brain; null where none answered. */
  readonly brain: string | null;
  /** By the gateway's clock, milliseconds. */
  readonly receivedAt: number;
  readonly answeredAt: number;
}

/** What a brain said of a transaction that a policy had answered. */
export interface LaterAnswer {
  readonly answer: string;
  readonly brain: string;
  readonly at: number;
}

export interface LedgerRecord extends LedgerEntry {
  readonly later: LaterAnswer | null;
}

export interface LedgerCounts {
  readonly entries: number;
  readonly byPolicy: number;
  /** Answered by policy, and not scored since. */
  readonly pending: number;
}

/** Entries of one append. */
export const LEDGER_APPENDED_MAX = 500;

/** Errors of all: store.unreachable, store.unreadable, store.unwritable. */
export interface Ledger {
  /**
   * Writes entries whose ids are not there yet, in one transaction, durably. Gives for each the record that was there already (its answer is the one
   * that counts), or null where it was written now.
   */
  append(entries: readonly LedgerEntry[]): Promise<readonly (LedgerRecord | null)[]>;
  find(id: string): Promise<LedgerRecord | null>;
  /** Those that wait for a brain, the oldest first. */
  pending(limit: number): Promise<readonly LedgerRecord[]>;
  /** Notes what a brain said later, once; the answer that was given stays. */
  settle(id: string, later: LaterAnswer): Promise<void>;
  counts(): Promise<LedgerCounts>;
  /** Entries that were answered before an instant, and that wait for no brain. */
  older(before: number): Promise<number>;
  /** Removes them, at most `limit`. Gives how many went. */
  forget(of: { readonly before: number; readonly limit: number }): Promise<number>;
}

/** A place on this machine that keeps entries while the ledger cannot. */
export interface LedgerSpool {
  /** Bytes that wait there. */
  readonly bytes: number;
  /** When it resolves, a killed process or a power cut takes nothing of it. Errors: store.unwritable. */
  append(entries: readonly LedgerEntry[]): Promise<void>;
  /** The oldest entries, at most `limit`; none: it is empty. Errors: store.unreadable. */
  oldest(limit: number): Promise<readonly LedgerEntry[]>;
  /** Removes the oldest so many: they are in the ledger. Errors: store.unwritable. */
  remove(count: number): Promise<void>;
  close(): Promise<void>;
}
