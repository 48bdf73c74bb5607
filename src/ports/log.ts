// The log port: predictions, shadows and labels, joined by transaction.
import type { Review } from "../core/case.ts";
import type { Decision } from "../core/decision.ts";
import type { Erased, Eraser } from "../core/erasure.ts";
import type { SentinelError } from "../core/errors.ts";
import type { RuleOutcome } from "../core/rule.ts";
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
  /** What the rules said, where there were any. */
  readonly rules?: RuleOutcome;
  /**
   * Its place in the order of the shared feature state; 0 when that state never learned it. Absent where one process has the
   * state to itself: then the order is that of `sequence`.
   */
  readonly applied?: number;
  /** Present where the thresholds are not one pair for all (`decisions.adapt`, `expected-cost`, `segments`): those that judged. */
  readonly adapted?: Adapted;
  /** Present where the model would block and a draw decided whether it was let through (`decisions.explore`). */
  readonly explored?: Explored;
  /** Where it stood in a stream, as `topic/partition/offset`; absent where it came by another door. */
  readonly position?: string;
}

/** The thresholds of one answer, where they are not the bundle's own for all. Float32 values. */
export interface Adapted {
  readonly review: number;
  /** Absent where only the review threshold moves (`decisions.adapt`): then the bundle's own. */
  readonly block?: number;
  /** The segment whose policy judged; absent where that of all did. */
  readonly segment?: string;
  /** Hash of the settings or of the policy that they follow, so that a later look recomputes by the same ones. */
  readonly rules: string;
}

/** A draw about a transaction that the model blocks; its outcome is the record's decision. */
export interface Explored {
  /** The chance with which it was let through, over 0 and up to 1. */
  readonly propensity: number;
  /** The largest amount of the band that the chance was written for. */
  readonly upTo: number;
  /** Which draw: the hash of the rules that were in force, so that a later look recomputes by the same ones. */
  readonly rules: string;
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
  /** Present where a case was closed with it: why its transaction was reviewed. */
  readonly review?: Review;
}

/** What a log holds in an order of arrival. */
export type LogEntry =
  | { readonly kind: "prediction"; readonly record: PredictionRecord }
  /** `about`: the transaction of the label; null when the log has it no more. */
  | { readonly kind: "label"; readonly record: LabelRecord; readonly about: LoggedTransaction | null };

/** What a feature state learns of a prediction. */
export type LoggedTransaction = Pick<PredictionRecord, "transactionId" | "time" | "fields">;

/** What a log holds in an order of arrival, without what was answered: all that a feature state needs. */
export type LogArrivalEntry =
  | {
      readonly kind: "prediction";
      readonly record: LoggedTransaction & Pick<PredictionRecord, "sequence" | "receivedAt" | "applied">;
    }
  | Extract<LogEntry, { readonly kind: "label" }>;

/** Where a log begins, once entries were forgotten; zeros while it has everything. */
export interface LogBegin {
  /** Sequence number of the last entry that was forgotten; labels after it may be missing no more. */
  readonly through: number;
  /** Newest event time of a prediction that was forgotten. */
  readonly time: number;
  /** The last place in the order of a shared state that was forgotten. */
  readonly applied: number;
}

/** Whether records reach the disk. Times in milliseconds. */
export interface LogHealth {
  readonly unwritten: number;
  readonly unwrittenBytes: number;
  /** Age of the oldest unwritten record; 0 when there is none. */
  readonly oldestMs: number;
  /** Why the last write failed; null when it did not, or when it only waits for another process. */
  readonly fault: string | null;
  /** Writes that failed since the log was opened. */
  readonly failures: number;
  /** Predictions forgotten since the log was opened. */
  readonly pruned: number;
}

/** What a log tells as it happens. */
export interface LogWatcher {
  /** A write failed after one that did not. */
  failed?(error: SentinelError): void;
  /** A write succeeded after one that failed. */
  recovered?(): void;
  /** The oldest predictions were forgotten, with everything up to the entry `through`. */
  pruned?(predictions: number, through: number): void;
}

