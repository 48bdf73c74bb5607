// The registry port: runs, versions, aliases, evidence and the journal.
import type { BundleFiles } from "../core/bundle.ts";
import type { AliasMove } from "../core/journal.ts";

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
  readonly also?: readonly AliasMove[];
  readonly previous: string;
  readonly hash: string;
  /** SHA-256 of a kept document with the whole entry, where its reason had to be shortened; "" where not. */
  readonly document: string;
}

/**
 * One step: an alias, and those that moved together with it. Hash-chained: `hash` covers every other field, `previous` is the hash of the
 * entry before ("" for the first).
 */
export interface JournalEntry extends JournalDraft, AliasMove {
  readonly index: number;
  readonly model: string;
  /** The other aliases that moved in the same step; absent where there were none. */
  readonly also?: readonly AliasMove[];
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

/** A model that MLflow's own clients stored: a registered version, what a run logged below a path, or a logged model by its own id (MLflow 3). */
export type ModelReference =
  | { readonly kind: "logged"; readonly modelId: string }
  | { readonly kind: "version"; readonly model: string; readonly version: string }
  | { readonly kind: "run"; readonly runId: string; readonly path: string };

/** Its files, as they are: nothing says what they must be. */
export interface StoredModel {
  /** The run that logged it; "" where none is known. */
  readonly runId: string;
  /** null where there is no such file. Throws registry.corrupt when it is longer than `bytesMax`. */
  read(name: string, bytesMax: number): Promise<Uint8Array | null>;
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
  /** Finds a model that others stored. Throws registry.missing, registry.version-unknown. */
  stored(reference: ModelReference): Promise<StoredModel>;
  /**
   * Puts a bundle beside the files of a version that has none: it is servable then, and its number, run and files stay.
   * `registry.conflict` where it has a bundle.
   */
  attach(input: {
    readonly model: string;
    readonly version: string;
    readonly files: BundleFiles;
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
   * Moves an alias (to null: removes it), and those in `also` with it, and appends one entry to the journal: all or nothing. `from` is
   * what the caller saw; `registry.conflict` when one of the aliases has moved since, and then none moves. `document` is the evidence
   * whose hash the entry names; it is kept. Where a store has no transactions the entry comes first, and {@link Registry.recover}
   * completes what a killed process began.
   */
  moveAlias(
    input: AliasMove & {
      readonly model: string;
      readonly also?: readonly AliasMove[];
      readonly entry: JournalDraft;
      readonly document?: string;
    },
  ): Promise<JournalEntry>;
  /**
   * Moves the aliases that the newest entry names and that do not stand there yet, because the process that wrote the entry died. Gives
   * that entry; null when nothing was left over, which is always so where entry and aliases are one transaction.
   */
  recover(model: string): Promise<JournalEntry | null>;
  /**
   * Oldest first, as the registry's newest entry seals it. `asStored` reads every entry in its own place, however long that takes: what
   * was changed there must show. `doubt` receives, in words, what was at hand and not believed.
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
