// A member of a Kafka group: what it was assigned is buffered by partition, within bounds, and taken from there.
import { setTimeout as sleep } from "node:timers/promises";
import type { Admin, Consumer, EachBatchPayload, KafkaMessage } from "kafkajs";
import { SentinelError } from "../../../core/errors.ts";
import type { Assignment, Span, StreamRecord, StreamSource, SubscribeOptions } from "../../../ports/stream.ts";
import { committedOf, type RawMessage } from "./aborted.ts";
import type { CallLimits, KafkaClient } from "./client.ts";
import { RecordInBatch } from "./codec.ts";
import { kafkaError } from "./errors.ts";

interface SourceInput extends SubscribeOptions {
  readonly open: () => KafkaClient;
  readonly limits: CallLimits;
  readonly where: string;
  readonly asAdmin: <T>(what: string, ask: (admin: Admin) => Promise<T>) => Promise<T>;
  readonly stuckMs: number;
}

/** Records of one partition that wait to be taken; beyond either its reading pauses. One fetch more may come. */
const WAITING_MAX = 20_000;
const WAITING_BYTES_MAX = 8_388_608;
const FETCH_BYTES_MAX = 16_777_216;
const FETCH_BYTES_OF_PARTITION = 2_097_152;
/** How long a broker may hold a fetch when it has nothing. */
const FETCH_WAIT_MS = 100;

const REJOIN_MS = 10_000;
/** A gap between two looks that is longer was this process's own: its clients could say nothing meanwhile. */
const STALL_MS = 2_000;
const CRASH_SAID_MS = 2_000;
const LOADING_TRIES_MAX = 40;
const LOADING_PAUSE_MS = 250;

interface Waiting {
  records: StreamRecord[];
  bytes: number;
  /** The offset that is read next; -1 before the partition is started. */
  next: number;
  readTo: number;
  /** Where the partition ended when it was last heard of. */
  end: number;
  paused: boolean;
  heardAt: number;
}

/** Joins the group. Errors: stream.unreachable, stream.missing, config.invalid. */
export async function openSource(input: SourceInput): Promise<StreamSource> {
  for (let tries = 1; ; tries++) {
    const source = new KafkaSource(input);
    try {
      await source.open();
      return source;
    } catch (error) {
      if (!isLoading(error) || tries === LOADING_TRIES_MAX) throw error;
      await sleep(LOADING_PAUSE_MS);
    }
  }
}

/** The group's coordinator has just started: kafkajs gives up at once where it joins. */
function isLoading(error: unknown): boolean {
  const cause = error instanceof SentinelError ? (error.cause as { readonly type?: unknown } | undefined) : undefined;
  return /^(GROUP_LOAD_IN_PROGRESS|GROUP_COORDINATOR_NOT_AVAILABLE|NOT_COORDINATOR_FOR_GROUP)$/.test(
    String(cause?.type),
  );
}

/**
 * kafkajs fetches all partitions of a broker together, and no more before each batch was taken; so a batch is taken at once, and a partition
 * whose records wait is paused. Its consumer is known to stop without a word (kafkajs #659, #1441, #1639): a partition that lies behind and
 * brings nothing for `stuckMs` is a fault, a member that does not even fetch is one much sooner, and a crash is never left to kafkajs to restart.
 */
class KafkaSource implements StreamSource {
  readonly topic: string;
  private readonly input: SourceInput;
  private readonly client: KafkaClient;
  private readonly consumer: Consumer;
  private readonly waiting = new Map<number, Waiting>();
  private current: Assignment | null = null;
  private generation = 0;
  private total = 0;
  private fault: SentinelError | null = null;
  private news = false;
  private wake: (() => void) | null = null;
  private closed = false;
  /** When the client last fetched, said that it is alive, or joined; by a steady clock. */
  private aliveAt = performance.now();
  private lookedAt = performance.now();

