// GET /metrics: the measures of the process and of every pipeline in Prometheus' text format.
import { OPERATOR } from "../core/key.ts";
import { mergedText } from "./measures.ts";
import type { ServerRoute } from "./parts.ts";

export const metricsRoute: ServerRoute = {
  method: "GET",
  access: "open",
  path: "/metrics",
  summary: "Prometheus metrics; with a tenant's key its own, with an operator's all.",
  answers: { "text/plain": { type: "string" } },
  async runServer(server, context) {
    const { measures, overload, intake, clock } = server;
    measures.inFlight.set(overload.inFlight + intake.bodies);
    measures.bodiesComing.set(intake.bodies);
    measures.streamsOpen.set(intake.streams);
    const isOperator = context.get("caller").key?.role === OPERATOR;
    const own = (isOperator ? server.everyRoom() : [server]).flatMap(({ pipelines, measuresOf }) =>
      pipelines.all().map(({ name, engine }) => measuresOf(name).text(clock.now(), engine)),
    );
    // What is measured of the process tells of everybody: of several tenants only whoever runs the server sees it.
    const isWhole = isOperator || server.everyRoom().length === 1;
    const pages = await Promise.all([...(isWhole ? [measures.text()] : []), ...own]);
    return new Response(mergedText(pages), { headers: { "content-type": measures.contentType } });
  },
};
