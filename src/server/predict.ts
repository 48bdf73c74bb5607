// POST /predict: one transaction in, one decision out.
import { answer, budgetMs } from "../online/answer.ts";
import { explainedAnswer } from "../online/explained.ts";
import { parseJson } from "../online/json.ts";
import type { Reply } from "../online/reply.ts";
import { bodyText, mediaType } from "./body.ts";
import { wantsReasons } from "./explained.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { ANSWER_SCHEMA, EXPLAIN_QUERY, ref } from "./schemas.ts";

export const predictRoute: Route = {
  method: "POST",
  access: "predict",
  path: "/predict",
  summary: "Scores one transaction. The same id with the same content gets the same answer and counts once.",
  query: EXPLAIN_QUERY,
  shed: true,
  body: { "application/json": ref("Transaction") },
  answers: { "application/json": ANSWER_SCHEMA },
  run: predict,
};

async function predict(parts: ServerParts, context: RequestContext): Promise<Response> {
  const explain = wantsReasons(context);
  mediaType(context.req.raw, ["application/json"]);
  const text = await bodyText(parts, context);
  const parsed = parts.parser.parse(parseJson(text), parts.ports.clock.now());
  const answering: Reply | Promise<Reply> = explain ? explainedAnswer(parts, parsed) : answer(parts, parsed);
  return jsonResponse(
    answering instanceof Promise ? await parts.overload.within(answering, budgetMs(parts)) : answering,
  );
}
