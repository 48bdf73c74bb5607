// The app: routes behind one door that counts, sheds, and turns every error into a problem document.

import { Hono } from "hono";
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";
import { keyIn } from "./access.ts";
import type { DoorEnv, RequestContext, Route, ServerParts } from "./parts.ts";
import { bugOf, problemResponse } from "./problem.ts";
import { ROUTES } from "./routes.ts";

export type App = Hono<DoorEnv>;

/** Answers requests; needs no socket (`app.request` in tests). */
export function createApp(parts: ServerParts): App {
  const app: App = new Hono();
  for (const route of ROUTES) app.on(route.method, route.path, (context) => answered(parts, route, context));
  app.notFound((context) => notFound(context.req.path));
  app.onError((error) => failed(parts, error));
  return app;
}

async function answered(parts: ServerParts, route: Route, context: RequestContext): Promise<Response> {
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
    response = failed(parts, error);
  } finally {
    if (counted) parts.overload.leave();
  }
  parts.measures.requested({ route: route.path, status: response.status, ms: clock.elapsed() - begun });
  return response;
}

const UNREAD: ReadonlySet<string> = new Set<ErrorCode>(["request.body-too-large", "request.too-slow"]);
/** Counted, and not told one by one: there are thousands of them when there are any. */
const COUNTED: ReadonlySet<string> = new Set<ErrorCode>(["server.overloaded", "server.rate-limited"]);

/** The answer to a request that failed. */
function failed(parts: ServerParts, error: unknown): Response {
  return problemResponse(error, noteFailure(parts, error));
}

/** Bugs and outside faults go to the log; gives what the answer's head needs besides. */
export function noteFailure(parts: ServerParts, error: unknown): Readonly<Record<string, string>> {
  const bug = bugOf(error);
  if (bug !== null) parts.logger.error(bug, "a request met a bug");
  if (!(error instanceof SentinelError)) return {};
  if (error.code === "server.overloaded") parts.measures.overloaded.inc();
  if (error.kind.exit === 3 && !COUNTED.has(error.code)) {
    parts.logger.warn({ code: error.code, error: messageOf(error) }, "a request failed");
  }
  // What was not read of the body is not worth reading: the connection ends with the answer.
  return UNREAD.has(error.code) ? { connection: "close" } : {};
}

function notFound(path: string): Response {
  const methods = ROUTES.filter((route) => route.path === path).flatMap(({ method }) =>
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
