// Shared states: the feature state that several servers keep together in one store, each of them exact.
import { randomUUID } from "node:crypto";
import {
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
} from "cockatiel";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { Transaction } from "../../core/transaction.ts";
import { Excerpt } from "../../features/excerpt.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { type FeatureState, type Learned, reachOf } from "../../features/state.ts";
import type { PredictionLog, PredictionRecord } from "../../ports/log.ts";
import type { Clock, Ports } from "../../ports/ports.ts";
import type { SharedHead, SharedStore } from "../../ports/shared-store.ts";
import type { LabelInput, OnlineStates, PredictionDraft, StateInput, StateResult, WarmState } from "./contract.ts";
import { readEras } from "./eras.ts";
import type { StateOrigin } from "./origin.ts";
import { trainedNewest } from "./saved.ts";
import {
  lookAt,
  type SharedBelief,
  type SharedPart,
  type SharedResult,
  takeLabel,
  takeTransaction,
} from "./shared/apply.ts";
import { fillLayout, type LayoutAbout } from "./shared/fill.ts";
import { addLife, generationOf, readLives, sequenceOf } from "./shared/lives.ts";
import { drainPending, Outbox } from "./shared/outbox.ts";
import { packLabel, packPrediction, unpackRecord } from "./shared/records.ts";
import { Turns } from "./shared/turns.ts";
import { Upkeep } from "./shared/upkeep.ts";

export { generationOf, readLives } from "./shared/lives.ts";
export { drainPending } from "./shared/outbox.ts";

export interface SharedStatesOptions {
  readonly pipeline: string;
  /** Told of faults that no request hears of. */
  readonly onFault?: (message: string) => void;
}

/** Beliefs that may turn out stale in a row: layouts are rarely added. */
const REFRESHES_MAX = 20;
/** A filler that has not said a word for so long is dead; restoring a large snapshot takes many seconds. */
const LOCK_MS = 60_000;
const LOCK_LOOK_MS = 100;
/** How long one waits for another process to fill a layout. */
const FILL_MS_MAX = 1_800_000;
/** After so many failures in a row the store is left alone for a moment, and answers come from the policy at once. */
const FAILURES_BEFORE_BREAK = 3;
const BREAK_MS = 500;

interface LayoutState extends WarmState {
  readonly id: string;
}

/**
 * Every transaction is read and learned by `takeTransaction`; the log gets it afterwards, in the order of the store. A process brings nothing
 * along but its connection: what it needs after a restart is in the store, and what the log has not got yet waits there.
 */
export class SharedStates implements OnlineStates {
  newestTime = Number.NEGATIVE_INFINITY;
  private readonly ports: Ports;
  private readonly store: SharedStore;
  private readonly log: PredictionLog;
  private readonly pipeline: string;
  private readonly onFault: (message: string) => void;
  private readonly outbox: Outbox;
  private readonly upkeep: Upkeep;
  private readonly turns = new Turns();
  private readonly breaker: CircuitBreakerPolicy;
  private belief: Omit<SharedBelief, "sequenceKnown"> | null = null;
  /** The largest sequence this process has heard of, in which life. */
  private known = { marker: "", sequence: 0 };
  private readonly excerpts = new Map<string, Excerpt>();
  private readonly byLayout = new Map<string, LayoutState>();
  private readonly plans = new Map<string, FeaturePlan>();
  /** Filling and adopting, one after the other. */
  private preparing: Promise<unknown> = Promise.resolve();
  private recovering: Promise<void> | null = null;
  /** The connection whose content was looked at. */
  private checkedConnection = 0;
  private fault: string | null = null;

  private constructor(
    ports: Ports,
    parts: { readonly store: SharedStore; readonly log: PredictionLog; readonly options: SharedStatesOptions },
  ) {
    const { store, log, options } = parts;
    this.ports = ports;
    this.store = store;
    this.log = log;
    this.pipeline = options.pipeline;
    this.onFault = seldom(options.onFault ?? (() => {}), ports.clock);
    this.outbox = new Outbox({ store, log, onFault: this.onFault });
    this.upkeep = new Upkeep({
      store,
      parts: () => this.belief?.parts ?? [],
      used: () => [...this.byLayout.values()].map(({ id }) => id),
      onFault: this.onFault,
    });
    this.breaker = circuitBreaker(
      handleWhen((error) => error instanceof SentinelError && error.code === "state.unreachable"),
      { halfOpenAfter: BREAK_MS, breaker: new ConsecutiveBreaker(FAILURES_BEFORE_BREAK) },
    );
  }

