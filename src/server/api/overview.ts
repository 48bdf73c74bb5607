// Routes of what the dashboard's first page shows: GET /api/overview, /api/live (server-sent events) and /api/days.
import { DAY_MS, HOUR_MS } from "../../core/duration.ts";
import { movesOfAlias } from "../../core/journal.ts";
import { RULE_SEVERITIES } from "../../core/rule.ts";
import { wilson } from "../../evidence/proportion.ts";
import { daysOf } from "../../lifecycle/platform.ts";
import { statusOf } from "../../online/readiness.ts";
import { ALERT_HOURS_MAX, type Store } from "../../ports/store.ts";
import type { Caller } from "../access.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import type { Minutes } from "../pulse.ts";
import { tokenIn } from "../sessions.ts";
import { apiRoute, checkQuery, engineOf, integerIn, isoOf, platformOf, recordAt, sees } from "./exchange.ts";
import { done } from "./shapes.ts";

const MINUTES = 60;
const HOURS = 24;
/** Moves of the alias `champion` that are shown beside alerts. */
const MOVES_MAX = 50;
const ONE_PIPELINE = {
  pipeline: { description: "Id or slug of one pipeline; all of them where it is missing.", schema: { type: "string" } },
};

const integer = { type: "integer" };
const number = { type: "number" };
const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const numberOrNull = { type: ["number", "null"] };
const instant = { type: "string", format: "date-time" };
const counts = { type: "array", items: integer };
const bySeverity = done({ critical: integer, warning: integer, info: integer });
const outcomes = done({ approve: counts, review: counts, block: counts });
const minutes = done({ from: instant, counts: outcomes });

const CANDIDATE_HEALTH = done({ version: text, coverage: numberOrNull, breaker: text, queued: integer });
const HEALTH = done({
  pipeline: text,
  status: text,
  reason: textOrNull,
  model: textOrNull,
  version: textOrNull,
  state: textOrNull,
  aliases_age_ms: numberOrNull,
  rules_age_ms: numberOrNull,
  log_unwritten: integer,
  log_oldest_ms: integer,
  log_fault: textOrNull,
  champion_breaker: textOrNull,
  candidates: { type: "array", items: CANDIDATE_HEALTH },
});
const OVERVIEW = done({
  at: instant,
  since: instant,
  decisions: minutes,
  alerts: done({
    hours: { type: "array", items: done({ hour: instant, critical: integer, warning: integer, info: integer }) },
    last_24h: bySeverity,
    total: integer,
  }),
  flagged: done({ amount: number, alerts: integer, whole: { type: "boolean" } }),
  promotions: {
    type: "array",
    items: done({ at: instant, pipeline: text, from: textOrNull, to: textOrNull, verb: text, actor: text }),
  },
  health: { type: "array", items: HEALTH },
});
const DAYS = done({
  pipeline: text,
  rows_max: integer,
  mature_before: textOrNull,
  days: {
    type: "array",
    items: done({
      day: text,
      transactions: integer,
      flagged: integer,
      labelled: integer,
      frauds: integer,
      caught: integer,
      rate: numberOrNull,
      low: numberOrNull,
      high: numberOrNull,
      mature: { type: "boolean" },
    }),
  },
});

export const overviewRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/overview", {
    access: "viewer",
    summary: "Decisions by minute, alerts by hour, money flagged, promotions and health, of what the key may see.",
    query: {
      ...ONE_PIPELINE,
      hours: {
        description: "Hours of alerts.",
        schema: { type: "integer", minimum: 1, maximum: ALERT_HOURS_MAX, default: HOURS },
      },
    },
    gives: OVERVIEW,
    run: overview,
  }),
  {
    method: "GET",
    access: "viewer",
    findsPipeline: true,
    path: "/api/live",
    summary:
      "Server-sent events, one per second: `tick` with the decisions of the last two minutes and the newest alert's id.",
    query: ONE_PIPELINE,
    answers: {
      "text/event-stream": {
        type: "object",
        description: "Each event.",
        required: ["data"],
        properties: { event: { const: "tick" }, data: { type: "string" }, retry: { type: "integer" } },
      },
    },
    runServer: live,
  },
  apiRoute("GET /api/days", {
    access: "viewer",
    summary:
      "Transactions, alerts and known frauds by day of the transaction, and which days are still too young to judge.",
    query: ONE_PIPELINE,
    gives: DAYS,
    run: days,
  }),
];

