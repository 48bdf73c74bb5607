// Warm states: the feature state of every loaded layout, warmed before it serves, kept current, saved at times.
import { SentinelError } from "../../core/errors.ts";
import type { Transaction } from "../../core/transaction.ts";
import { learnArrival } from "../../features/encode.ts";
import { type FeaturePlan, layoutOf } from "../../features/plan.ts";
import { FeatureState, type Learned, reachOf } from "../../features/state.ts";
import type { PredictionLog } from "../../ports/log.ts";
import type { Ports, SnapshotStore } from "../../ports/ports.ts";
import { type Arrival, labelKey, learnedOf, transactionKey } from "./catch-up.ts";
import type { LabelInput, OnlineStates, StateInput, StateResult, WarmState } from "./contract.ts";
import { addEra, readEras } from "./eras.ts";
import type { StateOrigin } from "./origin.ts";
import { anchorsOf, loadState, packState, type SavedState, snapshotName } from "./saved.ts";

interface LayoutState extends WarmState {
  /** The log was read up to here; what came later was learned as it arrived. */
  readonly scannedTo: number;
  /** Arrivals included in what was last saved. */
  savedAt: number;
}

/** What arrived while a state was being built, by key; a map keeps the order. */
type Meanwhile = Map<string, Arrival>;

/** Arrivals kept for a state that is being built; beyond it building starts over. */
const MEANWHILE_MAX = 200_000;
const BUILDS_MAX = 3;
/** Until the log was read to its end, all of it counts as written before the state was served. */
const CATCHING_UP = Number.MAX_SAFE_INTEGER;

/**
 * One feature state a layout: bundles with equal layouts share it. A state comes from the server's own snapshot, else
 * from training's, else begins empty; then it learns what the log holds since. Learning reaches every state, also one
 * that is still being built. Only what the log took may be learned, so that a replay of the log finds the same state.
 */
export class WarmStates implements OnlineStates {
  /** Newest event time learned: where the clock of event time stands. -Infinity before the first. */
  newestTime = Number.NEGATIVE_INFINITY;
  private readonly ports: Ports;
  private readonly pipeline: string;
  private readonly byLayout = new Map<string, LayoutState>();
  private readonly building = new Map<string, Promise<WarmState>>();
  private readonly meanwhiles = new Set<Meanwhile>();
  /** Own arrivals since the start, and the last of them: how a snapshot finds its place in the log. */
  private arrived = 0;
  private lastTransaction: string | null = null;
  private lastLabel: string | null = null;
  private saving: Promise<void> = Promise.resolve();
  private readonly anchors = new Map<string, Awaited<ReturnType<typeof anchorsOf>>>();

  constructor(ports: Ports, options: { readonly pipeline: string }) {
    this.ports = ports;
    this.pipeline = options.pipeline;
  }

  /** The state that serves a plan, or null when none was warmed. */
  get(plan: FeaturePlan): WarmState | null {
    return this.byLayout.get(plan.layoutHash) ?? null;
  }

  all(): readonly WarmState[] {
    return [...this.byLayout.values()];
  }

  /** Makes the plan's state; one that began empty is made again when training left one since. Errors: log.unreadable, state.behind. */
  async warm(plan: FeaturePlan): Promise<WarmState> {
    const layout = plan.layoutHash;
    const one = this.byLayout.get(layout);
    if (one !== undefined && (one.warm || (await this.trained(layout)) === null)) return one;
    const running = this.building.get(layout);
    if (running !== undefined) return running;
    const build = this.build(plan).finally(() => this.building.delete(layout));
    this.building.set(layout, build);
    return build;
  }

  /** In one tick: between reading the state and learning, no other transaction can come in. Only what the log took is learned. */
  take({ transaction, log, judge }: StateInput): StateResult {
    const draft = judge();
    if (!log.appendPrediction(draft)) return { outcome: "answered", logged: false, learned: null, fault: null };
    try {
      const learned = this.learn(transaction, draft.receivedAt);
      return { outcome: "answered", logged: true, learned, fault: null };
    } catch (fault) {
      return { outcome: "answered", logged: true, learned: null, fault };
    }
  }