  /** Connects, and gives the log what a dead process left. Errors: state.unreachable, state.foreign, log.unwritable. */
  static async open(ports: Ports, store: SharedStore, options: SharedStatesOptions): Promise<SharedStates> {
    const log = await ports.log();
    const head = await store.head();
    if (head !== null) {
      const lives = await readLives(await ports.snapshots(), options.pipeline);
      if (!lives.some(({ marker }) => marker === head.marker)) throw foreign(store);
      await drainPending(store, log);
    }
    return new SharedStates(ports, { store, log, options });
  }

  get(plan: FeaturePlan): WarmState | null {
    return this.byLayout.get(plan.layoutHash) ?? null;
  }

  all(): readonly WarmState[] {
    return [...this.byLayout.values()];
  }

  warm(plan: FeaturePlan): Promise<WarmState> {
    this.plans.set(plan.layoutHash, plan);
    return this.prepare(plan);
  }

  /** Believes what is there, without a plan of one's own: enough to learn labels. False when there is nothing. */
  async follow(): Promise<boolean> {
    const head = await this.guarded(() => this.store.head());
    if (head === null) return false;
    this.adopt(head);
    this.checkedConnection = this.store.connections;
    return true;
  }

  retain(layouts: ReadonlySet<string>): void {
    for (const layout of this.plans.keys()) if (!layouts.has(layout)) this.plans.delete(layout);
    for (const layout of this.byLayout.keys()) if (!layouts.has(layout)) this.byLayout.delete(layout);
  }

  /** Everything is in the store already. */
  async persist(): Promise<void> {}

  async take({ transaction, log, judge }: StateInput): Promise<StateResult> {
    const belief = await this.believed();
    return this.turns.run(keysOf(belief, transaction), () => this.takeNow({ transaction, log, judge }));
  }

  async look<T>(transaction: Transaction, read: () => T): Promise<T> {
    for (let tries = 0; tries < REFRESHES_MAX; tries++) {
      const believed = await this.believed();
      const looked = await this.guarded(() => lookAt(this.store, believed, { transaction, read }));
      if (looked !== null) return looked.result;
      await this.refresh();
    }
    throw this.lose();
  }

  async takeLabel(taking: LabelInput): Promise<boolean> {
    const { transaction, log, fraud, source, receivedAt, review } = taking;
    // A label is never older than its transaction, which may be dated ahead of the clock.
    const knownAt = taking.knownAt ?? Math.max(await this.eventTime(receivedAt), transaction.time);
    const reviewed = review === undefined ? {} : { review };
    const draft = { transactionId: transaction.id, fraud, source, knownAt, receivedAt, ...reviewed, transaction };
    const label = { transaction, fraud, knownAt, record: packLabel(draft) };
    const belief = await this.believed();
    return this.turns.run(keysOf(belief, transaction), async () => {
      const result = await this.retried((believed) => takeLabel(this.store, believed, label));
      if (result.outcome !== "applied") throw overloaded();
      const { transaction: _, ...record } = draft;
      const logged = log.appendLabel({ ...record, applied: result.sequence });
      if (logged) this.outbox.logged(`l ${result.sequence}`);
      // What the log has no room for waits in the store, where the next drain finds it.
      return true;
    });
  }

  async answered(transactionId: string): Promise<Omit<PredictionRecord, "sequence"> | null> {
    const pending = await this.guarded(() => this.store.pendingOf(transactionId));
    const unpacked = pending === null ? null : unpackRecord(pending);
    return unpacked?.kind === "prediction" ? unpacked.record : null;
  }

  sharing(): { readonly where: string; readonly reachable: boolean; readonly fault: string | null } {
    return { where: this.store.where, reachable: this.fault === null, fault: this.fault };
  }

