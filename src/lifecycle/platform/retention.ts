// Retention of the store: the oldest alerts and audit entries go, a small transaction after the other, and never in the way of answers.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../core/errors.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { Clock } from "../../ports/ports.ts";
import type { Store } from "../../ports/store.ts";
import { retainStore, type StoreKept } from "../retention.ts";

const LOOK_MS = 3_600_000;
const PAUSE_MS = 100;
/** Slices of one look: a table that grew for years shrinks over some hours. */
const SLICES_MAX = 1000;

export interface RetentionOptions {
  readonly store: () => Promise<Store>;
  /** Asked at each look: what pipelines say may change. */
  readonly keep: () => StoreKept;
  readonly clock: Clock;
  readonly logger: EngineLog;
}

/** Looks every hour while a server runs; several servers of one store may do so at once. */
export class Retention {
  private readonly options: RetentionOptions;
  private timer: NodeJS.Timeout | undefined;
  private turn: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(options: RetentionOptions) {
    this.options = options;
  }

  start(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
    void this.look();
  }

  /** Removes what is too old now; never throws. */
  look(): Promise<void> {
    this.turn = this.turn.then(() => this.once());
    return this.turn;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.turn;
  }

  private async once(): Promise<void> {
    const { keep, logger, store: open } = this.options;
    try {
      const kept = keep();
      const { alertsMs, auditMs, ledgerMs } = kept;
      if (alertsMs === null && auditMs === null && ledgerMs === null) return;
      const pause = async (): Promise<boolean> => {
        await sleep(PAUSE_MS, undefined, { ref: false });
        return !this.stopped;
      };
      const now = this.options.clock.now();
      const gone = await retainStore(await open(), { kept, actor: "serve", now, pause, slicesMax: SLICES_MAX });
      if (gone.alerts + gone.audit + gone.ledger > 0) logger.info(gone, "the store forgot what was too old");
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "the store cannot forget what is too old; the next look is in an hour");
    }
  }
}
