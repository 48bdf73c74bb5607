// The log's thread: writes what the serving thread hands over, in transactions, and tells what is on disk and what failed.
import { parentPort } from "node:worker_threads";
import { messageOf } from "../../../core/errors.ts";
import { lowerOwnPriority } from "../../../core/priority.ts";
import { type Chunk, readRecord } from "./bytes.ts";
import { type Checkpointer, createCheckpointer } from "./checkpoint.ts";
import { type CoverageCount, inserter, type LogRecord } from "./insert.ts";
import type { FromThread, ThreadOptions, ToThread, Work } from "./messages.ts";
import { createPruner } from "./prune.ts";
import { type Connection, codeOf, isBusy, openLog } from "./schema.ts";

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

/** One log of this thread. */
class ThreadLog {
  private readonly options: ThreadOptions;
  private readonly tell: (message: FromThread) => void;
  private readonly id: number;
  private db: Connection | null = null;
  private insert: ReturnType<typeof inserter> | null = null;
  private prune: ReturnType<typeof createPruner> | null = null;
  private readonly checkpointer: Checkpointer;
  private readonly chunks = new Map<number, SeenChunk>();
  private queue: Part[] = [];
  private waiting = false;
  private closing = false;

  constructor(id: number, options: ThreadOptions, tell: (message: FromThread) => void) {
    this.id = id;
    this.options = options;
    this.tell = tell;
    this.checkpointer = createCheckpointer(options.file, (error) =>
      tell({ log: id, say: "upkeep-failed", message: messageOf(error) }),
    );
  }

  take(work: Work): void {
    this.queue.push({ work, at: this.known(work) });
    this.later(0);
  }

  /** Whoever closes has flushed; what could not be written then is given up, so that a full disk holds no shutdown up. */
  close(): void {
    this.closing = true;
    this.queue = [];
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
    if (this.waiting) return;
    this.waiting = true;
    const run = (): void => {
      this.waiting = false;
      this.step();
    };
    if (ms === 0) setImmediate(run);
    else setTimeout(run, ms);
  }

  private step(): void {
    if (this.queue.length === 0) {
      if (this.closing) void this.end();
      return;
    }
    try {
      this.writeBatch();
      this.later(0);
    } catch (error) {
      const busy = isBusy(error);
      this.tell({ log: this.id, say: "failed", busy, code: codeOf(error), message: messageOf(error) });
      this.later(busy ? BUSY_RETRY_MS : FAILURE_RETRY_MS);
    }
  }

  /** One transaction; the queue moves on only when it is committed. */
  private writeBatch(): void {
    const { batchRowsMax } = this.options;
    const db = this.open();
    const records: LogRecord[] = [];
    const coverage: CoverageCount[] = [];
    const reached: number[] = [];
    let items = 0;
    for (const { work, at } of this.queue) {
      if (records.length >= batchRowsMax) break;
      if (work.kind === "coverage") {
        coverage.push(...work.counts);
        items++;
        reached.push(0);
        continue;
      }
      const chunk = this.chunks.get(work.chunk)!;
      let next = at;
      while (next < work.to && records.length < batchRowsMax) {
        const read = readRecord(chunk, next);
        records.push(read.entry);
        next = read.next;
        items++;
      }
      reached.push(next);
    }
    const isEmpty = records.length === 0 && coverage.length === 0;
    const { duplicates } = isEmpty ? { duplicates: 0 } : this.insert!(records, coverage);
    this.moveOn(reached);
    this.tell({ log: this.id, say: "written", items, duplicates });
    this.checkpointer.batchWritten();
    this.forget(db, records);
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
  private forget(db: Connection, written: readonly LogRecord[]): void {
    let now = 0;
    for (const { kind, record } of written) if (kind === "prediction") now = Math.max(now, record.receivedAt);
    try {
      const gone = this.prune!(db, now);
      if (gone !== null) this.tell({ log: this.id, say: "pruned", ...gone });
    } catch (error) {
      if (!isBusy(error)) this.tell({ log: this.id, say: "upkeep-failed", message: messageOf(error) });
    }
  }

  private open(): Connection {
    if (this.db !== null) return this.db;
    const { file, sync, pagesMax, rowsMax, keptMsMax, batchRowsMax, archivedOnly } = this.options;
    const db = openLog(file, { sync });
    if (pagesMax > 0) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
    this.insert = inserter(db);
    this.prune = createPruner({ rowsMax, keptMsMax, batchRowsMax, archivedOnly });
    this.db = db;
    return db;
  }

  private async end(): Promise<void> {
    await this.checkpointer.close();
    this.db?.close();
    this.db = null;
    this.tell({ log: this.id, say: "closed" });
  }
}

lowerOwnPriority(STEPS_BEHIND);
const logs = new Map<number, ThreadLog>();
const port = parentPort!;
port.on("message", (message: ToThread) => {
  const { log } = message;
  if (message.say === "open") {
    logs.set(log, new ThreadLog(log, message.options, (told) => port.postMessage(told)));
    return;
  }
  const open = logs.get(log);
  if (message.say === "work") open?.take(message.work);
  else {
    open?.close();
    logs.delete(log);
  }
});
