// Quotas of a tenant: how much it may have and ask, refused by name, and counted.
import { SentinelError } from "../core/errors.ts";
import { NO_QUOTAS } from "../lifecycle/tenants.ts";
import type { Clock } from "../ports/ports.ts";
import type { TenantQuotas } from "../ports/store.ts";

/** What is limited, as metrics and errors call it. */
export const QUOTAS = ["requests", "pipelines", "rules"] as const;
export type Quota = (typeof QUOTAS)[number];

/** The limits of one tenant, as the store has them. */
export class Quotas {
  private readonly clock: Pick<Clock, "elapsed">;
  private readonly refused: (quota: Quota) => void;
  private limits: TenantQuotas = NO_QUOTAS;
  private tokens = 0;
  private at = 0;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(clock: Pick<Clock, "elapsed">, refused: (quota: Quota) => void) {
    this.clock = clock;
    this.refused = refused;
  }

  get now(): TenantQuotas {
    return this.limits;
  }

  set(limits: TenantQuotas): void {
    if (limits.requestsPerSecond !== this.limits.requestsPerSecond) {
      this.tokens = limits.requestsPerSecond ?? 0;
      this.at = this.clock.elapsed();
    }
    this.limits = limits;
  }

  /** Takes so many requests from what all keys of the tenant may send in a second. Throws `server.rate-limited`. */
  charge(count: number): void {
    const limit = this.limits.requestsPerSecond;
    if (limit === null || count <= 0) return;
    const now = this.clock.elapsed();
    this.tokens = Math.min(limit, this.tokens + ((now - this.at) * limit) / 1000);
    this.at = now;
    // A batch beyond the limit waits for a full second's worth, and leaves it in debt.
    const wanted = Math.min(count, Math.max(1, limit - 1));
    if (limit > 0 && this.tokens >= wanted) {
      this.tokens -= count;
      return;
    }
    this.refused("requests");
    const retryAfterS = limit === 0 ? 60 : Math.max(1, Math.ceil((wanted - this.tokens) / limit));
    throw new SentinelError("server.rate-limited", `all keys of this tenant together may send ${limit} a second`, {
      hint: "send again after Retry-After seconds, or ask whoever runs the server for a higher limit (requests)",
      cause: { retryAfterS },
    });
  }

  /**
   * Makes one more where there is room. Under a limit one is made after the other, so that requests that come together do not all find the
   * same room. Errors: `tenant.limit`, those of both.
   */
  makeOne<T>(
    quota: "pipelines",
    { count, make }: { readonly count: () => Promise<number>; readonly make: () => Promise<T> },
  ): Promise<T> {
    if (this.limits[quota] === null) return make();
    return this.inTurn(async () => {
      this.check(quota, await count());
      return make();
    });
  }

  /** Makes what the store itself refuses beyond a limit, and counts it; one after the other as {@link makeOne}. Errors: those of `make`. */
  async counted<T>(quota: "rules", make: () => Promise<T>): Promise<T> {
    try {
      return this.limits[quota] === null ? await make() : await this.inTurn(make);
    } catch (error) {
      if (error instanceof SentinelError && error.code === "tenant.limit") this.refused(quota);
      throw error;
    }
  }

  private inTurn<T>(make: () => Promise<T>): Promise<T> {
    const made = this.turn.then(make);
    this.turn = made.catch(() => {});
    return made;
  }

  private check(quota: "pipelines", count: number): void {
    const limit = this.limits[quota];
    if (limit === null || count < limit) return;
    this.refused(quota);
    throw new SentinelError("tenant.limit", `this tenant has ${count} ${quota}, and may have ${limit}`, {
      hint: `remove ${quota} that nobody needs, or ask whoever runs the server for a higher limit (${quota})`,
    });
  }
}
