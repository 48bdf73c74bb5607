// Where a feature state began: the table that training replayed, and what the state learned of the log since.

/** Where a state began: the table that training replayed, and from which log entry on it learned everything. */
export interface StateOrigin {
  /** SHA-256 of the table's file; "" when the state began empty. */
  readonly dataHash: string;
  readonly dataPath: string;
  /** Event time of the newest transaction of the table; null when the state began empty. */
  readonly trainedUpTo: number | null;
  /**
   * Log entries up to this one were learned only where their transaction is newer than trainedUpTo; entries after it all
   * were, because they arrived while the state was being served.
   */
  readonly catchUpSequence: number;
  /** Where the log began when the state learned it; absent where it had everything. */
  readonly forgotten?: number;
  /**
   * Of a state shared by several servers: it learned every change of this generation after `from` while it was served; of those before,
   * as of the log entries up to catchUpSequence, only transactions newer than trainedUpTo. Absent where the order is the log's.
   */
  readonly shared?: { readonly generation: number; readonly from: number };
}
