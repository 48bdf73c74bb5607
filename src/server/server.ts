// The server: the engine behind its HTTP door, started, and drained when it stops.
import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { pino } from "pino";
import { messageOf } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import type { KeyRecord } from "../core/key.ts";
import type { EngineLog } from "../online/counters.ts";
import { openEngine } from "../online/engine.ts";
import { loadScorer } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { Access, isLoopback } from "./access.ts";
import { type App, createApp } from "./app.ts";
import { hotRoad } from "./hot.ts";
import { Intake, type IntakeLimits } from "./intake.ts";
import { type Listening, listen, type Tls, unreadable } from "./listen.ts";
import { createMeasures } from "./measures.ts";
import { Overload } from "./overload.ts";
import type { ServerParts } from "./parts.ts";
import { problemResponse } from "./problem.ts";
import { createRequestIds } from "./request-id.ts";
import { protect, type SafetyHeaders, safetyHeaders } from "./safety.ts";
import { openTracing } from "./tracing.ts";

export interface ServerOptions {
  readonly logger?: EngineLog;
  /** An administrator's key; null: only the workspace's keys count. */
  readonly adminKey?: string | null;
  /** Keys that the environment gives, beside those of the workspace. */
  readonly keys?: readonly KeyRecord[];
  /** Lets anybody in where the address can be reached from outside and no key exists. */
  readonly insecure?: boolean;
  readonly packageVersion?: string;
  /** How far an event time may be ahead of the server's clock. */
  readonly aheadMaxMs?: number;
  readonly inFlightMax?: number;
  /** Limits of bodies that are still coming and of open streams. */
  readonly intake?: Partial<IntakeLimits>;
  readonly lagMsMax?: number;
  /** What `log.redact` with `how: hash` hashes with. */
  readonly redactKey?: string | null;
  /** How often the feature state is saved. */
  readonly persistMs?: number;
  /** How long a stopping server goes on taking connections, while every answer says that it will close. */
  readonly announceMs?: number;
  /** How long a stop waits for requests in flight, and then for shadows. */
  readonly drainMsMax?: number;
  /** What a candidate's worker runs, and how a bundle becomes a scorer; for tests of misbehaving ones. */
  readonly workerModule?: URL;
  readonly load?: typeof loadScorer;
}

export interface SentinelServer {
  /** Answers without a socket: `app.request(…)`. */
  readonly app: App;
  /** Listens. Port 0 takes a free one. Errors: server.port-in-use, config.invalid (the certificate). */
  start(at: {
    readonly host: string;
    readonly port: number;
    readonly tls?: Tls;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /** Drains: no new requests, those in flight end, shadows and log are written, the feature state is saved. Safe to call twice. */
  stop(): Promise<void>;
}

/** The route of what no route answered. */
const UNROUTED = "(none)";
const IN_FLIGHT_MAX = 1000;
const LAG_MS_MAX = 250;
const DRAIN_MS_MAX = 10_000;
/** Long enough for a kept-alive connection under load to hear of it; an orchestrator may want more. */
const ANNOUNCE_MS = 1000;

/**
 * A server for one pipeline: aliases looked up, the champion loaded and warm before it answers its first request. Without a
 * champion it starts all the same and says so. Errors: pipeline.invalid (the schema), log.unwritable, log.unreadable,
 * state.unreachable, state.foreign.
 */
export async function createServer(input: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly options?: ServerOptions;
}): Promise<SentinelServer> {
  const { drainMsMax = DRAIN_MS_MAX, announceMs = ANNOUNCE_MS } = input.options ?? {};
  const parts = await assemble(input);
  const { live, logger, overload, intake, access, measures, pipeline } = parts;
  const app = createApp(parts);
  await access.open();
  await parts.start();
  let listening: Listening | null = null;
  let stopping: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    live.draining = true;
    const closed = listening?.close({ announceMs, msMax: drainMsMax });
    if (listening !== null) await new Promise((resolve) => setTimeout(resolve, announceMs));
    await intake.drain(drainMsMax);
    await Promise.all([closed, overload.settled(drainMsMax)]);
    await parts.stop(drainMsMax);
    overload.stop();
    intake.stop();
    access.stop();
    logger.info({}, "stopped");
  };
  return {
    app,
    async start(at) {
      if (!isLoopback(at.host) && input.options?.insecure !== true) access.close(at.host);
      if (!access.asks)
        logger.warn({ host: at.host }, "no keys exist: whoever reaches this address may ask, and teach by labels");
      const safety = safetyHeaders(at.tls !== undefined);
      const { listener, plain } = hotRoad(parts, { cold: coldRoad(app, safety), safety });
      listening = await listen(listener, {
        ...at,
        plain,
        bodyMaxBytes: pipeline.serve.bodyMaxBytes,
        onRefused: (status) => measures.requested({ route: UNROUTED, status, ms: 0 }),
      });
      const { host, port } = listening;
      logger.info({ host, port, ready: live.current.champion !== null }, "listening");
      return { host, port };
    },
    stop() {
      stopping ??= drain();
      return stopping;
    },
  };
}

async function assemble(input: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly options?: ServerOptions;
}): Promise<ServerParts> {
  const { ports, pipeline, schema, options = {} } = input;
  const { inFlightMax = IN_FLIGHT_MAX, lagMsMax = LAG_MS_MAX, adminKey = null, packageVersion = "0" } = options;
  const { logger = pino(), aheadMaxMs, persistMs, redactKey, workerModule, load } = options;
  const measures = createMeasures();
  const { counters } = measures;
  const tracing = await openTracing(packageVersion);
  const engine = await openEngine({
    ports,
    pipeline,
    schema,
    options: {
      counters,
      logger,
      aheadMaxMs,
      persistMs,
      redactKey,
      workerModule,
      load: tracing?.load(load ?? loadScorer) ?? load,
    },
  });
  tracing?.shadows(engine.shadows);
  const overload = new Overload({ clock: ports.clock, inFlightMax, lagMsMax, onLag: measures.lagged });
  const intake = new Intake(ports.clock, options.intake);
  const access = new Access({
    clock: ports.clock,
    logger,
    store: ports.keys === undefined ? null : await ports.keys(),
    fixed: options.keys ?? [],
    admin: adminKey === null ? null : adminRecord(adminKey),
  });
  const requestIds = createRequestIds();
  const parts = { ...engine, measures, overload, intake, access, packageVersion, requestIds, tracing };
  if (tracing === null) return parts;
  const { parser, encode, log } = engine;
  return { ...parts, parser: tracing.parser(parser), encode: tracing.encode(encode), log: tracing.log(log) };
}

/** Stands for the host where HTTP/1.0 names none. */
const NO_HOST = "localhost";
/** The package's name for who answers a request that it cannot read. */
const ON_UNREADABLE = "errorHandler";

/** Every route by the app. */
function coldRoad(app: App, safety: SafetyHeaders): RequestListener {
  const listener = getRequestListener(app.fetch, {
    hostname: NO_HOST,
    [ON_UNREADABLE]: (error: unknown) => problemResponse(unreadable(messageOf(error))),
  });
  return (incoming, response) => {
    protect(response, safety);
    listener(incoming, response);
  };
}

/** SENTINEL_ADMIN_KEY as one of the keys. */
function adminRecord(key: string): KeyRecord {
  const times = { createdAt: 0, expiresAt: null, revokedAt: null };
  return {
    id: "admin",
    name: "admin",
    role: "admin",
    hash: sha256(key),
    createdBy: "environment",
    rate: null,
    ...times,
  };
}
