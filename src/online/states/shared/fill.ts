// Fill: a layout's keys are written into the shared store from training's snapshot and the log, while other layouts go on serving.
import { SentinelError } from "../../../core/errors.ts";
import type { Transaction } from "../../../core/transaction.ts";
import { learnArrival } from "../../../features/encode.ts";
import { Excerpt, type ExcerptKey, keysOfState } from "../../../features/excerpt.ts";
import { encodeKey } from "../../../features/key-blob.ts";
import { type FeaturePlan, layoutOf, type StateLayout } from "../../../features/plan.ts";
import { FeatureState } from "../../../features/state.ts";
import type { PredictionLog } from "../../../ports/log.ts";
import type { Ports } from "../../../ports/ports.ts";
import type { SharedStore } from "../../../ports/shared-store.ts";
import { arrivalOf, arrivals } from "../catch-up.ts";
import { addEra } from "../eras.ts";
import type { StateOrigin } from "../origin.ts";
import { loadState } from "../saved.ts";
import type { Life } from "./lives.ts";
import { sequenceOf } from "./lives.ts";
import { drainPending } from "./outbox.ts";

/** What the store keeps about a layout, so that a process without its bundle can keep it up too. */
export interface LayoutAbout {
  readonly layout: StateLayout;
  readonly origin: StateOrigin;
}

export interface FillContext {
  readonly ports: Ports;
  readonly pipeline: string;
  readonly store: SharedStore;
  readonly log: PredictionLog;
  readonly life: Life;
  /** Says that this filler is still at work; throws when another one took over. */
  readonly extend: () => Promise<void>;
}

/** So near to the end the others wait until the layout is added: a few hundred changes take some milliseconds. */
const NEAR = 500;
const PAUSE_MS = 3000;
const ROUNDS_MAX = 100;
/** One round trip's worth. */
const CHUNK_KEYS = 256;
const CHUNK_BYTES = 1 << 19;

/** Adds the plan's layout. Errors: state.unreachable, state.behind, log.unreadable. */
export async function fillLayout(on: FillContext, plan: FeaturePlan): Promise<void> {
  const { ports, pipeline, store, life } = on;
  const layout = layoutOf([plan]);
  const trained = await loadState(ports, "train", { pipeline, layout: plan.layoutHash });
  const state = trained?.state ?? new FeatureState(layout);
  const origin = trained?.origin ?? { dataHash: "", dataPath: "", trainedUpTo: null };
  const trainedUpTo = origin.trainedUpTo ?? Number.NEGATIVE_INFINITY;
  for await (const arrival of arrivals(on.log, 0)) {
    if (arrival.sequence > life.catchUpSequence) break;
    if (arrival.transaction.time > trainedUpTo) learnArrival(state, arrival);
  }
  const filler = new Filler(on, { id: await store.prepare(), layout, state, trainedUpTo });
  await filler.writeAll();
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const near = (await filler.behind()) <= NEAR;
    if (near) await store.pause(PAUSE_MS);
    await filler.follow();
    if (!near) continue;
    const shared = { generation: life.generation, from: filler.learnedTo };
    const begun: StateOrigin = { ...origin, catchUpSequence: life.catchUpSequence, shared };
    await addEra(await ports.snapshots(), pipeline, { layout: plan.layoutHash, origin: begun });
    if (await filler.add(plan.layoutHash, { layout, origin: begun })) return;
  }
  throw behind(plan.spec.name);
}

class Filler {
  learnedTo: number;
  private readonly on: FillContext;
  private readonly id: string;
  private readonly state: FeatureState;
  private readonly trainedUpTo: number;
  private readonly excerpt: Excerpt;

  constructor(
    on: FillContext,
    what: {
      readonly id: string;
      readonly layout: StateLayout;
      readonly state: FeatureState;
      readonly trainedUpTo: number;
    },
  ) {
    this.on = on;
    this.id = what.id;
    this.state = what.state;
    this.trainedUpTo = what.trainedUpTo;
    this.excerpt = new Excerpt(what.layout);
    this.learnedTo = sequenceOf(on.life.generation);
  }

  async writeAll(): Promise<void> {
    await this.write(keysOfState(this.state));
  }

  async behind(): Promise<number> {
    return (await this.sequence()) - this.learnedTo;
  }

  /** Learns what the others have applied until now, and writes the keys that it changed. */
  async follow(): Promise<void> {
    const { log, store } = this.on;
    const until = await this.sequence();
    if (until === this.learnedTo) return;
    await drainPending(store, log);
    const touched = new Map<string, ExcerptKey>();
    for await (const entry of log.scanApplied(this.learnedTo + 1)) {
      const { applied = 0 } = entry.record;
      if (applied > until) break;
      if (applied !== this.learnedTo + 1) throw gap(this.learnedTo + 1);
      const arrival = arrivalOf(entry);
      if (arrival !== null && arrival.transaction.time > this.trainedUpTo) {
        learnArrival(this.state, arrival);
        this.touch(touched, arrival.transaction);
      }
      this.learnedTo = applied;
    }
    if (this.learnedTo !== until) throw gap(this.learnedTo + 1);
    await this.write(this.encoded(touched.values()));
  }

  async add(hash: string, about: LayoutAbout): Promise<boolean> {
    const { store, life } = this.on;
    const { generation, current, previous } = this.state.ids.dump();
    const layout = { id: this.id, hash, about: JSON.stringify(about) };
    const ids = { generation, lists: [current, previous] };
    return store.add(layout, { marker: life.marker, sequence: this.learnedTo, watermark: this.state.watermark, ids });
  }

  private touch(touched: Map<string, ExcerptKey>, transaction: Transaction): void {
    for (const key of this.excerpt.keysOf(transaction)) touched.set(`${key.series} ${key.text}`, key);
  }

  private *encoded(keys: Iterable<ExcerptKey>): Generator<ExcerptKey & { readonly blob: Uint8Array }> {
    for (const { series, text } of keys) {
      const table = this.state.tables[series];
      const slot = table.find(text);
      if (slot >= 0) yield { series, text, blob: encodeKey(table, slot) };
    }
  }

  private async write(keys: Iterable<ExcerptKey & { readonly blob: Uint8Array }>): Promise<void> {
    let chunk: { series: number; text: string; bytes: Uint8Array }[] = [];
    let size = 0;
    const flush = async (): Promise<void> => {
      await this.on.extend();
      if (chunk.length > 0) await this.on.store.fill(this.id, chunk);
      chunk = [];
      size = 0;
    };
    for (const { series, text, blob } of keys) {
      chunk.push({ series, text, bytes: blob });
      size += blob.length;
      if (chunk.length >= CHUNK_KEYS || size >= CHUNK_BYTES) await flush();
    }
    await flush();
  }

  private async sequence(): Promise<number> {
    const head = await this.on.store.head();
    if (head === null || head.marker !== this.on.life.marker) throw behind("this pipeline");
    return head.sequence;
  }
}

function gap(applied: number): SentinelError {
  return new SentinelError("state.behind", `change ${applied} of the shared feature state is in no log`, {
    hint: "a server may be writing it just now: it is tried again",
  });
}

function behind(name: string): SentinelError {
  return new SentinelError("state.behind", `the shared state for ${name} cannot catch up with the traffic`, {
    hint: "it is tried again; in a quieter hour less is to be caught up",
  });
}
