// POST /admin/reload: looks the aliases up now; needs the admin key.
import { createHash, timingSafeEqual } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import { modelOf } from "./model.ts";
import { jsonResponse, type Route } from "./parts.ts";

export const reloadRoute: Route = {
  method: "POST",
  path: "/admin/reload",
  summary:
    "Looks the aliases up now and tries broken versions again. Needs `Authorization: Bearer KEY` or `X-API-Key`.",
  answers: { "application/json": { type: "object" } },
  async run(parts, context) {
    checkKey(context.req.raw.headers, parts.adminKey);
    await parts.live.reload();
    return jsonResponse(modelOf(parts));
  },
};

/** Throws `server.key-missing` unless the request carries the key; without a configured key nothing passes. */
export function checkKey(headers: Headers, adminKey: string | null): void {
  if (adminKey === null) {
    throw new SentinelError("server.key-missing", "admin routes are off: the server was started without a key", {
      hint: "set SENTINEL_ADMIN_KEY and start the server again",
    });
  }
  const given = headers.get("x-api-key") ?? /^Bearer (.+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
  if (timingSafeEqual(digest(given), digest(adminKey))) return;
  throw new SentinelError("server.key-missing", "the admin key is missing or wrong", {
    hint: "send Authorization: Bearer KEY, with the key the server was started with",
  });
}

/** Equal lengths, whatever was sent, as the comparison needs. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
