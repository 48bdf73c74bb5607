// Excerpt: a feature state that holds the keys of one transaction only, brought in as bytes and taken out again after learning.
import type { Transaction } from "../core/transaction.ts";
import { decodeKey, encodeKey } from "./key-blob.ts";
import type { StateLimits } from "./limits.ts";
import type { StateLayout } from "./plan.ts";
import { FeatureState, keyText, type Learned, reachOf } from "./state.ts";

/** One key of a transaction: which series, and its value's text. */
export interface ExcerptKey {
  readonly series: number;
  readonly text: string;
}

/** What the store holds for a transaction's keys, in the order of `keysOf`; null: nothing. */
export interface ExcerptContent {
  readonly blobs: readonly (Uint8Array | null)[];
  /** −∞ before the first transaction. */
  readonly watermark: number;
  /** The transaction's id is among those learned recently. */
  readonly seen: boolean;
}

/** What is to be stored after learning. */
export interface ExcerptChange {
  /** One per key: its new bytes, or null where nothing changed. */
  readonly blobs: readonly (Uint8Array | null)[];
  /** Others may have moved the watermark up to here meanwhile: what was read and learned would still be the same. */
  readonly watermarkMax: number;
  readonly learned: Learned | "label";
}

/**
 * The same state machine as everywhere, over a few keys that live elsewhere. `bring` the keys of a transaction in, read vectors from
 * `state`, learn, and store what comes out — all in one tick, then the next transaction may be brought in.
 */
export class Excerpt {
  readonly layout: StateLayout;
  readonly state: FeatureState;
  private keys: readonly ExcerptKey[] = [];
  private before: readonly (Uint8Array | null)[] = [];

  constructor(layout: StateLayout, limits: Partial<StateLimits> = {}) {
    this.layout = layout;
    this.state = new FeatureState(layout, limits);
  }

  /** The keys that a transaction touches or is read by, each once; series whose keys it lacks are left out. */
  keysOf(tx: Transaction): readonly ExcerptKey[] {
    const keys: ExcerptKey[] = [];
    for (let series = 0; series < this.layout.series.length; series++) {
      const { key, readBy = [] } = this.layout.series[series];
      const texts = [key, ...readBy].map((columns) => keyText(columns, tx)).filter((text) => text !== null);
      for (const text of new Set(texts)) keys.push({ series, text });
    }
    return keys;
  }

  /** Forgets what was there and holds these keys of `tx`. Throws `state.corrupt`. */
  bring(tx: Transaction, keys: readonly ExcerptKey[], content: ExcerptContent): void {
    const { state } = this;
    for (const { series, text } of this.keys) state.tables[series].forget(text);
    this.keys = keys;
    this.before = content.blobs;
    state.watermark = content.watermark;
    state.ids.load({ generation: null, forgotten: 0, current: content.seen ? [tx.id] : [], previous: [] });
    for (let k = 0; k < keys.length; k++) {
      const blob = content.blobs[k];
      if (blob !== null) decodeKey(state.tables[keys[k].series], keys[k].text, blob);
    }
  }

  /** Learns the transaction that was brought; `receivedAt` as in {@link FeatureState.learn}. */
  learn(tx: Transaction, receivedAt: number = Number.POSITIVE_INFINITY): ExcerptChange {
    const { state } = this;
    const { latenessMs } = state.limits;
    const late = tx.time < state.watermark - latenessMs;
    const watermark = Math.max(state.watermark, reachOf(tx.time, receivedAt));
    const watermarkMax = Math.min(
      late ? Number.POSITIVE_INFINITY : Math.floor(tx.time) + latenessMs,
      this.oldest(watermark),
    );
    const learned = state.learn(tx, receivedAt);
    return { blobs: learned === "learned" ? this.changed() : this.keys.map(() => null), watermarkMax, learned };
  }

  /** Learns a label of the transaction that was brought. */
  learnLabel(label: {
    readonly transaction: Transaction;
    readonly fraud: boolean;
    readonly knownAt: number;
  }): ExcerptChange {
    const { state, keys } = this;
    const time = Math.floor(label.transaction.time);
    let watermarkMax = Number.POSITIVE_INFINITY;
    for (const { series } of keys) {
      const { retentionMs } = state.tables[series];
      if (time > state.watermark - retentionMs) watermarkMax = Math.min(watermarkMax, time + retentionMs - 1);
    }
    state.learnLabel(label);
    return { blobs: this.changed(), watermarkMax, learned: "label" };
  }

  /** Drops what is too old at `watermark`; up to the watermark returned nothing more would be dropped. */
  private oldest(watermark: number): number {
    let max = Number.POSITIVE_INFINITY;
    for (const { series, text } of this.keys) {
      const table = this.state.tables[series];
      const slot = table.find(text);
      if (slot < 0) continue;
      table.dropOld(slot, watermark);
      max = Math.min(max, table.oldestOf(slot) + table.retentionMs - 1);
    }
    return max;
  }

  private changed(): (Uint8Array | null)[] {
    return this.keys.map(({ series, text }, k) => {
      const table = this.state.tables[series];
      const slot = table.find(text);
      if (slot < 0) return null;
      const blob = encodeKey(table, slot);
      const before = this.before[k];
      return before !== null && Buffer.compare(before, blob) === 0 ? null : blob;
    });
  }
}

/** Every key of a whole state, as bytes. */
export function* keysOfState(state: FeatureState): Generator<ExcerptKey & { readonly blob: Uint8Array }> {
  for (let series = 0; series < state.tables.length; series++) {
    const table = state.tables[series];
    for (const { text, slot } of table.entries()) yield { series, text, blob: encodeKey(table, slot) };
  }
}
