// The answer to one transaction: vector, score, log, learn, as one step, in this order; then the shadows get it.

import { decide } from "../core/decision.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Hold, Known } from "./duplicates.ts";
import type { Engine } from "./engine.ts";
import { drawnBeside, type Explorer } from "./explore.ts";
import type { LiveSet, PausedStatus, Served } from "./live.ts";
import type { Parsed } from "./parse.ts";
import { type Reply, replyOfRecord } from "./reply.ts";
import type { LiveRules } from "./rules.ts";
import type { Answer, Scorer } from "./score.ts";
import type { ShadowJobs } from "./shadow.ts";
import type { PredictionDraft, StateResult } from "./states.ts";

const NO_JOBS: ShadowJobs = [];
const EMPTY_VECTOR = new Float32Array(0);

/** An answer is waited for no longer, from when the body is there, in milliseconds; it is more than the waits for a shared state and a log that answers late come to. */
const BUDGET_MS = 2000;

/** As {@link BUDGET_MS}, with what a server in chaos adds on purpose. */
export function budgetMs({ chaos }: Pick<Engine, "chaos">): number {
  return BUDGET_MS + (chaos?.plan.delayMs ?? 0);
}

/** All answers of a batch, or all its labels, are waited for no longer: far more than `serve.batch_max` of them take. */
const BATCH_BUDGET_MS = 30_000;

/** As {@link BATCH_BUDGET_MS}, with what a server in chaos may add on purpose, one transaction after the other. */
export function batchBudgetMs({ chaos, pipeline }: Pick<Engine, "chaos" | "pipeline">): number {
  return BATCH_BUDGET_MS + (chaos?.plan.delayMs ?? 0) * pipeline.serve.batchMax;
}

/** What was judged: the vector and the bundle that judged it. */
export type Judged = (vector: Float32Array, by: Scorer) => void;

export interface AnswerOptions {
  /** What serves; one object for all that must be judged by one bundle. Absent: what serves now. */
  readonly live?: LiveSet;
  /** Called when this very call judges, not for an earlier answer nor for the policy's. */
  readonly judged?: Judged;
  /** Of the batch that the transaction belongs to; the batch made sure that the log has room for all of it. */
  readonly hold?: Hold;
  /** Called with the record of a transaction that was answered before. */
  readonly known?: Known;
  /** When it arrived, by the clock of whatever brought it. Absent: now. */
  readonly receivedAt?: number;
  /** Where it stands in a stream. */
  readonly position?: string;
  /** True where nobody waits for the answer: while the shared state cannot be read, state.* is thrown, and the policy does not answer. */
  readonly patient?: boolean;
}

/** Batches that one request waits for, one after the other, because each holds its id. */
const WAITS_MAX = 100;

/**
 * Answers a transaction, or gives the earlier answer again. Where nothing has to be waited for (this process has the feature state to
 * itself, the id is new, `log.durability` is `interval`) the answer is there when the call returns, without a promise. Throws, or
 * rejects with, `server.not-ready`, `server.chaos`, `request.duplicate`, `server.overloaded`, `log.unwritable`, `log.unreadable`, state.*.
 */
export function answer(engine: Engine, parsed: Parsed, options: AnswerOptions = {}): Reply | Promise<Reply> {
  const { chaos, counters } = engine;
  if (chaos === null) return answerNow(engine, parsed, options);
  return chaos.around(
    () => answerNow(engine, parsed, options),
    (fault) => counters.chaos(fault),
  );
}

function answerNow(engine: Engine, parsed: Parsed, options: AnswerOptions): Reply | Promise<Reply> {
  const { duplicates } = engine;
  if (duplicates.waitFor(parsed.transaction.id, options.hold) === null) {
    const known = duplicates.recall(parsed, options.known);
    if (known === null) return judge(engine, parsed, options);
    if (known !== undefined) return repeat(engine, known);
  }
  return answerLater(engine, parsed, options);
}

/**
 * Fetches what the answer to a transaction will read; to be called for each of several before the first is answered. Never throws: where one
 * cannot be fetched, its answer says so, and the others have theirs.
 */
export function expect(engine: Engine, { transaction }: Parsed): void {
  if (engine.states.sharing() !== null) return;
  try {
    engine.live.current.champion?.held.state.touch(transaction);
  } catch {
    // The answer reads the same, and meets the same fault behind its guard.
  }
}

