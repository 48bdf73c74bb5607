// One record to what is written of it: a decision, perhaps an alert, or a dead letter; a pure function of the records before it.
import { SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { isoTime } from "../core/time.ts";
import { type AnswerOptions, answer } from "../online/answer.ts";
import type { Engine } from "../online/engine.ts";
import type { Parsed } from "../online/parse.ts";
import { type Reply, replyMembers } from "../online/reply.ts";
import type { PredictionDraft } from "../online/states.ts";
import type { OutRecord } from "../ports/stream.ts";
import type { Incoming } from "./dead-letter.ts";
import type { Decode } from "./format.ts";

/** What became of a record. */
export type Outcome =
  | { readonly kind: "decided"; readonly decision: OutRecord; readonly alert: OutRecord | null; readonly reply: Reply }
  /** The transaction stood in the stream before, and its decision was written then. */
  | { readonly kind: "duplicate" }
  /** It was a label out of a dead letter, and is taken. */
  | { readonly kind: "labelled" }
  /** It cannot be judged, now or later. */
  | { readonly kind: "poison"; readonly error: SentinelError };

export interface DecideOptions {
  /** `topic/partition/offset` of the record. */
  readonly position: string;
  /**
   * Whether the decision of a transaction that was answered before is written again: where this very record was, because then the
   * transaction that held it was not committed.
   */
  readonly again: (record: PredictionDraft) => boolean;
  readonly recordBytesMax: number;
  readonly decode: Decode;
  /** Called with the position before the transaction is parsed: it is the id of one that brings none. */
  readonly named?: (position: string) => void;
}

/**
 * Judges one record; without a promise where nothing has to be waited for. Throws, or rejects with (a retry may help), server.not-ready,
 * server.overloaded, log.*, state.*, schemas.unreachable. What is wrong with the record itself is an outcome.
 */
export function decide(engine: Engine, incoming: Incoming, options: DecideOptions): Outcome | Promise<Outcome> {
  let json: unknown;
  try {
    json = decodeOf(incoming, options);
  } catch (error) {
    return unreadable(error);
  }
  if (!(json instanceof Promise)) return judge(engine, incoming, { ...options, json });
  return json.then((decoded: unknown) => judge(engine, incoming, { ...options, json: decoded }), unreadable);
}

function judge(
  engine: Engine,
  incoming: Incoming,
  options: DecideOptions & { readonly json: unknown },
): Outcome | Promise<Outcome> {
  const { json, position, again } = options;
  let parsed: Parsed;
  try {
    options.named?.(position);
    // Where neither says a time the parser refuses the transaction.
    parsed = engine.parser.parse(json, incoming.timestamp ?? Number.NaN);
  } catch (error) {
    return unreadable(error);
  }
  let known: PredictionDraft | null = null;
  let vector: Float32Array | null = null;
  const asked: AnswerOptions = {
    position,
    // Without the writer's time the event's own: then nothing depends on when the stream was read.
    receivedAt: incoming.timestamp ?? parsed.transaction.time,
    patient: true,
    known: (record) => {
      known = record;
    },
    judged: (judged) => {
      vector = judged;
    },
  };
  const outcome = (reply: Reply): Outcome => {
    if (known !== null && !again(known)) return { kind: "duplicate" };
    return outcomeOf(engine, incoming, { parsed, reply, vector: (known as PredictionDraft | null)?.vector ?? vector });
  };
  try {
    const answered = answer(engine, parsed, asked);
    return answered instanceof Promise ? answered.then(outcome, unanswered) : outcome(answered);
  } catch (error) {
    return unanswered(error);
  }
}

function outcomeOf(
  engine: Engine,
  incoming: Incoming,
  of: { readonly parsed: Parsed; readonly reply: Reply; readonly vector: Float32Array | null },
): Outcome {
  const { parsed, reply, vector } = of;
  const { timestamp } = incoming;
  const key = incoming.key ?? keyOf(engine, parsed);
  const time = isoTime(parsed.transaction.time);
  const members = `"pipeline":${JSON.stringify(engine.pipeline.name)},"time":"${time}",${replyMembers(reply)}`;
  const decision = { key, value: `{${members}}`, timestamp };
  if (reply.decision === "approve") return { kind: "decided", decision, alert: null, reply };
  const { fields, extra } = engine.redact({ fields: parsed.transaction.fields, extra: parsed.extra });
  const alert = JSON.stringify({ transaction: { ...fields, ...extra }, vector_hash: hashOf(vector) });
  return { kind: "decided", decision, alert: { key, value: `{${members},${alert.slice(1)}`, timestamp }, reply };
}

/** What cannot be read now or later; what may be read later is thrown. */
function unreadable(error: unknown): Outcome {
  if (error instanceof SentinelError && error.kind.retryable) throw error;
  return { kind: "poison", error: poison(error) };
}

/** Faults of the record itself; what another try may change is thrown. */
function unanswered(error: unknown): Outcome {
  if (!isOurs(error)) throw error;
  return { kind: "poison", error: poison(error) };
}

function decodeOf({ value, cut }: Incoming, { recordBytesMax, decode }: DecideOptions): unknown {
  if (value === null) {
    throw new SentinelError("request.malformed", "the record has no value: it is a deletion mark", {
      hint: "write transactions to this topic and nothing else; a compacted topic keeps too little of them",
    });
  }
  if (cut || value.length > recordBytesMax) {
    throw new SentinelError("request.body-too-large", `the record is longer than ${recordBytesMax} bytes`, {
      hint: "send the fields that the schema names; or raise stream.record_max_bytes in the pipeline",
    });
  }
  return decode(value);
}

/** Faults of the record itself; others pass. */
function isOurs(error: unknown): boolean {
  return !(error instanceof SentinelError) || error.code.startsWith("request.");
}

/** Whatever a record makes the engine throw, it must not stop the records behind it. */
function poison(error: unknown): SentinelError {
  if (error instanceof SentinelError) return error;
  return new SentinelError("bug.unexpected", String(error), {
    hint: "report it, with the record; once it is fixed, sentinel stream --from-dead-letters judges the record",
    cause: error,
  });
}

/** What producers would have keyed it by. */
function keyOf(engine: Engine, { transaction }: Parsed): string {
  const { card } = engine.pipeline.columns;
  return String((card === null ? null : transaction.fields[card]) ?? transaction.id);
}

function hashOf(vector: Float32Array | null): string | null {
  if (vector === null || vector.length === 0) return null;
  return sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}
