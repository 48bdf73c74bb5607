// The app: routes behind one door that counts, sheds, and turns every error into a problem document.

import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { RequestContext, Route, ServerParts } from "./parts.ts";
import { bugOf, problemResponse } from "./problem.ts";
import { ROUTES } from "./routes.ts";

export type App = Hono<{ Bindings: Partial<HttpBindings> }>;

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
  const version = route.shed ? parts.live.current.champion?.scorer.version : undefined;
  parts.measures.requested({ route: route.path, status: response.status, ms: clock.elapsed() - begun, version });
  return response;
}

/** The answer to a request that failed; bugs and outside faults go to the log. */
export function failed(parts: ServerParts, error: unknown): Response {
  const bug = bugOf(error);
  if (bug !== null) parts.logger.error(bug, "a request met a bug");
  if (error instanceof SentinelError) {
    if (error.code === "server.overloaded") parts.measures.overloaded.inc();
    // What was not read of the body is not worth reading: the connection ends with the answer.
    if (error.code === "request.body-too-large") return problemResponse(error, { connection: "close" });
    if (error.kind.exit === 3) parts.logger.warn({ code: error.code, error: messageOf(error) }, "a request failed");
  }
  return problemResponse(error);
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