/** Which pipelines a request is about. */
async function scopeOf(server: Server, context: RequestContext): Promise<(slug: string) => boolean> {
  platformOf(server);
  const caller = context.get("caller");
  const given = context.req.query("pipeline");
  if (given === undefined) return (slug) => sees(caller, slug);
  const { slug: one } = await recordAt(server, context, given);
  return (slug) => slug === one && sees(caller, slug);
}

async function overview(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline", "hours"]);
  const hours = integerIn(context, "hours", { low: 1, high: ALERT_HOURS_MAX, fallback: HOURS });
  const within = await scopeOf(server, context);
  const store = await platformOf(server).store();
  const { clock, pulse, pipelines } = server;
  const now = clock.now();
  const own = (await store.pipelines.list()).filter(({ slug }) => within(slug)).map(({ id }) => id);
  const slots = pipelines.all().filter(({ name }) => within(name));
  const engines = slots.flatMap(({ engine }) => (engine === null ? [] : [engine]));
  const since = now - hours * HOUR_MS;
  const [alerts, flagged, moves] = await Promise.all([
    alertsOf(store, { now, hours, own: new Set(own) }),
    store.alerts.flagged({ since: now - DAY_MS, pipelines: own }),
    movesOf(engines, since),
  ]);
  return jsonResponse({
    at: isoOf(now),
    since: isoOf(pulse.since),
    decisions: shownMinutes(pulse.minutes(MINUTES, within)),
    alerts,
    flagged,
    promotions: moves,
    health: slots.map((slot) => healthOf(slot, now)),
  });
}

async function alertsOf(
  store: Store,
  { now, hours, own }: { readonly now: number; readonly hours: number; readonly own: ReadonlySet<number> },
) {
  const first = Math.floor((now - (hours - 1) * HOUR_MS) / HOUR_MS) * HOUR_MS;
  const none = () => Object.fromEntries(RULE_SEVERITIES.map((severity) => [severity, 0])) as Record<string, number>;
  const rows = Array.from({ length: hours }, (_, place) => ({ hour: isoOf(first + place * HOUR_MS), ...none() })) as {
    hour: string;
    [severity: string]: number | string;
  }[];
  for (const { hour, pipeline, severity, count } of await store.alerts.hours({ since: first, to: now + 1 })) {
    const row = rows[(hour - first) / HOUR_MS];
    if (own.has(pipeline) && row !== undefined) row[severity] = Number(row[severity]) + count;
  }
  const last = none();
  for (const { pipeline, severity, count } of await store.alerts.counts(now - DAY_MS)) {
    if (own.has(pipeline)) last[severity] += count;
  }
  let total = 0;
  for (const { pipeline, count } of await store.alerts.counts()) if (own.has(pipeline)) total += count;
  return { hours: rows, last_24h: last, total };
}

/** Who became champion since; a registry that does not answer tells nothing, and health says so. */
async function movesOf(engines: readonly ServerParts[], since: number) {
  const all = await Promise.all(
    engines.map(async ({ ports, pipeline }) => {
      if (pipeline.model === "none") return [];
      try {
        const entries = await (await ports.registry()).journal(pipeline.model);
        return movesOfAlias(entries, "champion")
          .filter(({ entry }) => entry.at >= since)
          .map(({ from, to, entry: { at, verb, actor } }) => ({
            at: isoOf(at),
            pipeline: pipeline.name,
            from,
            to,
            verb,
            actor,
          }));
      } catch {
        return [];
      }
    }),
  );
  return all
    .flat()
    .sort((one, other) => (one.at < other.at ? -1 : 1))
    .slice(-MOVES_MAX);
}

type Slot = ReturnType<Server["pipelines"]["all"]>[number];

