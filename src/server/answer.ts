// The answer to one transaction: vector, score, log, learn, in one tick, in this order; then the shadows are told.
import { SentinelError } from "../core/errors.ts";
import type { Scorer } from "../lifecycle/score.ts";
import type { Taken } from "../lifecycle/shadow.ts";
import type { PredictionRecord } from "../ports.ts";
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

/** Nothing here waits: between reading the state and learning, no other transaction can come in. */
function judge(
  parts: ServerParts,
  parsed: Parsed,
  { live, judged }: { readonly live: LiveSet; readonly judged: Judged | undefined },
): AnswerBody {
  const { clock } = parts.ports;
  const champion = championOf(live);
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
  const record: Omit<PredictionRecord, "sequence"> = {
    transactionId: transaction.id,
    time: transaction.time,
    receivedAt: clock.now(),
    fields: transaction.fields,
    extra: parsed.extra,
    vector,
    score: said?.score ?? Number.NaN,
    anomalyScore: said?.anomalyScore ?? Number.NaN,
    decision: said?.decision ?? parts.pipeline.decisions.failOpen,
    version: scorer.version,
    bundle: scorer.bundle,
    latencyMs,
    degraded: said === null,
  };
  if (said !== null) judged?.(vector, scorer);
  const taken =
    said === null
      ? NO_TAKEN
      : parts.shadows.take({ transaction, champion: scorer, answer: said, latencyMs, vector }, live.shadows);
  const body = bodyOfRecord({ ...record, sequence: 0 }, scorer.model);
  // The state holds what the log holds and nothing else, so that a replay of the log finds the same vectors.
  if (parts.log.appendPrediction(record)) learn(parts, parsed);
  else parts.measures.logDropped.inc({ kind: "prediction" });
  parts.duplicates.remember(parsed, body);
  parts.shadows.offer(taken);
  parts.measures.answered(body, latencyMs);
  return body;
}

/** A state that cannot learn is a bug to be logged, not a reason to refuse an answer that is there. */
function learn(parts: ServerParts, parsed: Parsed): void {
  try {
    parts.states.learn(parsed.transaction);
  } catch (error) {
    parts.measures.learnFailures.inc();
    parts.logger.error({ error: String(error) }, "a transaction could not be learned");
  }
}
