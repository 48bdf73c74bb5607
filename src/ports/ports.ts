// Ports: the small ones, and the set of all of them that the lifecycle is given. Drivers implement them, wiring.ts chooses.
import type { Archive } from "./archive.ts";
import type { Dataset } from "./dataset.ts";
import type { KeyStore } from "./keys.ts";
import type { PredictionLog } from "./log.ts";
import type { Registry } from "./registry.ts";
import type { RuleStore } from "./rules.ts";
import type { SharedStore } from "./shared-store.ts";
import type { Store } from "./store.ts";

/** The time, as an argument. */
export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Milliseconds of a steady clock with fractions, for durations only. */
  elapsed(): number;
}

/** Where a verb reports its progress. */
export interface Reporter {
  line(text: string): void;
  /** done of total, at most `total`; called as often as convenient, shown as often as sensible. */
  progress(label: string, done: number, total: number): void;
}

/** Named byte blobs that survive a restart (feature-state snapshots). Written whole or not at all. */
export interface SnapshotStore {
  /** Bytes, or parts of them that follow each other. */
  save(name: string, bytes: Uint8Array | readonly Uint8Array[]): Promise<void>;
  load(name: string): Promise<Uint8Array | null>;
}

/** One holder at a time across processes; a dead holder's lock is taken over. */
export interface Lock {
  /**
   * Throws lifecycle.locked, naming the holder, when a living process holds it. `everywhere`: it is about something that machines share where
   * their logs are in one database, so that they share the lock too.
   */
  acquire(name: string, options?: { readonly everywhere?: boolean }): Promise<{ release(): Promise<void> }>;
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
  /** Rules, lists and their journal; absent: there are none. */
  rules?(): Promise<RuleStore>;
  /** Where decided transactions are kept as Parquet; null where the pipeline keeps none. */
  archive?(): Promise<Archive | null>;
  /** Pipelines, alerts and audit, beside the rules; absent: there are none. */
  store?(): Promise<Store>;
  /** Service keys; absent: there are none. */
  keys?(): Promise<KeyStore>;
  /** Where several servers keep their feature state together; absent: each process keeps its own. */
  shared?(): Promise<SharedStore>;
}
