// GET /api/audit: who changed what, when, and how it was before and after.
import { type AuditEntry, type AuditFilter, PAGE_MAX } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { apiRoute, checkQuery, integerIn, isoOf, nextPage, platformOf, recordAt, sees, timeOf } from "./exchange.ts";
import { AUDIT } from "./shapes.ts";

const LIMIT = 50;
const QUERY = {
  limit: {
    description: `So many at most (1 to ${PAGE_MAX}).`,
    schema: { type: "integer", minimum: 1, maximum: PAGE_MAX, default: LIMIT },
  },
  cursor: { description: "Where the page before ended: its X-Next-Cursor.", schema: { type: "string" } },
  pipeline: { description: "Id or slug of the pipeline.", schema: { type: "string" } },
  actor: { description: "Who changed it.", schema: { type: "string" } },
  subject: { description: "What kind of thing: pipeline, rules.", schema: { type: "string" } },
  from: { description: "From then on.", schema: { type: "string" } },
  to: { description: "Before then.", schema: { type: "string" } },
};

export const auditRoute: ServerRoute = apiRoute("GET /api/audit", {
  access: "viewer",
  summary: "Changes of pipelines, rules and lists, newest first; each entry seals the one before.",
  query: QUERY,
  gives: { type: "array", items: AUDIT },
  run: list,
});

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, Object.keys(QUERY));
  const limit = integerIn(context, "limit", { low: 1, high: PAGE_MAX, fallback: LIMIT });
  const whose = context.req.query("pipeline");
  const filter: AuditFilter = Object.fromEntries(
    Object.entries({
      pipeline: whose === undefined ? undefined : (await recordAt(server, context, whose)).slug,
      actor: context.req.query("actor"),
      subject: context.req.query("subject"),
      from: timeOf(context.req.query("from"), "from"),
      to: timeOf(context.req.query("to"), "to"),
    }).filter(([, value]) => value !== undefined),
  );
  const { audit } = await platformOf(server).store();
  const page = await audit.page(filter, { limit, cursor: context.req.query("cursor") ?? null });
  const caller = context.get("caller");
  const seen = page.items.filter(({ pipeline }) =>
    pipeline === null ? caller.key === null || sees(caller, "") : sees(caller, pipeline),
  );
  return jsonResponse(seen.map(shown), 200, nextPage(context, page.next));
}

function shown({ index, at, actor, action, subject, subjectId, pipeline, reason, before, after, hash }: AuditEntry) {
  return { index, at: isoOf(at), actor, action, subject, subject_id: subjectId, pipeline, reason, before, after, hash };
}
