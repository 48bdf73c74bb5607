// Routes of /api/session: who is asking, login by a key or by a provider, logout.
import { SentinelError } from "../../core/errors.ts";
import { isFor, type Role } from "../../core/key.ts";
import { DEFAULT_TENANT } from "../../core/tenant.ts";
import type { Caller } from "../access.ts";
import { LOGIN_COOKIE, loginCookie, type ProviderLogin, placeIn } from "../login.ts";
import { noteFailure } from "../note-failure.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { claimsOf, personOf } from "../person.ts";
import { refusalPage } from "../refusal-page.ts";
import { cookieOf, SESSION_MS_MAX, type Session, tokenIn } from "../sessions.ts";
import { apiRoute, bodyKind, isoOf } from "./exchange.ts";
import { done, SESSION } from "./shapes.ts";

const KEY_LENGTH_MAX = 200;
/** Of a token that is kept for the logout: a thousand sessions are some megabytes. */
const ID_TOKEN_LENGTH_MAX = 8000;
const LOGIN = bodyKind<{ readonly key: string }>("the login", {
  required: ["key"],
  properties: { key: { type: "string", minLength: 1, maxLength: KEY_LENGTH_MAX } },
});

/** Roles of people; those of programs see nothing. */
const PEOPLE: readonly Role[] = ["viewer", "analyst", "admin"];

export const sessionRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/session", {
    findsPipeline: false,
    access: "open",
    summary: "Who asks, in which role, and whether a login is needed.",
    gives: SESSION,
    run(server, context) {
      const caller = context.get("caller");
      return jsonResponse(shown(server, caller));
    },
  }),
  apiRoute("POST /api/session", {
    findsPipeline: false,
    access: "open",
    summary:
      "Login by a key of a viewer, an analyst or an admin: the answer sets a cookie, and ends the session that came along.",
    done: 201,
    takes: LOGIN,
    gives: SESSION,
    run: login,
  }),
  apiRoute("DELETE /api/session", {
    findsPipeline: false,
    access: "open",
    summary:
      "Logout: the session ends here, not only in the browser. `leave`: where a browser goes to end that of the provider too.",
    gives: done({ signed_in: { const: false }, leave: { type: ["string", "null"] } }),
    async run(server, context) {
      const session = end(server, context);
      const cookie = cookieOf(null, { secure: isSecure(context) });
      const leave = await leaveOf(server, session);
      return jsonResponse({ signed_in: false, leave }, 200, { "set-cookie": cookie });
    },
  }),
  {
    method: "GET",
    access: "open",
    path: "/api/session/oidc",
    shed: true,
    summary: "Leads a browser to the identity provider, to log in there.",
    query: {
      to: { description: "Where in the dashboard to go afterwards, as `/alerts`.", schema: { type: "string" } },
    },
    done: 303,
    answers: {},
    runServer: (server, context) => asPage(server, context, () => beginLogin(server, context)),
  },
  {
    method: "GET",
    access: "open",
    path: "/api/session/oidc/callback",
    shed: true,
    summary: "Where the identity provider leads the browser back to: the answer sets the session's cookie.",
    query: Object.fromEntries(
      ["code", "state", "iss", "error", "error_description", "session_state"].map((name) => [
        name,
        { description: "As the provider sets it.", schema: { type: "string" } },
      ]),
    ),
    done: 303,
    answers: {},
    runServer: (server, context) => asPage(server, context, () => finishLogin(server, context)),
  },
];

async function login(server: Server, context: RequestContext): Promise<Response> {
  const { key } = await LOGIN.read(server, context);
  const owner = server.access.find(key.trim());
  const record = owner.key;
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
  // A login counts as a request of its key: it makes room for itself among the sessions.
  server.access.charge(owner, 1);
  end(server, context);
  const token = server.sessions.open(record, { tenant: owner.tenant });
  const until = isoOf(server.clock.now() + SESSION_MS_MAX);
  const cookie = cookieOf(token, { secure: isSecure(context) });
  return jsonResponse({ ...shown(server.roomOf(owner), owner), until }, 201, { "set-cookie": cookie });
}