/** A prediction with what became known about it. */
export interface OldRecord {
  readonly record: PredictionRecord;
  readonly label: { readonly fraud: boolean; readonly knownAt: number; readonly source: string } | null;
}

/** The newest predictions of one bundle as columns, oldest first. */
export interface ScoredWindow {
  readonly rows: number;
  /** Event times. */
  readonly time: Float64Array;
  readonly score: Float64Array;
  /** Row by row, `width` values each. */
  readonly vectors: Float32Array;
  /** 1 fraud, 0 genuine, 2 no label known by `until`. */
  readonly label: Uint8Array;
  /** The end of the window: `until`, or the newest event time. */
  readonly until: number;
}

/** Answers of one day of event time, UTC, with what is known of them. */
export interface LoggedDay {
  /** Begin of the day, milliseconds. */
  readonly day: number;
  readonly transactions: number;
  /** Not approved. */
  readonly flagged: number;
  readonly labelled: number;
  readonly frauds: number;
  /** Frauds that were flagged. */
  readonly caught: number;
}

/** Answers of one bundle with what became of them; columns of equal length, in no order. */
export interface MaturedWindow {
  readonly rows: number;
  /** Event times. */
  readonly time: Float64Array;
  readonly score: Float64Array;
  /** 1 fraud, 0 genuine, 2 no label known. */
  readonly label: Uint8Array;
  /** How many answers each row stands for; a fraud for itself alone. */
  readonly weight: Float64Array;
}

/** What a summary of answers is made from. */
export interface AnsweredRow {
  readonly sequence: number;
  readonly transactionId: string;
  readonly time: number;
  readonly score: number;
  readonly vector: Float32Array;
}