  async look<T>(_: Transaction, read: () => T): Promise<T> {
    return read();
  }

  takeLabel({ transaction, log, fraud, source, receivedAt, review, ...given }: LabelInput): boolean {
    // The wall clock would hide labels of replayed (older) traffic for years, since a feature sees a label only from knownAt on.
    const now = Number.isFinite(this.newestTime) ? this.newestTime : receivedAt;
    // A label is never older than its transaction, which may be dated ahead of the clock.
    const knownAt = given.knownAt ?? Math.max(now, transaction.time);
    const reviewed = review === undefined ? {} : { review };
    if (!log.appendLabel({ transactionId: transaction.id, fraud, knownAt, source, receivedAt, ...reviewed }))
      return false;
    this.learnLabel({ transaction, fraud, knownAt, receivedAt });
    return true;
  }

  async answered(): Promise<null> {
    return null;
  }

  sharing(): null {
    return null;
  }

  async close(): Promise<void> {}

  /** Learns a transaction that the log took; `receivedAt` as in the log. Null when there is no state yet. */
  learn(tx: Transaction, receivedAt: number): Learned | null {
    this.arrived++;
    this.lastTransaction = tx.id;
    this.lastLabel = null;
    this.newestTime = Math.max(this.newestTime, reachOf(tx.time, receivedAt));
    const arrival: Arrival = { kind: "transaction", key: transactionKey(tx.id), transaction: tx, receivedAt };
    let learned: Learned | null = null;
    for (const one of this.byLayout.values()) learned = learnArrival(one.state, arrival) ?? learned;
    this.keepMeanwhile(arrival);
    return learned;
  }

  /** Learns a label that the log took; `receivedAt` as in the log. */
  learnLabel(label: {
    readonly transaction: Transaction;
    readonly fraud: boolean;
    readonly knownAt: number;
    readonly receivedAt: number;
  }): void {
    this.arrived++;
    const { transaction, fraud, knownAt, receivedAt } = label;
    const key = labelKey({ transactionId: transaction.id, knownAt, receivedAt });
    const arrival: Arrival = { kind: "label", key, transaction, fraud, knownAt };
    for (const one of this.byLayout.values()) learnArrival(one.state, arrival);
    this.lastLabel = key;
    this.keepMeanwhile(arrival);
  }

  /** Drops states whose layout is not named. They can be warmed again from their last snapshot and the log. */
  retain(layouts: ReadonlySet<string>): void {
    for (const layout of this.byLayout.keys()) if (!layouts.has(layout)) this.byLayout.delete(layout);
  }

  /** Saves every state that learned since it was last saved. One save at a time. */
  persist(): Promise<void> {
    this.saving = this.saving.catch(() => {}).then(() => this.save());
    return this.saving;
  }

  private async save(): Promise<void> {
    const [log, store] = await Promise.all([this.ports.log(), this.ports.snapshots()]);
    for (const one of [...this.byLayout.values()]) {
      if (one.savedAt === this.arrived) continue;
      // In one tick: the state and the place in the log that it stands for. The rest is written between requests.
      const slices = one.state.snapshotInSlices();
      let step = slices.next();
      const mark = { transaction: this.lastTransaction, label: this.lastLabel, from: one.scannedTo };
      const at = this.arrived;
      const newestTime = Number.isFinite(this.newestTime) ? this.newestTime : null;
      while (!step.done) {
        await new Promise((resolve) => setImmediate(resolve));
        step = slices.next();
      }
      const sequence = await locate(log, mark);
      const { layout, origin } = one;
      const name = snapshotName("serve", { pipeline: this.pipeline, layout });
      const packed = packState({ layout, origin, sequence, newestTime }, step.value);
      await store.save(name, packed);
      await this.keepAnchor({ log, store, layout, sequence, packed });
      one.savedAt = at;
    }
  }

