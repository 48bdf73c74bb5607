// Overload: requests beyond what can be answered soon are refused at once, before latency collapses; what is still coming is no load.
import { SentinelError } from "../core/errors.ts";
import type { Clock } from "../ports/ports.ts";
import { HeldBack } from "./held-back.ts";
import { Pace } from "./pace.ts";

export interface OverloadOptions {
  readonly clock: Clock;
  /** Requests that are being answered at once; bodies that are still coming are counted by the intake. */
  readonly inFlightMax: number;
  /** Event-loop delay beyond which new requests are refused, when it lasts. */
  readonly lagMsMax: number;
  /** Told the delay of the event loop at each look. */
  readonly onLag?: (ms: number) => void;
}

const SAMPLE_MS = 5;
/** One long pause (a garbage collection, a snapshot) is no overload; so many in a row are. */
const SAMPLES_LATE = 3;

/** An answer that is waited for. */
interface Pending {
  readonly until: number;
  giveUp(): void;
}

/** Counts requests in flight and watches the delay of the event loop. */
export class Overload {
  inFlight = 0;
  private readonly options: OverloadOptions;
  private readonly timer: NodeJS.Timeout;
  private lateSamples = 0;
  readonly pace = new Pace();
  readonly heldBack = new HeldBack();
  /** By their budgets, of which there are few: of those with one budget the oldest ends first. */
  private readonly pending = new Map<number, Set<Pending>>();
  private last: number;
  private idle: (() => void)[] = [];

  constructor(options: OverloadOptions) {
    this.options = options;
    this.last = options.clock.elapsed();
    this.timer = setInterval(() => this.sample(), SAMPLE_MS).unref();
  }

  /** Throws `server.overloaded`, else counts the request until {@link leave}. */
  enter(): void {
    this.admit();
    this.inFlight++;
  }

  /** Counts a request that was admitted, once its body is there. Throws `server.overloaded` when there is no room. */
  enterAdmitted(): void {
    this.checkRoom(this.options.inFlightMax);
    this.inFlight++;
  }

  /** The first half of {@link enter}: throws `server.overloaded`, and does not count the request as being answered. */
  admit(): void {
    this.checkRoom(this.options.inFlightMax);
    if (this.lateSamples >= SAMPLES_LATE || !this.pace.admit()) throw LATE;
  }

  /**
   * Waits for a counted request's body: until it is there, the request is not counted, for who sends slowly keeps nobody else out. Counted
   * again it must find room once more. Errors: `server.overloaded`, those of `body`.
   */
  async aside<T>(body: Promise<T>): Promise<T> {
    this.leave();
    try {
      return await body;
    } finally {
      this.inFlight++;
      this.checkRoom(this.options.inFlightMax + 1);
    }
  }

  /** Counts work on a request that has been let in already. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.inFlight++;
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /**
   * Waits for the answer to a counted request, for its budget at most; then throws `server.too-slow`. What is given up goes on, and counts
   * until it ends.
   */
  within<T>(answer: Promise<T>, budgetMs: number): Promise<T> {
    const pending = this.pending.get(budgetMs) ?? new Set();
    this.pending.set(budgetMs, pending);
    return new Promise((resolve, reject) => {
      const one: Pending = {
        until: this.options.clock.elapsed() + budgetMs,
        giveUp: () => {
          pending.delete(one);
          this.inFlight++;
          const leave = (): void => this.leave();
          answer.then(leave, leave);
          reject(tooSlow(budgetMs));
        },
      };
      pending.add(one);
      const settle = (): void => void pending.delete(one);
      answer.then(
        (value) => {
          settle();
          resolve(value);
        },
        (error: unknown) => {
          settle();
          reject(error);
        },
      );
    });
  }

  /** The refusal of a request whose turn came too late. */
  get late(): SentinelError {
    return LATE;
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
    this.heldBack.stop();
  }

  private checkRoom(max: number): void {
    if (this.inFlight >= max) throw overloaded(`${this.inFlight} requests are being answered already`);
  }

  private sample(): void {
    const now = this.options.clock.elapsed();
    const lagMs = now - this.last - SAMPLE_MS;
    this.options.onLag?.(Math.max(0, lagMs));
    this.pace.turn(now - this.last);
    this.heldBack.turn(now - this.last, this.pace.answerMs);
    for (const pending of this.pending.values()) {
      for (const one of pending) {
        if (one.until > now) break;
        one.giveUp();
      }
    }
    // Where the pace refuses already, some are answered, however long its refusals make a turn.
    this.lateSamples = this.pace.limited ? 0 : lagMs > this.options.lagMsMax ? this.lateSamples + 1 : 0;
    this.last = now;
  }
}

function overloaded(what: string): SentinelError {
  return new SentinelError("server.overloaded", `the server is overloaded: ${what}`, {
    hint: "send the request again after Retry-After seconds, or add a server",
  });
}

/** Made once: thousands a second are thrown when there are any, and a stack takes longer than the rest of the refusal. */
const LATE = overloaded("answers are late already");

function tooSlow(budgetMs: number): SentinelError {
  return new SentinelError("server.too-slow", `the answer was not there within ${budgetMs} ms`, {
    hint: "send it again: the same id with the same content gets the answer that was given meanwhile",
  });
}
