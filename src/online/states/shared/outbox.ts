// Outbox: applied records wait in the shared store until a log has them, so that a killed process loses none.
import { messageOf } from "../../../core/errors.ts";
import type { PredictionLog } from "../../../ports/log.ts";
import type { SharedPending, SharedStore } from "../../../ports/shared-store.ts";
import { unpackRecord } from "./records.ts";

/** Between an answer and the note that the log has it; others are noted with it. */
const SETTLE_MS = 50;
/** How often one looks for records that a dead process left. */
const DRAIN_MS = 1000;
/** A record that waits longer belongs to nobody: a living process settles its own sooner. */
const ORPHAN_MS = 3000;

/** Appends what waits to the log, however often: a log takes a record once. Gives how many it took. */
export async function drainPending(store: SharedStore, log: PredictionLog, olderThanMs = 0): Promise<number> {
  const waiting = (await store.pending()).filter(({ ageMs }) => ageMs >= olderThanMs);
  const fields: string[] = [];
  for (const one of waiting) {
    if (!append(log, one)) {
      // No room: what is in the buffer goes first.
      await log.flush();
      if (!append(log, one)) break;
    }
    fields.push(one.field);
  }
  await log.flush();
  await store.settle(fields);
  return fields.length;
}

function append(log: PredictionLog, pending: SharedPending): boolean {
  const unpacked = unpackRecord(pending);
  return unpacked.kind === "label" ? log.appendLabel(unpacked.record) : log.appendPrediction(unpacked.record);
}

export class Outbox {
  private readonly store: SharedStore;
  private readonly log: PredictionLog;
  private readonly onFault: (message: string) => void;
  private unsettled: string[] = [];
  private timer: NodeJS.Timeout | null = null;
  private readonly drainer: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly store: SharedStore;
    readonly log: PredictionLog;
    readonly onFault: (message: string) => void;
  }) {
    this.store = options.store;
    this.log = options.log;
    this.onFault = options.onFault;
    this.drainer = setInterval(() => this.enqueue(() => this.drain()), DRAIN_MS).unref();
  }

  /** The log took this record into its buffer. */
  logged(field: string): void {
    this.unsettled.push(field);
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.enqueue(() => this.settle());
    }, SETTLE_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.drainer);
    if (this.timer !== null) clearTimeout(this.timer);
    this.enqueue(() => this.settle());
    await this.running;
  }

  private enqueue(work: () => Promise<void>): void {
    this.running = this.running.then(work).catch((error: unknown) => this.onFault(messageOf(error)));
  }

  private async settle(): Promise<void> {
    const fields = this.unsettled;
    this.unsettled = [];
    if (fields.length === 0) return;
    // What fails stays in the store, where the next drain finds it.
    await this.log.flush();
    await this.store.settle(fields);
  }

  private async drain(): Promise<void> {
    await drainPending(this.store, this.log, ORPHAN_MS);
  }
}
