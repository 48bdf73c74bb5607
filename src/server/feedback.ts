// POST /feedback: labels, the late truth, one or many; on the clock of event time.

import { SentinelError } from "../core/errors.ts";
import { batchBudgetMs, budgetMs } from "../online/answer.ts";
import { parseLabel, refusedLabel, takeAllAndCount, takeAndCount } from "../online/feedback.ts";
import { parseJson } from "../online/json.ts";
import { bodyText, mediaType } from "./body.ts";
import { chargeOf, jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { FEEDBACK_RESULT_SCHEMA, ref } from "./schemas.ts";

export const feedbackRoute: Route = {
  method: "POST",
  access: "label",
  path: "/feedback",
  summary: "Takes labels: one object or an array. In an array, what is refused is told item by item.",
  shed: true,
  body: { "application/json": { oneOf: [ref("Feedback"), { type: "array", items: ref("Feedback") }] } },
  answers: { "application/json": FEEDBACK_RESULT_SCHEMA },
  run: feedback,
};

async function feedback(parts: ServerParts, context: RequestContext): Promise<Response> {
  mediaType(context.req.raw, ["application/json"]);
  const { batchMax } = parts.pipeline.serve;
  const body = parseJson(await bodyText(parts, context));
  if (!Array.isArray(body)) {
    const label = parseLabel(parts, body, "");
    const outcome = await parts.overload.within(takeAndCount(parts, label), budgetMs(parts));
    if (!outcome.accepted) throw refusedLabel(outcome);
    return jsonResponse({ accepted: 1, rejected: 0, items: [outcome] });
  }
  if (body.length > batchMax) {
    throw new SentinelError("request.body-too-large", `${body.length} labels at once`, {
      hint: `send at most ${batchMax} (serve.batch_max)`,
    });
  }
  const labels = body.map((item, index) => parseLabel(parts, item, `${index}/`));
  chargeOf(parts, context)(Math.max(0, labels.length - 1));
  const items = await parts.overload.within(takeAllAndCount(parts, labels), batchBudgetMs(parts));
  const accepted = items.filter((item) => item.accepted).length;
  return jsonResponse({ accepted, rejected: items.length - accepted, items });
}
