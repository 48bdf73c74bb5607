// The answer to one transaction: vector, score, log, learn, as one step, in this order; then the shadows get it.

import { messageOf, SentinelError } from "../core/errors.ts";
import { encode } from "../features/encode.ts";
import type { Engine } from "./engine.ts";
import type { LiveSet, Served } from "./live.ts";
import type { Parsed } from "./parse.ts";
import { type Reply, replyOfRecord } from "./reply.ts";
import type { Answer, Scorer } from "./score.ts";
import type { ShadowJobs } from "./shadow.ts";
import type { PredictionDraft } from "./states.ts";

const NO_JOBS: ShadowJobs = [];
const EMPTY_VECTOR = new Float32Array(0);

/** What was judged: the vector and the bundle that judged it. */
export type Judged = (vector: Float32Array, by: Scorer) => void;

/**
 * Answers a transaction, or gives the earlier answer again. `live` is what serves; one object for all that must be judged by
 * one bundle. `judged` is called when this very call judges, not for an earlier answer nor for the policy's. Throws
 * `server.not-ready`, `request.duplicate`.
 */
export async function answer(
  engine: Engine,
  parsed: Parsed,
  { live, judged }: { readonly live?: LiveSet; readonly judged?: Judged } = {},
): Promise<Reply> {
  let known = engine.duplicates.recall(parsed);
  if (known === undefined) known = await engine.duplicates.find(parsed);
  // Once more in the tick that answers: a repeat may have been answered since the log was asked.
  known ??= engine.duplicates.recall(parsed) ?? null;
  if (known !== null) {
    engine.counters.repeated();
    return known;
  }
  return judge(engine, parsed, { live: live ?? engine.live.current, judged });
}

/** The bundle that answers. Throws `server.not-ready`. */
export function championOf(live: LiveSet): Served {
  if (live.champion !== null) return live.champion;
  throw new SentinelError("server.not-ready", "there is no champion to answer", {
    hint: "promote one: `sentinel train`, then `sentinel promote`; the server picks it up by itself",
  });
}

/** What one look at the states gave. */
interface Look {
  readonly draft: PredictionDraft;
  readonly jobs: ShadowJobs;
}

/**
 * Where the state is this process's own nothing here waits: between reading the state and learning, no other transaction can come
 * in. Where it is shared the store sees to it, and while it does not answer the policy does.
 */
async function judge(
  engine: Engine,
  parsed: Parsed,
  { live, judged }: { readonly live: LiveSet; readonly judged: Judged | undefined },
): Promise<Reply> {
  const champion = championOf(live);
  let look: Look | null = null;
  const taking = {
    transaction: parsed.transaction,
    log: engine.log,
    judge: () => {
      look = lookAt(engine, parsed, { champion, live });
      return look.draft;
    },
  };
  let logged = true;
  try {
    const pending = engine.states.take(taking);
    const result = pending instanceof Promise ? await pending : pending;
    if (result.outcome === "repeated") return repeated(engine, parsed, result.record);
    if (result.fault !== null) learnFault(engine, result.fault);
    logged = result.logged;
  } catch (error) {
    if (!isStateFault(error)) throw error;
    engine.counters.stateFailed(error.code);
    look = { draft: draftOf(engine, parsed, { champion, ...BY_POLICY }), jobs: NO_JOBS };
    // `applied: 0`: answered by policy, not in the shared state, so replay skips it. Updated later if the change did reach the store.
    logged = engine.log.appendPrediction({ ...look.draft, applied: 0 });
  }
  const { draft, jobs } = look!;
  if (!draft.degraded) {
    engine.inputs.judged(champion.scorer, parsed.transaction);
    judged?.(draft.vector, champion.scorer);
  }
  return reply(engine, parsed, { draft, jobs, logged });
}

/** Remembers and counts the reply, and offers the transaction to the shadows. */
function reply(engine: Engine, parsed: Parsed, given: Look & { readonly logged: boolean }): Reply {
  const { draft, jobs, logged } = given;
  const body = replyOfRecord(draft, engine.pipeline.model);
  if (!logged) engine.counters.recordDropped("prediction");
  engine.duplicates.remember(parsed, body);
  engine.shadows.offer(jobs);
  engine.counters.answered(body, draft.latencyMs);
  return body;
}

/** Reads the vector, scores it, and takes what the shadows need: all of it before the transaction is learned. */
function lookAt(engine: Engine, parsed: Parsed, on: { readonly champion: Served; readonly live: LiveSet }): Look {
  const { clock } = engine.ports;
  const { champion } = on;
  const { scorer, held, guard } = champion;
  const { transaction } = parsed;
  const begun = clock.elapsed();
  let vector: Float32Array = EMPTY_VECTOR;
  const answer = guard.run(() => {
    vector = encode(held.state, scorer.plan, transaction);
    return scorer.score(vector);
  });
  const latencyMs = clock.elapsed() - begun;
  const draft = draftOf(engine, parsed, { champion, answer, vector, latencyMs });
  if (answer === null) return { draft, jobs: NO_JOBS };
  const answered = { transaction, champion: scorer, answer, latencyMs, vector };
  return { draft, jobs: engine.shadows.take(answered, on.live.shadows) };
}

const BY_POLICY = { answer: null, vector: EMPTY_VECTOR, latencyMs: 0 };

/** `answer` null: the policy answers. */
function draftOf(
  engine: Engine,
  parsed: Parsed,
  given: {
    readonly champion: Served;
    readonly answer: Answer | null;
    readonly vector: Float32Array;
    readonly latencyMs: number;
  },
): PredictionDraft {
  const { champion, answer, vector, latencyMs } = given;
  const { scorer } = champion;
  const { transaction, extra } = parsed;
  return {
    transactionId: transaction.id,
    time: transaction.time,
    receivedAt: engine.ports.clock.now(),
    fields: transaction.fields,
    extra,
    vector,
    score: answer?.score ?? Number.NaN,
    anomalyScore: answer?.anomalyScore ?? Number.NaN,
    decision: answer?.decision ?? engine.pipeline.decisions.failOpen,
    version: scorer.version,
    bundle: scorer.bundle,
    latencyMs,
    degraded: answer === null,
  };
}

/** Another process answered it a moment ago. Throws `request.duplicate`. */
function repeated(engine: Engine, parsed: Parsed, record: PredictionDraft): Reply {
  const body = engine.duplicates.recognise(parsed, record);
  engine.counters.repeated();
  return body;
}

/** A state that cannot learn is a bug to be logged, not a reason to refuse an answer that is there. */
function learnFault(engine: Engine, fault: unknown): void {
  engine.counters.learnFailed();
  engine.logger.error({ error: messageOf(fault) }, "a transaction could not be learned");
}

function isStateFault(error: unknown): error is SentinelError {
  return error instanceof SentinelError && error.code.startsWith("state.");
}
