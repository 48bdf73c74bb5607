// Ports: all that Sentinel needs from outside, on one page. Drivers implement them, wiring.ts chooses, lifecycle uses.
import type { BundleFiles } from "./core/bundle.ts";
import type { Decision } from "./core/decision.ts";
import type { Table } from "./core/table.ts";
import type { FieldValue, Label } from "./core/transaction.ts";

/** The time, as an argument. */
export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Milliseconds of a steady clock with fractions, for durations only. */
  elapsed(): number;
}

/** Where progress is told while a verb runs. */
export interface Reporter {
  line(text: string): void;
  /** done of total, at most `total`; called as often as convenient, shown as often as sensible. */
  progress(label: string, done: number, total: number): void;
}

// ---------------------------------------------------------------------------------------------- tables in files

export type ColumnType = "number" | "time" | "text" | "boolean" | "other";

export interface DatasetDescription {
  readonly path: string;
  readonly format: "csv" | "parquet" | "ndjson";
  readonly rows: number;
  readonly columns: readonly { readonly name: string; readonly type: ColumnType; readonly nativeType: string }[];
}

/**
 * Reads and writes tables. Errors: dataset.missing, .empty, .format-unknown, .unreadable, .too-large, .columns-missing
 * (reading), .unwritable, .type-wrong (writing).
 */
export interface Dataset {
  describe(path: string): Promise<DatasetDescription>;
  /** The named columns (all when absent; booleans as 0/1 numbers), in file order. */
  read(path: string, options?: { readonly columns?: readonly string[] }): Promise<Table>;
  /**
   * Streams tables of equal columns into one file, whose format its ending names; appears whole or not at all. Numbers
   * become doubles, the columns named in `integers` 64-bit integers and those in `floats` 32-bit floats, where the format tells
   * these apart; `metadata` is kept beside the columns, where the format has a place for it.
   */
  write(
    path: string,
    batches: AsyncIterable<Table> | Iterable<Table>,
    options?: {
      readonly integers?: readonly string[];
      readonly floats?: readonly string[];
      readonly metadata?: Readonly<Record<string, string>>;
    },
  ): Promise<{ readonly rows: number }>;
  /** SHA-256 of the file's bytes, streamed; MD5 to compare with DVC, which names data by it. */
  hash(path: string, algorithm?: "sha256" | "md5"): Promise<string>;
}

// ---------------------------------------------------------------------------------------------- registry

export interface RunMetric {
  readonly key: string;
  readonly value: number;
  readonly step?: number;
  /** Milliseconds since 1970, when it is not the time of the log. */
  readonly at?: number;
}

export interface RunDataset {
  readonly name: string;
  /** At most 36 characters (MLflow's limit). */
  readonly digest: string;
  readonly sourceType: string;
  readonly source: string;
  /** "training", "evaluation". */
  readonly context: string;
}

export interface ModelVersion {
  readonly model: string;
  readonly version: string;
  readonly runId: string;
  readonly createdAt: number;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Hash over the bundle's files. */
  readonly bundle: string;
}

export interface RunSummary {
  readonly runId: string;
  readonly name: string;
  readonly status: "RUNNING" | "FINISHED" | "FAILED" | "KILLED";
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly params: Readonly<Record<string, string>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly tags: Readonly<Record<string, string>>;
}

/** What is written down when an alias moves. */
export interface JournalDraft {
  readonly at: number;
  /** A person or a job. */
  readonly actor: string;
  readonly verb: "train" | "promote" | "rollback" | "retrain" | "import" | "push";
  /** The gate's word, or "FORCED". */
  readonly verdict: string;
  /** SHA-256 of the evidence document; "" where there is none. */
  readonly evidence: string;
  readonly reason: string;
}

/** What an entry was in the registry it was pushed from; with the fields it kept, enough to compute that entry's hash again. */
export interface JournalOrigin {
  readonly index: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly previous: string;
  readonly hash: string;
  /** SHA-256 of a kept document with the whole entry, where its reason had to be shortened; "" where not. */
  readonly document: string;
}

/** Hash-chained: `hash` covers every other field, `previous` is the hash of the entry before ("" for the first). */
export interface JournalEntry extends JournalDraft {
  readonly index: number;
  readonly model: string;
  readonly alias: string;
  readonly from: string | null;
  readonly to: string | null;
  /** Of entries that `registry push` brought. */
  readonly origin?: JournalOrigin;
  readonly previous: string;
  readonly hash: string;
}

