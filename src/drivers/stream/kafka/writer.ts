// Transactions in Kafka: records for several topics and the group's positions, together or not at all.
import { setTimeout as sleep } from "node:timers/promises";
import type { Offsets, Transaction as Open, Producer } from "kafkajs";
import { assert, SentinelError } from "../../../core/errors.ts";
import type { OutRecord, StreamWriter, Transaction } from "../../../ports/stream.ts";
import type { CallLimits, KafkaClient } from "./client.ts";
import { kafkaError } from "./errors.ts";
import { keyPartitioner } from "./library.ts";

/** A transaction that is open for longer is undone by the broker, and readers wait for it no more. */
const TRANSACTION_MS_MAX = 60_000;
/** The client sends what goes to one partition as one batch, of which a broker takes a megabyte unless told otherwise. */
const SEND_BYTES_MAX = 524_288;

const MARKING_TRIES_MAX = 250;
const MARKING_PAUSE_MS = 20;

type Messages = ReturnType<typeof messageOf>[];
type Portion = { topic: string; messages: Messages }[];

interface WriterInput {
  readonly open: () => KafkaClient;
  readonly limits: CallLimits;
  readonly where: string;
  /** Null: no transactions, only order and no repeats. */
  readonly id: string | null;
  readonly group: string;
  readonly topic: string;
  /** Partitions of those topics that are there. */
  readonly partitionsOf: (topics: readonly string[]) => Promise<ReadonlyMap<string, number>>;
}

/**
 * A producer of kafkajs whose commit or abort failed is stuck for good (`Cannot call "beginTransaction" in state "COMMITTING"`), so after any
 * fault it is thrown away and {@link takeOver} makes another. Fencing is by the id alone: kafkajs sends no generation with positions.
 */
export class KafkaWriter implements StreamWriter {
  private readonly input: WriterInput;
  private client: KafkaClient | null = null;
  private producer: Producer | null = null;

  constructor(input: WriterInput) {
    this.input = input;
  }

  async takeOver(outputs: readonly string[]): Promise<void> {
    const { open, limits, where, id, partitionsOf } = this.input;
    await this.drop();
    const partitions = id === null ? new Map<string, number>() : await partitionsOf(outputs);
    const client = open();
    const producer = client.kafka.producer({
      ...(id === null ? {} : { transactionalId: id }),
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: TRANSACTION_MS_MAX,
      allowAutoTopicCreation: false,
      createPartitioner: keyPartitioner,
      retry: { retries: 8, initialRetryTime: 50, maxRetryTime: 1_000 },
    });
    this.client = client;
    try {
      await client.within(limits.commitMs, `begin to write to ${where}`, async () => {
        await producer.connect();
        // The first one asks the broker for this id's next epoch: whoever had the last one is shut out, and its open transaction undone.
        if (id !== null) await this.undo(producer, partitions);
      });
    } catch (error) {
      await client.end(limits.leaveMs, () => producer.disconnect());
      throw kafkaError(error, `begin to write to ${where}`);
    }
    this.producer = producer;
  }

  /**
   * A broker that is killed between the answer to a commit and its marks, and is its cluster's only one, forgets the marks when it starts
   * again (4.4.0): it reads its transactions before it knows of any topic, and leaves out the partitions as "likely deleted already". Records
   * and positions stay open, and the next commit of this id would make them appear. So a transaction that touches every partition is aborted
   * first: what was open is undone with it, as the positions say that it never was. Where some of the marks had been written before the kill,
   * those partitions keep what others lose, and no answer to a client says so.
   */
  private async undo(producer: Producer, partitions: ReadonlyMap<string, number>): Promise<void> {
    const { group, topic } = this.input;
    const transaction = await producer.transaction();
    const topicMessages = [...partitions].map(([name, count]) => ({
      topic: name,
      messages: Array.from({ length: count }, (_, partition) => ({ partition, key: "", value: null })),
    }));
    if (topicMessages.length > 0) {
      await transaction.sendBatch({ topicMessages, acks: -1 });
      const offsets = [{ topic, partitions: [{ partition: 0, offset: "0" }] }];
      await sendOffsets(transaction, { consumerGroupId: group, topics: offsets });
    }
    await transaction.abort();
  }

