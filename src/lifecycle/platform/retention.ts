// Retention of the store: the oldest alerts and audit entries go, a small transaction after the other, and never in the way of answers.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../core/errors.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { Clock } from "../../ports/ports.ts";
import type { Store } from "../../ports/store.ts";
import { retainStore, type StoreKept } from "../retention.ts";

const LOOK_MS = 3_600_000;
/** What a tenant may keep at most can be passed within minutes. */
const TRIM_MS = 60_000;
/** Rows of one transaction: the embedded store takes some milliseconds of the serving thread for them. */
const SLICE_ROWS = 200;
const PAUSE_MS = 100;
/** Slices of one look: a table that grew for years shrinks over some hours. */
const SLICES_MAX = 1000;

export interface RetentionOptions {
  readonly store: () => Promise<Store>;
  /** Asked at each look: what pipelines say may change. */
  readonly keep: () => StoreKept;
  /** How many alerts there may be now, and who hears of those that went for it. */
  readonly alerts: { max(): number | null; removed(count: number): void };
  readonly clock: Clock;
  readonly logger: EngineLog;
}

/** Looks every hour, and every minute at what there are too many of, while a server runs; several servers of one store may do so at once. */
export class Retention {
  private readonly options: RetentionOptions;
  private timers: readonly NodeJS.Timeout[] = [];
  private turn: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(options: RetentionOptions) {
    this.options = options;
  }

  start(): void {
    this.timers = [
      setInterval(() => void this.look(), LOOK_MS).unref(),
      setInterval(() => void this.trim(), TRIM_MS).unref(),
    ];
    void this.look();
    void this.trim();
  }

  /** Removes what is too old now; never throws. */
  look(): Promise<void> {
    this.turn = this.turn.then(() => this.once());
    return this.turn;
  }

  /** Removes the oldest alerts of which there are too many now; never throws. */
  trim(): Promise<void> {
    this.turn = this.turn.then(() => this.trimOnce());
    return this.turn;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
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

  private async trimOnce(): Promise<void> {
    const { alerts: limit, logger, store: open } = this.options;
    const keep = limit.max();
    if (keep === null) return;
    try {
      const { alerts } = await open();
      const gone = await this.sliced(async () => {
        const count = await alerts.trim({ keep, limit: SLICE_ROWS });
        if (count > 0) limit.removed(count);
        return count;
      });
      if (gone > 0)
        logger.info({ alerts: gone, keep }, "the oldest alerts went, since there were more than there may be");
    } catch (error) {
      logger.warn(
        { error: messageOf(error) },
        "alerts beyond the limit cannot be removed; the next look is in a minute",
      );
    }
  }

  private async sliced(remove: () => Promise<number>): Promise<number> {
    let gone = 0;
    for (let slice = 0; slice < SLICES_MAX && !this.stopped; slice++) {
      const count = await remove();
      gone += count;
      if (count < SLICE_ROWS) return gone;
      await sleep(PAUSE_MS, undefined, { ref: false });
    }
    return gone;
  }
}
