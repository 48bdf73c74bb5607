// GET /pipelines: what the server holds, which one is the default, and what is wrong with those that are not up.
import type { Slot } from "../online/pipelines.ts";
import { readinessOf } from "../online/readiness.ts";
import { jsonResponse, type ServerParts, type ServerRoute } from "./parts.ts";

export const pipelinesRoute: ServerRoute = {
  method: "GET",
  access: "any",
  path: "/pipelines",
  summary: "The pipelines of this server: which one is the default, which model each has, and whether it can answer.",
  answers: { "application/json": { type: "object" } },
  runServer({ pipelines }) {
    const all = pipelines.all().map((slot) => aboutOf(slot, pipelines.mainName));
    return jsonResponse({ default: pipelines.mainName, pipelines: all });
  },
};

function aboutOf(slot: Slot<ServerParts>, main: string | null) {
  const { name, from, engine } = slot;
  const { status, ...why } = statusOf(slot);
  return {
    name,
    default: name === main,
    source: from,
    model: engine?.pipeline.model ?? null,
    version: engine?.live.current.champion?.scorer.version ?? null,
    status,
    ...why,
  };
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
export function statusOf({ engine, fault }: Slot<ServerParts>): PipelineStatus {
  if (engine === null) {
    const { code, message, hint, since } = fault!;
    const what = { code, message, hint, since: new Date(since).toISOString() };
    return { status: "not ready", reason: "the pipeline is not up", fault: what };
  }
  const { status } = engine.live;
  if (status !== "active" && !engine.live.draining) return { status: "paused", reason: status };
  const { ready, ...why } = readinessOf(engine);
  if (!ready) return { status: "not ready", ...why };
  return { status: engine.states.sharing()?.reachable === false ? "degraded" : "ready", ...why };
}
