// The serving thread's end of the log: encodes records into shared memory, hands them to the log's thread, knows what is written.
import { SentinelError } from "../../../core/errors.ts";
import type {
  LabelRecord,
  LogHealth,
  LogWatcher,
  PredictionRecord,
  ShadowMiss,
  ShadowRecord,
} from "../../../ports/log.ts";
import { SHADOW_MISSES } from "../../../ports/log.ts";
import { Chunk, idOfPrediction, RecordWriter, readRecord } from "./bytes.ts";
import { joinThread, type LogThread } from "./host.ts";
import type { EndFault } from "./log-end.ts";
import type { FromThread, ThreadOptions, Work } from "./messages.ts";
import { RecentIds } from "./recent.ts";
import type { CoverageCount } from "./records.ts";

export interface WriterOptions extends ThreadOptions {
  /** The log, for people. */
  readonly where: string;
  /** What the far end said of a write that failed, as the log's own error. */
  readonly writeFailed: (fault: Pick<EndFault, "code" | "message">) => SentinelError;
  /** Records, and bytes of them, waiting to be written; beyond either appends answer false. */
  readonly bufferMax: number;
  readonly bufferBytesMax: number;
  /** Written records that stay in memory for look-ups. */
  readonly recentMax: number;
  /** How long a record waits for others before it is handed over; without effect where `sync`. */
  readonly flushMs: number;
  /** Handed over at once when so much waits: the thread then works while the records of the next part come in. */
  readonly handOverBytes: number;
  /** How old the oldest unwritten record may be; beyond it the log refuses more. */
  readonly lagMsMax: number;
  /** How long a flush waits while another process writes. */
  readonly busyMsMax: number;
  /** Milliseconds of a steady clock. */
  readonly elapsed: () => number;
}

/** A chunk holds some hundred records; one that is larger than this gets a chunk of its own. */
const CHUNK_BYTES = 262_144;
/** Appends between two looks at the clock. A busy event loop runs timers late, appends are what keeps it busy. */
const APPENDS_PER_LOOK = 8;
/** Memory of written records that stay for look-ups, whatever their number. */
const RECENT_BYTES_MAX = 33_554_432;

/** Chunk, first record and last record + 1 by number. */
interface Block {
  readonly chunk: Chunk;
  /** Numbers of the records; coverage takes numbers too. */
  readonly first: number;
  end: number;
  /** Bytes and names that the thread has. */
  handedBytes: number;
  handedNames: number;
  closed: boolean;
  records: number;
}

/** What was handed over and is not written: items up to `end` (excluded), the oldest appended at `since`. */
interface Handed {
  readonly work: Work;
  readonly block: Block | null;
  readonly first: number;
  readonly end: number;
  readonly since: number;
}

interface Waiter {
  readonly target: number;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: SentinelError) => void;
}

/** Where a prediction stands in memory. */
interface Place {
  readonly block: Block;
  readonly offset: number;
  readonly item: number;
}

export class Writer {
  /** Records that were there already and were ignored. */
  duplicates = 0;
  watcher: LogWatcher = {};
  private readonly options: WriterOptions;
  private readonly encoder = new RecordWriter();
  private readonly recentIds = new RecentIds();
  private readonly blocks: Block[] = [];
  private readonly free: SharedArrayBuffer[] = [];
  private current: Block | null = null;
  private chunksMade = 0;
  /** Items ever appended and written; records in memory that are written. */
  private appended = 0;
  private written = 0;
  private recent = 0;
  private recentBytes = 0;
  private unwrittenBytes = 0;
  private handed: Handed[] = [];
  private coverage = new Map<string, number>();
  /** When the oldest record that was not handed over came; null: there is none. */
  private openSince: number | null = null;
  private openFirst = 0;
  private looks = 0;
  private timer: NodeJS.Timeout | NodeJS.Immediate | null = null;
  private waiters: Waiter[] = [];
  private failing: { readonly error: SentinelError; readonly busy: boolean } | null = null;
  private failures = 0;
  private pruned = 0;
  private id = 0;
  private thread: LogThread | null = null;
  private stopped = false;
  private onClosed: (() => void) | null = null;

  constructor(options: WriterOptions) {
    this.options = options;
  }

  prediction(record: Omit<PredictionRecord, "sequence">): boolean {
    const place = this.append((chunk) => this.encoder.prediction(chunk, record));
    if (place === null) return false;
    // The first record of an id is kept, here as in the file.
    const { block, offset, item } = place;
    this.recentIds.add(record.transactionId, { chunk: block.chunk.id, offset, item });
    return true;
  }

  label(record: Omit<LabelRecord, "sequence">): boolean {
    return this.append((chunk) => this.encoder.label(chunk, record)) !== null;
  }

