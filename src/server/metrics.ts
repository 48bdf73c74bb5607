// GET /metrics: the measures in Prometheus' text format.
import type { Route } from "./parts.ts";

export const metricsRoute: Route = {
  method: "GET",
  access: "open",
  path: "/metrics",
  summary: "Prometheus metrics.",
  answers: { "text/plain": { type: "string" } },
  async run(parts) {
    parts.measures.inFlight.set(parts.overload.inFlight + parts.intake.bodies);
    parts.measures.bodiesComing.set(parts.intake.bodies);
    parts.measures.streamsOpen.set(parts.intake.streams);
    const text = await parts.measures.text(parts.ports.clock.now(), parts);
    return new Response(text, { headers: { "content-type": parts.measures.contentType } });
  },
};