  async commit({ outputs, positions }: Transaction): Promise<void> {
    const { limits, where, id } = this.input;
    const { client, producer } = this;
    if (client === null || producer === null) {
      throw new SentinelError("stream.unreachable", `the last transaction at ${where} failed`, {
        hint: "it is begun anew by itself",
      });
    }
    const portions = portionsOf(outputs);
    try {
      if (id === null) {
        assert(positions.size === 0, "positions are committed by a writer with an id");
        for (const topicMessages of portions) {
          await client.within(limits.commitMs, `write to ${where}`, () =>
            producer.sendBatch({ topicMessages, acks: -1 }),
          );
        }
        return;
      }
      await client.within(limits.commitMs, `commit to ${where}`, () =>
        this.inTransaction(producer, portions, positions),
      );
    } catch (error) {
      await this.drop();
      throw kafkaError(error, `commit to ${where}`);
    }
  }

  async close(): Promise<void> {
    await this.drop();
  }

  private async inTransaction(
    producer: Producer,
    portions: readonly Portion[],
    positions: ReadonlyMap<number, number>,
  ): Promise<void> {
    const { group, topic } = this.input;
    const transaction = await producer.transaction();
    try {
      for (const topicMessages of portions) await transaction.sendBatch({ topicMessages, acks: -1 });
      if (positions.size > 0) {
        const partitions = [...positions].map(([partition, offset]) => ({ partition, offset: String(offset) }));
        await sendOffsets(transaction, { consumerGroupId: group, topics: [{ topic, partitions }] });
      }
    } catch (error) {
      // Readers need not wait until it has timed out.
      await transaction.abort().catch(() => {});
      throw error;
    }
    await transaction.commit();
  }

  private async drop(): Promise<void> {
    const { client, producer } = this;
    this.client = null;
    this.producer = null;
    await client?.end(this.input.limits.leaveMs, async () => producer?.disconnect());
  }
}

/** The transaction before is still being marked: kafkajs tries again where it sends records, and not where it sends positions. */
async function sendOffsets(transaction: Open, offsets: Offsets & { readonly consumerGroupId: string }): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await transaction.sendOffsets(offsets);
    } catch (error) {
      const isBusy = (error as { readonly type?: unknown }).type === "CONCURRENT_TRANSACTIONS";
      if (!isBusy || tries === MARKING_TRIES_MAX) throw error;
      await sleep(MARKING_PAUSE_MS);
    }
  }
}

/** What is sent together, small enough for a broker, in order. */
function portionsOf(outputs: ReadonlyMap<string, readonly OutRecord[]>): Portion[] {
  const portions: Portion[] = [];
  let portion: Portion = [];
  let bytes = 0;
  for (const [topic, records] of outputs) {
    let messages: Messages = [];
    for (const record of records) {
      const size = record.value.length + record.key.length;
      if (bytes > 0 && bytes + size > SEND_BYTES_MAX) {
        if (messages.length > 0) portion.push({ topic, messages });
        portions.push(portion);
        portion = [];
        messages = [];
        bytes = 0;
      }
      messages.push(messageOf(record));
      bytes += size;
    }
    if (messages.length > 0) portion.push({ topic, messages });
  }
  if (portion.length > 0) portions.push(portion);
  return portions;
}

function messageOf({ key, value, timestamp }: OutRecord) {
  const bytes = (part: string | Uint8Array): string | Buffer =>
    typeof part === "string" ? part : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  return { key: bytes(key), value: bytes(value), ...(timestamp === null ? {} : { timestamp: String(timestamp) }) };
}
