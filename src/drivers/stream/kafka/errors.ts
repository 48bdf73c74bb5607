// What the Kafka client throws, as the stream port's errors.
import { messageOf, SentinelError } from "../../../core/errors.ts";

/** A transaction of another writer of the same id came between, or ours was open for too long. */
const FENCED = /PRODUCER_FENCED|INVALID_PRODUCER_EPOCH|INVALID_PRODUCER_ID_MAPPING|INVALID_TXN_STATE/;
const MISSING = /UNKNOWN_TOPIC_OR_PARTITION|UNKNOWN_TOPIC_ID/;
const DENIED = /SASL|AUTHENTICATION|AUTHORIZATION/i;
const TOO_LARGE = /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/;
const NO_CODEC = /NotImplemented/;

/** `what` says what was tried, such as "commit to Kafka at broker:9092". */
export function kafkaError(error: unknown, what: string): SentinelError {
  if (error instanceof SentinelError) return error;
  const text = wholeText(error);
  const say = (
    code: "stream.taken-over" | "stream.missing" | "stream.unsupported" | "config.invalid" | "stream.unreachable",
    hint: string,
  ): SentinelError => new SentinelError(code, `cannot ${what}: ${messageOf(error)}`, { hint, cause: error });
  if (FENCED.test(text)) {
    return say("stream.taken-over", "another process of the same group and pipeline writes now: stop one of the two");
  }
  if (DENIED.test(text)) {
    return say(
      "config.invalid",
      "check SENTINEL_KAFKA_SASL, SENTINEL_KAFKA_USERNAME, SENTINEL_KAFKA_PASSWORD, and what that user may do",
    );
  }
  if (MISSING.test(text)) return say("stream.missing", "create the topic, or name another one below `stream`");
  if (TOO_LARGE.test(text)) {
    return say("stream.unsupported", "raise max.message.bytes of the topic: a record is larger than it takes");
  }
  if (NO_CODEC.test(text)) {
    return say(
      "stream.unsupported",
      "let the producer write with gzip or without compression: other codecs are not read",
    );
  }
  return say("stream.unreachable", "is the broker up and does SENTINEL_KAFKA_BROKERS name it? It is tried again");
}

/** Names, types and messages of an error and what caused it. */
function wholeText(error: unknown): string {
  const parts: string[] = [];
  for (let one: unknown = error, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth++) {
    parts.push(one.name, one.message, String((one as { readonly type?: unknown }).type ?? ""));
  }
  return parts.join(" ");
}
