// Routes of /api/tenants, for whoever runs the server: tenants listed, made with their first administrator's key, limited, removed.
import { randomBytes } from "node:crypto";
import { SentinelError } from "../../core/errors.ts";
import { OPERATOR } from "../../core/key.ts";
import { parseTenant, TENANT_LENGTH_MAX, type Tenant } from "../../core/tenant.ts";
import { addTenant, NO_QUOTAS, removeTenant, setTenant, type TenantPorts } from "../../lifecycle/tenants.ts";
import { STORE_TEXT_MAX, TENANT_STATUSES, type TenantQuotas, type TenantRecord } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { actorOf, apiRoute, bodyKind, isoOf } from "./exchange.ts";
import { done } from "./shapes.ts";

const text = { type: "string" };
const limit = { type: ["integer", "null"], minimum: 0, maximum: 1_000_000_000, description: "Null: no limit." };
const LIMITS = { requests_per_second: limit, pipelines: limit, rules: limit, alerts: limit };
const TENANT = done({
  name: text,
  title: text,
  status: { enum: [...TENANT_STATUSES] },
  limits: done(LIMITS),
  created_at: text,
});

type Limits = Partial<Readonly<Record<keyof typeof LIMITS, number | null>>>;
const title = { type: "string", minLength: 1, maxLength: STORE_TEXT_MAX };
const limits = { type: "object", additionalProperties: false, properties: LIMITS };
const MAKE = bodyKind<{ readonly name: string; readonly title?: string; readonly limits?: Limits }>("the tenant", {
  required: ["name"],
  properties: { name: { type: "string", minLength: 1, maxLength: TENANT_LENGTH_MAX }, title, limits },
});
const CHANGE = bodyKind<{ readonly title?: string; readonly limits?: Limits }>("the change", {
  properties: { title, limits },
});

const about = { access: OPERATOR } as const;

export const tenantRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/tenants", {
    findsPipeline: false,
    ...about,
    summary: "All tenants with their limits, removed ones too.",
    gives: { type: "array", items: TENANT },
    async run(server) {
      return jsonResponse((await (await portsOf(server).tenants()).list()).map(shown));
    },
  }),
  apiRoute("POST /api/tenants", {
    findsPipeline: false,
    ...about,
    summary: "Makes a tenant and its first administrator's key, which this answer alone shows.",
    done: 201,
    takes: MAKE,
    gives: done({ key: text, tenant: TENANT }),
    async run(server, context) {
      const { name, title: given = name, limits: own = {} } = await MAKE.read(server, context);
      const { key, tenant } = await addTenant(portsOf(server), {
        name: parseTenant(name),
        title: given,
        quotas: { ...NO_QUOTAS, ...quotasOf(own) },
        actor: actorOf(context.get("caller")),
        random: randomBytes,
      });
      return jsonResponse({ key, tenant: shown(tenant) }, 201);
    },
  }),
  apiRoute("PATCH /api/tenants/{tenant}", {
    findsPipeline: false,
    ...about,
    summary: "Changes the title or the limits that are named.",
    takes: CHANGE,
    gives: TENANT,
    async run(server, context) {
      const { title: given, limits: own = {} } = await CHANGE.read(server, context);
      const actor = actorOf(context.get("caller"));
      return jsonResponse(
        shown(await setTenant(portsOf(server), { name: nameIn(context), title: given, quotas: quotasOf(own), actor })),
      );
    },
  }),
  apiRoute("DELETE /api/tenants/{tenant}", {
    findsPipeline: false,
    ...about,
    summary: "Removes a tenant: its keys open nothing, and its pipelines close; what it had stays where it lies.",
    gives: TENANT,
    async run(server, context) {
      const actor = actorOf(context.get("caller"));
      return jsonResponse(shown(await removeTenant(portsOf(server), { name: nameIn(context), actor, reason: "" })));
    },
  }),
];

/** Errors: request.not-found. */
function portsOf({ tenants }: Server): TenantPorts {
  if (tenants !== null) return tenants;
  throw new SentinelError("request.not-found", "this server serves one tenant alone", {
    hint: "start it with `sentinel serve` in a workspace",
  });
}

function nameIn(context: RequestContext): Tenant {
  return parseTenant(context.req.param("tenant") ?? "");
}

function quotasOf({ requests_per_second: requestsPerSecond, pipelines, rules, alerts }: Limits): Partial<TenantQuotas> {
  const all = { requestsPerSecond, pipelines, rules, alerts };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function shown({ name, title: called, status, quotas, createdAt }: TenantRecord) {
  const { requestsPerSecond: requests_per_second, pipelines, rules, alerts } = quotas;
  return {
    name,
    title: called,
    status,
    limits: { requests_per_second, pipelines, rules, alerts },
    created_at: isoOf(createdAt),
  };
}