  shadow(record: ShadowRecord): boolean {
    return this.append((chunk) => this.encoder.shadow(chunk, record)) !== null;
  }

  addCoverage(version: string, scored: number, missed: Readonly<Partial<Record<ShadowMiss, number>>>): void {
    const add = (outcome: string, count: number): void => {
      const key = `${outcome} ${version}`;
      if (count > 0) this.coverage.set(key, (this.coverage.get(key) ?? 0) + count);
    };
    add("scored", scored);
    for (const miss of SHADOW_MISSES) add(miss, missed[miss] ?? 0);
    if (this.coverage.size > 0) this.schedule();
  }

  /** A prediction in memory; `written` says whether the file has it. */
  recall(transactionId: string): { readonly record: PredictionRecord; readonly written: boolean } | null {
    const place = this.placeOf(transactionId);
    if (place === null) return null;
    const { entry } = readRecord(place.block.chunk, place.offset);
    const record = { ...(entry.record as Omit<PredictionRecord, "sequence">), sequence: 0 };
    return { record, written: place.item < this.written };
  }

  /** Resolves once the prediction is in the file; null when it is, or when memory does not have it. Errors: log.unwritable. */
  durable(transactionId: string): Promise<void> | null {
    const place = this.placeOf(transactionId);
    return place === null || place.item < this.written ? null : this.until(place.item + 1);
  }

  private placeOf(transactionId: string): Place | null {
    const isOf = (chunk: number, offset: number): boolean =>
      idOfPrediction(this.blockOf(chunk).chunk, offset) === transactionId;
    const found = this.recentIds.find(transactionId, isOf);
    return found === null ? null : { block: this.blockOf(found.chunk), offset: found.offset, item: found.item };
  }

  /** Chunks in memory have numbers in a row. */
  private blockOf(chunk: number): Block {
    return this.blocks[chunk - this.blocks[0].chunk.id];
  }

  /** Starts the thread and lets it open the file. Errors: log.unwritable. */
  async prepare(): Promise<void> {
    this.handOver();
    this.handCoverage([]);
    await this.flush();
  }

  /** Everything appended before is in the file. Errors: log.unwritable. */
  async flush(): Promise<void> {
    this.handOver();
    if (this.written < this.appended) await this.until(this.appended);
  }

  /** Why no more should be answered now, or null. */
  refusal(records: number): SentinelError | null {
    const { bufferMax, bufferBytesMax, lagMsMax, where } = this.options;
    const waiting = this.appended - this.written;
    if (waiting + records > bufferMax || this.unwrittenBytes > bufferBytesMax) return this.overfull(waiting);
    if (waiting === 0) return null;
    const age = this.oldestMs();
    if (age <= lagMsMax) return null;
    if (this.failing !== null && !this.failing.busy) return this.failing.error;
    return new SentinelError(
      "log.unwritable",
      `the prediction log ${where} is behind: its oldest unwritten record waits for ${Math.round(age)} ms`,
      {
        hint: "send the request again after Retry-After seconds; the disk or the database is slow, or another process holds it (log.lag_max names the limit)",
      },
    );
  }

  health(): LogHealth {
    return {
      unwritten: this.appended - this.written,
      unwrittenBytes: this.unwrittenBytes,
      oldestMs: this.oldestMs(),
      fault: this.failing === null || this.failing.busy ? null : this.failing.error.message,
      failures: this.failures,
      pruned: this.pruned,
    };
  }

  /** Writes what is left, then closes the thread's connection. Errors: log.unwritable. */
  async close(): Promise<void> {
    if (this.stopped) return;
    try {
      await this.flush();
    } finally {
      this.stopped = true;
      this.unschedule();
      const { thread } = this;
      if (thread !== null) {
        thread.wait(true);
        await new Promise<void>((resolve) => {
          this.onClosed = resolve;
          thread.say({ log: this.id, say: "close" });
        });
        thread.leave();
      }
    }
  }

  private append(encode: (chunk: Chunk) => number): Place | null {
    const { bufferMax, bufferBytesMax } = this.options;
    if (this.stopped || this.appended - this.written >= bufferMax || this.unwrittenBytes > bufferBytesMax) return null;
    let block = this.current ?? this.newChunk(CHUNK_BYTES);
    let before = block.chunk.used;
    let offset = encode(block.chunk);
    for (let size = CHUNK_BYTES; offset < 0; size *= 4) {
      this.closeChunk();
      block = this.newChunk(size);
      before = 0;
      offset = encode(block.chunk);
    }
    const item = this.appended++;
    block.end = this.appended;
    block.records++;
    this.unwrittenBytes += block.chunk.used - before;
    this.openSince ??= this.began(item);
    if (this.options.sync) this.schedule();
    else this.hurry(block);
    return { block, offset, item };
  }