/** As {@link answer}, where a batch holds the id or only the log can tell whether it was answered. */
async function answerLater(engine: Engine, parsed: Parsed, options: AnswerOptions): Promise<Reply> {
  const { duplicates } = engine;
  const { id } = parsed.transaction;
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    const held = duplicates.waitFor(id, options.hold);
    if (held !== null) {
      await held;
      continue;
    }
    let known = await duplicates.find(parsed, options.known);
    if (duplicates.waitFor(id, options.hold) !== null) continue;
    // Once more in the tick that answers: a repeat may have been answered since the log was asked.
    known ??= duplicates.recall(parsed, options.known) ?? null;
    return known === null ? judge(engine, parsed, options) : repeat(engine, known);
  }
  throw new SentinelError("server.overloaded", `batches hold transaction ${JSON.stringify(id)} one after the other`, {
    hint: "send the request again after Retry-After seconds; give every transaction its own id",
  });
}

/** The earlier answer; where answers wait for the disk, so does this one. */
function repeat(engine: Engine, known: Reply): Reply | Promise<Reply> {
  engine.counters.repeated();
  return durably(engine, known);
}

/** The reply, once its record is on the disk where `log.durability` asks for that. */
function durably(engine: Engine, reply: Reply): Reply | Promise<Reply> {
  const written = engine.log.durable(reply.transaction_id);
  return written === null ? reply : written.then(() => reply);
}

/** The bundle that answers. Throws `server.not-ready`, with what is wrong where there is a champion and it cannot be served. */
export function championOf(live: LiveSet): Served {
  if (live.champion !== null) return live.champion;
  if (live.paused !== undefined) throw pausedFault(live.paused);
  if (live.fault !== undefined) {
    const { version, message } = live.fault;
    if (version === null) {
      throw new SentinelError("server.not-ready", `which version is champion cannot be told: ${message}`, {
        hint: "is the registry there? The server looks again by itself",
      });
    }
    throw new SentinelError("server.not-ready", `version ${version} is champion and cannot be served: ${message}`, {
      hint: "put an earlier one back: `sentinel rollback --to VERSION`; or repair this one, then POST /admin/reload",
    });
  }
  throw new SentinelError("server.not-ready", "there is no champion to answer", {
    hint: "promote one: `sentinel train`, then `sentinel promote`; the server picks it up by itself",
  });
}

/** Throws `server.not-ready`: the bundle failed at what was asked of it, and no policy can answer that. */
export function cannotScore({ model, version }: Pick<Scorer, "model" | "version">, cause?: unknown): never {
  throw new SentinelError("server.not-ready", `version ${version} of ${model} fails at what it was asked`, {
    hint: "GET /circuit/status has the fault; put an earlier version back: `sentinel rollback --to VERSION`",
    cause,
  });
}

function pausedFault(status: PausedStatus): SentinelError {
  if (status === "stopped") {
    return new SentinelError("pipeline.stopped", "this pipeline was stopped: it answers nothing", {
      hint: 'send transactions elsewhere; PATCH /api/pipelines/{id}/status {"status": "active"} starts it again',
    });
  }
  return new SentinelError("pipeline.paused", "this pipeline is paused: it answers nothing for the moment", {
    hint: 'keep the transaction and send it again; PATCH /api/pipelines/{id}/status {"status": "active"} resumes it',
  });
}

/**
 * Who answers: the champion, or null where the pipeline has no model and rules alone decide. Throws `server.not-ready` when there is neither.
 */
export function deciderOf(live: LiveSet): Served | null {
  if (live.modelless !== true) return championOf(live);
  if (live.rules !== undefined || live.unruled === true) return null;
  throw new SentinelError("server.not-ready", "this pipeline has no model, and no rules yet", {
    hint: "write pipelines/NAME.rules.yaml and run `sentinel rules apply`; the server picks them up by itself",
  });
}

/** A draft while it is being made. */
type OpenDraft = { -readonly [K in keyof PredictionDraft]: PredictionDraft[K] };

/** What one look at the states gave. */
interface Look {
  readonly draft: PredictionDraft;
  readonly jobs: ShadowJobs;
}

/**
 * Where the state is this process's own nothing here waits: between reading the state and learning, no other transaction can come
 * in. Where it is shared the store sees to it, and while it does not answer the policy does.
 */