function healthOf(slot: Slot, now: number) {
  const { status, reason = null, state = null } = statusOf(slot);
  const { name, engine } = slot;
  const begin = { pipeline: name, status, reason, state };
  if (engine === null) {
    const nothing = { log_unwritten: 0, log_oldest_ms: 0, log_fault: null, champion_breaker: null, candidates: [] };
    return { ...begin, model: null, version: null, aliases_age_ms: null, rules_age_ms: null, ...nothing };
  }
  const { champion } = engine.live.current;
  const { unwritten, oldestMs, fault } = engine.log.health();
  const covered = new Map(
    engine.shadows.coverage().map(({ version, scored, missed }) => {
      const all = scored + Object.values(missed).reduce((sum, count) => sum + count, 0);
      return [version, all === 0 ? null : scored / all];
    }),
  );
  return {
    ...begin,
    model: engine.pipeline.model,
    version: champion?.scorer.version ?? null,
    aliases_age_ms: engine.live.ageMs(now),
    rules_age_ms: engine.rules.ageMs(now),
    log_unwritten: unwritten,
    log_oldest_ms: Math.round(oldestMs),
    log_fault: fault,
    champion_breaker: champion?.guard.status().breaker ?? null,
    candidates: engine.shadows.status().map(({ version, breaker, queued }) => ({
      version,
      coverage: covered.get(version) ?? null,
      breaker,
      queued,
    })),
  };
}

async function live(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline"]);
  const within = await scopeOf(server, context);
  const caller = context.get("caller");
  const token = tokenIn(context.req.header("cookie"));
  const { access, sessions, pulse, clock } = server;
  const check = (): void => {
    if (caller.key === null) access.check("viewer", null);
    else if (isBySession(context)) {
      const session = token === null ? null : sessions.peek(token);
      if (session === null || access.callerOf(session).key === null) throw new Error("the session ended");
    } else {
      const { id: keyId, hash: keyHash } = caller.key;
      if (access.callerOf({ keyId, keyHash, person: null, begunAt: 0 }).key === null) throw new Error("the key ended");
    }
  };
  const look = () => ({ at: isoOf(clock.now()), decisions: shownMinutes(pulse.minutes(2, within)) });
  const headers = { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" };
  // Nobody reads the body of an answer to HEAD, and so nobody would ever end its stream.
  if (context.req.method === "HEAD") return new Response(null, { headers });
  const { outgoing } = context.env ?? {};
  const onGone = (gone: () => void): void => void outgoing?.once("close", gone);
  return new Response(server.feed.watch({ look, check, onGone }), { headers });
}

const isBySession = (context: RequestContext): boolean =>
  context.req.header("authorization") === undefined && context.req.header("x-api-key") === undefined;

function shownMinutes({ from, counts: own }: Minutes) {
  return { from: isoOf(from), counts: own };
}

/** Answers of one pipeline that are counted by day. */
const DAYS_ROWS_MAX = 200_000;

async function days(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline"]);
  const parts = await pipelineOf(server, context);
  const { pipeline, states } = parts;
  const { maturityMs, unreportedIsGenuine } = pipeline.labels;
  const now = Number.isFinite(states.newestTime) ? states.newestTime : server.clock.now();
  const rows = await daysOf(parts.log, { rows: DAYS_ROWS_MAX, elapsed: () => server.clock.elapsed() });
  const matureBefore = Math.floor((now - maturityMs) / DAY_MS) * DAY_MS;
  return jsonResponse({
    pipeline: pipeline.name,
    rows_max: DAYS_ROWS_MAX,
    mature_before: isoOf(matureBefore),
    days: rows.map(({ day, transactions, flagged, labelled, frauds, caught }) => {
      // Where only fraud is reported, an old transaction without a label is genuine; elsewhere nothing is known of it.
      const known = unreportedIsGenuine ? transactions : labelled;
      const rate = known === 0 ? null : frauds / known;
      const { low, high } = rate === null ? { low: null, high: null } : wilson(rate, known);
      const date = isoOf(day).slice(0, 10);
      return {
        day: date,
        transactions,
        flagged,
        labelled,
        frauds,
        caught,
        rate,
        low,
        high,
        mature: day < matureBefore,
      };
    }),
  });
}

/** The pipeline that a query names, else the default one, else the first that the caller may see. Errors: request.not-found, server.key-role. */
export async function pipelineOf(server: Server, context: RequestContext): Promise<ServerParts> {
  const given = context.req.query("pipeline");
  if (given !== undefined) return engineOf(server, context, (await recordAt(server, context, given)).slug);
  const caller: Caller = context.get("caller");
  const { mainName } = server.pipelines;
  const seen = server.pipelines.all().filter(({ name }) => sees(caller, name));
  const first = seen.find(({ name }) => name === mainName) ?? seen.find(({ engine }) => engine !== null);
  return engineOf(server, context, first?.name ?? mainName ?? "");
}
