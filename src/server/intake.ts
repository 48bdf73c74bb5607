// Intake: bodies that are still coming and streams that are open, with limits of their own; slow ones are cut off.
import { SentinelError } from "../core/errors.ts";
import type { Clock } from "../ports/ports.ts";

export interface IntakeLimits {
  /** Bodies that are still coming; beyond it the one that has been coming longest is cut off. */
  readonly bodiesMax: number;
  /** Bytes of all bodies that are still coming; beyond it likewise. */
  readonly bytesMax: number;
  /** NDJSON streams open at once; beyond it new ones are refused. */
  readonly streamsMax: number;
  /** Lines of one stream; a longer one goes on in a new request. */
  readonly linesMax: number;
  /** A body must come at least so fast, on average, after the grace. */
  readonly bytesPerSecondMin: number;
  readonly graceMs: number;
  /** No body may take longer. */
  readonly msMax: number;
  /** A stream that is waited for must complete a line in so long; an empty line will do. */
  readonly lineMsMax: number;
}

/**
 * 10,000 connections may be open, so that slow ones alone never keep others out; 128 MB is what a small container can spare; any
 * client sends a kilobyte a second, and an idle one that wants its stream kept sends a line break a minute.
 */
export const INTAKE_LIMITS: IntakeLimits = {
  bodiesMax: 5000,
  bytesMax: 128 << 20,
  streamsMax: 128,
  linesMax: 1_000_000,
  bytesPerSecondMin: 1024,
  graceMs: 5000,
  msMax: 30_000,
  lineMsMax: 60_000,
};

const LOOK_MS = 1000;

/** One body that is still coming. */
export interface ComingBody {
  add(bytes: number): void;
  /** It is there, or it is no longer waited for. */
  done(): void;
}

/** One open stream. */
export interface OpenStream {
  /** Waits for `arrived`; rejects with `request.too-slow` where too long has been waited since the last line, or when the stream is cut. */
  wait(arrived: Promise<void>): Promise<void>;
  /** A line is complete: patience begins anew. */
  line(): void;
  done(): void;
}

interface Body {
  readonly begun: number;
  bytes: number;
  readonly cut: (error: SentinelError) => void;
}

/** Counts what is coming. What is being *scored* counts elsewhere: see {@link Overload}. */
export class Intake {
  private readonly clock: Clock;
  private readonly limits: IntakeLimits;
  private readonly timer: NodeJS.Timeout;
  /** In the order in which they began. */
  private readonly coming = new Set<Body>();
  private readonly open = new Set<(error: SentinelError) => void>();
  private bytes = 0;
  private stopping = false;
  private idle: (() => void)[] = [];

  constructor(clock: Clock, limits: Partial<IntakeLimits> = {}) {
    this.clock = clock;
    this.limits = { ...INTAKE_LIMITS, ...limits };
    this.timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  get linesMax(): number {
    return this.limits.linesMax;
  }

  get bodies(): number {
    return this.coming.size;
  }

  get streams(): number {
    return this.open.size;
  }

  /** A body begins to come; `cut` ends the wait for it. */
  body(cut: (error: SentinelError) => void): ComingBody {
    const body: Body = { begun: this.clock.elapsed(), bytes: 0, cut };
    this.coming.add(body);
    this.makeRoom(body);
    return {
      add: (bytes) => {
        if (!this.coming.has(body)) return;
        body.bytes += bytes;
        this.bytes += bytes;
        this.makeRoom(body);
      },
      done: () => this.forget(body),
    };
  }

  /** A stream opens. Throws `server.overloaded`, `server.not-ready`. */
  stream(): OpenStream {
    const { streamsMax, lineMsMax } = this.limits;
    if (this.stopping) throw stopping();
    if (this.open.size >= streamsMax) {
      throw new SentinelError("server.overloaded", `${this.open.size} streams are open already`, {
        hint: "send the request again after Retry-After seconds, send arrays, or add a server",
      });
    }
    let waited = 0;
    let end: SentinelError | null = null;
    let reject: (error: SentinelError) => void = () => {};
    const cut = (error: SentinelError): void => {
      end = error;
      reject(error);
    };
    this.open.add(cut);
    return {
      wait: async (arrived) => {
        if (end !== null) throw end;
        const from = this.clock.elapsed();
        let timer: NodeJS.Timeout | undefined;
        const tooLong = new Promise<never>((_, no) => {
          reject = no;
          timer = setTimeout(() => no(noLine(lineMsMax)), Math.max(0, lineMsMax - waited));
        });
        try {
          await Promise.race([arrived, tooLong]);
        } finally {
          clearTimeout(timer);
          reject = () => {};
          waited += this.clock.elapsed() - from;
        }
      },
      line: () => {
        waited = 0;
        if (end !== null) throw end;
      },
      done: () => {
        this.open.delete(cut);
        this.settle();
      },
    };
  }

  /** Ends the streams; resolves when no body is coming and no stream is open, or after msMax. */
  async drain(msMax: number): Promise<void> {
    this.stopping = true;
    for (const cut of this.open) cut(stopping());
    if (this.coming.size + this.open.size === 0) return;
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

  /** Cuts off those that have been coming longest, but not `own`, which has just shown that it is alive. */
  private makeRoom(own: Body): void {
    const { bodiesMax, bytesMax } = this.limits;
    for (const body of this.coming) {
      if (this.coming.size <= bodiesMax && this.bytes <= bytesMax) return;
      if (body !== own) this.end(body, "the server needs the room for others");
    }
  }

  private look(): void {
    const { bytesPerSecondMin, graceMs, msMax } = this.limits;
    const now = this.clock.elapsed();
    for (const body of this.coming) {
      const ms = now - body.begun;
      if (ms < graceMs) return;
      if (ms >= msMax) this.end(body, `it took ${msMax} ms`);
      else if (body.bytes * 1000 < ms * bytesPerSecondMin)
        this.end(body, `fewer than ${bytesPerSecondMin} bytes a second came`);
    }
  }

  private end(body: Body, why: string): void {
    this.forget(body);
    body.cut(
      new SentinelError("request.too-slow", `the body did not come fast enough: ${why}`, {
        hint: "send the request again",
      }),
    );
  }

  private forget(body: Body): void {
    if (!this.coming.delete(body)) return;
    this.bytes -= body.bytes;
    this.settle();
  }

  private settle(): void {
    if (this.coming.size + this.open.size > 0) return;
    for (const resolve of this.idle) resolve();
    this.idle = [];
  }
}

function noLine(ms: number): SentinelError {
  return new SentinelError("request.too-slow", `no line came within ${ms} ms`, {
    hint: "send an empty line now and then to keep a stream open, or go on in a new request",
  });
}

function stopping(): SentinelError {
  return new SentinelError("server.not-ready", "the server is stopping", {
    hint: "go on in a new request, from the line that was not answered",
  });
}
