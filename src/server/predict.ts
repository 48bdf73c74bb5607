// POST /predict: one transaction in, one decision out.
import { answer, budgetMs } from "../online/answer.ts";
import { explainedAnswer } from "../online/explained.ts";
import { parseJson } from "../online/json.ts";
import { entityIn, scoreEntity } from "../online/known.ts";
import type { Parsed } from "../online/parse.ts";
import type { Reply } from "../online/reply.ts";
import { bodyText, mediaType } from "./body.ts";
import { wantsReasons } from "./explained.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { ANSWER_SCHEMA, EXPLAIN_QUERY, ref } from "./schemas.ts";

export const predictRoute: Route = {
  method: "POST",
  access: "predict",
  path: "/predict",
  summary:
    'Scores one transaction. The same id with the same content gets the same answer and counts once. A key alone, such as {"customer_id": "c-4471"}, is scored with what is known of it; that is neither logged nor learned.',
  query: EXPLAIN_QUERY,
  shed: true,
  body: { "application/json": { anyOf: [ref("Transaction"), ref("Entity")] } },
  answers: { "application/json": { anyOf: [ANSWER_SCHEMA, ref("EntityAnswer")] } },
  run: predict,
};

async function predict(parts: ServerParts, context: RequestContext): Promise<Response> {
  const explain = wantsReasons(context);
  mediaType(context.req.raw, ["application/json"]);
  const text = await bodyText(parts, context);
  const json = parseJson(text);
  let parsed: Parsed;
  try {
    parsed = parts.parser.parse(json, parts.ports.clock.now());
  } catch (error) {
    const entity = explain ? null : entityIn(parts, json);
    if (entity === null) throw error;
    return jsonResponse(await parts.overload.within(scoreEntity(parts, entity), budgetMs(parts)));
  }
  const answering: Reply | Promise<Reply> = explain ? explainedAnswer(parts, parsed) : answer(parts, parsed);
  return jsonResponse(
    answering instanceof Promise ? await parts.overload.within(answering, budgetMs(parts)) : answering,
  );
}
