// Readiness: whether an engine can answer now, and why not; the one place that decides it for every door.
import type { PredictionLog } from "../ports/log.ts";
import type { Engine } from "./engine.ts";
import type { ChampionFault } from "./live.ts";
import type { Slot } from "./pipelines.ts";
import type { OnlineStates } from "./states.ts";

/** What readiness asks of an engine. */
export interface Ready extends Pick<Engine, "live"> {
  readonly log: Pick<PredictionLog, "health" | "refusal">;
}

export type Readiness =
  /** `state`: whether the feature state is warm. */
  | { readonly ready: true; readonly state: "warm" | "cold" }
  | { readonly ready: false; readonly reason: string; readonly fault?: ChampionFault };

/**
 * A pipeline without a model is ready once it has rules; every other one needs a champion. All else asks this function, and `answer` asks
 * `deciderOf`.
 */
export function readinessOf({ live, log }: Ready): Readiness {
  const { champion, fault, modelless, rules, unruled, paused } = live.current;
  if (live.draining) return { ready: false, reason: "draining" };
  if (paused !== undefined) return { ready: false, reason: paused };
  if (modelless && rules === undefined && !unruled) return { ready: false, reason: "no rules" };
  if (champion === null && !modelless) {
    if (fault === undefined) return { ready: false, reason: "no champion" };
    return { ready: false, reason: "the champion cannot be served", fault };
  }
  // A log that cannot be written ends readiness before requests are refused, so that traffic goes elsewhere.
  if (log.health().fault !== null || log.refusal() !== null)
    return { ready: false, reason: "the log cannot be written" };
  return { ready: true, state: champion === null || champion.held.warm ? "warm" : "cold" };
}

/** What whoever asks whether a pipeline can answer receives. */
export interface PipelineStatus {
  /** `paused`: somebody paused or stopped it; the server is no less ready for that. */
  readonly status: "ready" | "degraded" | "paused" | "not ready";
  readonly state?: "warm" | "cold";
  readonly reason?: string;
  readonly fault?: object;
}

/** Whether a pipeline can answer, and why not. */
export function statusOf({ engine, fault }: Slot<Pick<Engine, "live" | "log" | "states">>): PipelineStatus {
  if (engine === null) {
    const { code, message, hint, since } = fault!;
    const what = { code, message, hint, since: new Date(since).toISOString() };
    return { status: "not ready", reason: "the pipeline is not up", fault: what };
  }
  return engineStatus(engine);
}

/** Whether the engine of a pipeline that is up can answer, and why not. */
export function engineStatus(engine: Ready & { readonly states: Pick<OnlineStates, "sharing"> }): PipelineStatus {
  const { status } = engine.live;
  if (status !== "active" && !engine.live.draining) return { status: "paused", reason: status };
  const { ready, ...why } = readinessOf(engine);
  if (!ready) return { status: "not ready", ...why };
  return { status: engine.states.sharing()?.reachable === false ? "degraded" : "ready", ...why };
}

/** Whether a server can answer at all: of several pipelines one is enough. */
export function isAnyReady(slots: readonly Slot<Pick<Engine, "live" | "log" | "states">>[]): boolean {
  return slots.some((slot) => statusOf(slot).status !== "not ready");
}
