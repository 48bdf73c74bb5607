// Which records of a fetch are committed, by the marks of their transactions.
import type { KafkaMessage } from "kafkajs";

/** A record as kafkajs decodes it, before it leaves anything out. */
export type RawMessage = KafkaMessage & {
  readonly isControlRecord: boolean;
  readonly batchContext: { readonly producerId: unknown; readonly inTransaction: boolean };
};

/** The second half of a mark's key: 0 is an abort, 1 a commit (KIP-98). */
const ABORT = 0;
const MARK_BYTES = 4;

/**
 * kafkajs 2.2.4 takes the aborted transactions of a fetch in the order in which they ended, and steps into one per record
 * (`filterAbortedMessages`): where transactions of several producers lie among each other, it gives out aborted records and leaves out committed
 * ones. A record's transaction ends at the next mark of its producer, so that mark decides where the fetch holds it; beyond the fetch the
 * library's word counts. `kept` are the records that it kept.
 */
export function committedOf(
  raw: readonly RawMessage[],
  by: { readonly fetchedOffset: string; readonly kept: readonly KafkaMessage[] },
): readonly KafkaMessage[] {
  if (!raw.some(({ batchContext }) => batchContext.inTransaction)) return by.kept;
  const kept = new Set(by.kept);
  const from = Number(by.fetchedOffset);
  const ends = new Map<string, "commit" | "abort">();
  const found: KafkaMessage[] = [];
  for (let at = raw.length - 1; at >= 0; at--) {
    const message = raw[at];
    const producer = String(message.batchContext.producerId);
    if (message.isControlRecord) {
      const { key } = message;
      if (key !== null && key.length >= MARK_BYTES)
        ends.set(producer, key.readInt16BE(2) === ABORT ? "abort" : "commit");
      continue;
    }
    if (Number(message.offset) < from) continue;
    const end = message.batchContext.inTransaction ? ends.get(producer) : "commit";
    if (end === "commit" || (end === undefined && kept.has(message))) found.push(message);
  }
  return found.reverse();
}
