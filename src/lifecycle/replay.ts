// Replay: recompute every logged vector and score from raw history, and demand the same bits.

import { DECISIONS, type Decision, decide } from "../core/decision.ts";
import { messageOf } from "../core/errors.ts";
import type { RuleOutcome } from "../core/rule.ts";
import type { Table } from "../core/table.ts";
import type { Transaction } from "../core/transaction.ts";
import { encode, learnArrival } from "../features/encode.ts";
import type { FeaturePlan } from "../features/plan.ts";
import { layoutOf } from "../features/plan.ts";
import { FeatureState } from "../features/state.ts";
import { type InputReport, InputTally } from "../features/trained-inputs.ts";
import { ReviewBudget } from "../online/adapt.ts";
import { drawnBeside, type Explorer, explorerOf } from "../online/explore.ts";
import { type JudgedBy, loadVersion, type Scorer } from "../online/score.ts";
import {
  anchorsOf,
  arrivalOf,
  arrivals,
  drainPending,
  type Era,
  generationOf,
  isLearned,
  type LogArrival,
  loadState,
  readEras,
  readLives,
  type StateOrigin,
} from "../online/states.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { LogBegin, PredictionLog, PredictionRecord } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { inputsOfTable } from "./data/served.ts";
import { vectorsOf } from "./data/vectors.ts";
import { type Forgotten, isForgotten, Taint } from "./replay/forgotten.ts";
import { outcomeFault, ReplayedRules, type ReplayedState } from "./replay/rules.ts";

export type { Forgotten } from "./replay/forgotten.ts";

/**
 * One value that came out differently. A difference in the score has the feature "(score)"; in the decision "(decision)", whose numbers
 * are 0 approve, 1 review, 2 block; in the chance of being let through "(propensity)"; in a threshold that follows the budget "(review threshold)".
 */
export interface Mismatch {
  readonly transactionId: string;
  readonly feature: string;
  readonly logged: number;
  readonly replayed: number;
}

export interface ReplayReport {
  readonly predictions: number;
  /** Vectors that were compared. */
  readonly compared: number;
  readonly scoresCompared: number;
  /** Draws (`decisions.explore`) made again, and those that were made by rules which the pipeline no longer has. */
  readonly draws: { readonly compared: number; readonly byOtherRules: number };
  /**
   * Review thresholds that follow the budget (`decisions.adapt`) computed again, those of other settings than the pipeline's, and those
   * that follow scores which the log has forgotten.
   */
  readonly thresholds: { readonly compared: number; readonly byOtherRules: number; readonly unknown: number };
  /** Outcomes of rules that were compared, and those that could not be: the set or the state of its windows is gone. */
  readonly rulesCompared: number;
  readonly rulesSkipped: number;
  readonly rulesMismatchCount: number;
  readonly rulesMismatches: readonly RulesMismatch[];
  /** Predictions that could not be compared, by reason. */
  readonly skipped: Readonly<Record<SkipReason, number>>;
  /** How many values differ; `mismatches` has the first of them. */
  readonly mismatchCount: number;
  readonly mismatches: readonly Mismatch[];
  /** Changes of a shared feature state that no log has: vectors after them cannot be recomputed. */
  readonly missing: number;
  readonly verdict: "pass" | "fail";
  readonly reasons: readonly string[];
  /** By layout: whether the table knows the keys that were served, which equal bits say nothing of. */
  readonly served: readonly InputReport[];
}

/** An outcome of the rules that came out differently. */
export interface RulesMismatch {
  readonly transactionId: string;
  readonly what: string;
}

/**
 * degraded: the policy answered. no-origin: the server kept no era for its layout. bundle-gone: the registry has not got it any more.
 * history-pruned: its state learned entries that the log has forgotten (log.retention), so that nothing can be recomputed. forgotten: it is of a person
 * who was forgotten, or its windows count values of such a person.
 */
export type SkipReason = "degraded" | "no-origin" | "bundle-gone" | "history-pruned" | "forgotten";

export interface ReplayInput {
  readonly pipeline: Pipeline;
  /** The table that training replayed, canonical names; the caller reads it and checks `dataHash`. */
  readonly history: (origin: StateOrigin, plan: FeaturePlan) => Promise<Table>;
  /** A version's bundle; from the registry when absent. */
  readonly loadBundle?: (version: string) => Promise<Scorer>;
  readonly mismatchesMax?: number;
  /** What was erased of persons; absent: nobody was. */
  readonly forgotten?: Forgotten;
}