async function beginLogin(server: Server, context: RequestContext): Promise<Response> {
  const { file, provider } = providerOf(server);
  const begun = server.logins.begin(placeIn(context.req.query("to")));
  const cookie = loginCookie(server.logins.seal(begun), { secure: isTls(file) });
  return leadTo(await provider.begin(begun), [cookie]);
}

/** The login ends with its first answer, whatever that is: a code or an error that comes again finds nothing. */
async function finishLogin(server: Server, context: RequestContext): Promise<Response> {
  const { file, provider } = providerOf(server);
  const { logins, sessions, clock } = server;
  const sealed = tokenIn(context.req.header("cookie"), LOGIN_COOKIE);
  const begun = sealed === null ? null : logins.open(sealed);
  const { search, searchParams } = new URL(context.req.url);
  if (begun === null || searchParams.get("state") !== begun.state || !logins.end(begun)) {
    throw new SentinelError("login.invalid", "this login was not begun in this browser, or has ended already", {
      hint: "begin again at the login page; allow cookies for this address, and log in within ten minutes",
    });
  }
  const wanted = claimsOf(file);
  const identity = await logins.during(() => provider.finish(search, { checks: begun, wanted }));
  const record = personOf(identity, file, clock.now());
  end(server, context);
  const idToken = identity.idToken.length > ID_TOKEN_LENGTH_MAX ? null : identity.idToken;
  const token = sessions.open(record, { tenant: DEFAULT_TENANT, person: { record, idToken } });
  const secure = isTls(file);
  return leadTo(`/#/${begun.to}`, [cookieOf(token, { secure }), loginCookie(null, { secure })]);
}

/** Refusals as pages for browsers, as problems for programs. */
async function asPage(server: Server, context: RequestContext, run: () => Promise<Response>): Promise<Response> {
  try {
    return await run();
  } catch (error) {
    if (!/\btext\/html\b/.test(context.req.header("accept") ?? "")) throw error;
    noteFailure(server, error);
    return refusalPage(error, server.pages);
  }
}

function providerOf({ provider }: Server): ProviderLogin {
  if (provider !== null) return provider;
  throw new SentinelError("request.not-found", "people log in by keys here: there is no identity provider", {
    hint: "login.yaml in the workspace names one",
  });
}

function leadTo(url: string, cookies: readonly string[]): Response {
  const headers = new Headers({ location: url });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}

function isTls({ url }: ProviderLogin["file"]): boolean {
  return url.startsWith("https:");
}

/** Where somebody who logged in by the provider logs out there; null: nowhere. */
async function leaveOf({ provider }: Server, session: Session | null): Promise<string | null> {
  const person = session?.person ?? null;
  return provider === null || person === null ? null : await provider.provider.leave(person.idToken);
}

/** Ends the session that a request brings, and gives it. */
function end({ sessions }: Server, context: RequestContext): Session | null {
  const token = tokenIn(context.req.header("cookie"));
  if (token === null) return null;
  const session = sessions.peek(token);
  sessions.close(token);
  return session;
}

function shown({ access, pipelines, title, provider }: Server, { key }: Caller) {
  const needed = access.asks;
  const names = pipelines.all().map(({ name }) => name);
  return {
    signed_in: key !== null || !needed,
    login_needed: needed,
    name: key?.name ?? (needed ? null : "anonymous"),
    // Where nobody is asked for a key everybody may do everything but what routes of the role admin do.
    role: key?.role ?? (needed ? null : "admin"),
    pipelines: needed && key === null ? [] : key === null ? names : names.filter((name) => isFor(key, name)),
    tenant: title,
    until: null,
    provider: provider?.file.title ?? null,
  };
}

function isSecure(context: RequestContext): boolean {
  return new URL(context.req.url).protocol === "https:";
}
