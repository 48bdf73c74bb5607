// Online states: what a server asks of its feature state, whether this process has it to itself or shares it with others.
import type { Review } from "../../core/case.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { FeatureState, Learned } from "../../features/state.ts";
import type { PredictionLog, PredictionRecord } from "../../ports/log.ts";
import type { StateOrigin } from "./origin.ts";

/** The state behind one layout. */
export interface WarmState {
  readonly layout: string;
  /** Read it only where `take` says so. */
  readonly state: FeatureState;
  /** False when it began empty: windows fill up as transactions come. */
  readonly warm: boolean;
  readonly origin: StateOrigin;
  /** Log entries learned before it began to serve. */
  readonly caughtUp: number;
}

/** A prediction as it is judged; its places in the log and in the order of the state are not known yet. */
export type PredictionDraft = Omit<PredictionRecord, "sequence" | "applied">;

export interface StateInput {
  readonly transaction: Transaction;
  readonly log: PredictionLog;
  /**
   * Reads the vectors and judges. The states hold the transaction's keys while it runs, and nothing is learned before it
   * returns. It may be called again when another process was faster: the last draft counts.
   */
  readonly judge: () => PredictionDraft;
}

export type StateResult =
  /**
   * Judged and learned, unless it was too late. `logged` is false when the log had no room; `fault` says why the state could not learn.
   */
  | {
      readonly outcome: "answered";
      readonly logged: boolean;
      readonly learned: Learned | null;
      readonly fault: unknown;
    }
  /** Another process answered it; its record. */
  | { readonly outcome: "repeated"; readonly record: Omit<PredictionRecord, "sequence"> };

export interface LabelInput {
  readonly transaction: Transaction;
  readonly log: PredictionLog;
  readonly fraud: boolean;
  readonly source: string;
  /** null: now, on the clock of event time. */
  readonly knownAt: number | null;
  readonly receivedAt: number;
  /** Present where a case was closed with it. */
  readonly review?: Review;
}

export interface OnlineStates {
  /**
   * Newest event time this process knows of, none of it later than its arrival: where the clock of event time stands. -Infinity before
   * the first.
   */
  readonly newestTime: number;
  /** The state that serves a plan, or null when none was warmed. */
  get(plan: FeaturePlan): WarmState | null;
  all(): readonly WarmState[];
  /** Makes the plan's state; one that began empty is made again when training left one since. Errors: log.unreadable, state.* */
  warm(plan: FeaturePlan): Promise<WarmState>;
  /** Releases states whose layout is not named. */
  retain(layouts: ReadonlySet<string>): void;
  /** Saves what a restart would need. */
  persist(): Promise<void>;
  /**
   * One transaction read, judged, logged and learned as one step in the order of all of them. Where the state is this process's
   * own it is done when the call returns, with no promise. Errors: state.*, server.overloaded, what `judge` throws.
   */
  take(taking: StateInput): StateResult | Promise<StateResult>;
  /** Runs `read` while the states hold the transaction's keys; nothing is learned. Errors: state.*, what `read` throws. */
  look<T>(transaction: Transaction, read: () => T): Promise<T>;
  /** One label logged and learned; false when the log had no room. Errors: state.*, server.overloaded. */
  takeLabel(taking: LabelInput): boolean | Promise<boolean>;
  /** The record of a transaction that was answered and that the log does not show yet. */
  answered(transactionId: string): Promise<Omit<PredictionRecord, "sequence"> | null>;
  /** null where the state is this process's own. */
  sharing(): { readonly where: string; readonly reachable: boolean; readonly fault: string | null } | null;
  close(): Promise<void>;
}