const MISMATCHES_MAX = 100;
/** Different bundles in one log that a replay holds in memory. */
const BUNDLES_MAX = 100;

/**
 * Follows the server's own way: each layout's state begins where the server's began (its eras), and the log is learned in
 * order of arrival, or in the order of the state that several servers shared. Vectors compare as Float32 bits (one NaN equals
 * another), scores as numbers. A log that a server is writing may be replayed; what comes in meanwhile is left for the next
 * time. Errors: log.unreadable, what `history` throws.
 */
export async function replay(ports: Ports, input: ReplayInput): Promise<ReplayReport> {
  const eras = await readEras(await ports.snapshots(), input.pipeline.name);
  const explorer = explorerOf(input.pipeline);
  const bundles = new Bundles(input.loadBundle ?? ((version) => fromRegistry(ports, input.pipeline.model, version)));
  const tracks = new Tracks(eras, input, ports);
  const tally = new Tally(input.mismatchesMax ?? MISMATCHES_MAX);
  const log = await ports.log();
  await log.flush();
  const until = await drainOwn(ports, input.pipeline.name);
  // A layout's state must begin before the log's first entry, so the bundles are looked up first.
  const plans = new Map<string, FeaturePlan>();
  for (const answered of await log.bundles()) {
    const scorer = await bundles.get(answered);
    if (scorer !== null) plans.set(scorer.plan.layoutHash, scorer.plan);
  }
  const rules = await ReplayedRules.open(ports, { pipeline: input.pipeline, log, models: [...plans.values()] });
  for (const plan of rules?.plans ?? []) plans.set(plan.layoutHash, plan);
  const begin = await log.begin();
  for (const plan of plans.values()) await tracks.open(plan, begin);
  // Changes up to where the log begins were forgotten, not lost.
  const onGap = (from: number, to: number): void => tally.gap(Math.max(from, begin.applied + 1), to);
  const on = { tracks, until, onGap };
  const pruned = begin.through > 0;
  const budget = new ReviewBudget(input.pipeline.decisions, { whole: !pruned });
  const taint = new Taint(input.forgotten);
  for await (const arrival of inOrder(log, on)) {
    if (arrival.record === null) continue;
    await compare(arrival.record, { arrival, bundles, tracks, tally, rules, explorer, budget, pruned, taint });
    budget.observe(arrival.record);
  }
  return { ...tally.report(), served: tracks.served() };
}

/**
 * Every arrival in the order in which the states learned it, before the tracks learn it: first in the log's order, then in that
 * of the shared states. A prediction comes once, where its vector was read.
 */
async function* inOrder(
  log: PredictionLog,
  on: {
    readonly tracks: Tracks;
    /** The last change of the shared state that is looked at. */
    readonly until: number;
    readonly onGap: (from: number, to: number) => void;
  },
): AsyncGenerator<LogArrival> {
  const { tracks, until, onGap } = on;
  for await (const arrival of arrivals(log, 0)) {
    if ((arrival.record?.applied ?? 0) === 0) yield arrival;
    tracks.learn(arrival);
  }
  let before = 0;
  for await (const entry of log.scanApplied(1)) {
    const { applied = 0 } = entry.record;
    if (applied > until) break;
    if (before > 0 && generationOf(before) === generationOf(applied)) onGap(before + 1, applied);
    before = applied;
    const arrival = arrivalOf(entry);
    if (arrival === null) continue;
    yield arrival;
    tracks.learnApplied(arrival, applied);
  }
  if (Number.isFinite(until) && generationOf(before) === generationOf(until)) onGap(before + 1, until + 1);
}

/**
 * Gives the log what a dead server left in the shared store. The last change applied; no limit where nothing is shared, or where
 * the store does not answer (which is reported, since the log alone may lack the last changes).
 */
