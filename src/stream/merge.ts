// Merge: the records of several partitions in one order, by their times; of records that are there, the order is always the same.
import type { StreamRecord, StreamSource } from "../ports/stream.ts";

/** What a merge reads: a source, or part of one in a test. */
export type Readable = Pick<StreamSource, "take" | "readTo">;

export interface MergeOptions {
  /** Where each partition ended when reading began: up to there it must speak before a later record of another goes on. */
  readonly ends: ReadonlyMap<number, number>;
  /** True: nothing at or beyond the ends is read. */
  readonly untilEnd?: boolean;
  /** How long one that lies behind is waited for. */
  readonly patienceMs?: number;
  /** Milliseconds of a steady clock. */
  readonly elapsed: () => number;
}

interface Queue {
  readonly partition: number;
  records: readonly StreamRecord[];
  at: number;
  /** Others wait for it while something before this offset has not been read; lowered once they have waited enough. */
  awaited: number;
  /** Where it ended when reading began. */
  readonly end: number;
  /** Records from here on are left. */
  readonly stop: number;
}

const PATIENCE_MS = 5_000;

/**
 * Of the partitions' next records the earliest goes first, at equal times that of the lowest partition (as Kafka Streams orders its inputs,
 * KIP-695). So a restart that finds hours of records in every partition judges them in the order of time, and twice in the same. A partition
 * that has nothing keeps nobody waiting; one that has more, which has not come yet, is waited for up to `patienceMs`.
 */
export class Merge {
  private readonly source: Readable;
  private readonly queues: readonly Queue[];
  private readonly patienceMs: number;
  private readonly elapsed: () => number;
  private waitingSince: number | null = null;

  constructor(source: Readable, partitions: readonly number[], options: MergeOptions) {
    this.source = source;
    this.patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.elapsed = options.elapsed;
    this.queues = partitions.map((partition) => {
      const end = options.ends.get(partition) ?? 0;
      return {
        partition,
        records: [],
        at: 0,
        awaited: end,
        end,
        stop: options.untilEnd ? end : Number.POSITIVE_INFINITY,
      };
    });
  }

  /** The next record; null when none has come, or one that has not come may be earlier. */
  next(): StreamRecord | null {
    let first: Queue | null = null;
    let firstTime = 0;
    let lacking = false;
    for (const queue of this.queues) {
      const record = this.head(queue);
      if (record === undefined) {
        lacking ||= this.source.readTo(queue.partition) < queue.awaited;
        continue;
      }
      const time = record.timestamp ?? 0;
      if (first !== null && time >= firstTime) continue;
      first = queue;
      firstTime = time;
    }
    if (first === null) return null;
    if (lacking && this.queues.length > 1 && !this.waitedEnough()) return null;
    this.waitingSince = null;
    return first.records[first.at++];
  }

  /** Whether nothing is left below the ends, also of a partition that nobody waits for any more. */
  get finished(): boolean {
    return this.queues.every(
      (queue) => this.head(queue) === undefined && this.source.readTo(queue.partition) >= queue.end,
    );
  }

  /** Whether everything of a partition below an offset was given, as far as it holds records. */
  passed(partition: number, offset: number): boolean {
    if (this.source.readTo(partition) < offset) return false;
    return this.queues.every(
      (queue) => queue.partition !== partition || (this.head(queue)?.offset ?? offset) >= offset,
    );
  }

  private head(queue: Queue): StreamRecord | undefined {
    if (queue.at === queue.records.length) {
      queue.records = this.source.take(queue.partition);
      queue.at = 0;
    }
    const record = queue.records[queue.at];
    return record !== undefined && record.offset >= queue.stop ? undefined : record;
  }

  private waitedEnough(): boolean {
    const now = this.elapsed();
    this.waitingSince ??= now;
    if (now - this.waitingSince < this.patienceMs) return false;
    for (const queue of this.queues) queue.awaited = Math.min(queue.awaited, this.source.readTo(queue.partition));
    return true;
  }
}
