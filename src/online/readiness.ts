// Readiness: whether an engine can answer now, and why not; the one place that decides it for every door.
import type { Engine } from "./engine.ts";
import type { ChampionFault } from "./live.ts";

export type Readiness =
  /** `state`: whether the feature state is warm. */
  | { readonly ready: true; readonly state: "warm" | "cold" }
  | { readonly ready: false; readonly reason: string; readonly fault?: ChampionFault };

/**
 * Every pipeline has a model today, so one without a champion is not ready. A pipeline of rules alone belongs here: all else asks this
 * function, and `answer` asks `championOf`.
 */
export function readinessOf({ live, log }: Pick<Engine, "live" | "log">): Readiness {
  const { champion, fault } = live.current;
  if (live.draining) return { ready: false, reason: "draining" };
  if (champion === null) {
    if (fault === undefined) return { ready: false, reason: "no champion" };
    return { ready: false, reason: "the champion cannot be served", fault };
  }
  // A log that cannot be written ends readiness before requests are refused, so that traffic goes elsewhere.
  if (log.health().fault !== null || log.refusal() !== null)
    return { ready: false, reason: "the log cannot be written" };
  return { ready: true, state: champion.held.warm ? "warm" : "cold" };
}
