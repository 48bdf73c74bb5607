// The app: routes behind one door that counts, sheds, and turns every error into a problem document.

import { Hono } from "hono";
import { SentinelError } from "../core/errors.ts";
import { type Asking, keyIn } from "./access.ts";
import { checkSite } from "./cross-site.ts";
import type { Hall } from "./hall.ts";
import { checkQuestion, masked, maskOf } from "./masked.ts";
import type { Measures } from "./measures.ts";
import { noteFailure } from "./note-failure.ts";
import { type DoorEnv, PREFIX, type RequestContext, type Server, type ServerParts, UNROUTED } from "./parts.ts";
import { problemResponse } from "./problem.ts";
import { REQUEST_ID } from "./request-id.ts";
import { MOUNTED, type Mounted, ROUTES } from "./routes.ts";
import { tokenIn } from "./sessions.ts";

export type App = Hono<DoorEnv>;

/** Answers requests; needs no socket (`app.request` in tests). */
export function createApp(hall: Hall): App {
  const server = hall.first;
  const app: App = new Hono();
  for (const mounted of MOUNTED) {
    const { route, path } = mounted;
    app.on(route.method, path.replace(/\{(\w+)\}/g, ":$1"), (context) => identified(hall, mounted, context));
  }
  app.notFound((context) => {
    const response = notFound(context.req.path);
    server.measures.requested({ route: UNROUTED, status: response.status, ms: 0 });
    return named(response, idOf(server, context));
  });
  app.onError((error) => failed(server, error));
  return app;
}

/** With the request's id on the answer, and within its span where somebody traces. */
async function identified(hall: Hall, mounted: Mounted, context: RequestContext): Promise<Response> {
  const server = hall.first;
  const { route } = mounted;
  const id = idOf(server, context);
  const run = (): Promise<Response> => answered(hall, { mounted, context, id });
  if (server.tracing === null) return named(await run(), id);
  const header = (name: string): string | undefined => context.req.header(name);
  const request = { method: route.method, route: route.path, id, header };
  return named(await server.tracing.request(request, run, ({ status }) => status), id);
}

function idOf(server: Server, context: RequestContext): string {
  return server.requestIds(context.req.header(REQUEST_ID));
}

function named(response: Response, id: string): Response {
  response.headers.set(REQUEST_ID, id);
  return response;
}

async function answered(
  hall: Hall,
  { mounted, context, id }: { readonly mounted: Mounted; readonly context: RequestContext; readonly id: string },
): Promise<Response> {
  // Until it is known who asks.
  let server = hall.nobodys;
  const { clock } = server;
  const { route, isPrefixed } = mounted;
  const begun = clock.elapsed();
  let response: Response;
  let counted = false;
  let parts: ServerParts | null = null;
  try {
    const asking = askingIn(server, context);
    server = hall.of(asking);
    const name = isPrefixed ? server.pipelines.nameOf(context.req.param("pipeline")!) : null;
    const whose = isPrefixed ? name : "runServer" in route ? null : server.pipelines.mainName;
    const asks = "runServer" in route && route.findsPipeline === true ? undefined : whose;
    context.set("caller", server.access.admit(route.access, asking, asks));
    if (!("runServer" in route)) parts = server.pipelines.find(name);
    if (route.shed) {
      server.overload.enter();
      counted = true;
    }
    const mask = await maskOf(server, context);
    if (mask !== null) checkQuestion(mask, context);
    response = await ("runServer" in route ? route.runServer(server, context) : route.run(parts!, context));
    if (mask !== null) response = await masked(mask, response);
  } catch (error) {
    response = failed(server, error, { id, errorMember: route.errorMember });
  } finally {
    if (counted) server.overload.leave();
  }
  const ms = clock.elapsed() - begun;
  parts ??= context.get("parts") ?? null;
  const version = route.shed ? parts?.live.current.champion?.scorer.version : undefined;
  const measures = parts?.measures ?? measuresOf(server, mounted, context);
  measures.requested({ route: labelOf(route), status: response.status, ms, version });
  return response;
}

/** Who asks: by a key, else by a session of the dashboard. A browser that another site's page leads here changes nothing. */
function askingIn({ access, sessions }: Server, context: RequestContext): Asking {
  const key = keyIn(context.req.raw.headers);
  if (key !== null) return access.asking(key);
  const token = tokenIn(context.req.header("cookie"));
  const session = token === null ? null : sessions.find(token);
  const header = (name: string): string | undefined => context.req.header(name);
  checkSite({ method: context.req.method, header }, { bySession: session !== null });
  return session === null ? access.asking(null) : access.askingBy(session);
}

/** Where a request is counted that found no engine: with its pipeline, where there is such a one, else with the process. */
function measuresOf(
  { pipelines, measures, measuresOf: ofPipeline }: Server,
  { route, isPrefixed }: Mounted,
  context: RequestContext,
): Pick<Measures, "requested"> {
  const given = isPrefixed ? (context.req.param("pipeline") ?? null) : "runServer" in route ? null : pipelines.mainName;
  const name = given === null ? undefined : pipelines.get(given)?.name;
  return name === undefined ? measures : ofPipeline(name);
}

/** A route is one, whether its path names the pipeline or not. */
function labelOf({ path }: { readonly path: string }): string {
  return path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path;
}

/** The answer to a request that failed. */
function failed(
  server: Server,
  error: unknown,
  { id, errorMember }: { readonly id?: string; readonly errorMember?: boolean } = {},
): Response {
  return problemResponse(error, noteFailure(server, error, id), { errorMember });
}

function notFound(path: string): Response {
  const methods = MOUNTED.filter((mounted) => isAt(mounted, path)).flatMap(({ route: { method } }) =>
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

function isAt(mounted: Mounted, path: string): boolean {
  const wanted = mounted.path.split("/");
  const given = path.split("/");
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith("{") || part === given[at]);
}
