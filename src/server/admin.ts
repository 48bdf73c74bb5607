// POST /admin/reload: looks the aliases up now; needs a key of the role admin.
import { modelOf } from "./model.ts";
import { jsonResponse, type Route } from "./parts.ts";

export const reloadRoute: Route = {
  method: "POST",
  access: "admin",
  path: "/admin/reload",
  summary:
    "Looks the aliases up now and tries broken versions again. Needs `Authorization: Bearer KEY` or `X-API-Key`.",
  answers: { "application/json": { type: "object" } },
  async run(parts, context) {
    await parts.live.reload();
    return jsonResponse(modelOf(parts, context.get("caller")));
  },
};