/** A file of a version that is not what was registered. */
export interface FileFault {
  readonly file: string;
  readonly why: string;
}

/** Damage of what a registry stores, named as far as it is known. */
export interface StoreFault {
  readonly message: string;
  readonly file?: string;
  /** Index of the journal's entry. */
  readonly entry?: number;
}

/** The lines of a journal's copy, of all models, as they stand in the file. */
export interface JournalCopy {
  readonly where: string;
  readonly lines: readonly string[];
}

/** Runs, versions, aliases and the journal. Errors: registry.unreachable, .unwritable, .missing, .invalid, .conflict, .corrupt, .version-unknown. */
export interface Registry {
  /** For messages: a path or a URL. */
  readonly where: string;
  startRun(input: {
    readonly experiment: string;
    readonly name: string;
    readonly startedAt: number;
    readonly user: string;
    readonly tags: Readonly<Record<string, string>>;
  }): Promise<string>;
  logRun(
    runId: string,
    what: {
      readonly params?: Readonly<Record<string, string>>;
      readonly metrics?: readonly RunMetric[];
      readonly tags?: Readonly<Record<string, string>>;
      readonly datasets?: readonly RunDataset[];
      readonly at: number;
    },
  ): Promise<void>;
  endRun(runId: string, status: "FINISHED" | "FAILED" | "KILLED", endedAt: number): Promise<void>;
  runs(experiment: string): Promise<readonly RunSummary[]>;
  /** Stores the bundle and makes the next version; the version is visible only once every file is stored. */
  register(input: {
    readonly model: string;
    readonly runId: string;
    readonly files: BundleFiles;
    readonly description: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly at: number;
  }): Promise<ModelVersion>;
  versions(model: string): Promise<readonly ModelVersion[]>;
  version(model: string, version: string): Promise<ModelVersion>;
  tagVersion(model: string, version: string, tags: Readonly<Record<string, string>>): Promise<void>;
  /** Fetches and verifies every file of a version against its bundle hash. */
  load(model: string, version: string): Promise<BundleFiles>;
  aliases(model: string): Promise<Readonly<Record<string, string>>>;
  /**
   * Moves an alias (to null: removes it) and appends to the journal, both or neither. `from` is what the caller saw;
   * `registry.conflict` when the alias has moved since. `document` is the evidence whose hash the entry names; it is kept.
   */
  moveAlias(input: {
    readonly model: string;
    readonly alias: string;
    readonly from: string | null;
    readonly to: string | null;
    readonly entry: JournalDraft;
    readonly document?: string;
  }): Promise<JournalEntry>;
  /**
   * Oldest first, as the registry's newest entry seals it. `asStored` reads every entry in its own place, however long that takes: what
   * was changed there must show. `doubt` is told, in words, what was at hand and not believed.
   */
  journal(
    model: string,
    options?: { readonly asStored?: boolean; readonly doubt?: (what: string) => void },
  ): Promise<readonly JournalEntry[]>;
  /** The evidence kept under this hash, as it is found; null when there is none. */
  evidence(model: string, hash: string): Promise<string | null>;
  /** Every file of a version that is not what was registered; unlike `load`, which ends at the first. */
  inspect(model: string, version: string): Promise<readonly FileFault[]>;
  /** The journal's copy on this machine; null when none is there. */
  journalCopy(): Promise<JournalCopy | null>;
  /** What in the store itself is not sound, beyond what the other calls show; empty when sound, or when it cannot be asked. */
  storeFaults(model: string): Promise<readonly StoreFault[]>;
  close(): Promise<void>;
}

/** All that was logged of a run, with the history of its metrics. */
export interface RunHistory {
  readonly metrics: readonly RunMetric[];
  readonly datasets: readonly RunDataset[];
  readonly user: string;
}

/** A registry that can be copied whole. */
export interface RegistrySource extends Registry {
  /** Names of all experiments and models. */
  contents(): Promise<{ readonly experiments: readonly string[]; readonly models: readonly string[] }>;
  /** What people and MLflow have noted on an experiment. */
  experimentTags(experiment: string): Promise<Readonly<Record<string, string>>>;
  runHistory(runId: string): Promise<RunHistory>;
}

