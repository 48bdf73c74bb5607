// The log's thread: writes what the serving thread hands over, in transactions, and tells what is on disk and what failed.
import { parentPort } from "node:worker_threads";
import { messageOf } from "../../../core/errors.ts";
import { lowerOwnPriority } from "../../../core/priority.ts";
import { type Chunk, readRecord } from "./bytes.ts";
import type { Batch, EndMaker, LogEnd } from "./log-end.ts";
import type { FromThread, ThreadOptions, ToThread, Work } from "./messages.ts";
import type { CoverageCount, LogRecord } from "./records.ts";

/** A write that another process keeps waiting is tried again so soon, one that failed a little later. */
const BUSY_RETRY_MS = 5;
const FAILURE_RETRY_MS = 250;

/** Answers do not wait for the log, but on one processor it must keep up: it gets half of what the serving thread gets. */
const STEPS_BEHIND = 3;

type SeenChunk = Pick<Chunk, "view" | "text" | "memory"> & { readonly names: string[] };

interface Part {
  readonly work: Work;
  /** Where the next record stands. */
  at: number;
}

/** A batch, and where it ends in each part of the queue that it takes from. */
interface NextBatch extends Batch {
  readonly reached: readonly number[];
}

/** One log of this thread. */
class ThreadLog {
  private readonly options: ThreadOptions;
  private readonly tell: (message: FromThread) => void;
  private readonly id: number;
  private maker: EndMaker | null = null;
  private end: LogEnd | null = null;
  private readonly chunks = new Map<number, SeenChunk>();
  private queue: Part[] = [];
  /** Items that were written, by threads before this one too. */
  private written: number;
  /** True from the moment a step is due until it is done. */
  private stepping = false;
  private closing = false;
  private closed = false;

  constructor(
    id: number,
    given: {
      readonly options: ThreadOptions;
      readonly written: number;
      readonly tell: (message: FromThread) => void;
    },
  ) {
    this.id = id;
    this.options = given.options;
    this.written = given.written;
    this.tell = given.tell;
  }

  take(work: Work): void {
    this.queue.push({ work, at: this.known(work) });
    this.later(0);
  }

  /** Whoever closes has flushed; what could not be written then is given up, so that a full disk holds no shutdown up. */
  close(): void {
    this.closing = true;
    this.later(0);
  }

  /** Notes the chunk and its names; gives where the first unwritten record stands. */
  private known(work: Work): number {
    if (work.kind === "coverage") return 0;
    const { memory } = work;
    if (memory !== null) {
      this.chunks.set(work.chunk, { memory, view: new DataView(memory), text: Buffer.from(memory), names: [] });
    }
    const chunk = this.chunks.get(work.chunk)!;
    for (const name of work.names) chunk.names.push(name);
    let at = work.from;
    for (let i = 0; i < work.skip; i++) at += chunk.view.getUint32(at);
    return at;
  }

  private later(ms: number): void {
    if (this.stepping || this.closed) return;
    this.stepping = true;
    const run = async (): Promise<void> => {
      const pause = await this.step();
      this.stepping = false;
      if (pause !== null) this.later(pause);
      else if (this.queue.length > 0 || this.closing) this.later(0);
    };
    if (ms === 0) setImmediate(run);
    else setTimeout(run, ms);
  }

  /** One batch; gives how long to wait for the next one, null where nothing is left to do. Never throws. */
  private async step(): Promise<number | null> {
    if (this.closing) {
      await this.leave();
      return null;
    }
    if (this.queue.length === 0) return null;
    try {
      await this.writeBatch();
      return 0;
    } catch (error) {
      const fault = this.maker?.faultOf(error) ?? { busy: false, code: "", message: messageOf(error) };
      this.tell({ log: this.id, say: "failed", ...fault });
      return fault.busy ? BUSY_RETRY_MS : FAILURE_RETRY_MS;
    }
  }

  /** One transaction; the queue moves on only when it is committed. */
  private async writeBatch(): Promise<void> {
    const end = await this.open();
    const batch = this.nextBatch(this.options.batchRowsMax);
    const { duplicates, already } = await end.write(batch);
    // Part of it was written by a try whose commit nobody heard of: that part is done, and the rest comes next.
    const done = already === 0 ? batch : this.nextBatch(already);
    this.moveOn(done.reached);
    this.written += done.items;
    this.tell({ log: this.id, say: "written", items: done.items, duplicates });
    if (already === 0) await this.forget(end, batch.records);
  }

  /** The first records and counts of the queue, at most so many items. */
  private nextBatch(itemsMax: number): NextBatch {
    const records: LogRecord[] = [];
    const coverage: CoverageCount[] = [];
    const reached: number[] = [];
    let items = 0;
    for (const { work, at } of this.queue) {
      if (items >= itemsMax) break;
      if (work.kind === "coverage") {
        coverage.push(...work.counts);
        items++;
        reached.push(0);
        continue;
      }
      const chunk = this.chunks.get(work.chunk)!;
      let next = at;
      while (next < work.to && items < itemsMax) {
        const read = readRecord(chunk, next);
        records.push(read.entry);
        next = read.next;
        items++;
      }
      reached.push(next);
    }
    return { records, coverage, reached, items, before: this.written };
  }

  private moveOn(reached: readonly number[]): void {
    let done = 0;
    for (const [index, at] of reached.entries()) {
      const part = this.queue[index];
      part.at = at;
      if (part.work.kind === "records") {
        if (at < part.work.to) break;
        if (part.work.last) this.chunks.delete(part.work.chunk);
      }
      done++;
    }
    this.queue = this.queue.slice(done);
  }

  /** What is too old goes. A prune that fails is no failure of the log: the next batch tries again. */
  private async forget(end: LogEnd, written: readonly LogRecord[]): Promise<void> {
    let now = 0;
    for (const { kind, record } of written) if (kind === "prediction") now = Math.max(now, record.receivedAt);
    try {
      const gone = await end.prune(now);
      if (gone !== null) this.tell({ log: this.id, say: "pruned", ...gone });
    } catch (error) {
      const { busy, code, message } = this.maker!.faultOf(error);
      if (!busy) this.tell({ log: this.id, say: "upkeep-failed", code, message });
    }
  }

  private async open(): Promise<LogEnd> {
    this.maker ??= await this.makerOf();
    this.end ??= await this.maker.open();
    return this.end;
  }

  private async makerOf(): Promise<EndMaker> {
    const { options } = this;
    const { place } = options;
    if (place.vendor === "postgres") {
      const { postgresEnd } = await import("../postgres/end.ts");
      return postgresEnd({ ...options, ...place });
    }
    const { sqliteEnd } = await import("../sqlite/end.ts");
    return sqliteEnd({ ...options, ...place }, (error) =>
      this.tell({ log: this.id, say: "upkeep-failed", code: "", message: messageOf(error) }),
    );
  }

  private async leave(): Promise<void> {
    this.closed = true;
    this.queue = [];
    try {
      await this.end?.close();
    } catch {
      // Nothing is lost by a connection that ends badly: what was written is committed.
    }
    this.end = null;
    this.tell({ log: this.id, say: "closed" });
  }
}

lowerOwnPriority(STEPS_BEHIND);
const logs = new Map<number, ThreadLog>();
const port = parentPort!;
port.on("message", (message: ToThread) => {
  const { log } = message;
  if (message.say === "open") {
    const { options, written } = message;
    logs.set(log, new ThreadLog(log, { options, written, tell: (reply) => port.postMessage(reply) }));
    return;
  }
  const open = logs.get(log);
  if (message.say === "work") open?.take(message.work);
  else {
    open?.close();
    logs.delete(log);
  }
});
