// GET /metrics: the measures of the process and of every pipeline in Prometheus' text format.
import { mergedText } from "./measures.ts";
import type { ServerRoute } from "./parts.ts";

export const metricsRoute: ServerRoute = {
  method: "GET",
  access: "open",
  path: "/metrics",
  summary: "Prometheus metrics.",
  answers: { "text/plain": { type: "string" } },
  async runServer(server) {
    const { measures, overload, intake, pipelines, clock } = server;
    measures.inFlight.set(overload.inFlight + intake.bodies);
    measures.bodiesComing.set(intake.bodies);
    measures.streamsOpen.set(intake.streams);
    const own = pipelines.all().map(({ name, engine }) => server.measuresOf(name).text(clock.now(), engine));
    const pages = await Promise.all([measures.text(), ...own]);
    return new Response(mergedText(pages), { headers: { "content-type": measures.contentType } });
  },
};