  async close(): Promise<void> {
    this.upkeep.close();
    await this.outbox.close();
  }

  private async takeNow({ transaction, log, judge }: StateInput): Promise<StateResult> {
    let draft!: PredictionDraft;
    let learned: Learned | null = null;
    const record = (): Uint8Array => {
      draft = judge();
      return packPrediction(draft);
    };
    let again = false;
    for (let tries = 0; tries < REFRESHES_MAX; tries++) {
      const result = await this.retried((believed) =>
        takeTransaction(this.store, believed, {
          transaction,
          record,
          receivedAt: () => draft.receivedAt,
          onLearned: (what) => {
            learned = what;
          },
          again,
        }),
      );
      if (result.outcome === "full") throw overloaded();
      if (result.outcome === "repeated") {
        const unpacked = unpackRecord(result.pending);
        if (unpacked.kind === "prediction") return { outcome: "repeated", record: unpacked.record };
      }
      if (result.outcome === "applied") {
        this.newestTime = Math.max(this.newestTime, reachOf(transaction.time, draft.receivedAt));
        const logged = log.appendPrediction({ ...draft, applied: result.sequence });
        // What the log has no room for waits in the store, where the next drain finds it.
        if (logged) this.outbox.logged(`t ${transaction.id}`);
        return { outcome: "answered", logged: true, learned, fault: null };
      }
      // Learned recently, by training or by a server whose log has it by now.
      const known = await log.find(transaction.id);
      if (known !== null && known.applied !== 0) return { outcome: "repeated", record: known };
      again = true;
    }
    throw contended(transaction);
  }

  /** Tries again with a fresh belief while the store says that ours is stale. */
  private async retried(ask: (believed: () => SharedBelief) => Promise<SharedResult>): Promise<SharedResult> {
    for (let tries = 0; tries < REFRESHES_MAX; tries++) {
      const belief = await this.believed();
      const believed = (): SharedBelief => ({ ...belief, sequenceKnown: this.known.sequence });
      const result = await this.guarded(() => ask(believed));
      if (result.outcome === "applied") this.learnSequence(belief.marker, result.sequence);
      if (result.outcome === "lost") throw this.lose();
      if (result.outcome !== "stale") return result;
      await this.refresh();
    }
    throw this.lose();
  }

  /** What is believed of the store, looked at again after a new connection. */
  private async believed(): Promise<Omit<SharedBelief, "sequenceKnown">> {
    if (this.belief === null) throw this.lose();
    if (this.checkedConnection !== this.store.connections) await this.refresh();
    if (this.belief === null) throw this.lose();
    return this.belief;
  }

  /** Follows the store's head. Throws state.behind when what it held is lost. */
  private async refresh(): Promise<void> {
    const connection = this.store.connections;
    const head = await this.guarded(() => this.store.head());
    if (head === null || (await this.isBehind(head))) throw this.lose();
    this.adopt(head);
    this.checkedConnection = connection;
  }

  /** Whether the store has gone back in time: another server knows of changes that it does not. */
  private async isBehind(head: SharedHead): Promise<boolean> {
    const { applied } = await this.log.last();
    const logged = generationOf(applied) === head.generation ? applied : 0;
    const known = Math.max(logged, this.known.marker === head.marker ? this.known.sequence : 0);
    if (known <= head.sequence) return false;
    // They may have been applied since the head was read.
    const now = await this.guarded(() => this.store.head());
    return now?.marker === head.marker && known > now.sequence;
  }

  /** Forgets what was believed and begins to make it good; answers come from the policy until then. */
  private lose(): SentinelError {
    this.belief = null;
    this.recovering ??= this.recover().finally(() => {
      this.recovering = null;
    });
    return new SentinelError("state.behind", `the feature state in ${this.store.where} is being filled again`, {
      hint: "it was emptied, or lost its last changes; answers come from the policy until it is there",
    });
  }

  private async recover(): Promise<void> {
    try {
      for (const plan of [...this.plans.values()]) await this.prepare(plan);
    } catch (error) {
      this.onFault(messageOf(error));
      await new Promise((resolve) => setTimeout(resolve, BREAK_MS));
    }
  }