/** A shadow record with what became known about the transaction since. */
export interface ShadowPair extends ShadowRecord {
  readonly card: string;
  readonly amount: number;
  /** What was answered; a draw may have let through what the champion would block. */
  readonly answered: Decision;
  /** The chance with which it was let through, where a draw decided; null where none did. */
  readonly propensity: number | null;
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

/** Labels of one transaction that one question gives. */
export const LABELS_OF_ONE_MAX = 1000;

/** The joined log of predictions, shadows and labels. Errors: log.unreadable, log.unwritable. */
/** Which pairs, and where their card and amount stand. */
export interface PairOptions {
  /** Only so many, the last ones written. */
  readonly newest?: number;
  /** Fields of the transaction: `columns.card` and `columns.amount` of the pipeline. */
  readonly card?: string | null;
  readonly amount?: string | null;
}

export interface PredictionLog {
  readonly where: string;
  /** What a killed process loses. `sync`: nothing for which {@link durable} was awaited; `interval`: the last milliseconds. */
  readonly durability: "sync" | "interval";
  /**
   * Buffered, bounded; false when the buffer is full and the record was dropped (the caller counts it). The first record of a
   * transaction id is kept, later ones are ignored. Exception: a kept record with `applied: 0` takes `applied` from a later record.
   */
  appendPrediction(record: Omit<PredictionRecord, "sequence">): boolean;
  appendShadow(record: ShadowRecord): boolean;
  appendLabel(label: Omit<LabelRecord, "sequence">): boolean;
  addCoverage(version: string, scored: number, missed: Readonly<Partial<Record<ShadowMiss, number>>>): void;
  /**
   * Why so many more records should not be taken now (null: they may): no room for them, or older ones cannot be written. An answer
   * whose record the log may lose must not be given.
   */
  refusal(records?: number): SentinelError | null;
  /**
   * Where durability is `sync`: resolves once the transaction's record is on the disk, rejects when it cannot be written now. Null
   * when there is nothing to wait for; always null where durability is `interval`.
   */
  durable(transactionId: string): Promise<void> | null;
  /** Makes ready to write, so that the first record waits no longer than others. Without it the first append does. */
  prepare(): Promise<void>;
  health(): LogHealth;
  /** Who hears of failures and of what is forgotten; one at a time. */
  watch(watcher: LogWatcher): void;
  /** A prediction that this process appended recently, from memory; null when memory does not have it. */
  recall(transactionId: string): PredictionRecord | null;
  /** Everything appended before this call is on disk after it. */
  flush(): Promise<void>;
  find(transactionId: string): Promise<PredictionRecord | null>;
  /** Labels of one transaction, oldest first; the newest LABELS_OF_ONE_MAX of them. */
  labelsOf(transactionId: string): Promise<readonly LabelRecord[]>;
  /** The newest predictions, oldest first. */
  recent(limit: number): Promise<readonly PredictionRecord[]>;
  /** Predictions and labels in order of arrival, from a sequence number on. */
  scan(fromSequence: number): AsyncIterable<LogEntry>;
  /** As {@link scan}, with only what a feature state learns; faster. */
  arrivals(fromSequence: number): AsyncIterable<LogArrivalEntry>;
  /** Those that a shared feature state applied, in its order, from a place in it on. */
  scanApplied(from: number): AsyncIterable<LogEntry>;
  /** Ids of all predictions from a place in the log on, oldest first, some thousand at a time. */
  ids(fromSequence: number): AsyncIterable<readonly string[]>;
  /** Every bundle that answered, with a version it had. */
  bundles(): Promise<readonly { readonly version: string; readonly bundle: string }[]>;
  /** Predictions received before an instant, oldest first, each with the label known last: what {@link forget} would remove. */
  old(before: number): AsyncIterable<OldRecord>;
  /** Removes them, with their labels and shadows. Gives how many went. */
  forget(before: number): Promise<number>;
  /**
   * Looks for a person in all entries, by table; with `write` replaces what is found, in place, so that positions and counts stay, and then leaves
   * no byte of before in its files. Safe to be killed and called again. Errors also: log.unwritable.
   */
  erase(eraser: Eraser, how: { readonly write: boolean }): Promise<readonly Erased[]>;
  /** Where the log begins. */
  begin(): Promise<LogBegin>;
  /**
   * Which log this is, whatever its place: 12 hexadecimal digits that it keeps for ever. Positions (sequence numbers) of one identity mean the same
   * entries always, and once {@link last} has named one, no entry comes before it any more.
   */
  identity(): Promise<string>;
  /** Notes that all entries up to a position are archived: where the log is held for an archive, only those are ever forgotten. */
  archived(through: number): Promise<void>;
  /** Of the newest `rows` predictions those that a bundle scored, with the label known last (by `until`). */
  scored(options: {
    readonly bundle: string;
    readonly width: number;
    readonly rows: number;
    readonly until: number | null;
  }): Promise<ScoredWindow>;
  /**
   * Answers of one bundle of event times from `from` to `to`, each with the label known last by `until`: all of them where the log has no more
   * than `rows` entries there, else every fraud (the newest `rows`) and an even sample of about `rows` of the others.
   */
  matured(options: {
    readonly bundle: string;
    readonly from: number;
    readonly to: number;
    readonly until: number;
    readonly rows: number;
  }): Promise<MaturedWindow>;
  /** Answers of one bundle that its model gave, from a sequence number on, in order of arrival, some thousand at a time. */
  answered(options: { readonly bundle: string; readonly from: number }): AsyncIterable<readonly AnsweredRow[]>;
  /** The newest `rows` answers by day, oldest day first, with the label known last. */
  days(rows: number): Promise<readonly LoggedDay[]>;
  /** The last sequence number, and the last place in the order of a shared state; 0 where there is none. */
  last(): Promise<{ readonly sequence: number; readonly applied: number }>;
  /** Shadow records joined with labels, in order of writing. */
  pairs(candidateVersion: string, options?: PairOptions): AsyncIterable<ShadowPair>;
  coverage(): Promise<readonly Coverage[]>;
  counts(): Promise<{ readonly predictions: number; readonly labels: number; readonly shadows: number }>;
  /** When the oldest and the newest prediction were received; null when there is none. */
  span(): Promise<{ readonly from: number; readonly to: number } | null>;
  close(): Promise<void>;
}
