// One record to what is written of it: a decision, perhaps an alert, or a dead letter; a pure function of the records before it.
import { isUtf8 } from "node:buffer";
import { SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { type AnswerOptions, answer } from "../online/answer.ts";
import type { Engine } from "../online/engine.ts";
import { parseJson } from "../online/json.ts";
import type { Parsed } from "../online/parse.ts";
import type { Reply } from "../online/reply.ts";
import type { PredictionDraft } from "../online/states.ts";
import type { OutRecord } from "../ports/stream.ts";
import type { Incoming } from "./dead-letter.ts";

/** What became of a record. */
export type Outcome =
  | { readonly kind: "decided"; readonly decision: OutRecord; readonly alert: OutRecord | null; readonly reply: Reply }
  /** The transaction stood in the stream before, and its decision was written then. */
  | { readonly kind: "duplicate" }
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
}

/**
 * Judges one record. Errors (a retry may help): server.not-ready, server.overloaded, log.*, state.*. What is wrong with the record itself is
 * an outcome.
 */
export async function decide(engine: Engine, incoming: Incoming, options: DecideOptions): Promise<Outcome> {
  let parsed: Parsed;
  try {
    parsed = parse(engine, incoming, options);
  } catch (error) {
    return { kind: "poison", error: poison(error) };
  }
  let known: PredictionDraft | null = null;
  let vector: Float32Array | null = null;
  const asked: AnswerOptions = {
    position: options.position,
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
  let reply: Reply;
  try {
    const answered = answer(engine, parsed, asked);
    reply = answered instanceof Promise ? await answered : answered;
  } catch (error) {
    if (!isOurs(error)) throw error;
    return { kind: "poison", error: poison(error) };
  }
  const record = known as PredictionDraft | null;
  if (record !== null && !options.again(record)) return { kind: "duplicate" };
  const { timestamp } = incoming;
  const key = incoming.key ?? keyOf(engine, parsed);
  const time = new Date(parsed.transaction.time).toISOString();
  const shared = { pipeline: engine.pipeline.name, time, ...reply };
  const decision = { key, value: JSON.stringify(shared), timestamp };
  if (reply.decision === "approve") return { kind: "decided", decision, alert: null, reply };
  const { fields, extra } = engine.redact({ fields: parsed.transaction.fields, extra: parsed.extra });
  const alert = {
    ...shared,
    transaction: { ...fields, ...extra },
    vector_hash: hashOf(record?.vector ?? vector),
  };
  return { kind: "decided", decision, alert: { key, value: JSON.stringify(alert), timestamp }, reply };
}

function parse(engine: Engine, incoming: Incoming, { recordBytesMax }: DecideOptions): Parsed {
  const { value, cut, timestamp } = incoming;
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
  if (!isUtf8(value)) {
    throw new SentinelError("request.malformed", "the record is no UTF-8", {
      hint: "write JSON in UTF-8, without a compression or an encoding of your own",
    });
  }
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
  const json = parseJson(text, "the record");
  // Where neither says a time the parser refuses the transaction.
  return engine.parser.parse(json, timestamp ?? Number.NaN);
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