  private prepare(plan: FeaturePlan): Promise<WarmState> {
    const prepared = this.preparing.then(() => this.prepareNow(plan));
    this.preparing = prepared.catch(() => {});
    return prepared;
  }

  private async prepareNow(plan: FeaturePlan): Promise<WarmState> {
    const begun = this.ports.clock.elapsed();
    while (this.ports.clock.elapsed() - begun < FILL_MS_MAX) {
      const connection = this.store.connections;
      const head = await this.guarded(() => this.store.head());
      const lacks = await this.lacks(plan, head);
      if (!lacks && head !== null) {
        this.adopt(head);
        this.checkedConnection = Math.max(1, connection);
        const one = this.byLayout.get(plan.layoutHash);
        if (one !== undefined) return one;
      }
      const lock = await this.guarded(() => this.store.lock(LOCK_MS));
      if (lock === null) {
        await new Promise((resolve) => setTimeout(resolve, LOCK_LOOK_MS));
        continue;
      }
      try {
        await this.fill(plan, async () => {
          if (!(await lock.extend())) throw this.busy();
        });
      } finally {
        await lock.release().catch(() => {});
      }
    }
    throw this.busy();
  }

  /** Under the lock: begins a new life if need be, and adds the layout. */
  private async fill(plan: FeaturePlan, extend: () => Promise<void>): Promise<void> {
    const { store, ports, pipeline, log } = this;
    const snapshots = await ports.snapshots();
    let head = await store.head();
    if (!(await this.lacks(plan, head))) return;
    if (head !== null) await drainPending(store, log);
    if (head === null || (await this.isVoid(head))) {
      const last = await log.last();
      const before = await readLives(snapshots, pipeline);
      const generation = Math.max(generationOf(last.applied), ...before.map((life) => life.generation)) + 1;
      const life = { marker: randomUUID(), generation, catchUpSequence: last.sequence };
      await addLife(snapshots, pipeline, life);
      const replaces = head?.marker ?? null;
      await store.begin({ replaces, marker: life.marker, generation, sequence: sequenceOf(generation) });
      head = await store.head();
    }
    const life = (await readLives(snapshots, pipeline)).find(({ marker }) => marker === head?.marker);
    if (life === undefined) throw foreign(store);
    await fillLayout({ ports, pipeline, store, log, life, extend }, plan);
  }

  /** Whether something must be done before the plan's layout can be used. */
  private async lacks(plan: FeaturePlan, head: SharedHead | null): Promise<boolean> {
    if (head === null) return true;
    const lives = await readLives(await this.ports.snapshots(), this.pipeline);
    if (!lives.some(({ marker }) => marker === head.marker)) throw foreign(this.store);
    if (await this.isVoid(head)) return true;
    const layout = head.layouts.find(({ hash }) => hash === plan.layoutHash);
    if (layout === undefined) return true;
    // One that began empty is filled again when training left something, and any when training knows later transactions.
    const trained = await trainedNewest(this.ports, { pipeline: this.pipeline, layout: plan.layoutHash });
    const cold = aboutOf(layout.about).origin.trainedUpTo === null;
    return trained !== null && (cold || trained > (head.newestTime ?? Number.NEGATIVE_INFINITY));
  }

  /** Whether the whole content is of no use: it lost changes that the log knows, or a server without the store has served since. */
  private async isVoid(head: SharedHead): Promise<boolean> {
    if (await this.isBehind(head)) return true;
    const eras = await readEras(await this.ports.snapshots(), this.pipeline);
    const own = eras.findLastIndex(({ origin }) => origin.shared?.generation === head.generation);
    return own >= 0 && eras.slice(own + 1).some(({ origin }) => origin.shared === undefined);
  }

  private learnSequence(marker: string, sequence: number): void {
    if (this.known.marker !== marker) this.known = { marker, sequence };
    else if (sequence > this.known.sequence) this.known = { marker, sequence };
  }

