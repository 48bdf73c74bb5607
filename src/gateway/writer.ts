// The ledger's writer: entries go to the ledger in batches, and to a spool on this machine's disk while the ledger does not take them.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../core/errors.ts";
import {
  LEDGER_APPENDED_MAX,
  type Ledger,
  type LedgerEntry,
  type LedgerRecord,
  type LedgerSpool,
} from "../ports/ledger.ts";
import type { Clock } from "../ports/ports.ts";

export interface WriterOptions {
  readonly ledger: Ledger;
  readonly spool: LedgerSpool;
  readonly clock: Pick<Clock, "elapsed">;
  /** How long entries may wait for the ledger, their turn included, before they go to the spool. */
  readonly appendMsMax: number;
  /** How often the ledger is tried again while the spool holds entries. */
  readonly retryMs: number;
  /** Bytes that the spool may have; beyond them nothing is taken. */
  readonly spoolBytesMax: number;
  readonly onFault?: (message: string) => void;
  /** Entries of ids that the ledger had already, found only when the spool went there. */
  readonly onConflict?: (count: number) => void;
}

interface Waiting {
  readonly entry: LedgerEntry;
  /** When it came, by the steady clock. */
  readonly since: number;
  resolve(record: LedgerRecord | null): void;
  reject(error: unknown): void;
}

/** Under load a batch costs more than the entries in it: it waits this long for others, a small part of an answer's time. */
const GATHER_MS = 2;
/** Entries that wait for a batch; more are refused. */
const WAITING_MAX = 50_000;

/**
 * What was acknowledged is on a disk: the ledger's, or the spool's until the ledger has it. An entry may reach the ledger twice (an append that was
 * given up and came through after all); its id is written once.
 */
export class LedgerWriter {
  private readonly options: WriterOptions;
  private waiting: Waiting[] = [];
  private writing: Promise<void> | null = null;
  private draining: Promise<void> | null = null;
  private spooling = false;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private lastFault = "";

  constructor(options: WriterOptions) {
    this.options = options;
    this.spooling = options.spool.bytes > 0;
  }

  /** Begins to bring to the ledger what an earlier run left in the spool. */
  open(): void {
    this.timer = setInterval(() => this.retry(), this.options.retryMs).unref();
    this.retry();
  }

  /** Whether entries go to the spool now, how many bytes wait there, and how many entries wait for a batch. */
  status(): {
    readonly spooling: boolean;
    readonly spoolBytes: number;
    readonly waiting: number;
    readonly fault: string;
  } {
    const { spooling, lastFault, waiting } = this;
    return { spooling, spoolBytes: this.options.spool.bytes, waiting: waiting.length, fault: lastFault };
  }

  /** Throws `store.unwritable` where nothing more can be kept. */
  admit(): void {
    const { spool, spoolBytesMax } = this.options;
    if (spool.bytes <= spoolBytesMax && this.waiting.length < WAITING_MAX) return;
    throw new SentinelError("store.unwritable", "the ledger has been away for long, and its spool is full", {
      hint: "bring the ledger's database back; what waits goes there by itself",
    });
  }

  /**
   * Resolves when the entry cannot be lost any more: with the record that the ledger had of this id, whose answer is the one that counts, or
   * null. While the ledger is away nobody knows of earlier ones. Errors: store.unwritable (neither can be written).
   */
  write(entry: LedgerEntry): Promise<LedgerRecord | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ entry, since: this.options.clock.elapsed(), resolve, reject });
      this.writing ??= this.work();
    });
  }

  /** Writes what waits; what is in the spool stays there for the next run. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.writing;
    await this.draining;
  }

  private async work(): Promise<void> {
    let shared = 0;
    while (this.waiting.length > 0) {
      // What came in this turn of the event loop shares the batch; where several did, what comes in the next moment does too.
      await (shared > 1 ? sleep(GATHER_MS) : new Promise((resolve) => setImmediate(resolve)));
      const batch = this.waiting.splice(0, LEDGER_APPENDED_MAX);
      shared = batch.length;
      const { clock, appendMsMax } = this.options;
      const msMax = batch[0].since + appendMsMax - clock.elapsed();
      const entries = batch.map(({ entry }) => entry);
      const records = await this.keep(entries, msMax).catch((error: unknown) => {
        for (const one of batch) one.reject(error);
        return null;
      });
      if (records !== null) for (const [index, one] of batch.entries()) one.resolve(records[index]);
    }
    this.writing = null;
  }

  private async keep(entries: readonly LedgerEntry[], msMax: number): Promise<readonly (LedgerRecord | null)[]> {
    if (!this.spooling) {
      try {
        // Behind other batches of a slow ledger the time may be over before its own turn.
        if (msMax <= 0) throw this.tooSlow();
        const records = await this.inTime(this.options.ledger.append(entries), msMax);
        this.lastFault = "";
        return records;
      } catch (error) {
        // An entry that the ledger will never take must not stop the others.
        if (error instanceof SentinelError && error.code === "store.invalid") throw error;
        this.spooling = true;
        this.fault(error);
      }
    }
    await this.options.spool.append(entries);
    // A drain that found the spool empty meanwhile wanted new entries to go to the ledger: these still wait here.
    this.spooling = true;
    return entries.map(() => null);
  }

  private inTime<T>(append: Promise<T>, msMax: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(this.tooSlow()), msMax);
      append.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  private tooSlow(): Error {
    return new Error(`the ledger took longer than ${this.options.appendMsMax} ms`);
  }

  private retry(): void {
    if (!this.spooling || this.draining !== null || this.closed) return;
    this.draining = this.drain()
      .catch((error: unknown) => this.fault(error))
      .finally(() => {
        this.draining = null;
      });
  }

  /** The spool's entries go to the ledger, the oldest first; once none is left new ones go there at once. */
  private async drain(): Promise<void> {
    const { ledger, spool, onConflict } = this.options;
    while (!this.closed) {
      const entries = await spool.oldest(LEDGER_APPENDED_MAX);
      if (entries.length === 0) {
        this.spooling = spool.bytes > 0;
        if (!this.spooling) this.lastFault = "";
        return;
      }
      const records = await ledger.append(entries);
      const conflicts = records.filter((record, index) => record !== null && record.answer !== entries[index].answer);
      if (conflicts.length > 0) onConflict?.(conflicts.length);
      await spool.remove(entries.length);
    }
  }

  private fault(error: unknown): void {
    const message = messageOf(error);
    if (message !== this.lastFault) this.options.onFault?.(message);
    this.lastFault = message;
  }
}
