// Routes of /api/keys: people and programs, by their keys: listed, made (shown once), revoked; each change is audited.
import { randomBytes } from "node:crypto";
import { DAY_MS } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { ROLES, type Role } from "../../core/key.ts";
import { addKey, type KeyShown, listKeys, revokeKey } from "../../lifecycle/keys.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { actorOf, apiRoute, bodyKind, isoOf, platformOf } from "./exchange.ts";
import { done } from "./shapes.ts";

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const DAYS_MAX = 3650;

const KEY = done({
  id: text,
  name: text,
  role: { enum: [...ROLES] },
  state: { enum: ["valid", "expired", "revoked"] },
  created_at: text,
  created_by: text,
  expires_at: textOrNull,
  revoked_at: textOrNull,
  pipelines: { type: ["array", "null"], items: text },
});
const MAKE = bodyKind<{
  readonly name: string;
  readonly role: Role;
  readonly days?: number;
  readonly pipelines?: readonly string[];
}>("the key", {
  required: ["name", "role"],
  properties: {
    name: { type: "string", minLength: 1, maxLength: 100 },
    role: { enum: [...ROLES] },
    days: {
      type: "integer",
      minimum: 1,
      maximum: DAYS_MAX,
      description: "Valid for so many days; for ever when absent.",
    },
    pipelines: {
      type: "array",
      minItems: 1,
      maxItems: 100,
      items: text,
      description: "For these alone; for all when absent.",
    },
  },
});

export const keyRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/keys", {
    findsPipeline: false,
    access: "owner",
    summary: "All keys, without what would let anybody in.",
    gives: { type: "array", items: KEY },
    async run(server) {
      return jsonResponse((await listKeys(portsOf(server))).map(shown));
    },
  }),
  apiRoute("POST /api/keys", {
    findsPipeline: false,
    access: "owner",
    summary: "Makes a key, which this answer alone shows.",
    done: 201,
    takes: MAKE,
    gives: done({ key: text, record: KEY }),
    run: make,
  }),
  apiRoute("DELETE /api/keys/{key}", {
    findsPipeline: false,
    access: "owner",
    summary: "Revokes a key: it opens nothing from then on, and its sessions end.",
    gives: KEY,
    async run(server, context) {
      const record = await revokeKey(portsOf(server), context.req.param("key") ?? "");
      await audited(server, context, { action: "key.revoke", record, before: true });
      return jsonResponse(shown(record));
    },
  }),
];

async function make(server: Server, context: RequestContext): Promise<Response> {
  const { name, role, days, pipelines } = await MAKE.read(server, context);
  const { key, record } = await addKey(portsOf(server), {
    role,
    name,
    actor: actorOf(context.get("caller")),
    validMs: days === undefined ? null : days * DAY_MS,
    rate: null,
    pipelines: pipelines ?? null,
    random: randomBytes,
  });
  await audited(server, context, { action: "key.add", record, before: false });
  return jsonResponse({ key, record: shown(record) }, 201);
}

/** The workspace's keys. Errors: request.not-found. */
function portsOf(server: Server) {
  const { keyring } = platformOf(server);
  if (keyring !== null) return keyring;
  throw new SentinelError("request.not-found", "this server's keys come from its environment alone", {
    hint: "change SENTINEL_KEYS, or start it with `sentinel serve` in a workspace",
  });
}

async function audited(
  server: Server,
  context: RequestContext,
  of: { readonly action: string; readonly record: KeyShown; readonly before: boolean },
): Promise<void> {
  const { action, record, before } = of;
  const { audit } = await platformOf(server).store();
  await audit.append({
    at: server.clock.now(),
    actor: actorOf(context.get("caller")),
    action,
    subject: "key",
    subjectId: record.id,
    pipeline: null,
    reason: "",
    before: before ? { ...shown(record), state: "valid", revoked_at: null } : null,
    after: shown(record),
  });
}

function shown({ id, name, role, state, createdAt, createdBy, expiresAt, revokedAt, pipelines }: KeyShown) {
  const instant = (ms: number | null): string | null => (ms === null ? null : isoOf(ms));
  return {
    id,
    name,
    role,
    state,
    created_at: isoOf(createdAt),
    created_by: createdBy,
    expires_at: instant(expiresAt),
    revoked_at: instant(revokedAt),
    pipelines: pipelines === undefined || pipelines === null ? null : [...pipelines],
  };
}
