// The guard around the champion: when scoring itself fails, the pipeline's policy answers, behind a circuit breaker.
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll } from "cockatiel";

export interface Guard {
  /** What `score` gives; null when it threw or the breaker is open. Runs at once, in the caller's tick. */
  run<T>(score: () => T): T | null;
  status(): { readonly breaker: "closed" | "half-open" | "open"; readonly lastFault: string | null };
}

const FAILURES_BEFORE_BREAK = 5;
const BREAK_MS = 5_000;

/** One a loaded champion. */
export function createGuard(onFault: (error: unknown) => void): Guard {
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: BREAK_MS,
    breaker: new ConsecutiveBreaker(FAILURES_BEFORE_BREAK),
  });
  let lastFault: string | null = null;
  /** The breaker counts failures in a row, so it must hear of a success only after a failure. */
  let healthy = true;
  return {
    run<T>(score: () => T): T | null {
      if (healthy) {
        try {
          return score();
        } catch (error) {
          healthy = false;
          lastFault = String(error);
          onFault(error);
          breaker.execute(() => Promise.reject(error)).catch(() => {});
          return null;
        }
      }
      // While one request tries whether scoring works again, the others are answered by the policy.
      if (breaker.state === CircuitState.HalfOpen) return null;
      let result: T | null = null;
      // cockatiel calls the function before it first waits, so the result is there when execute returns.
      breaker
        .execute(() => {
          try {
            result = score();
            healthy = true;
          } catch (error) {
            lastFault = String(error);
            onFault(error);
            throw error;
          }
        })
        .catch(() => {});
      return result;
    },
    status: () => ({
      breaker:
        breaker.state === CircuitState.Closed
          ? "closed"
          : breaker.state === CircuitState.HalfOpen
            ? "half-open"
            : "open",
      lastFault,
    }),
  };
}
