// The shared-store port: feature state that several servers keep together.
import type { Erased } from "../core/erasure.ts";

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
  /** Names this life of the store's content: another one after it was lost or started again. */
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
  /** The transaction's id was applied recently. */
  readonly seen: boolean;
  /** One per key; null: nothing is there. `version` is compared when the change is applied. */
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
 * starts again or is behind. full: too many records wait for a log. repeated: another server applied the transaction.
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
  /** Begins a new life of the content in place of the one named (null: of nothing). False when another server was faster. */
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
   * Adds a prepared layout, in place of one of the same hash, with the watermark and the recently learned ids of its state, if `sequence` is still the last applied; false
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
  /** One filler at a time; null while another server holds it. It must be extended before `ms` have passed. */
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
   * Looks at a portion of the keys, and deletes those of no layout and those whose newest event is older than the retention (one
   * per series) behind their layout's watermark. The portions of all callers make one round, one every `everyMs`. Gives how many went.
   */
  sweep(
    layouts: readonly { readonly id: string; readonly retentionMs: readonly number[] }[],
    everyMs: number,
  ): Promise<number>;
  /** Says that a process uses these layouts; removes those that no process named for `ms`. */
  use(layouts: readonly string[], ms: number): Promise<void>;
  /**
   * Looks for a person in keys, remembered ids and waiting records; with `write` gives keys and ids their new names, whatever is applied meanwhile.
   * Records that wait are only counted: a log takes them.
   */
  erase(of: SharedErasure): Promise<readonly Erased[]>;
  /** A log has these now. */
  settle(fields: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Null where something names nobody. */
export interface SharedErasure {
  /** The new text of a key. `layout`: null where no server uses it any more, or yet. */
  key(layout: SharedLayout | null, series: number, text: string): string | null;
  id(text: string): string | null;
  record(text: string): string | null;
  /** The new bytes of a key. */
  bytes(bytes: Uint8Array): Uint8Array | null;
  readonly write: boolean;
}
