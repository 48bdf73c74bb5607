// Overload: requests beyond what can be answered soon are refused at once, before latency collapses.
import { SentinelError } from "../core/errors.ts";
import type { Clock } from "../ports/ports.ts";

export interface OverloadOptions {
  readonly clock: Clock;
  /** Requests that are being read or answered at once. */
  readonly inFlightMax: number;
  /** Event-loop delay beyond which new requests are refused, when it lasts. */
  readonly lagMsMax: number;
  /** Told the delay of the event loop at each look. */
  readonly onLag?: (ms: number) => void;
}

const SAMPLE_MS = 20;
/** One long pause (a garbage collection, a snapshot) is no overload; so many in a row are. */
const SAMPLES_LATE = 3;

/** Counts requests in flight and watches the delay of the event loop. */
export class Overload {
  inFlight = 0;
  private readonly options: OverloadOptions;
  private readonly timer: NodeJS.Timeout;
  private late = 0;
  private last: number;
  private idle: (() => void)[] = [];

  constructor(options: OverloadOptions) {
    this.options = options;
    this.last = options.clock.elapsed();
    this.timer = setInterval(() => this.sample(), SAMPLE_MS).unref();
  }

  /** Throws `server.overloaded`, else counts the request until {@link leave}. */
  enter(): void {
    const { inFlightMax } = this.options;
    if (this.inFlight >= inFlightMax) throw overloaded(`${this.inFlight} requests are in flight already`);
    if (this.late >= SAMPLES_LATE) throw overloaded("answers are late already");
    this.inFlight++;
  }

  leave(): void {
    this.inFlight--;
    if (this.inFlight > 0) return;
    for (const resolve of this.idle) resolve();
    this.idle = [];
  }

  /** Resolves when nothing is in flight, or after msMax. */
  async settled(msMax: number): Promise<void> {
    if (this.inFlight === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, msMax);
      this.idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private sample(): void {
    const now = this.options.clock.elapsed();
    const lagMs = now - this.last - SAMPLE_MS;
    this.options.onLag?.(Math.max(0, lagMs));
    this.late = lagMs > this.options.lagMsMax ? this.late + 1 : 0;
    this.last = now;
  }
}

function overloaded(what: string): SentinelError {
  return new SentinelError("server.overloaded", `the server is overloaded: ${what}`, {
    hint: "send the request again after Retry-After seconds, or add a server",
  });
}
