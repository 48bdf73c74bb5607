// The log port: predictions, shadows and labels, joined by transaction.
import type { Decision } from "../core/decision.ts";
import type { FieldValue, Label } from "../core/transaction.ts";

/** One answer that was given, with all that is needed to recompute it. */
export interface PredictionRecord {
  /** Order of arrival; set by the log, shared with labels. */
  readonly sequence: number;
  readonly transactionId: string;
  readonly time: number;
  readonly receivedAt: number;
  /** Canonical fields as parsed. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Fields no pipeline knows, kept as they came. */
  readonly extra: Readonly<Record<string, unknown>>;
  readonly vector: Float32Array;
  readonly score: number;
  readonly anomalyScore: number;
  readonly decision: Decision;
  readonly version: string;
  readonly bundle: string;
  readonly latencyMs: number;
  /** True when the policy answered because scoring failed. */
  readonly degraded: boolean;
  /**
   * Its place in the order of the shared feature state; 0 when that state never learned it. Absent where one process has the
   * state to itself: then the order is that of `sequence`.
   */
  readonly applied?: number;
}

/** What a candidate said about the same transaction: one joined record of both sides. */
export interface ShadowRecord {
  readonly transactionId: string;
  readonly time: number;
  readonly champion: { readonly version: string; readonly score: number; readonly decision: Decision };
  readonly candidate: { readonly version: string; readonly score: number; readonly decision: Decision };
  readonly bundle: string;
  readonly latencyMs: number;
  readonly championLatencyMs: number;
  /** SHA-256 of the candidate's vector, or "" when it is the champion's own. */
  readonly vectorHash: string;
}

export interface LabelRecord extends Label {
  readonly sequence: number;
  readonly receivedAt: number;
  /** As of a prediction. */
  readonly applied?: number;
}

/** What a log holds in an order of arrival. */
export type LogEntry =
  | { readonly kind: "prediction"; readonly record: PredictionRecord }
  | { readonly kind: "label"; readonly record: LabelRecord };

/** A shadow record with what became known about the transaction since. */
export interface ShadowPair extends ShadowRecord {
  readonly card: string;
  readonly amount: number;
  /** null: no label yet. */
  readonly fraud: boolean | null;
  readonly labelKnownAt: number | null;
}

/** Why a shadow did not happen. */
export const SHADOW_MISSES = [
  "sampled-out",
  "queue-full",
  "timeout",
  "breaker-open",
  "error",
  "spec-not-warm",
] as const;
export type ShadowMiss = (typeof SHADOW_MISSES)[number];

/** Shadows that happened and that did not, for one candidate version. */
export interface Coverage {
  readonly version: string;
  readonly scored: number;
  readonly missed: Readonly<Record<ShadowMiss, number>>;
}

/** The joined log of predictions, shadows and labels. Errors: log.unreadable, log.unwritable. */
export interface PredictionLog {
  readonly where: string;
  /**
   * Buffered, bounded; false when the buffer is full and the record was dropped (the caller counts it). The first record of a
   * transaction id is kept, later ones are ignored. Exception: a kept record with `applied: 0` takes `applied` from a later record.
   */
  appendPrediction(record: Omit<PredictionRecord, "sequence">): boolean;
  appendShadow(record: ShadowRecord): boolean;
  appendLabel(label: Omit<LabelRecord, "sequence">): boolean;
  addCoverage(version: string, scored: number, missed: Readonly<Partial<Record<ShadowMiss, number>>>): void;
  /** Everything appended before this call is on disk after it. */
  flush(): Promise<void>;
  find(transactionId: string): Promise<PredictionRecord | null>;
  /** The newest predictions, oldest first. */
  recent(limit: number): Promise<readonly PredictionRecord[]>;
  /** Predictions and labels in order of arrival, from a sequence number on. */
  scan(fromSequence: number): AsyncIterable<LogEntry>;
  /** Those that a shared feature state applied, in its order, from a place in it on. */
  scanApplied(from: number): AsyncIterable<LogEntry>;
  /** The last sequence number, and the last place in the order of a shared state; 0 where there is none. */
  last(): Promise<{ readonly sequence: number; readonly applied: number }>;
  /** Shadow records joined with labels, in order of writing; only the newest when a limit is given. */
  pairs(candidateVersion: string, options?: { readonly newest?: number }): AsyncIterable<ShadowPair>;
  coverage(): Promise<readonly Coverage[]>;
  counts(): Promise<{ readonly predictions: number; readonly labels: number; readonly shadows: number }>;
  close(): Promise<void>;
}