  private began(item: number): number {
    this.openFirst = item;
    this.schedule();
    return this.options.elapsed();
  }

  /** Hands over in time also where the event loop is too busy for its timers. */
  private hurry(block: Block): void {
    if (block.chunk.used - block.handedBytes >= this.options.handOverBytes) {
      this.handOver();
      return;
    }
    if (++this.looks < APPENDS_PER_LOOK) return;
    this.looks = 0;
    if (this.options.elapsed() - (this.openSince ?? 0) >= this.options.flushMs) this.handOver();
  }

  private newChunk(bytes: number): Block {
    const memory =
      bytes === CHUNK_BYTES ? (this.free.pop() ?? new SharedArrayBuffer(bytes)) : new SharedArrayBuffer(bytes);
    const block: Block = {
      chunk: new Chunk(++this.chunksMade, memory),
      first: this.appended,
      end: this.appended,
      handedBytes: 0,
      handedNames: 0,
      closed: false,
      records: 0,
    };
    this.blocks.push(block);
    this.current = block;
    return block;
  }

  private closeChunk(): void {
    const { current } = this;
    if (current === null) return;
    current.closed = true;
    this.handChunk(current);
    this.current = null;
  }

  private schedule(): void {
    if (this.timer !== null || this.stopped) return;
    if (this.options.sync) {
      // One part is under way at a time: what comes meanwhile shares the next commit.
      if (this.handed.length === 0) this.timer = setImmediate(() => this.due());
      return;
    }
    this.timer = setTimeout(() => this.due(), this.options.flushMs).unref();
  }

  private due(): void {
    this.timer = null;
    this.handOver();
  }

  private unschedule(): void {
    if (this.timer === null) return;
    clearTimeout(this.timer as NodeJS.Timeout);
    clearImmediate(this.timer as NodeJS.Immediate);
    this.timer = null;
  }

  private handOver(): void {
    this.unschedule();
    if (this.stopped) return;
    if (this.current !== null) this.handChunk(this.current);
    if (this.coverage.size === 0) return;
    const counts: CoverageCount[] = [...this.coverage].map(([key, count]) => {
      const space = key.indexOf(" ");
      return { version: key.slice(space + 1), outcome: key.slice(0, space), count };
    });
    this.coverage = new Map();
    this.handCoverage(counts);
  }

  private handCoverage(counts: readonly CoverageCount[]): void {
    // A chunk's records have numbers in a row.
    this.closeChunk();
    const first = this.appended++;
    this.hand({
      work: { kind: "coverage", counts },
      block: null,
      first,
      end: first + 1,
      since: this.options.elapsed(),
    });
  }

  private handChunk(block: Block): void {
    const { chunk } = block;
    // The thread releases a chunk with its last part, were that empty.
    if (chunk.used === block.handedBytes && (!block.closed || block.handedBytes === 0)) return;
    const isNew = chunk.used > block.handedBytes;
    const work: Work = {
      kind: "records",
      chunk: chunk.id,
      memory: block.handedBytes === 0 ? chunk.memory : null,
      names: chunk.names.slice(block.handedNames),
      from: block.handedBytes,
      to: chunk.used,
      skip: 0,
      last: block.closed,
    };
    block.handedBytes = chunk.used;
    block.handedNames = chunk.names.length;
    const first = isNew ? this.openFirst : block.end;
    this.hand({ work, block, first, end: block.end, since: this.openSince ?? this.options.elapsed() });
    if (!isNew) return;
    this.openSince = null;
    this.looks = 0;
  }

  private hand(handed: Handed): void {
    this.handed.push(handed);
    this.line().say({ log: this.id, say: "work", work: handed.work });
  }

  private line(): LogThread {
    if (this.thread !== null) return this.thread;
    const { id, thread } = joinThread({
      receive: (message) => this.receive(message),
      restarted: (why) => this.startOver(why),
    });
    this.id = id;
    this.thread = thread;
    this.open(thread);
    return thread;
  }

  private open(thread: LogThread): void {
    const { place, sync, batchRowsMax, rowsMax, keptMsMax, archivedOnly } = this.options;
    const options = { place, sync, batchRowsMax, rowsMax, keptMsMax, archivedOnly };
    thread.say({ log: this.id, say: "open", options, written: this.written });
  }

  /** A new thread gets everything that is not written, from its first part on. */
  private startOver(why: string): void {
    if (this.onClosed !== null) {
      this.onClosed();
      return;
    }
    this.fail({ busy: false, code: "", message: `the thread that writes the log is gone: ${why}` });
    this.open(this.thread!);
    const brought = new Set<number>();
    for (const { work, block, first } of this.handed) {
      if (work.kind === "coverage" || block === null) {
        this.thread!.say({ log: this.id, say: "work", work });
        continue;
      }
      const { chunk } = block;
      const isFirst = !brought.has(chunk.id);
      brought.add(chunk.id);
      const known = isFirst ? { memory: chunk.memory, names: chunk.names.slice() } : { memory: null, names: [] };
      const again: Work = { ...work, ...known, skip: Math.max(0, this.written - first) };
      this.thread!.say({ log: this.id, say: "work", work: again });
    }
    // What is handed over next of these chunks finds its names there.
    for (const block of this.blocks) if (brought.has(block.chunk.id)) block.handedNames = block.chunk.names.length;
  }