/** An entry on its way: with the versions it names here, and what it was. */
export type AdoptedEntry = Omit<JournalEntry, "index" | "previous" | "hash"> & { readonly origin: JournalOrigin };

/** A registry that takes over the history of another. */
export interface RegistryTarget extends Registry {
  /** Sets the tags that an experiment with runs does not have; one that it has stays as it is. */
  tagExperiment(experiment: string, tags: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Appends entries that are not there yet (told by their origin's hash), then puts the aliases where the newest say; an alias that is
   * already somewhere by another's word stays, and an entry says so. May be repeated after any interruption.
   */
  adopt(input: {
    readonly model: string;
    readonly entries: readonly AdoptedEntry[];
    /** Text by its hash. */
    readonly documents: ReadonlyMap<string, string>;
    readonly actor: string;
    readonly at: number;
    readonly progress: (done: number) => void;
  }): Promise<{ readonly added: number; readonly kept: readonly string[] }>;
}

// ---------------------------------------------------------------------------------------------- prediction log

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
   * transaction stands; a later one that was applied tells one that was not where it was applied after all.
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

// ---------------------------------------------------------------------------------------------- shared feature state

/** One layout's part of the shared state. */
export interface SharedLayout {
  /** Names the layout's keys in the store; never used a second time. */
  readonly id: string;
  readonly hash: string;
  /** The layout and where its state began, as the writer's JSON. */
  readonly about: string;
}

/** Where the shared state stands. */
export interface SharedHead {
  /** Names this life of the store's content: another one after it was lost or begun anew. */
  readonly marker: string;
  /** Counts the lives; sequences of a later one are larger. */
  readonly generation: number;
  /** Changes applied so far; the next one gets the next number. */
  readonly sequence: number;
  /** Newest event time learned; null before the first. */
  readonly newestTime: number | null;
  /** Changes with the set of layouts. */
  readonly version: number;
  readonly layouts: readonly SharedLayout[];
}

/** What a change, or the read before it, concerns: the keys by layout. */
export interface SharedKeys {
  readonly layout: string;
  readonly keys: readonly { readonly series: number; readonly text: string }[];
}

export interface SharedContent {
  /** Latest event time applied; −∞ before the first. */
  readonly watermark: number;
  /** The transaction's id was applied lately. */
  readonly seen: boolean;
  /** One a key; null: nothing is there. `version` is compared when the change is applied. */
  readonly blobs: readonly { readonly version: Uint8Array; readonly bytes: Uint8Array | null }[];
}

export interface SharedRead {
  readonly marker: string | null;
  readonly version: number;
  /** The record of a transaction of this id that no log has written yet. */
  readonly pending: SharedPending | null;
  /** In the order asked for. */
  readonly contents: readonly SharedContent[];
}

/** A record of an applied change, kept until a log has it. */
export interface SharedPending {
  readonly field: string;
  readonly sequence: number;
  /** How long it has been waiting. */
  readonly ageMs: number;
  readonly record: Uint8Array;
}

export interface SharedChange {
  readonly marker: string;
  readonly version: number;
  /** The largest sequence the caller knows of: a store that is behind it has lost something. */
  readonly sequenceKnown: number;
  /** null for a label. */
  readonly transactionId: string | null;
  readonly record: Uint8Array;
  readonly parts: readonly {
    readonly layout: string;
    /** Event time learned; null when nothing was (a label, a repeat, or too late). */
    readonly learnedAt: number | null;
    /** The change is void when the watermark is beyond this by now. */
    readonly watermarkMax: number;
    readonly seen: boolean;
    /** What was read, and the new bytes; null leaves a key as it is. */
    readonly keys: readonly {
      readonly series: number;
      readonly text: string;
      readonly version: Uint8Array;
      readonly bytes: Uint8Array | null;
    }[];
  }[];
}

/**
 * conflict: something read has changed since. paused: a layout is being added. layouts: its set has changed. lost: the store
 * begins anew or is behind. full: too many records wait for a log. repeated: the transaction was applied by somebody else.
 */
export type SharedApplied =
  | { readonly outcome: "applied"; readonly sequence: number }
  | { readonly outcome: "repeated"; readonly pending: SharedPending }
  | { readonly outcome: "conflict" | "paused" | "layouts" | "lost" | "full" };

/**
 * Feature state that several servers share: bytes by layout and key, and changes that are applied whole or not at all, in one
 * order. Errors: state.unreachable; after it nobody knows whether a change was applied, but for its record among the pending.
 */
export interface SharedStore {
  /** For messages: host and port, never a password. */
  readonly where: string;
  /** Counts connections: after a new one the store may have lost what it had. */
  readonly connections: number;
  /** null when the store is empty. */
  head(): Promise<SharedHead | null>;
  /** Begins a new life of the content in place of the one named (null: of nothing). False when somebody else was faster. */
  begin(life: {
    readonly replaces: string | null;
    readonly marker: string;
    readonly generation: number;
    readonly sequence: number;
  }): Promise<boolean>;
  /** A layout to be filled; not read, learned or kept up by anyone before it is added. */
  prepare(): Promise<string>;
  /** Writes keys of a prepared layout. */
  fill(
    layout: string,
    keys: readonly { readonly series: number; readonly text: string; readonly bytes: Uint8Array }[],
  ): Promise<void>;
  /**
   * Adds a prepared layout, in place of one of the same hash, with the watermark and the lately learned ids of its state, if `sequence` is still the last applied; false
   * if it is not.
   */
  add(
    layout: SharedLayout,
    at: {
      readonly marker: string;
      readonly sequence: number;
      readonly watermark: number;
      readonly ids: { readonly generation: number | null; readonly lists: readonly (readonly string[])[] };
    },
  ): Promise<boolean>;
  /** Nothing is applied for so long, or until a layout is added, so that its filler can catch up. */
  pause(ms: number): Promise<void>;
  /** One filler at a time; null while somebody else holds it. It must be extended before `ms` have passed. */
  lock(ms: number): Promise<{ extend(): Promise<boolean>; release(): Promise<void> } | null>;
  /** Keys of a transaction in one round trip; `transactionId` null for a label. */
  read(what: { readonly transactionId: string | null; readonly layouts: readonly SharedKeys[] }): Promise<SharedRead>;
  apply(change: SharedChange): Promise<SharedApplied>;
  /** Records no log is known to have, in their order. */
  pending(): Promise<readonly SharedPending[]>;
  pendingOf(transactionId: string): Promise<SharedPending | null>;
  /** What about the server's own settings would lose state or stop it; null when nothing. */
  risk(): Promise<{ readonly found: string; readonly todo: string } | null>;
  /**
   * Looks at a portion of the keys, and deletes those of no layout and those whose newest event is older than the retention (one a
   * series) behind their layout's watermark. The portions of all callers make one round, one every `everyMs`. Gives how many went.
   */
  sweep(
    layouts: readonly { readonly id: string; readonly retentionMs: readonly number[] }[],
    everyMs: number,
  ): Promise<number>;
  /** Says that a process uses these layouts; removes those that nobody said so of for `ms`. */
  use(layouts: readonly string[], ms: number): Promise<void>;
  /** A log has these now. */
  settle(fields: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------- small things

/** Named byte blobs that survive a restart (feature-state snapshots). Written whole or not at all. */
export interface SnapshotStore {
  save(name: string, bytes: Uint8Array): Promise<void>;
  load(name: string): Promise<Uint8Array | null>;
}

/** One holder at a time across processes; a dead holder's lock is taken over. */
export interface Lock {
  /** Throws lifecycle.locked, naming the holder, when somebody alive holds it. */
  acquire(name: string): Promise<{ release(): Promise<void> }>;
}

/** Where the code comes from. */
export interface SourceControl {
  /** null outside a repository; `branch` is "" on none. */
  describe(): Promise<{ readonly commit: string; readonly dirty: boolean; readonly branch: string } | null>;
  /** Whether the commit has this file as it is on disk. */
  holds(file: string): Promise<boolean>;
}

/** What the lifecycle is given; each driver is loaded at its first use. */
export interface Ports {
  readonly clock: Clock;
  readonly report: Reporter;
  dataset(): Promise<Dataset>;
  registry(): Promise<Registry>;
  log(): Promise<PredictionLog>;
  snapshots(): Promise<SnapshotStore>;
  lock(): Promise<Lock>;
  sourceControl(): Promise<SourceControl>;
  /** Where several servers keep their feature state together; absent: each process keeps its own. */
  shared?(): Promise<SharedStore>;
}
