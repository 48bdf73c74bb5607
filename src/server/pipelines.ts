// GET /pipelines: what the server holds, which one is the default, and what is wrong with those that are not up.
import type { Slot } from "../online/pipelines.ts";
import { statusOf } from "../online/readiness.ts";
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
