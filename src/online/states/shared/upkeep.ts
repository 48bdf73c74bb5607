// Upkeep of the shared store: removes keys that no window can read any more and layouts that no server uses, a few at a time.
import { messageOf } from "../../../core/errors.ts";
import type { SharedStore } from "../../../ports/shared-store.ts";
import type { SharedPart } from "./apply.ts";

/** How often one of the servers looks at a portion of keys; a million keys take about half an hour. */
const SWEEP_MS = 1000;
/** How often a server says which layouts it uses, and how long an unused layout is kept: a rollback may need it. */
const USE_MS = 60_000;
const LAYOUT_KEPT_MS = 1_800_000;

export class Upkeep {
  private readonly timer: NodeJS.Timeout;
  private running = false;
  private upMs = 0;

  /** `used` names the layouts of this process's plans, `parts` all that are kept up. */
  constructor(options: {
    readonly store: SharedStore;
    readonly parts: () => readonly SharedPart[];
    readonly used: () => readonly string[];
    readonly onFault: (message: string) => void;
  }) {
    const { store, parts, used, onFault } = options;
    const once = async (): Promise<void> => {
      const layouts = parts().map(({ id, excerpt }) => ({
        id,
        retentionMs: excerpt.state.tables.map(({ retentionMs }) => retentionMs),
      }));
      if (layouts.length === 0) return;
      await store.sweep(layouts, SWEEP_MS - 1);
      // For the first 30 minutes after start remove no layout: another server may be restarting.
      if (this.upMs % USE_MS === 0) await store.use(used(), this.upMs < LAYOUT_KEPT_MS ? Infinity : LAYOUT_KEPT_MS);
    };
    this.timer = setInterval(() => {
      this.upMs += SWEEP_MS;
      if (this.running) return;
      this.running = true;
      once()
        .catch((error: unknown) => onFault(messageOf(error)))
        .finally(() => {
          this.running = false;
        });
    }, SWEEP_MS).unref();
  }

  close(): void {
    clearInterval(this.timer);
  }
}