  constructor(input: SourceInput) {
    this.input = input;
    this.topic = input.topic;
    const { open, group, sessionMs } = input;
    this.client = open();
    this.consumer = this.client.kafka.consumer({
      groupId: group,
      sessionTimeout: sessionMs,
      // Batches are taken at once, so every living member comes back to a rebalance at once.
      rebalanceTimeout: Math.max(REJOIN_MS, sessionMs),
      heartbeatInterval: Math.max(100, Math.floor(sessionMs / 10)),
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytes: FETCH_BYTES_MAX,
      maxBytesPerPartition: FETCH_BYTES_OF_PARTITION,
      // Only what producers committed.
      readUncommitted: false,
      allowAutoTopicCreation: false,
      retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 2_000, restartOnFailure: async () => false },
    });
  }

  async open(): Promise<void> {
    const { client, consumer, topic } = this;
    const { limits, sessionMs, group, where } = this.input;
    const { GROUP_JOIN, REBALANCING, CRASH, STOP, START_BATCH_PROCESS, FETCH, HEARTBEAT } = consumer.events;
    const alive = (): void => {
      this.aliveAt = performance.now();
    };
    consumer.on(FETCH, alive);
    consumer.on(HEARTBEAT, alive);
    consumer.on(GROUP_JOIN, ({ payload }) => {
      alive();
      this.assigned(payload.memberAssignment[topic] ?? []);
    });
    consumer.on(REBALANCING, () => {
      alive();
      this.unassigned();
    });
    consumer.on(CRASH, ({ payload }) => this.fail(kafkaError(payload.error, `read ${topic} from ${this.input.where}`)));
    // A crash stops it too, and says afterwards why.
    consumer.on(STOP, () => {
      if (this.closed) return;
      setTimeout(() => this.fail(this.stopped("the consumer stopped by itself")), CRASH_SAID_MS).unref();
    });
    consumer.on(START_BATCH_PROCESS, ({ payload }) => {
      const waiting = this.waiting.get(payload.partition);
      if (waiting !== undefined) waiting.end = Math.max(waiting.end, Number(payload.highWatermark));
      // A batch that holds marks of transactions alone comes to nobody, and ends here.
      if (waiting !== undefined && payload.batchSize === 0 && waiting.next >= 0) {
        this.passed(waiting, Number(payload.lastOffset) + 1);
      }
    });
    try {
      this.total = (await this.spans()).size;
      await client.within(
        limits.joinMs + 2 * Math.max(REJOIN_MS, sessionMs),
        `join group ${group} at ${where}`,
        async () => {
          await consumer.connect();
          await consumer.subscribe({ topic, fromBeginning: true });
          await consumer.run({
            autoCommit: false,
            partitionsConsumedConcurrently: 1,
            eachBatch: async (b) => this.batch(b),
          });
        },
      );
      // A group that could not be joined is a crash, and no error of the call.
      if (this.fault !== null) throw this.fault;
    } catch (error) {
      this.closed = true;
      await client.end(limits.leaveMs, () => consumer.disconnect());
      throw kafkaError(error, `read ${topic} from ${this.input.where}`);
    }
  }

  assignment(): Assignment | null {
    return this.current;
  }

  committed(): Promise<ReadonlyMap<number, number>> {
    const { group, asAdmin } = this.input;
    const { topic } = this;
    return asAdmin(`ask what group ${group} has committed at`, async (admin) => {
      const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      const positions = (found?.partitions ?? []).map(({ partition, offset }) => [partition, Number(offset)] as const);
      return new Map(positions.filter(([, offset]) => offset >= 0));
    });
  }

  async spans(): Promise<ReadonlyMap<number, Span>> {
    const { topic } = this;
    const found = await this.input.asAdmin(`ask how long ${topic} is at`, (admin) => admin.fetchTopicOffsets(topic));
    const spans = found.map(
      ({ partition, low, high }) => [partition, { begin: Number(low), end: Number(high) }] as const,
    );
    for (const [partition, { end }] of spans) {
      const waiting = this.waiting.get(partition);
      if (waiting !== undefined) waiting.end = Math.max(waiting.end, end);
    }
    return new Map(spans);
  }

  start(partition: number, position: number): void {
    const waiting = this.waiting.get(partition);
    if (waiting === undefined) return;
    Object.assign(waiting, { records: [], bytes: 0, next: position, readTo: position, heardAt: performance.now() });
    const { topic, consumer } = this;
    consumer.seek({ topic, partition, offset: String(position) });
    waiting.paused = false;
    consumer.resume([{ topic, partitions: [partition] }]);
  }

  take(partition: number): readonly StreamRecord[] {
    const waiting = this.waiting.get(partition);
    if (waiting === undefined || waiting.records.length === 0) return [];
    const { records } = waiting;
    waiting.records = [];
    waiting.bytes = 0;
    if (waiting.paused) {
      waiting.paused = false;
      waiting.heardAt = performance.now();
      this.consumer.resume([{ topic: this.topic, partitions: [partition] }]);
    }
    return records;
  }

  readTo(partition: number): number {
    return this.waiting.get(partition)?.readTo ?? 0;
  }

  async arrived(waitMs: number): Promise<void> {
    if (!this.news && this.fault === null) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
    this.news = false;
    if (this.fault === null) this.look();
    if (this.fault !== null) throw this.fault;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.waiting.clear();
    await this.client.end(this.input.limits.leaveMs, () => this.consumer.disconnect());
  }

  private batch({ batch, isStale }: EachBatchPayload): void {
    const { topic, consumer } = this;
    const { partition } = batch;
    const waiting = this.waiting.get(partition);
    if (waiting === undefined || waiting.next < 0 || isStale()) return;
    // Neither is in its types.
    const { rawMessages = [], fetchedOffset = "0" } = batch as { rawMessages?: RawMessage[]; fetchedOffset?: string };
    const messages = committedOf(rawMessages, { fetchedOffset, kept: batch.messages });
    for (const message of messages) {
      const record = new WaitingRecord(partition, message);
      if (record.offset < waiting.next) continue;
      waiting.next = record.next;
      waiting.bytes += record.size;
      waiting.records.push(record);
    }
    this.passed(waiting, Number(batch.lastOffset()) + 1);
    if (waiting.records.length < WAITING_MAX && waiting.bytes < WAITING_BYTES_MAX) return;
    waiting.paused = true;
    consumer.pause([{ topic, partitions: [partition] }]);
  }

  private passed(waiting: Waiting, readTo: number): void {
    waiting.readTo = Math.max(waiting.readTo, readTo);
    waiting.heardAt = performance.now();
    this.tell();
  }

  private assigned(partitions: readonly number[]): void {
    this.waiting.clear();
    this.generation++;
    const sorted = [...partitions].sort((a, b) => a - b);
    for (const partition of sorted) {
      const heardAt = performance.now();
      this.waiting.set(partition, { records: [], bytes: 0, next: -1, readTo: 0, end: 0, paused: true, heardAt });
    }
    // Nothing is read before it is known from where.
    if (sorted.length > 0) this.consumer.pause([{ topic: this.topic, partitions: sorted }]);
    this.current = { generation: this.generation, partitions: sorted, total: this.total };
    this.tell();
  }

  private unassigned(): void {
    this.waiting.clear();
    this.current = null;
    this.tell();
  }

  private look(): void {
    const now = performance.now();
    const gap = now - this.lookedAt;
    this.lookedAt = now;
    if (gap > STALL_MS) this.aliveAt += gap;
    const { limits, sessionMs, stuckMs } = this.input;
    // While the group gives its partitions out a member waits for the others, dead ones included.
    const silentMs = limits.silentMs + (this.current === null ? 2 * Math.max(REJOIN_MS, sessionMs) : 0);
    if (now - this.aliveAt > silentMs) {
      this.fail(this.stopped(`the client has neither fetched nor said that it is alive for ${silentMs / 1000} s`));
      return;
    }
    for (const [partition, { next, paused, readTo, end, heardAt }] of this.waiting) {
      if (next < 0 || paused || readTo >= end || now - heardAt < stuckMs) continue;
      const seconds = Math.round((now - heardAt) / 1000);
      this.fail(
        this.stopped(`partition ${partition} is ${end - readTo} records behind and brought none for ${seconds} s`),
      );
      return;
    }
  }

  private stopped(what: string): SentinelError {
    return new SentinelError(
      "stream.unreachable",
      `reading ${this.topic} from ${this.input.where} has stopped: ${what}`,
      {
        hint: "it is begun anew by itself; look at the broker when it goes on",
      },
    );
  }

  private fail(fault: SentinelError): void {
    this.fault ??= fault;
    this.current = null;
    this.tell();
  }

  private tell(): void {
    this.news = true;
    this.wake?.();
  }
}

/** A record whose key and value are looked up in its fetch when it is judged. */
class WaitingRecord implements StreamRecord {
  readonly partition: number;
  readonly offset: number;
  readonly next: number;
  readonly timestamp: number | null;
  private readonly message: KafkaMessage;

  constructor(partition: number, message: KafkaMessage) {
    // One that the library decoded itself has texts alone.
    const isOurs = message instanceof RecordInBatch;
    this.partition = partition;
    this.offset = isOurs ? message.place : Number(message.offset);
    this.next = this.offset + 1;
    this.timestamp = timeOf(isOurs ? message.time : message.timestamp);
    this.message = message;
  }

  get key(): Uint8Array | null {
    return this.message.key;
  }

  get value(): Uint8Array | null {
    return this.message.value;
  }

  get size(): number {
    const { message } = this;
    if (message instanceof RecordInBatch) return message.partsBytes;
    return (message.key?.length ?? 0) + (message.value?.length ?? 0);
  }
}

/** Kafka writes -1 where a record has no time. */
function timeOf(timestamp: number | string): number | null {
  const time = Number(timestamp);
  return time >= 0 ? time : null;
}
