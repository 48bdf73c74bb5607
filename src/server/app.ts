// The app: routes behind one door that counts, sheds, and turns every error into a problem document.

import { Hono } from "hono";
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";
import { keyIn } from "./access.ts";
import type { DoorEnv, RequestContext, Route, ServerParts } from "./parts.ts";
import { bugOf, problemResponse } from "./problem.ts";
import { REQUEST_ID } from "./request-id.ts";
import { ROUTES } from "./routes.ts";

export type App = Hono<DoorEnv>;

/** Answers requests; needs no socket (`app.request` in tests). */
export function createApp(parts: ServerParts): App {
  const app: App = new Hono();
  for (const route of ROUTES) {
    app.on(route.method, route.path.replace(/\{(\w+)\}/g, ":$1"), (context) => identified(parts, route, context));
  }
  app.notFound((context) => named(notFound(context.req.path), idOf(parts, context)));
  app.onError((error) => failed(parts, error));
  return app;
}

/** With the request's id on the answer, and within its span where somebody traces. */
async function identified(parts: ServerParts, route: Route, context: RequestContext): Promise<Response> {
  const id = idOf(parts, context);
  const run = (): Promise<Response> => answered(parts, { route, context, id });
  if (parts.tracing === null) return named(await run(), id);
  const header = (name: string): string | undefined => context.req.header(name);
  const request = { method: route.method, route: route.path, id, header };
  return named(await parts.tracing.request(request, run, ({ status }) => status), id);
}

function idOf(parts: ServerParts, context: RequestContext): string {
  return parts.requestIds(context.req.header(REQUEST_ID));
}

function named(response: Response, id: string): Response {
  response.headers.set(REQUEST_ID, id);
  return response;
}

async function answered(
  parts: ServerParts,
  { route, context, id }: { readonly route: Route; readonly context: RequestContext; readonly id: string },
): Promise<Response> {
  const { clock } = parts.ports;
  const begun = clock.elapsed();
  let response: Response;
  let counted = false;
  try {
    context.set("caller", parts.access.check(route.access, keyIn(context.req.raw.headers)));
    if (route.shed) {
      parts.overload.enter();
      counted = true;
    }
    response = await route.run(parts, context);
  } catch (error) {
    response = failed(parts, error, { id, errorMember: route.errorMember });
  } finally {
    if (counted) parts.overload.leave();
  }
  const version = route.shed ? parts.live.current.champion?.scorer.version : undefined;
  parts.measures.requested({ route: route.path, status: response.status, ms: clock.elapsed() - begun, version });
  return response;
}

const UNREAD: ReadonlySet<string> = new Set<ErrorCode>(["request.body-too-large", "request.too-slow"]);
/** Counted, and not told one by one: there are thousands of them when there are any. */
const COUNTED: ReadonlySet<string> = new Set<ErrorCode>(["server.overloaded", "server.rate-limited"]);

/** The answer to a request that failed. */
function failed(
  parts: ServerParts,
  error: unknown,
  { id, errorMember }: { readonly id?: string; readonly errorMember?: boolean } = {},
): Response {
  return problemResponse(error, noteFailure(parts, error, id), { errorMember });
}

/** Bugs and outside faults go to the log; gives what the answer's head needs besides. */
export function noteFailure(parts: ServerParts, error: unknown, id?: string): Readonly<Record<string, string>> {
  const bug = bugOf(error);
  const which = id === undefined ? {} : { requestId: id };
  if (bug !== null) parts.logger.error({ ...bug, ...which }, "a request met a bug");
  if (!(error instanceof SentinelError)) return {};
  if (error.code === "server.overloaded") parts.measures.overloaded.inc();
  if (error.kind.exit === 3 && !COUNTED.has(error.code)) {
    parts.logger.warn({ code: error.code, error: messageOf(error), ...which }, "a request failed");
  }
  // What was not read of the body is not worth reading: the connection ends with the answer.
  return UNREAD.has(error.code) ? { connection: "close" } : {};
}

function notFound(path: string): Response {
  const methods = ROUTES.filter((route) => isAt(route, path)).flatMap(({ method }) =>
    method === "GET" ? ["GET", "HEAD"] : [method],
  );
  if (methods.length === 0) {
    const known = ROUTES.map((route) => route.path).join(", ");
    const error = new SentinelError("request.not-found", `there is no route ${path}`, { hint: `routes: ${known}` });
    return problemResponse(error);
  }
  const allow = methods.join(", ");
  const error = new SentinelError("request.method", `${path} does not take this method`, { hint: `use ${allow}` });
  return problemResponse(error, { allow });
}

function isAt(route: Route, path: string): boolean {
  const wanted = route.path.split("/");
  const given = path.split("/");
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith("{") || part === given[at]);
}