function judge(engine: Engine, parsed: Parsed, options: AnswerOptions): Reply | Promise<Reply> {
  const { live = engine.live.current, judged, hold } = options;
  const champion = deciderOf(live);
  // A batch made sure before its first transaction.
  if (hold === undefined) refuseUnwritable(engine);
  let look: Look | null = null;
  const taking = {
    transaction: parsed.transaction,
    log: engine.log,
    judge: () => {
      look = lookAt(engine, parsed, { champion, live, options });
      return look.draft;
    },
  };
  const answered = (result: StateResult): Reply | Promise<Reply> => {
    if (result.outcome === "repeated") {
      return repeat(engine, engine.duplicates.recognise(parsed, result.record, options.known));
    }
    if (result.fault !== null) learnFault(engine, result.fault);
    if (result.learned === "too-late") engine.counters.tooLate();
    const { draft } = look!;
    if (result.logged) engine.adapting?.observe(draft);
    if (!draft.degraded && champion !== null) {
      if (isUnseen(draft, champion.scorer)) engine.counters.segmentUnseen();
      engine.inputs.judged(champion.scorer, parsed.transaction);
      if (result.logged) judged?.(draft.vector, champion.scorer);
    }
    return reply(engine, { ...look!, logged: result.logged });
  };
  const byPolicy = (error: unknown): Reply | Promise<Reply> => {
    if (!isStateFault(error)) throw error;
    engine.counters.stateFailed(error.code);
    if (options.patient) throw error;
    const draft = withRules(engine, draftOf(engine, parsed, { champion, options, ...BY_POLICY }), {
      parsed,
      champion,
      live,
      readable: false,
    });
    // `applied: 0`: answered by policy, not in the shared state, so replay skips it. Updated later if the change did reach the store.
    return reply(engine, { draft, jobs: NO_JOBS, logged: engine.log.appendPrediction({ ...draft, applied: 0 }) });
  };
  let pending: StateResult | Promise<StateResult>;
  try {
    pending = engine.states.take(taking);
  } catch (error) {
    return byPolicy(error);
  }
  if (!(pending instanceof Promise)) return answered(pending);
  return engine.duplicates.during(parsed.transaction.id, pending.then(answered, byPolicy));
}

/** No segment of the policy is the transaction's, so that of all judged it. */
function isUnseen({ adapted }: PredictionDraft, { manifest }: Scorer): boolean {
  return manifest.policy?.segments !== undefined && adapted?.segment === undefined;
}

/** Throws when the log cannot take what would be answered: an answer whose record is lost must not be given. */
function refuseUnwritable(engine: Engine): void {
  const refusal = engine.log.refusal();
  if (refusal === null) return;
  engine.counters.logRefused(refusal.code);
  throw refusal;
}

/** Remembers and counts the reply, and offers the transaction to the shadows. */
function reply(engine: Engine, given: Look & { readonly logged: boolean }): Reply | Promise<Reply> {
  const { draft, jobs, logged } = given;
  if (!logged) {
    // Nothing was learned of it, so the client's next try is a first one.
    engine.counters.recordDropped("prediction");
    throw engine.log.refusal() ?? noRoom();
  }
  const body = replyOfRecord(draft, engine.pipeline.model);
  engine.duplicates.remember(draft.transactionId);
  engine.shadows.offer(jobs);
  engine.alerts?.offer(draft);
  engine.counters.answered(body, draft.latencyMs);
  if (draft.time > draft.receivedAt) engine.counters.ahead(draft.time - draft.receivedAt);
  return durably(engine, body);
}

function noRoom(): SentinelError {
  return new SentinelError("server.overloaded", "the prediction log had no room for the record", {
    hint: "send the request again after Retry-After seconds",
  });
}

/** Reads the vector, scores it, and takes what the shadows need: all of it before the transaction is learned. */
function lookAt(
  engine: Engine,
  parsed: Parsed,
  on: { readonly champion: Served | null; readonly live: LiveSet; readonly options: AnswerOptions },
): Look {
  const { clock } = engine.ports;
  const { champion, options } = on;
  if (champion === null) {
    const unjudged = draftOf(engine, parsed, { champion, options, ...BY_POLICY });
    return { draft: withRules(engine, unjudged, { parsed, champion, live: on.live, readable: true }), jobs: NO_JOBS };
  }
  const { scorer, held, guard } = champion;
  const { transaction } = parsed;
  const begun = clock.elapsed();
  let vector: Float32Array = EMPTY_VECTOR;
  const scored = guard.run(() => {
    vector = engine.encode(held.state, scorer.plan, transaction);
    return scorer.score(vector);
  });
  const latencyMs = clock.elapsed() - begun;
  const receivedAt = options.receivedAt ?? clock.now();
  const { answer, adapted } = adapt(engine, scored, { scorer, receivedAt });
  const judged = draftOf(engine, parsed, {
    champion,
    options: { receivedAt, position: options.position },
    answer,
    vector,
    latencyMs,
  });
  if (adapted !== undefined) judged.adapted = adapted;
  const ruled = withRules(engine, judged, { parsed, champion, live: on.live, readable: true });
  const draft = ruled.decision === "block" && engine.explorer !== null ? drawn(engine.explorer, ruled, parsed) : ruled;
  if (answer === null) return { draft, jobs: NO_JOBS };
  const answered = { transaction, champion: scorer, answer, latencyMs, vector };
  return { draft, jobs: engine.shadows.take(answered, on.live.shadows) };
}