  private adopt(head: SharedHead): void {
    const parts: SharedPart[] = [];
    for (const { id, hash, about } of head.layouts) {
      const { layout, origin } = aboutOf(about);
      let excerpt = this.excerpts.get(hash);
      if (excerpt === undefined) {
        excerpt = new Excerpt(layout);
        this.excerpts.set(hash, excerpt);
      }
      parts.push({ id, excerpt });
      if (this.plans.has(hash) && this.byLayout.get(hash)?.id !== id)
        this.byLayout.set(hash, layoutStateOf(hash, { id, origin, state: excerpt.state }));
    }
    for (const hash of this.excerpts.keys()) {
      if (!this.byLayout.has(hash) && !head.layouts.some((layout) => layout.hash === hash)) this.excerpts.delete(hash);
    }
    const { marker, version, sequence, newestTime } = head;
    this.learnSequence(marker, sequence);
    // Nothing is judged by a plan whose layout is not kept up: its keys would not be brought in.
    const whole = [...this.byLayout.keys()].every((hash) => head.layouts.some((layout) => layout.hash === hash));
    this.belief = whole ? { marker, version, parts } : null;
    this.newestTime = Math.max(this.newestTime, newestTime ?? Number.NEGATIVE_INFINITY);
  }

  private async eventTime(fallback: number): Promise<number> {
    const head = await this.guarded(() => this.store.head());
    this.newestTime = Math.max(this.newestTime, head?.newestTime ?? Number.NEGATIVE_INFINITY);
    return Number.isFinite(this.newestTime) ? this.newestTime : fallback;
  }

  /** Asks the store behind a circuit breaker, and keeps what is wrong with it. */
  private async guarded<T>(ask: () => Promise<T>): Promise<T> {
    try {
      const answer = await this.breaker.execute(ask);
      this.fault = null;
      return answer;
    } catch (error) {
      if (!isBrokenCircuitError(error)) {
        if (error instanceof SentinelError && error.code === "state.unreachable") this.fault = error.message;
        throw error;
      }
      throw new SentinelError(
        "state.unreachable",
        this.fault ?? `the feature state in ${this.store.where} does not answer`,
        {
          hint: "it is tried again in a moment",
          cause: error,
        },
      );
    }
  }

  private busy(): SentinelError {
    return new SentinelError("state.behind", `another process fills the feature state in ${this.store.where}`, {
      hint: "it is tried again when that one is done",
    });
  }
}

const SAME_FAULT_MS = 30_000;

/** The same fault is reported once in a while: timers meet it every second. */
function seldom(tell: (message: string) => void, clock: Clock): (message: string) => void {
  let last = "";
  let at = Number.NEGATIVE_INFINITY;
  return (message) => {
    if (message === last && clock.elapsed() - at < SAME_FAULT_MS) return;
    last = message;
    at = clock.elapsed();
    tell(message);
  };
}

function layoutStateOf(
  layout: string,
  of: { readonly id: string; readonly origin: StateOrigin; readonly state: FeatureState },
): LayoutState {
  const { id, origin, state } = of;
  return { layout, id, state, origin, warm: origin.trainedUpTo !== null, caughtUp: 0 };
}

function aboutOf(text: string): LayoutAbout {
  return JSON.parse(text) as LayoutAbout;
}

/** The values of a transaction's keys, whatever layouts ask for them. */
function keysOf(belief: Pick<SharedBelief, "parts">, transaction: Transaction): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { excerpt } of belief.parts) {
    for (const { series, text } of excerpt.keysOf(transaction)) {
      keys.add(JSON.stringify([excerpt.layout.series[series].key, text]));
    }
  }
  return keys;
}

function foreign(store: SharedStore): SentinelError {
  return new SentinelError("state.foreign", `${store.where} holds the feature state of another workspace`, {
    hint: "give each workspace a database of its own (redis://host:6379/1), or empty this one if nobody needs it",
  });
}

function overloaded(): SentinelError {
  return new SentinelError("server.overloaded", "too many answers wait to be written to the log", {
    hint: "send it again after Retry-After seconds; look at the disk if it lasts",
  });
}

function contended(transaction: Transaction): SentinelError {
  return new SentinelError("state.contended", `transaction ${transaction.id} cannot be applied`, {
    hint: "send it again; the shared state changes its layouts too often",
  });
}