  private receive(message: FromThread): void {
    if (message.say === "written") this.note(message);
    else if (message.say === "failed") this.fail(message);
    else if (message.say === "pruned") {
      this.pruned += message.predictions;
      this.watcher.pruned?.(message.predictions, message.through);
    } else if (message.say === "upkeep-failed") {
      this.failures++;
      this.watcher.failed?.(this.options.writeFailed(message));
    } else this.onClosed?.();
  }

  private note({ items, duplicates }: { readonly items: number; readonly duplicates: number }): void {
    this.duplicates += duplicates;
    this.countBytes(this.written, this.written + items);
    this.written += items;
    let done = 0;
    while (done < this.handed.length && this.handed[done].end <= this.written) done++;
    this.handed = this.handed.slice(done);
    if (this.failing !== null) {
      const { busy } = this.failing;
      this.failing = null;
      if (!busy) this.watcher.recovered?.();
    }
    this.settle((waiter) => waiter.target <= this.written, null);
    this.letGo();
    if (this.options.sync && this.handed.length === 0 && (this.openSince !== null || this.coverage.size > 0)) {
      this.handOver();
    }
  }

  /** Takes the records [from, to) off the bytes that wait. */
  private countBytes(from: number, to: number): void {
    for (const { work, first, end } of this.handed) {
      if (first >= to) break;
      if (work.kind === "coverage" || end <= from || end === first) continue;
      // In proportion within a part; exact when the part is done.
      const size = work.to - work.from;
      const share = (item: number): number =>
        Math.round((size * (Math.min(end, Math.max(first, item)) - first)) / (end - first));
      this.unwrittenBytes -= share(to) - share(from);
    }
  }

  /** Written chunks stay for look-ups while there is room for them. */
  private letGo(): void {
    const { recentMax } = this.options;
    this.recent = 0;
    this.recentBytes = 0;
    for (const { end, records, chunk } of this.blocks) {
      if (end > this.written) break;
      this.recent += records;
      this.recentBytes += chunk.memory.byteLength;
    }
    while (this.blocks.length > 0 && (this.recent > recentMax || this.recentBytes > RECENT_BYTES_MAX)) {
      const [oldest] = this.blocks;
      if (!oldest.closed) {
        if (oldest.end > this.written || oldest !== this.current) return;
        this.closeChunk();
      }
      if (oldest.end > this.written) return;
      this.blocks.shift();
      this.recent -= oldest.records;
      this.recentBytes -= oldest.chunk.memory.byteLength;
      this.recentIds.forget(oldest.chunk.id + 1);
      if (oldest.chunk.memory.byteLength === CHUNK_BYTES && this.free.length < 4) this.free.push(oldest.chunk.memory);
    }
  }

  private fail(failed: EndFault): void {
    const { busyMsMax } = this.options;
    const error = this.options.writeFailed(failed);
    const first = this.failing === null || this.failing.busy;
    this.failing = { error, busy: failed.busy };
    if (failed.busy) {
      const now = this.options.elapsed();
      this.settle(({ since }) => now - since >= busyMsMax, error);
      return;
    }
    this.failures++;
    if (first) this.watcher.failed?.(error);
    this.settle(() => true, error);
  }

  private until(target: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ target, since: this.options.elapsed(), resolve, reject });
      if (this.waiters.length === 1) this.line().wait(true);
    });
  }

  private settle(done: (waiter: Waiter) => boolean, error: SentinelError | null): void {
    if (this.waiters.length === 0) return;
    const ended = this.waiters.filter(done);
    if (ended.length === 0) return;
    this.waiters = this.waiters.filter((waiter) => !done(waiter));
    if (this.waiters.length === 0) this.thread?.wait(false);
    for (const { resolve, reject } of ended) {
      if (error === null) resolve();
      else reject(error);
    }
  }

  private oldestMs(): number {
    const since = this.handed.length > 0 ? this.handed[0].since : this.openSince;
    return since === null ? 0 : Math.max(0, this.options.elapsed() - since);
  }

  private overfull(waiting: number): SentinelError {
    return new SentinelError(
      "server.overloaded",
      `${waiting} records wait for the prediction log ${this.options.where}`,
      {
        hint: "send the request again after Retry-After seconds; the log's thread is behind",
      },
    );
  }
}