  /** Once the log forgets entries, a replay needs a state to begin with; the older of two makes place when the newer is half a log old. */
  private async keepAnchor(of: {
    readonly log: PredictionLog;
    readonly store: SnapshotStore;
    readonly layout: string;
    readonly sequence: number;
    readonly packed: readonly Uint8Array[];
  }): Promise<void> {
    const { log, store, layout, sequence, packed } = of;
    const { through } = await log.begin();
    if (through === 0) return;
    const about = { pipeline: this.pipeline, layout };
    const anchors = this.anchors.get(layout) ?? (await anchorsOf(this.ports, about));
    const [older, newer] = [...anchors].sort((a, b) => a.sequence - b.sequence);
    const isYoung = sequence - newer.sequence < (sequence - through) / 2;
    if (newer.sequence < through || !isYoung) {
      await store.save(snapshotName(older.kind, about), packed);
      this.anchors.set(layout, [newer, { kind: older.kind, sequence }]);
    } else this.anchors.set(layout, anchors);
  }

  private async build(plan: FeaturePlan): Promise<WarmState> {
    for (let attempt = 1; ; attempt++) {
      const meanwhile: Meanwhile = new Map();
      this.meanwhiles.add(meanwhile);
      try {
        const one = await this.buildOnce(plan, meanwhile);
        if (one !== null) return one;
      } finally {
        this.meanwhiles.delete(meanwhile);
      }
      if (attempt === BUILDS_MAX) throw behind(plan);
    }
  }

  /** Null when more arrived meanwhile than is kept. */
  private async buildOnce(plan: FeaturePlan, meanwhile: Meanwhile): Promise<WarmState | null> {
    const [log, store] = await Promise.all([this.ports.log(), this.ports.snapshots()]);
    const start = await this.startOf(plan, { log, store });
    const { state, origin } = start;
    const { through } = start.fresh ? await log.begin() : { through: 0 };
    let scannedTo = start.sequence;
    let caughtUp = 0;
    for await (const entry of log.arrivals(start.sequence + 1)) {
      const arrival = learnedOf(entry);
      if (arrival === null) continue;
      scannedTo = arrival.sequence;
      meanwhile.delete(arrival.key);
      if (arrival.kind === "transaction") {
        const reach = reachOf(arrival.transaction.time, arrival.receivedAt ?? Number.POSITIVE_INFINITY);
        this.newestTime = Math.max(this.newestTime, reach);
      }
      if (!isLearned(origin, arrival)) continue;
      learnArrival(state, arrival);
      caughtUp++;
    }
    const forgotten = through > 0 ? { forgotten: through } : {};
    const settled = start.fresh ? { ...origin, catchUpSequence: scannedTo, ...forgotten } : origin;
    if (start.fresh) await addEra(store, this.pipeline, { layout: plan.layoutHash, origin: settled });
    if (meanwhile.size >= MEANWHILE_MAX) return null;
    // From here to the end in one tick, so that nothing arrives between the last of these and the first one served.
    for (const arrival of meanwhile.values()) learnArrival(state, arrival);
    this.newestTime = Math.max(this.newestTime, start.newestTime ?? Number.NEGATIVE_INFINITY);
    const warm = origin.trainedUpTo !== null;
    return this.install({ layout: plan.layoutHash, state, warm, origin: settled, caughtUp, scannedTo, savedAt: -1 });
  }

  private install(one: LayoutState): WarmState {
    this.byLayout.set(one.layout, one);
    return one;
  }

