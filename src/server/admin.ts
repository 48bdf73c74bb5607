// POST /admin/reload: looks the aliases of every pipeline up now; needs a key of the role admin.

import { statusOf } from "../online/readiness.ts";
import { modelOf } from "./model.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "./parts.ts";

export const reloadRoute: ServerRoute = {
  method: "POST",
  access: "admin",
  path: "/admin/reload",
  summary:
    "Looks the aliases of every pipeline up now, and tries broken versions and pipelines again. Needs `Authorization: Bearer KEY` or `X-API-Key`.",
  answers: { "application/json": { type: "object" } },
  runServer: reloadAll,
};

/** What is said of the default pipeline stands at the top too. */
async function reloadAll(server: Server, context: RequestContext): Promise<Response> {
  const { pipelines } = server;
  await pipelines.retry();
  const caller = context.get("caller");
  const all = await Promise.all(
    pipelines.all().map(async (slot) => {
      await slot.engine?.live.reload();
      return [slot.name, slot.engine === null ? statusOf(slot) : modelOf(slot.engine, caller)] as const;
    }),
  );
  const main = all.find(([name]) => name === pipelines.mainName)?.[1];
  return jsonResponse({ ...main, pipelines: Object.fromEntries(all) });
}
