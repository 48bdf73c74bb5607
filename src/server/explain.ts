// POST /explain: what every feature added to the score, of a transaction as it would be judged now or of one in the log.

import { budgetMs } from "../online/answer.ts";
import { explanationOf, type WhatToExplain } from "../online/explanation.ts";
import { invalidRequest } from "../online/faults.ts";
import { parseJson } from "../online/json.ts";
import { bodyText, mediaType } from "./body.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { EXPLANATION_SCHEMA, ref } from "./schemas.ts";

export const explainRoute: Route = {
  method: "POST",
  access: "predict",
  path: "/explain",
  summary:
    "Exact attribution of a score (TreeSHAP on log-odds). A transaction is judged as it would be now, without being learned or logged; an id alone, or a transaction answered before, is explained by what was logged.",
  shed: true,
  body: {
    "application/json": {
      anyOf: [ref("Transaction"), ref("TransactionId")],
      properties: { against: { type: "string", description: "An alias or version in shadow, such as `candidate`." } },
    },
  },
  answers: { "application/json": EXPLANATION_SCHEMA },
  run: explain,
};

async function explain(parts: ServerParts, context: RequestContext): Promise<Response> {
  mediaType(context.req.raw, ["application/json"]);
  const text = await bodyText(parts, context);
  const within = <T>(looking: Promise<T>): Promise<T> => parts.overload.within(looking, budgetMs(parts));
  return jsonResponse(await explanationOf(parts, whatIn(parseJson(text)), within));
}

/** What is explained, without `against`, which is no field of a transaction. */
function whatIn(value: unknown): WhatToExplain {
  if (value === null || typeof value !== "object" || !Object.hasOwn(value, "against")) {
    return { against: null, transaction: value };
  }
  const { against, ...transaction } = value as Readonly<Record<string, unknown>>;
  if (typeof against === "string") return { against, transaction };
  throw invalidRequest([{ field: "against", message: "must be an alias or a version, such as candidate" }]);
}