/** The answer at the thresholds that judge now: the bundle's, the policy's, or where the review threshold follows the budget. */
function adapt(
  { adapting }: Engine,
  answer: Answer | null,
  by: { readonly scorer: Scorer; readonly receivedAt: number },
): Pick<OpenDraft, "adapted"> & { readonly answer: Answer | null } {
  if (answer === null) return { answer };
  if (answer.judged !== undefined) {
    const { thresholds, segment, policy } = answer.judged;
    const { review, block } = thresholds;
    return { answer, adapted: { review, block, rules: policy, ...(segment === null ? {} : { segment }) } };
  }
  if (adapting === null) return { answer };
  const { bundle, manifest } = by.scorer;
  const { thresholds } = manifest;
  const review = adapting.reviewFor({ bundle, thresholds, receivedAt: by.receivedAt });
  const decision = decide(answer.score, { review, block: thresholds.block });
  return { answer: { ...answer, decision }, adapted: { review, rules: adapting.rules } };
}

/** The draft of a block after a draw. Only what the model blocks takes part: a rule or a policy that blocks means it. */
function drawn(explorer: Explorer, draft: PredictionDraft, { transaction }: Parsed): PredictionDraft {
  if (draft.degraded || (draft.rules !== undefined && draft.rules.by !== "model")) return draft;
  const draw = explorer.draw(transaction);
  return draw === null ? draft : { ...draft, ...draw, decision: drawnBeside(draw.decision, draft.rules) };
}

/** The draft as the rules want it: they write into it, since nobody else has seen it yet. */
function withRules(
  engine: Engine,
  draft: OpenDraft,
  on: { readonly parsed: Parsed; readonly champion: Served | null; readonly live: LiveSet; readonly readable: boolean },
): PredictionDraft {
  const { rules } = on.live;
  return rules === undefined ? draft : judgedByRules(engine, draft, { ...on, rules });
}

function judgedByRules(
  engine: Engine,
  draft: OpenDraft,
  on: {
    readonly parsed: Parsed;
    readonly champion: Served | null;
    readonly rules: LiveRules;
    readonly readable: boolean;
  },
): PredictionDraft {
  const { rules, champion, readable } = on;
  const { transaction } = on.parsed;
  const { card } = engine.pipeline.columns;
  // Rules of another model's features are not asked about this one's: they follow within the poll.
  const isOurs = champion !== null && rules.planHash === champion.scorer.plan.hash;
  const { vector, score, anomalyScore, degraded, decision } = draft;
  const judged = engine.rules.judge(rules, {
    transaction,
    answer: degraded || !isOurs ? null : { vector, score, anomalyScore },
    without: { decision, by: degraded || champion === null ? "policy" : "model" },
    state: champion?.held ?? null,
    readable,
    entity: String((card === null ? null : transaction.fields[card]) ?? transaction.id),
  });
  if (judged === null) return draft;
  draft.decision = judged.decision;
  draft.rules = isOurs || champion === null ? judged.outcome : { ...judged.outcome, stale: true as const };
  return draft;
}

const BY_POLICY = { answer: null, vector: EMPTY_VECTOR, latencyMs: 0 };

/** `answer` null: the policy answers. */
function draftOf(
  engine: Engine,
  parsed: Parsed,
  given: {
    readonly champion: Served | null;
    readonly options: Pick<AnswerOptions, "receivedAt" | "position">;
    readonly answer: Answer | null;
    readonly vector: Float32Array;
    readonly latencyMs: number;
  },
): OpenDraft {
  const { champion, answer, vector, latencyMs } = given;
  const { receivedAt, position } = given.options;
  const { transaction, extra } = parsed;
  const content = engine.redact({ fields: transaction.fields, extra });
  const draft: OpenDraft = {
    transactionId: transaction.id,
    time: transaction.time,
    receivedAt: receivedAt ?? engine.ports.clock.now(),
    fields: content.fields,
    extra: content.extra,
    vector,
    score: answer?.score ?? Number.NaN,
    anomalyScore: answer?.anomalyScore ?? Number.NaN,
    // Without a model, what no rule stops is let through.
    decision: champion === null ? "approve" : (answer?.decision ?? engine.pipeline.decisions.failOpen),
    version: champion?.scorer.version ?? "",
    bundle: champion?.scorer.bundle ?? "",
    latencyMs,
    degraded: champion !== null && answer === null,
  };
  if (position !== undefined) draft.position = position;
  return draft;
}

/** A state that cannot learn is a bug to be logged, not a reason to refuse an answer that is there. */
function learnFault(engine: Engine, fault: unknown): void {
  engine.counters.learnFailed();
  engine.logger.error({ error: messageOf(fault) }, "a transaction could not be learned");
}

function isStateFault(error: unknown): error is SentinelError {
  return error instanceof SentinelError && error.code.startsWith("state.");
}
