// GET /livez, /readyz, /health, /circuit/status: what an orchestrator asks.
import { canAnswer } from "../online/live.ts";
import { modelOf, registryOf, sharingOf } from "./model.ts";
import { jsonResponse, type Route, type ServerParts } from "./parts.ts";

const answers = { "application/json": { type: "object" } };

export const livezRoute: Route = {
  method: "GET",
  access: "open",
  path: "/livez",
  summary: "200 while the process answers at all.",
  answers,
  run: () => jsonResponse({ status: "ok" }),
};

export const readyzRoute: Route = {
  method: "GET",
  access: "open",
  path: "/readyz",
  tellsUnready: true,
  summary:
    "200 when a champion can answer and the log can be written, else 503. Stays 200 with the registry gone: the last known good serves; and with a shared feature state that does not answer, which it says: the policy answers.",
  answers,
  run(parts) {
    const { champion } = parts.live.current;
    const { fault: logFault, oldestMs } = parts.log.health();
    // A log that cannot be written ends readiness before requests are refused, so that traffic goes elsewhere.
    const unwritable = logFault !== null || parts.log.refusal() !== null;
    const ready = canAnswer(parts.live.current) && !parts.live.draining && !unwritable;
    const state = ready ? { state: champion === null || champion.held.warm ? "warm" : "cold" } : unreadyOf(parts);
    const registry = registryOf(parts, parts.ports.clock.now());
    const { shared } = sharingOf(parts);
    const status = !ready ? "not ready" : shared?.reachable === false ? "degraded" : "ready";
    const log = unwritable ? { log: { fault: logFault, oldest_unwritten_ms: Math.round(oldestMs) } } : {};
    return jsonResponse({ status, ...state, ...log, registry, ...(shared && { shared }) }, ready ? 200 : 503);
  },
};

function unreadyOf(parts: ServerParts): { readonly reason: string; readonly fault?: object } {
  const { fault } = parts.live.current;
  if (parts.live.draining) return { reason: "draining" };
  if (canAnswer(parts.live.current)) return { reason: "the log cannot be written" };
  if (parts.live.current.modelless) return { reason: "no rules" };
  return fault === undefined ? { reason: "no champion" } : { reason: "the champion cannot be served", fault };
}

export const healthRoute: Route = {
  method: "GET",
  access: "open",
  path: "/health",
  tellsUnready: true,
  summary: "Readiness with what serves, the log's counts and the breakers, for people.",
  answers,
  async run(parts, context) {
    const ready = canAnswer(parts.live.current);
    const health = parts.log.health();
    // Counting waits for what is unwritten, which a log that fails does not let happen.
    const counts = health.fault === null ? await parts.log.counts().catch(() => null) : null;
    const { unwritten, oldestMs, failures, fault } = health;
    const writing = { unwritten, oldest_unwritten_ms: Math.round(oldestMs), failures, fault };
    const body = {
      status: ready ? "ok" : "not ready",
      version: parts.packageVersion,
      model: modelOf(parts, context.get("caller")),
      log: { ...counts, ...writing },
    };
    return jsonResponse({ ...body, circuits: circuitsOf(parts) }, ready ? 200 : 503);
  },
};

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
