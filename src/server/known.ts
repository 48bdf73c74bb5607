// GET /features/{key}/{value}: the online features of one key, for whoever else wants to decide by them.
import { budgetMs } from "../online/answer.ts";
import { featuresOf } from "../online/known.ts";
import { jsonResponse, type Route } from "./parts.ts";

export const featuresRoute: Route = {
  method: "GET",
  access: "predict",
  path: "/features/{key}/{value}",
  summary:
    "The champion's features that are kept by one key, such as /features/customer_id/c-4471: what a transaction of it would see now, itself included. From this process's state, or from the one in Redis that all share.",
  shed: true,
  answers: {
    "application/json": {
      type: "object",
      required: ["key", "value", "as_of", "features", "model"],
      properties: {
        key: { type: "string" },
        value: { type: "string" },
        as_of: { type: "string", format: "date-time", description: "The newest event time that is known." },
        features: { type: "object", additionalProperties: { type: ["number", "null"] } },
        model: { type: "object" },
      },
    },
  },
  async run(parts, context) {
    const column = context.req.param("key")!;
    const value = context.req.param("value")!;
    return jsonResponse(await parts.overload.within(featuresOf(parts, { column, value }), budgetMs(parts)));
  },
};
