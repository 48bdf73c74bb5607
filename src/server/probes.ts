// GET /livez, /readyz, /health, /circuit/status: what an orchestrator asks, of the server and of one pipeline.
import { SentinelError } from "../core/errors.ts";
import type { Slot } from "../online/pipelines.ts";
import { statusOf } from "../online/readiness.ts";
import type { Caller } from "./access.ts";
import { modelOf, registryOf, rulesOf, sharingOf } from "./model.ts";
import {
  jsonResponse,
  PREFIX,
  type RequestContext,
  type Route,
  type Server,
  type ServerParts,
  type ServerRoute,
} from "./parts.ts";

const answers = { "application/json": { type: "object" } };
const probe = { method: "GET", access: "open", answers } as const;

/** Ready as long as one pipeline is: a server is not taken from all because one of them is broken. */
export const probeRoutes: readonly ServerRoute[] = [
  {
    ...probe,
    path: "/livez",
    summary: "200 while the process answers at all.",
    runServer: () => jsonResponse({ status: "ok" }),
  },
  {
    ...probe,
    path: "/readyz",
    tellsUnready: true,
    summary:
      "200 when a champion can answer and the log can be written, else 503; of several pipelines one is enough, and `pipelines` tells of each. Stays 200 with the registry gone: the last known good serves; and with a shared feature state that does not answer, which it says: the policy answers.",
    runServer(server) {
      const all = server.pipelines.all();
      const own = all.map((slot) => readinessBody(slot));
      const pipelines = Object.fromEntries(all.map(({ name }, at) => [name, own[at]]));
      const { body, ready } = wholeOf(server, all, own);
      return jsonResponse({ ...body, pipelines }, ready ? 200 : 503);
    },
  },
  {
    ...probe,
    path: `${PREFIX}/readyz`,
    tellsUnready: true,
    summary: "As /readyz, of one pipeline.",
    runServer(server, context) {
      const body = readinessBody(slotIn(server, context));
      return jsonResponse(body, isUp(body) ? 200 : 503);
    },
  },
  {
    ...probe,
    path: "/health",
    tellsUnready: true,
    summary: "Readiness with what serves, the log's counts and the breakers, of each pipeline, for people.",
    async runServer(server, context) {
      const all = server.pipelines.all();
      const own = await Promise.all(all.map((slot) => healthBody(slot, context.get("caller"))));
      const pipelines = Object.fromEntries(all.map(({ name }, at) => [name, own[at]]));
      const { body, ready } = wholeOf(server, all, own);
      const status = body.status === "ready" ? "ok" : body.status;
      return jsonResponse({ ...body, status, version: server.packageVersion, pipelines }, ready ? 200 : 503);
    },
  },
  {
    ...probe,
    path: `${PREFIX}/health`,
    tellsUnready: true,
    summary: "As /health, of one pipeline.",
    async runServer(server, context) {
      const body = await healthBody(slotIn(server, context), context.get("caller"));
      return jsonResponse({ ...body, version: server.packageVersion }, isUp(body) ? 200 : 503);
    },
  },
];

/** Said loudly: a server in chaos is never simply well. */
function chaosOf({ chaos }: ServerParts) {
  if (chaos === null) return {};
  const { slow, fail, delayMs } = chaos.plan;
  return { chaos: { why: chaos.words, slow, fail, delay_ms: delayMs } };
}

/** Whether a pipeline takes transactions. */
function isUp({ status }: { readonly status: string }): boolean {
  return status !== "not ready" && status !== "paused";
}

/** What is said of the default pipeline stands at the top too, as where there is one alone; the status is the server's. */
function wholeOf<B extends { readonly status: string }>(
  server: Server,
  all: readonly Slot<ServerParts>[],
  own: readonly B[],
) {
  const statuses = own.map(({ status }) => status);
  // A platform that has no pipeline yet takes requests that make one.
  const ready =
    statuses.length === 0 ? (server.readyElsewhere?.() ?? true) : statuses.some((status) => status !== "not ready");
  const fine = own.every((body) => (body.status === "ready" || body.status === "ok") && !("chaos" in body));
  const status = !ready ? "not ready" : fine ? "ready" : "degraded";
  const main = own[all.findIndex(({ name }) => name === server.pipelines.mainName)];
  return { body: { ...main, status }, ready };
}

function slotIn(server: Server, context: RequestContext): Slot<ServerParts> {
  const name = context.req.param("pipeline") ?? "";
  const slot = server.pipelines.get(name);
  if (slot !== undefined) return slot;
  throw new SentinelError("request.not-found", `there is no pipeline ${JSON.stringify(name)}`, {
    hint: "GET /pipelines lists them",
  });
}

function readinessBody(slot: Slot<ServerParts>) {
  const status = statusOf(slot);
  const { engine } = slot;
  if (engine === null) return status;
  const { fault, oldestMs } = engine.log.health();
  const unwritable = fault !== null || engine.log.refusal() !== null;
  const log = unwritable ? { log: { fault, oldest_unwritten_ms: Math.round(oldestMs) } } : {};
  const now = engine.ports.clock.now();
  const { store } = rulesOf(engine, now);
  return { ...status, ...chaosOf(engine), ...log, registry: registryOf(engine, now), store, ...sharingOf(engine) };
}

async function healthBody(slot: Slot<ServerParts>, caller: Caller) {
  const status = statusOf(slot);
  const { engine } = slot;
  if (engine === null) return status;
  const health = engine.log.health();
  // Counting waits for what is unwritten, which a log that fails does not let happen.
  const counts = health.fault === null ? await engine.log.counts().catch(() => null) : null;
  const { unwritten, oldestMs, failures, fault } = health;
  const writing = { unwritten, oldest_unwritten_ms: Math.round(oldestMs), failures, fault };
  const log = { ...counts, ...writing };
  return { ...status, ...chaosOf(engine), model: modelOf(engine, caller), log, circuits: circuitsOf(engine) };
}

export const circuitRoute: Route = {
  method: "GET",
  access: "open",
  path: "/circuit/status",
  summary: "The circuit breakers: the champion's and one a candidate.",
  answers,
  run: (parts) => jsonResponse(circuitsOf(parts)),
};

function circuitsOf(parts: ServerParts) {
  const { champion } = parts.live.current;
  return {
    champion: champion === null ? null : { version: champion.scorer.version, ...champion.guard.status() },
    candidates: parts.shadows.status(),
  };
}
