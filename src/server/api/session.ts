// Routes of /api/session: who is asking, login by a key, logout.
import { SentinelError } from "../../core/errors.ts";
import { isFor, type Role } from "../../core/key.ts";
import type { Caller } from "../access.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { cookieOf, SESSION_MS_MAX, tokenIn } from "../sessions.ts";
import { bodyKind, isoOf } from "./exchange.ts";
import { done, SESSION } from "./shapes.ts";

const KEY_LENGTH_MAX = 200;
const LOGIN = bodyKind<{ readonly key: string }>("the login", {
  required: ["key"],
  properties: { key: { type: "string", minLength: 1, maxLength: KEY_LENGTH_MAX } },
});

/** Roles of people; those of programs see nothing. */
const PEOPLE: readonly Role[] = ["viewer", "analyst", "admin"];

export const sessionRoutes: readonly ServerRoute[] = [
  {
    method: "GET",
    access: "open",
    path: "/api/session",
    summary: "Who asks, in which role, and whether a login is needed.",
    answers: { "application/json": SESSION },
    runServer: (server, context) => jsonResponse(shown(server, whoAsks(server, context))),
  },
  {
    method: "POST",
    access: "open",
    path: "/api/session",
    summary:
      "Login by a key of a viewer, an analyst or an admin: the answer sets a cookie, and ends the session that came along.",
    done: 201,
    body: { "application/json": LOGIN.schema },
    answers: { "application/json": SESSION },
    runServer: login,
  },
  {
    method: "DELETE",
    access: "open",
    path: "/api/session",
    summary: "Logout: the session ends here, not only in the browser.",
    answers: { "application/json": done({ signed_in: { const: false } }) },
    runServer(server, context) {
      end(server, context);
      const cookie = cookieOf(null, { secure: isSecure(context) });
      return jsonResponse({ signed_in: false }, 200, { "set-cookie": cookie });
    },
  },
];

async function login(server: Server, context: RequestContext): Promise<Response> {
  const { key } = await LOGIN.read(server, context);
  const record = server.access.find(key.trim());
  if (record === null) {
    throw new SentinelError("server.key-missing", "this key is not valid here", {
      hint: "it may have been revoked or have expired; `sentinel keys add --role analyst --name NAME` makes one",
    });
  }
  if (!PEOPLE.includes(record.role)) {
    throw new SentinelError(
      "server.key-role",
      `this key is for programs (${record.role}), and the dashboard is for people`,
      {
        hint: "log in with a key made with `sentinel keys add --role viewer`, analyst or admin",
      },
    );
  }
  end(server, context);
  const token = server.sessions.open(record);
  const until = isoOf(server.clock.now() + SESSION_MS_MAX);
  const cookie = cookieOf(token, { secure: isSecure(context) });
  return jsonResponse({ ...shown(server, { key: record }), until }, 201, { "set-cookie": cookie });
}

/** Ends the session that a request brings. */
function end({ sessions }: Server, context: RequestContext): void {
  const token = tokenIn(context.req.header("cookie"));
  if (token !== null) sessions.close(token);
}

/** The caller of an open route, where a session counts as well. */
function whoAsks({ access, sessions }: Server, context: RequestContext): Caller {
  const caller = context.get("caller");
  if (caller.key !== null) return caller;
  const token = tokenIn(context.req.header("cookie"));
  const session = token === null ? null : sessions.find(token);
  return { key: session === null ? null : access.recordOf(session) };
}

function shown({ access, pipelines }: Server, { key }: Caller) {
  const needed = access.asks;
  const names = pipelines.all().map(({ name }) => name);
  return {
    signed_in: key !== null || !needed,
    login_needed: needed,
    name: key?.name ?? (needed ? null : "anonymous"),
    // Where nobody is asked for a key everybody may do everything but what routes of the role admin do.
    role: key?.role ?? (needed ? null : "admin"),
    pipelines: needed && key === null ? [] : key === null ? names : names.filter((name) => isFor(key, name)),
    until: null,
  };
}

function isSecure(context: RequestContext): boolean {
  return new URL(context.req.url).protocol === "https:";
}
