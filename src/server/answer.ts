// The answer to one transaction: vector, score, log, learn, as one step, in this order; then the shadows are told.
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Answer, Scorer } from "../lifecycle/score.ts";
import type { Taken } from "../lifecycle/shadow.ts";
import type { PredictionDraft } from "../lifecycle/states.ts";
import { type AnswerBody, bodyOfRecord } from "./answer-body.ts";
import type { LiveSet, Served } from "./live.ts";
import type { Parsed } from "./parse.ts";
import type { ServerParts } from "./parts.ts";

const NO_TAKEN: Taken = [];
const EMPTY_VECTOR = new Float32Array(0);

/** What was judged: the vector and the bundle that judged it. */
export type Judged = (vector: Float32Array, by: Scorer) => void;

/**
 * Answers a transaction, or gives the earlier answer again. `live` is what serves; one object for all that must be judged by
 * one bundle. `judged` is called when this very call judges, not for an earlier answer nor for the policy's. Throws
 * `server.not-ready`, `request.duplicate`.
 */
export async function answer(
  parts: ServerParts,
  parsed: Parsed,
  { live, judged }: { readonly live?: LiveSet; readonly judged?: Judged } = {},
): Promise<AnswerBody> {
  let known = parts.duplicates.recall(parsed);
  if (known === undefined) known = await parts.duplicates.find(parsed);
  // Once more in the tick that answers: a repeat may have been answered since the log was asked.
  known ??= parts.duplicates.recall(parsed) ?? null;
  if (known !== null) {
    parts.measures.repeated.inc();
    return known;
  }
  return judge(parts, parsed, { live: live ?? parts.live.current, judged });
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
  readonly taken: Taken;
}

/**
 * Where the state is this process's own nothing here waits: between reading the state and learning, no other transaction can come
 * in. Where it is shared the store sees to it, and while it does not answer the policy does.
 */
async function judge(
  parts: ServerParts,
  parsed: Parsed,
  { live, judged }: { readonly live: LiveSet; readonly judged: Judged | undefined },
): Promise<AnswerBody> {
  const champion = championOf(live);
  let seen: Look | null = null;
  const taking = {
    transaction: parsed.transaction,
    log: parts.log,
    judge: () => {
      seen = look(parts, parsed, { champion, live });
      return seen.draft;
    },
  };
  let logged = true;
  try {
    const pending = parts.states.take(taking);
    const taken = pending instanceof Promise ? await pending : pending;
    if (taken.outcome === "repeated") return repeated(parts, parsed, taken.record);
    if (taken.fault !== null) learnFault(parts, taken.fault);
    logged = taken.logged;
  } catch (error) {
    if (!isStateFault(error)) throw error;
    parts.measures.stateFailures.inc({ code: error.code });
    seen = { draft: draftOf(parts, parsed, { champion, ...BY_POLICY }), taken: NO_TAKEN };
    // Applied to nothing: a replay leaves it out, until it turns out that it was applied after all.
    logged = parts.log.appendPrediction({ ...seen.draft, applied: 0 });
  }
  const { draft, taken } = seen!;
  if (!draft.degraded) judged?.(draft.vector, champion.scorer);
  return told(parts, parsed, { draft, taken, logged });
}

function told(parts: ServerParts, parsed: Parsed, given: Look & { readonly logged: boolean }): AnswerBody {
  const { draft, taken, logged } = given;
  const body = bodyOfRecord(draft, parts.pipeline.model);
  if (!logged) parts.measures.logDropped.inc({ kind: "prediction" });
  parts.duplicates.remember(parsed, body);
  parts.shadows.offer(taken);
  parts.measures.answered(body, draft.latencyMs);
  return body;
}

/** Reads the vector, scores it, and takes what the shadows need: all of it before the transaction is learned. */
function look(parts: ServerParts, parsed: Parsed, on: { readonly champion: Served; readonly live: LiveSet }): Look {
  const { clock } = parts.ports;
  const { champion } = on;
  const { scorer, held, guard } = champion;
  const { transaction } = parsed;
  const begun = clock.elapsed();
  let vector: Float32Array = EMPTY_VECTOR;
  const said = guard.run(() => {
    const read = new Float32Array(scorer.plan.width);
    held.state.read(scorer.plan, transaction, read);
    vector = read;
    return scorer.score(read);
  });
  const latencyMs = clock.elapsed() - begun;
  const draft = draftOf(parts, parsed, { champion, said, vector, latencyMs });
  if (said === null) return { draft, taken: NO_TAKEN };
  const answered = { transaction, champion: scorer, answer: said, latencyMs, vector };
  return { draft, taken: parts.shadows.take(answered, on.live.shadows) };
}

const BY_POLICY = { said: null, vector: EMPTY_VECTOR, latencyMs: 0 };

/** `said` null: the policy answers. */
function draftOf(
  parts: ServerParts,
  parsed: Parsed,
  given: {
    readonly champion: Served;
    readonly said: Answer | null;
    readonly vector: Float32Array;
    readonly latencyMs: number;
  },
): PredictionDraft {
  const { champion, said, vector, latencyMs } = given;
  const { scorer } = champion;
  const { transaction, extra } = parsed;
  return {
    transactionId: transaction.id,
    time: transaction.time,
    receivedAt: parts.ports.clock.now(),
    fields: transaction.fields,
    extra,
    vector,
    score: said?.score ?? Number.NaN,
    anomalyScore: said?.anomalyScore ?? Number.NaN,
    decision: said?.decision ?? parts.pipeline.decisions.failOpen,
    version: scorer.version,
    bundle: scorer.bundle,
    latencyMs,
    degraded: said === null,
  };
}

/** Another process answered it a moment ago. Throws `request.duplicate`. */
function repeated(parts: ServerParts, parsed: Parsed, record: PredictionDraft): AnswerBody {
  const body = parts.duplicates.recognise(parsed, record);
  parts.measures.repeated.inc();
  return body;
}

/** A state that cannot learn is a bug to be logged, not a reason to refuse an answer that is there. */
function learnFault(parts: ServerParts, fault: unknown): void {
  parts.measures.learnFailures.inc();
  parts.logger.error({ error: messageOf(fault) }, "a transaction could not be learned");
}

function isStateFault(error: unknown): error is SentinelError {
  return error instanceof SentinelError && error.code.startsWith("state.");
}
