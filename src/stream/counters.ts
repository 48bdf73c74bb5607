// What a stream reports of its work; the door that measures implements it.
import type { Decision } from "../core/decision.ts";
import type { Buried } from "../lifecycle/desk.ts";

export interface StreamCounters {
  decided(decision: Decision): void;
  /** A transaction stood in the stream before. */
  duplicate(): void;
  /** A record went to the dead letters; by code. */
  deadLetter(code: string): void;
  /** Dead letters that are committed, each once. */
  buried(letters: readonly Buried[]): void;
  /** A record that was committed before was judged again, for the state. */
  restored(): void;
  /** A transaction of so many records was committed; from its last record on it took so long. */
  committed(records: number, seconds: number): void;
  /** Something failed and is tried again; by code. */
  retried(code: string): void;
  /** Records that the stream forgot before they were read. */
  lost(records: number): void;
  /** Records that were written and are older than their topic keeps them: they go within minutes. */
  expired(records: number): void;
  /** The state has caught up with what was committed. */
  restoredIn(seconds: number): void;
}

/** Counts nothing. */
export const noStreamCounters: StreamCounters = {
  decided() {},
  duplicate() {},
  deadLetter() {},
  buried() {},
  restored() {},
  committed() {},
  retried() {},
  lost() {},
  expired() {},
  restoredIn() {},
};
