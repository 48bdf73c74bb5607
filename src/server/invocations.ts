// POST /invocations, GET /ping, GET /version: MLflow's scoring protocol, so that its clients need no other.
import { batchBudgetMs } from "../online/answer.ts";
import { answerItems } from "../online/batch.ts";
import { invalidRequest } from "../online/faults.ts";
import { parseJson } from "../online/json.ts";
import { readinessOf } from "../online/readiness.ts";
import { bodyText, mediaType } from "./body.ts";
import { readCsv } from "./invocations/csv.ts";
import { readFrame, withoutNaN } from "./invocations/frame.ts";
import {
  chargeOf,
  jsonResponse,
  type RequestContext,
  type Route,
  type ServerParts,
  type ServerRoute,
} from "./parts.ts";
import { ref } from "./schemas.ts";

const plain = { "text/plain": { type: "string" } };

export const invocationRoutes: readonly (Route | ServerRoute)[] = [
  {
    method: "POST",
    access: "predict",
    path: "/invocations",
    summary:
      "MLflow's scoring protocol: dataframe_split, dataframe_records, instances or inputs as JSON, or CSV with a header. `predictions` holds what /predict answers, in order, by one bundle, all or nothing.",
    shed: true,
    body: { "application/json": ref("Invocation"), "text/csv": { type: "string" } },
    answers: { "application/json": ref("Predictions") },
    run: invoke,
  },
  {
    method: "GET",
    access: "open",
    path: "/ping",
    tellsUnready: true,
    summary: "MLflow's scoring protocol: 200 when a champion can answer, else 503.",
    answers: plain,
    run(parts) {
      const { ready } = readinessOf(parts);
      return text(ready ? "\n" : "not ready\n", ready ? 200 : 503);
    },
  },
  {
    method: "GET",
    access: "open",
    path: "/version",
    summary: "MLflow's scoring protocol: the version of Sentinel.",
    answers: plain,
    runServer: (server) => text(server.packageVersion, 200),
  },
];

async function invoke(parts: ServerParts, context: RequestContext): Promise<Response> {
  const type = mediaType(context.req.raw, ["application/json", "text/csv"]);
  const body = await bodyText(parts, context);
  const items = type === "text/csv" ? readCsv(body, parts) : readFrame(parseJson(withoutNaN(body)));
  if (Array.isArray(items) && items.length === 0) {
    throw invalidRequest([{ field: "the document", message: "holds no transaction" }]);
  }
  const answers = answerItems(parts, items, { charge: chargeOf(parts, context) });
  return jsonResponse({ predictions: await parts.overload.within(answers, batchBudgetMs(parts)) });
}

function text(body: string, status: number): Response {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