  /** Where to begin: the snapshot that knows the later transaction, the server's own when both know the same. */
  private async startOf(
    plan: FeaturePlan,
    from: { readonly log: PredictionLog; readonly store: SnapshotStore },
  ): Promise<Start> {
    const layout = plan.layoutHash;
    const own = await this.ofThisLog(await this.load("serve", layout), from.log);
    const trained = await this.trained(layout);
    const latest = (await from.log.recent(1))[0];
    const newest = latest === undefined ? Number.NEGATIVE_INFINITY : reachOf(latest.time, latest.receivedAt);
    const ownNewest = own === null ? Number.NEGATIVE_INFINITY : Math.max(own.newestTime ?? newest, newest);
    const stale =
      own !== null && trained !== null && (own.origin.trainedUpTo === null || trained.newestTime! > ownNewest);
    const eras = await readEras(from.store, this.pipeline);
    const found = eras.findLast((era) => era.layout === layout)?.origin;
    // While servers shared a state, this process's own was not kept up.
    const shared = found?.shared !== undefined;
    const last = shared ? undefined : found;
    if (own !== null && !stale && !shared) return { ...own, fresh: false };
    if (trained === null) {
      const empty = { dataHash: "", dataPath: "", trainedUpTo: null, catchUpSequence: CATCHING_UP };
      const fresh = last === undefined || last.trainedUpTo !== null;
      const state = new FeatureState(layoutOf([plan]));
      return { state, origin: fresh ? empty : last, sequence: 0, newestTime: null, fresh };
    }
    const { dataHash, trainedUpTo } = trained.origin;
    const same = last !== undefined && last.dataHash === dataHash && last.trainedUpTo === trainedUpTo;
    // A server that was killed before its first save goes on in the era it was in.
    const origin = same ? last : { ...trained.origin, catchUpSequence: CATCHING_UP };
    return { ...trained, origin, fresh: !same };
  }

  /**
   * Null for a state that knows entries which the log has not got, such as beside a log from an older backup: those that the log gives
   * their numbers to would never be learned, and a replay could not follow.
   */
  private async ofThisLog(own: SavedState | null, log: PredictionLog): Promise<SavedState | null> {
    const { sequence } = await log.last();
    if (own === null || own.sequence <= sequence) return own;
    const what = `it knows the log up to entry ${own.sequence}, and the log ends at ${sequence}`;
    this.ports.report.line(`feature state of the server is left aside: ${what}`);
    return null;
  }

  private trained(layout: string): Promise<SavedState | null> {
    return this.load("train", layout);
  }

  private load(kind: "train" | "serve", layout: string): Promise<SavedState | null> {
    return loadState(this.ports, kind, { pipeline: this.pipeline, layout });
  }

  private keepMeanwhile(arrival: Arrival): void {
    for (const meanwhile of this.meanwhiles) {
      if (meanwhile.size < MEANWHILE_MAX) meanwhile.set(arrival.key, arrival);
    }
  }
}

/** Whether a state of this origin learns a log entry; a replay asks the same. */
export function isLearned(
  origin: StateOrigin,
  arrival: { readonly sequence: number; readonly transaction: Transaction },
): boolean {
  return arrival.sequence > origin.catchUpSequence || arrival.transaction.time > (origin.trainedUpTo ?? -Infinity);
}

function behind(plan: FeaturePlan): SentinelError {
  return new SentinelError("state.behind", `the state for ${plan.spec.name} cannot catch up with the traffic`, {
    hint: "it is tried again; start the server anew in a quieter hour, or train on newer data so that less is to be caught up",
  });
}

interface Start {
  readonly state: FeatureState;
  readonly origin: StateOrigin;
  readonly sequence: number;
  readonly newestTime: number | null;
  /** True when this begins a new era. */
  readonly fresh: boolean;
}

/** The log entry of the last own arrival: the last transaction, or the label that came after it. */
async function locate(
  log: PredictionLog,
  mark: { readonly transaction: string | null; readonly label: string | null; readonly from: number },
): Promise<number> {
  await log.flush();
  const found = mark.transaction === null ? null : await log.find(mark.transaction);
  const sequence = Math.max(found?.sequence ?? 0, mark.from);
  if (mark.label === null) return sequence;
  for await (const entry of log.scan(sequence + 1)) {
    if (entry.kind === "label" && labelKey(entry.record) === mark.label) return entry.record.sequence;
  }
  return sequence;
}
