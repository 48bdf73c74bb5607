// The pool of brains: the one with the fewest requests under way is asked, one that fails is left alone for a while, a slow one gets company.
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
  isBrokenCircuitError,
} from "cockatiel";
import { messageOf } from "../core/errors.ts";
import type { Brain, BrainReply, Brains } from "../ports/brain.ts";
import type { Clock } from "../ports/ports.ts";

export interface PoolOptions {
  readonly brains: Brains;
  readonly clock: Pick<Clock, "elapsed">;
  /** Failures in a row after which a brain is left alone, and for how long. */
  readonly failuresMax: number;
  readonly breakMs: number;
  /** A request without an answer for so long is sent to a second brain too. */
  readonly hedgeMs: number;
  readonly onFailure?: (where: string, message: string) => void;
  readonly onHedge?: () => void;
}

/** What a request came to; `none`: no brain answered. */
type Asked =
  | { readonly kind: "reply"; readonly reply: BrainReply; readonly where: string }
  | { readonly kind: "none"; readonly why: NoAnswer };

/** There is no brain, all are left alone, none answered in time, or those that were asked failed. */
export type NoAnswer = "no-brain" | "circuit-open" | "too-slow" | "failed";

export interface BrainStatus {
  readonly where: string;
  readonly breaker: "closed" | "half-open" | "open";
  readonly underWay: number;
}

/** Brains that one request is sent to: the first, and one more. Both may have it, because one id is scored once. */
const BRAINS_PER_REQUEST_MAX = 2;

interface Member {
  readonly brain: Brain;
  readonly breaker: CircuitBreakerPolicy;
  underWay: number;
  /** When it was last left alone, by the steady clock. */
  openedAt: number;
}

export class Pool {
  private readonly options: PoolOptions;
  private readonly members = new WeakMap<Brain, Member>();
  private turn = 0;

  constructor(options: PoolOptions) {
    this.options = options;
  }

  /** Resolves within `msMax`. Never rejects. */
  ask(body: string, { requestId, msMax }: { readonly requestId: string; readonly msMax: number }): Promise<Asked> {
    const end = new AbortController();
    const asked = new Set<Member>();
    return new Promise((resolve) => {
      let waiting = 0;
      let open = true;
      const finish = (outcome: Asked): void => {
        if (!open) return;
        open = false;
        clearTimeout(hedge);
        if (waiting === 0) clearTimeout(limit);
        resolve(outcome);
      };
      const next = (): boolean => {
        const member = open && asked.size < BRAINS_PER_REQUEST_MAX ? this.pick(asked) : null;
        if (member === null) return false;
        asked.add(member);
        waiting++;
        this.run(member, body, { requestId, signal: end.signal }).then(
          (reply) => {
            waiting--;
            finish({ kind: "reply", reply, where: member.brain.where });
          },
          () => {
            waiting--;
            if (!next() && waiting === 0) finish({ kind: "none", why: "failed" });
            else if (!open && waiting === 0) clearTimeout(limit);
          },
        );
        return true;
      };
      const hedge = setTimeout(() => {
        if (next()) this.options.onHedge?.();
      }, this.options.hedgeMs);
      // Until then a brain that another one was faster than goes on, so that its own answer, or its want, counts.
      const limit = setTimeout(() => {
        finish({ kind: "none", why: "too-slow" });
        end.abort(new Error(`no answer within ${msMax} ms`));
      }, msMax);
      limit.unref();
      if (!next()) finish({ kind: "none", why: this.options.brains.all().length === 0 ? "no-brain" : "circuit-open" });
    });
  }

  status(): readonly BrainStatus[] {
    return this.options.brains.all().map((brain) => {
      const { breaker, underWay } = this.memberOf(brain);
      return { where: brain.where, breaker: wordOf(breaker.state), underWay };
    });
  }

  /** Whether a request would be sent to a brain now. */
  isOpen(): boolean {
    return this.pick(new Set()) !== null;
  }

  private async run(
    member: Member,
    body: string,
    given: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<BrainReply> {
    member.underWay++;
    try {
      return await member.breaker.execute(() => member.brain.score(body, given));
    } catch (error) {
      if (!isBrokenCircuitError(error)) this.options.onFailure?.(member.brain.where, messageOf(error));
      throw error;
    } finally {
      member.underWay--;
    }
  }

  /** One whose rest is over goes first, to be tried; else the least busy, each in its turn. */
  private pick(not: ReadonlySet<Member>): Member | null {
    const now = this.options.clock.elapsed();
    let best: Member | null = null;
    const all = this.options.brains.all();
    this.turn++;
    for (let i = 0; i < all.length; i++) {
      const member = this.memberOf(all[(i + this.turn) % all.length]);
      if (not.has(member)) continue;
      const { state } = member.breaker;
      if (state === CircuitState.Open && now - member.openedAt >= this.options.breakMs) return member;
      if (state !== CircuitState.Closed) continue;
      if (best === null || member.underWay < best.underWay) best = member;
    }
    return best;
  }

  private memberOf(brain: Brain): Member {
    const known = this.members.get(brain);
    if (known !== undefined) return known;
    const { breakMs, failuresMax, clock } = this.options;
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: breakMs, breaker: new ConsecutiveBreaker(failuresMax) });
    const member: Member = { brain, breaker, underWay: 0, openedAt: Number.NEGATIVE_INFINITY };
    breaker.onBreak(() => {
      member.openedAt = clock.elapsed();
    });
    this.members.set(brain, member);
    return member;
  }
}

function wordOf(state: CircuitState): BrainStatus["breaker"] {
  if (state === CircuitState.Closed) return "closed";
  return state === CircuitState.HalfOpen ? "half-open" : "open";
}
