// The feed: server-sent events for open dashboards, one look per second for all of them, none kept for a browser that does not read.
import { SentinelError } from "../core/errors.ts";

/** Browsers that watch at once; a team with more has other means. */
export const WATCHERS_MAX = 64;
const TICK_MS = 1000;
/** A key or a session that ended ends its stream within so many ticks. */
const TICKS_PER_CHECK = 10;
/** How long a browser waits before it comes again, milliseconds. */
const RETRY_MS = 3000;

interface Watcher {
  /** What this one may see, now. */
  readonly look: () => object;
  /** Throws once it may see nothing any more. */
  readonly check: () => void;
  /** Hears when the connection is gone, whether or not its stream was read to the end. Absent: the stream's reader says so. */
  readonly onGone?: (gone: () => void) => void;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

/** Streams of one server. */
export class Feed {
  private readonly watchers = new Set<Watcher>();
  private readonly encoder = new TextEncoder();
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private stopped = false;

  get size(): number {
    return this.watchers.size;
  }

  /** A stream that begins at once. Throws `server.overloaded` where too many watch, or the server stops. */
  watch(on: Pick<Watcher, "look" | "check" | "onGone">): ReadableStream<Uint8Array> {
    if (this.stopped || this.watchers.size >= WATCHERS_MAX) {
      throw new SentinelError("server.overloaded", `${this.watchers.size} dashboards watch already`, {
        hint: "close one; without the stream a page asks every few seconds instead",
      });
    }
    let watcher: Watcher | null = null;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        const first = eventOf(on.look());
        watcher = { ...on, controller };
        this.watchers.add(watcher);
        on.onGone?.(() => this.end(watcher!));
        controller.enqueue(this.encoder.encode(`retry: ${RETRY_MS}\n${first}`));
        this.timer ??= setInterval(() => this.tick(), TICK_MS).unref();
      },
      cancel: () => this.remove(watcher!),
    });
  }

  /** Ends all streams; none begins any more. */
  stop(): void {
    this.stopped = true;
    for (const watcher of [...this.watchers]) this.end(watcher);
  }

  private tick(): void {
    this.ticks++;
    for (const watcher of [...this.watchers]) {
      try {
        if (this.ticks % TICKS_PER_CHECK === 0) watcher.check();
        // Who does not read gets the next look that there is room for: each one replaces those before.
        if ((watcher.controller.desiredSize ?? 0) > 0) {
          watcher.controller.enqueue(this.encoder.encode(eventOf(watcher.look())));
        }
      } catch {
        this.end(watcher);
      }
    }
  }

  private end(watcher: Watcher): void {
    this.remove(watcher);
    try {
      watcher.controller.close();
    } catch {
      // The browser left already.
    }
  }

  private remove(watcher: Watcher): void {
    this.watchers.delete(watcher);
    if (this.watchers.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

function eventOf(value: object): string {
  return `event: tick\ndata: ${JSON.stringify(value)}\n\n`;
}
