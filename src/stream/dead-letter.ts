// Dead letters: records that cannot be judged, with why, where they stood and their own bytes, so that they can be judged later.
import { SentinelError } from "../core/errors.ts";
import type { Buried } from "../lifecycle/desk.ts";
import type { OutRecord, StreamRecord } from "../ports/stream.ts";

/** A record as it is judged: as it came, or out of a dead letter. */
export interface Incoming {
  readonly value: Uint8Array | null;
  readonly key: Uint8Array | null;
  readonly timestamp: number | null;
  readonly cut: boolean;
  /** How often it was tried before. */
  readonly attempts: number;
  /** Where it stood at first. */
  readonly origin: Origin;
}

export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Bytes of a record that a letter holds: with base64 and the rest it stays below the megabyte that brokers take. */
const VALUE_BYTES_MAX = 700_000;
const KEY_BYTES_MAX = 10_000;

/** A record of a topic of transactions. */
export function incomingOf(record: StreamRecord, topic: string): Incoming {
  const { value, key, timestamp, partition, offset, cut = false } = record;
  return { value, key, timestamp, cut, attempts: 0, origin: { topic, partition, offset } };
}

/** The letter about a record; a pure function of the record and the fault, so that a second run writes the same one. */
export function letterOf(
  incoming: Incoming,
  about: { readonly error: SentinelError; readonly pipeline: string; readonly schemaHash: string },
): OutRecord {
  const { value, key, timestamp, origin, attempts } = incoming;
  const { error, pipeline, schemaHash } = about;
  const bytes = value ?? new Uint8Array(0);
  const cut = incoming.cut || bytes.length > VALUE_BYTES_MAX;
  const letter = {
    pipeline,
    code: error.code,
    message: error.message.slice(0, 2000),
    hint: error.hint.slice(0, 2000),
    attempts: attempts + 1,
    schema: schemaHash,
    ...origin,
    timestamp,
    key: key === null ? null : base64(key.subarray(0, KEY_BYTES_MAX)),
    value: value === null ? null : base64(bytes.subarray(0, VALUE_BYTES_MAX)),
    bytes: bytes.length,
    ...(cut ? { cut } : {}),
  };
  return { key: key ?? `${origin.topic}/${origin.partition}`, value: JSON.stringify(letter), timestamp };
}

/** What a notice says of a letter: where the record stood and why, and nothing of the record. */
export function buriedOf({ origin, attempts }: Incoming, { code }: SentinelError): Buried {
  return { ...origin, attempts, code };
}

/** The record that a letter is about. Throws `request.malformed` for what is no letter, or holds only the beginning of its record. */
export function recordOf(letter: StreamRecord): Incoming {
  const { value } = letter;
  let parsed: Letter | null = null;
  try {
    parsed = value === null ? null : (JSON.parse(Buffer.from(value).toString()) as Letter);
  } catch {
    // Said below.
  }
  const isLetter =
    parsed !== null &&
    typeof parsed === "object" &&
    typeof parsed.topic === "string" &&
    Number.isSafeInteger(parsed.partition) &&
    Number.isSafeInteger(parsed.offset) &&
    Number.isSafeInteger(parsed.attempts) &&
    (parsed.value === null || typeof parsed.value === "string") &&
    (parsed.key === null || typeof parsed.key === "string");
  if (!isLetter) {
    throw new SentinelError("request.malformed", "a record of the dead letters is none that `sentinel stream` wrote", {
      hint: "let nobody else write to that topic",
    });
  }
  const { topic, partition, offset, timestamp, key, attempts, cut } = parsed!;
  return {
    value: parsed!.value === null ? null : Buffer.from(parsed!.value, "base64"),
    key: key === null ? null : Buffer.from(key, "base64"),
    timestamp: typeof timestamp === "number" ? timestamp : null,
    cut: cut === true,
    attempts,
    origin: { topic, partition, offset },
  };
}

interface Letter extends Origin {
  readonly timestamp: number | null;
  readonly key: string | null;
  readonly value: string | null;
  readonly attempts: number;
  readonly cut?: boolean;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