async function drainOwn(ports: Ports, pipeline: string): Promise<number> {
  if (ports.shared === undefined) return Number.POSITIVE_INFINITY;
  try {
    const store = await ports.shared();
    const head = await store.head();
    const lives = await readLives(await ports.snapshots(), pipeline);
    if (head === null || !lives.some(({ marker }) => marker === head.marker)) return Number.POSITIVE_INFINITY;
    await drainPending(store, await ports.log());
    return head.sequence;
  } catch (error) {
    ports.report.line(`the log is taken as it is: ${messageOf(error)}`);
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * The vector that a plan's features had when the server answered a logged transaction, from raw history; null when the
 * server kept no state for them then. Errors: log.unreadable, what `history` throws.
 */
export async function vectorAt(
  ports: Ports,
  input: Pick<ReplayInput, "pipeline" | "history"> & { readonly plan: FeaturePlan; readonly transactionId: string },
): Promise<Float32Array | null> {
  const { plan, transactionId } = input;
  const tracks = new Tracks(await readEras(await ports.snapshots(), input.pipeline.name), input, ports);
  const log = await ports.log();
  await log.flush();
  await tracks.open(plan, await log.begin());
  const until = await drainOwn(ports, input.pipeline.name);
  for await (const { record, transaction } of inOrder(log, { tracks, until, onGap: () => {} })) {
    if (record?.transactionId !== transactionId) continue;
    const track = tracks.at(plan, record);
    if (track === null || track.state === null || record.sequence <= track.from) return null;
    return encode(track.state, plan, transaction);
  }
  return null;
}

/** A version from the registry, verified and proven. */
export async function fromRegistry(ports: Ports, model: string, version: string): Promise<Scorer> {
  return loadVersion(await ports.registry(), { model, version });
}

interface Comparing {
  readonly arrival: LogArrival;
  readonly bundles: Bundles;
  readonly tracks: Tracks;
  readonly tally: Tally;
  readonly rules: ReplayedRules | null;
  readonly explorer: Explorer | null;
  readonly budget: ReviewBudget;
  /** Whether the log has forgotten its first entries: since when a state that began empty has seen everything is not known. */
  readonly pruned: boolean;
  readonly taint: Taint;
}

async function compare(record: PredictionRecord, on: Comparing): Promise<void> {
  const { tally, taint } = on;
  tally.predictions++;
  if (isForgotten(record)) {
    taint.add(on.arrival.transaction);
    if (record.rules !== undefined) tally.skipRules();
    return tally.skip("forgotten");
  }
  // Without a bundle the pipeline has no model: there is no vector to recompute.
  const scorer = record.bundle === "" ? null : await on.bundles.get(record);
  if (record.rules !== undefined) await compareRules({ ...record, rules: record.rules }, { ...on, scorer });
  if (record.bundle === "") return;
  if (record.degraded) return tally.skip("degraded");
  if (scorer === null) return tally.skip("bundle-gone");
  const track = on.tracks.at(scorer.plan, record);
  if (track === null) return tally.skip("no-origin");
  const { state } = track;
  if (track.forgotten) return tally.skip("forgotten");
  if (state === null || record.sequence <= track.from) return tally.skip("history-pruned");
  track.inputs?.add(on.arrival.transaction);
  const { plan } = scorer;
  const vector = encode(state, plan, on.arrival.transaction);
  const pair = { names: plan.names, logged: record.vector, replayed: vector };
  if (taint.explains(plan, { transaction: on.arrival.transaction, ...pair })) return tally.skip("forgotten");
  tally.vector({ id: record.transactionId, names: plan.names, logged: record.vector, replayed: vector });
  const { tolerance } = scorer;
  const answer = scorer.score(vector);
  tally.score(record.transactionId, { logged: record.score, replayed: answer.score, tolerance });
  const { judged } = answer;
  const { block } = judged?.thresholds ?? scorer.manifest.thresholds;
  const review =
    judged === undefined ? reviewOf(record, { scorer, budget: on.budget, tally }) : judgedReview(record, judged, tally);
  // Where another machine may round the score differently, one beside a threshold may fall on either side.
  if (tolerance > 0 && [review, block].some((edge) => Math.abs(answer.score - edge) <= tolerance)) return;
  compareDecision(record, {
    transaction: on.arrival.transaction,
    model:
      record.adapted === undefined || judged !== undefined ? answer.decision : decide(answer.score, { review, block }),
    explorer: on.explorer,
    tally,
  });
}

/** The policy's thresholds again, compared with those that the record names. */
function judgedReview(
  { transactionId, adapted }: PredictionRecord,
  { thresholds, segment }: JudgedBy,
  tally: Tally,
): number {
  tally.thresholds.compared++;
  const logged = { review: adapted?.review ?? Number.NaN, block: adapted?.block ?? Number.NaN };
  tally.value({ transactionId, feature: "(review threshold)", logged: logged.review, replayed: thresholds.review });
  tally.value({ transactionId, feature: "(block threshold)", logged: logged.block, replayed: thresholds.block });
  if ((adapted?.segment ?? null) !== segment)
    tally.value({ transactionId, feature: "(segment)", logged: 0, replayed: 1 });
  return thresholds.review;
}

/** The threshold that judged a record: the bundle's own, or the one it names, which is computed again. */
function reviewOf(
  record: PredictionRecord,
  on: { readonly scorer: Scorer; readonly budget: ReviewBudget; readonly tally: Tally },
): number {
  const { scorer, budget, tally } = on;
  const { thresholds } = scorer.manifest;
  const { adapted, bundle, receivedAt, transactionId } = record;
  if (adapted === undefined) return thresholds.review;
  if (adapted.rules !== budget.rules) tally.thresholds.byOtherRules++;
  else if (!budget.isDetermined(bundle)) tally.thresholds.unknown++;
  else {
    tally.thresholds.compared++;
    const replayed = budget.reviewFor({ bundle, thresholds, receivedAt });
    tally.value({ transactionId, feature: "(review threshold)", logged: adapted.review, replayed });
  }
  return adapted.review;
}

/** What the model decided, and what a draw made of it. */
function compareDecision(
  record: PredictionRecord,
  on: {
    readonly transaction: Transaction;
    readonly model: Decision;
    readonly explorer: Explorer | null;
    readonly tally: Tally;
  },
): void {
  const { tally, explorer, model } = on;
  const { transactionId, decision, explored, rules } = record;
  if (explored === undefined) {
    // What rules made of it is compared on its own.
    tally.decision(transactionId, { logged: rules?.without ?? decision, replayed: model });
    return;
  }
  // A draw is only ever about what the model blocks; what it came to is another question.
  tally.decision(transactionId, { logged: "block", replayed: model });
  if (explorer?.rules !== explored.rules) {
    tally.draws.byOtherRules++;
    return;
  }
  tally.draws.compared++;
  const drawn = explorer.draw(on.transaction);
  const replayed = drawn === null ? "block" : drawnBeside(drawn.decision, rules);
  tally.decision(transactionId, { logged: decision, replayed });
  tally.value({
    transactionId,
    feature: "(propensity)",
    logged: explored.propensity,
    replayed: drawn?.explored.propensity ?? 0,
  });
}

async function compareRules(
  record: PredictionRecord & { readonly rules: RuleOutcome },
  on: Comparing & { readonly scorer: Scorer | null },
): Promise<void> {
  const { rules, tracks, tally, scorer } = on;
  const { transaction } = on.arrival;
  const stateOf = (plan: FeaturePlan): ReplayedState | null => {
    const track = tracks.at(plan, record);
    if (track === null || track.state === null || record.sequence <= track.from) return null;
    const warm = track.origin.trainedUpTo !== null;
    return warm || !on.pruned ? { state: track.state, warm } : null;
  };
  const gone = rules === null || (record.bundle !== "" && scorer === null);
  const model = scorer === null || record.degraded ? null : stateOf(scorer.plan);
  if (gone || (scorer !== null && !record.degraded && model === null)) return tally.skipRules();
  let answer = null;
  if (scorer !== null && model !== null) {
    const vector = encode(model.state, scorer.plan, transaction);
    answer = { vector, ...scorer.score(vector) };
  }
  const replayed = await rules.ask(record, { transaction, scorer, answer, stateOf });
  if (replayed === null) return tally.skipRules();
  const plans = [...rules.plans, ...(scorer === null ? [] : [scorer.plan])];
  if (plans.some((plan) => on.taint.reaches(plan, transaction))) return tally.skipRules();
  // A draw comes after the rules, and only where they left the model's block standing.
  const decision = record.explored === undefined ? record.decision : "block";
  tally.rules(record.transactionId, outcomeFault({ decision, outcome: record.rules }, replayed));
}

/** One state with the stretch of the log over which the server's state was the same. */
interface Track {
  readonly layout: string;
  readonly origin: StateOrigin;
  /** The last entry before the next era of this layout; for a shared state the last change. */
  readonly until: number;
  /** The last entry that the state begins with; those before it are not recomputed. */
  readonly from: number;
  /** null: it cannot be made again, because the log forgot entries that it learned. */
  readonly state: FeatureState | null;
  /** What was served, beside the table that the state began with; null where it began empty or later. */
  readonly inputs: InputTally | null;
  /** A person was erased from the table that it began with. */
  readonly forgotten: boolean;
}

class Tracks {
  private readonly eras: readonly Era[];
  private readonly input: ReplayInput;
  private readonly ports: Ports;
  private readonly tracks: Track[] = [];

  constructor(eras: readonly Era[], input: ReplayInput, ports: Ports) {
    this.eras = eras;
    this.input = input;
    this.ports = ports;
  }

  async open(plan: FeaturePlan, begin: LogBegin): Promise<void> {
    const own = this.eras.filter((era) => era.layout === plan.layoutHash);
    for (const [index, { layout, origin }] of own.entries()) {
      const until = endOf(origin, own[index + 1]?.origin);
      if (until <= (origin.shared?.from ?? origin.catchUpSequence)) continue;
      if (!hasForgotten(origin, begin)) {
        this.tracks.push({ layout, origin, until, from: 0, ...(await this.begin(plan, origin)) });
        continue;
      }
      const anchor = await this.anchor({ layout, origin, through: begin.through });
      this.tracks.push({
        layout,
        origin,
        until,
        from: anchor?.sequence ?? 0,
        state: anchor?.state ?? null,
        inputs: null,
        forgotten: false,
      });
    }
  }

  /** The state that stands for the server's when it answered this entry. */
  at(plan: FeaturePlan, record: PredictionRecord): Track | null {
    const { sequence, applied = 0 } = record;
    const track = this.tracks.find(({ layout, origin, until }) => {
      const { shared, catchUpSequence } = origin;
      if (layout !== plan.layoutHash || (shared !== undefined) !== applied > 0) return false;
      if (shared === undefined) return sequence > catchUpSequence && sequence <= until;
      return generationOf(applied) === shared.generation && applied > shared.from && applied <= until;
    });
    return track ?? null;
  }

  served(): readonly InputReport[] {
    const reports = this.tracks.map(({ inputs }) => inputs?.report({ examples: true }));
    return reports.filter((report) => report !== undefined && report.rows > 0) as InputReport[];
  }

  /** In the log's order: a shared state learned only its history so. */
  learn(arrival: LogArrival): void {
    for (const { origin, until, from, state } of this.tracks) {
      if (state === null || arrival.sequence <= from) continue;
      const history = origin.shared === undefined || arrival.sequence <= origin.catchUpSequence;
      if (history && arrival.sequence <= until && isLearned(origin, arrival)) learnArrival(state, arrival);
    }
  }

  /** In the shared state's order. */
  learnApplied(arrival: LogArrival, applied: number): void {
    for (const { origin, until, state } of this.tracks) {
      const { shared } = origin;
      if (state === null || shared === undefined || generationOf(applied) !== shared.generation || applied > until)
        continue;
      if (applied > shared.from || arrival.transaction.time > (origin.trainedUpTo ?? -Infinity)) {
        learnArrival(state, arrival);
      }
    }
  }

  /** The oldest state of this era that the server saved and whose entries since the log still has. */
  private async anchor(of: {
    readonly layout: string;
    readonly origin: StateOrigin;
    readonly through: number;
  }): Promise<{ readonly sequence: number; readonly state: FeatureState } | null> {
    const { layout, origin, through } = of;
    const about = { pipeline: this.input.pipeline.name, layout };
    const anchors = (await anchorsOf(this.ports, about)).filter(({ sequence }) => sequence > 0 && sequence >= through);
    for (const { kind } of [...anchors].sort((a, b) => a.sequence - b.sequence)) {
      const saved = await loadState(this.ports, kind, about);
      const isOfEra =
        saved?.origin.dataHash === origin.dataHash && saved.origin.catchUpSequence === origin.catchUpSequence;
      if (saved !== null && isOfEra) return saved;
    }
    return null;
  }

  private async begin(plan: FeaturePlan, origin: StateOrigin): Promise<Pick<Track, "state" | "inputs" | "forgotten">> {
    const none = { inputs: null, forgotten: false };
    if (origin.trainedUpTo === null) return { state: new FeatureState(layoutOf([plan])), ...none };
    const { pipeline, forgotten } = this.input;
    if (forgotten?.isTable(origin.dataPath) === true) return { state: null, ...none, forgotten: true };
    const table = await this.input.history(origin, plan);
    const { state } = vectorsOf(table, { plan, pipeline, report: this.ports.report });
    const trained = inputsOfTable(table, { pipeline, plan, dataHash: origin.dataHash ?? "" });
    return { state, inputs: new InputTally(plan, trained), forgotten: false };
  }
}

/**
 * Whether a state of this origin learned something that the log has forgotten. Up to catchUpSequence it learned only transactions
 * newer than its table; all that came after.
 */
function hasForgotten(origin: StateOrigin, begin: LogBegin): boolean {
  if (begin.through <= (origin.forgotten ?? 0)) return false;
  if (origin.shared !== undefined && begin.applied > origin.shared.from) return true;
  return begin.through > origin.catchUpSequence || begin.time > (origin.trainedUpTo ?? Number.NEGATIVE_INFINITY);
}

/** The last change (or log entry) before the layout's next era. */
function endOf(origin: StateOrigin, next: StateOrigin | undefined): number {
  if (next === undefined) return Number.MAX_SAFE_INTEGER;
  if (origin.shared === undefined) return next.catchUpSequence;
  const same = next.shared?.generation === origin.shared.generation;
  return same ? next.shared!.from : Number.MAX_SAFE_INTEGER;
}

class Bundles {
  private readonly load: (version: string) => Promise<Scorer>;
  private readonly known = new Map<string, Scorer | null>();

  constructor(load: (version: string) => Promise<Scorer>) {
    this.load = load;
  }

  /** Null when the registry has not got this very bundle. */
  async get(record: Pick<PredictionRecord, "version" | "bundle">): Promise<Scorer | null> {
    const key = `${record.version} ${record.bundle}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    if (this.known.size >= BUNDLES_MAX) return null;
    const loaded = await this.load(record.version).catch(() => null);
    const scorer = loaded?.bundle === record.bundle ? loaded : null;
    this.known.set(key, scorer);
    return scorer;
  }
}

class Tally {
  predictions = 0;
  private compared = 0;
  private scoresCompared = 0;
  private mismatchCount = 0;
  private missing = 0;
  private missingFirst = 0;
  private readonly skipped: Record<SkipReason, number> = {
    degraded: 0,
    "no-origin": 0,
    "bundle-gone": 0,
    "history-pruned": 0,
    forgotten: 0,
  };
  readonly draws = { compared: 0, byOtherRules: 0 };
  readonly thresholds = { compared: 0, byOtherRules: 0, unknown: 0 };
  private rulesCompared = 0;
  private rulesSkipped = 0;
  private rulesMismatchCount = 0;
  private readonly rulesMismatches: RulesMismatch[] = [];
  private readonly mismatches: Mismatch[] = [];
  private readonly mismatchesMax: number;

  constructor(mismatchesMax: number) {
    this.mismatchesMax = mismatchesMax;
  }

  skip(reason: SkipReason): void {
    this.skipped[reason]++;
  }

  /** Changes [from, to) are in no log. */
  gap(from: number, to: number): void {
    if (to <= from) return;
    if (this.missing === 0) this.missingFirst = from;
    this.missing += to - from;
  }

  vector(pair: {
    readonly id: string;
    readonly names: readonly string[];
    readonly logged: Float32Array;
    readonly replayed: Float32Array;
  }): void {
    this.compared++;
    const { id, names, logged, replayed } = pair;
    for (let i = 0; i < Math.max(logged.length, replayed.length); i++) {
      // A value that is missing on one side is a difference too, so undefined is compared as itself.
      if (Object.is(logged[i], replayed[i])) continue;
      const values = { logged: logged[i] ?? Number.NaN, replayed: replayed[i] ?? Number.NaN };
      this.mismatch({ transactionId: id, feature: names[i] ?? `#${i}`, ...values });
    }
  }

  score(
    transactionId: string,
    pair: { readonly logged: number; readonly replayed: number; readonly tolerance: number },
  ): void {
    this.scoresCompared++;
    const { logged, replayed, tolerance } = pair;
    const isSame = Object.is(logged, replayed) || Math.abs(logged - replayed) <= tolerance;
    if (!isSame) this.mismatch({ transactionId, feature: "(score)", logged, replayed });
  }

  decision(
    transactionId: string,
    { logged, replayed }: { readonly logged: Decision; readonly replayed: Decision },
  ): void {
    const code = (decision: Decision): number => DECISIONS.indexOf(decision);
    this.value({ transactionId, feature: "(decision)", logged: code(logged), replayed: code(replayed) });
  }

  value(mismatch: Mismatch): void {
    if (mismatch.logged !== mismatch.replayed) this.mismatch(mismatch);
  }

  skipRules(): void {
    this.rulesSkipped++;
  }

  /** `what` null: they came out the same. */
  rules(transactionId: string, what: string | null): void {
    this.rulesCompared++;
    if (what === null) return;
    this.rulesMismatchCount++;
    if (this.rulesMismatches.length < this.mismatchesMax) this.rulesMismatches.push({ transactionId, what });
  }

  report(): Omit<ReplayReport, "served"> {
    const { draws, thresholds } = this;
    const { predictions, compared, scoresCompared, mismatchCount, mismatches, skipped, missing } = this;
    const reasons: string[] = [];
    if (missing > 0) reasons.push(`${missing} changes of the shared state are in no log, first ${this.missingFirst}`);
    if (mismatchCount > 0) {
      const { transactionId, feature, logged, replayed } = mismatches[0];
      reasons.push(`${mismatchCount} values differ, first ${feature} of ${transactionId}: ${logged}, now ${replayed}`);
    }
    if (this.rulesMismatchCount > 0) {
      const { transactionId, what } = this.rulesMismatches[0];
      reasons.push(
        `the rules say something else of ${this.rulesMismatchCount} transactions, first ${transactionId}: ${what}`,
      );
    }
    if (skipped["no-origin"] > 0) reasons.push(`${skipped["no-origin"]} predictions have no known origin`);
    if (skipped["bundle-gone"] > 0) reasons.push(`${skipped["bundle-gone"]} predictions are of bundles that are gone`);
    const pruned = skipped["history-pruned"];
    const { forgotten } = skipped;
    if (compared === 0 && this.rulesCompared === 0 && pruned === 0 && forgotten === 0)
      reasons.push("nothing could be compared");
    const passed = reasons.length === 0;
    if (pruned > 0) {
      const what = `${pruned} predictions cannot be recomputed: the log forgot what their state learned (log.retention)`;
      reasons.push(compared === 0 ? `${what}; nothing else could be compared, so nothing is proven` : what);
    }
    if (forgotten > 0) {
      const what = `${forgotten} predictions cannot be recomputed: a person was forgotten whom they are about, or whose values their windows or their table counted (sentinel forget)`;
      reasons.push(compared === 0 ? `${what}; nothing else could be compared, so nothing is proven` : what);
    }
    if (passed && compared > 0)
      reasons.push(`${compared} vectors and ${scoresCompared} scores are the same, bit for bit`);
    if (passed && this.rulesCompared > 0) reasons.push(`the rules say the same of ${this.rulesCompared} transactions`);
    if (this.rulesSkipped > 0) {
      reasons.push(
        `what the rules said of ${this.rulesSkipped} transactions cannot be recomputed: a rule set, a bundle or the state of windows is gone`,
      );
    }
    const { rulesCompared, rulesSkipped, rulesMismatchCount, rulesMismatches } = this;
    const ruled = { rulesCompared, rulesSkipped, rulesMismatchCount, rulesMismatches };
    const counts = { predictions, compared, scoresCompared, draws, thresholds, skipped, mismatchCount, missing };
    return { ...counts, ...ruled, mismatches, verdict: passed ? "pass" : "fail", reasons };
  }

  private mismatch(mismatch: Mismatch): void {
    this.mismatchCount++;
    if (this.mismatches.length < this.mismatchesMax) this.mismatches.push(mismatch);
  }
}
