// The server: the engine behind its HTTP door, started, and drained when it stops.
import { getRequestListener } from "@hono/node-server";
import { pino } from "pino";
import type { EngineLog } from "../online/counters.ts";
import { openEngine } from "../online/engine.ts";
import { loadScorer } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { type App, createApp } from "./app.ts";
import { type HotRoad, hotRoad } from "./hot.ts";
import { type Listening, listen } from "./listen.ts";
import { createMeasures } from "./measures.ts";
import { Overload } from "./overload.ts";
import type { ServerParts } from "./parts.ts";
import { createRequestIds } from "./request-id.ts";
import { openTracing } from "./tracing.ts";

export interface ServerOptions {
  readonly logger?: EngineLog;
  /** Key of the admin routes; null turns them off. */
  readonly adminKey?: string | null;
  readonly packageVersion?: string;
  /** How far an event time may be ahead of the server's clock. */
  readonly aheadMaxMs?: number;
  readonly inFlightMax?: number;
  readonly lagMsMax?: number;
  /** How often the feature state is saved. */
  readonly persistMs?: number;
  /** How long a stop waits for requests in flight, and then for shadows. */
  readonly drainMsMax?: number;
  /** What a candidate's worker runs, and how a bundle becomes a scorer; for tests of misbehaving ones. */
  readonly workerModule?: URL;
  readonly load?: typeof loadScorer;
}

export interface SentinelServer {
  /** Answers without a socket: `app.request(…)`. */
  readonly app: App;
  /** Listens. Port 0 takes a free one. Errors: server.port-in-use. */
  start(at: {
    readonly host: string;
    readonly port: number;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /** Drains: no new requests, those in flight end, shadows and log are written, the feature state is saved. Safe to call twice. */
  stop(): Promise<void>;
}

const IN_FLIGHT_MAX = 1000;
const LAG_MS_MAX = 250;
const DRAIN_MS_MAX = 10_000;

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
  const { drainMsMax = DRAIN_MS_MAX } = input.options ?? {};
  const parts = await assemble(input);
  const { live, logger, overload } = parts;
  const app = createApp(parts);
  await parts.start();
  let listening: Listening | null = null;
  let road: HotRoad | null = null;
  let stopping: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    live.draining = true;
    await Promise.all([listening?.close(drainMsMax), overload.settled(drainMsMax)]);
    await parts.stop(drainMsMax);
    road?.stop();
    overload.stop();
    logger.info({}, "stopped");
  };
  return {
    app,
    async start(at) {
      road = hotRoad(parts, getRequestListener(app.fetch));
      listening = await listen(road.listener, at);
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
  const { logger = pino(), aheadMaxMs, persistMs, workerModule, load } = options;
  const measures = createMeasures();
  const { counters } = measures;
  const tracing = await openTracing(packageVersion);
  const engine = await openEngine({
    ports,
    pipeline,
    schema,
    options: { counters, logger, aheadMaxMs, persistMs, workerModule, load: tracing?.load(load ?? loadScorer) ?? load },
  });
  tracing?.shadows(engine.shadows);
  const overload = new Overload({ clock: ports.clock, inFlightMax, lagMsMax, onLag: measures.lagged });
  const parts = { ...engine, measures, overload, adminKey, packageVersion, requestIds: createRequestIds(), tracing };
  if (tracing === null) return parts;
  const { parser, encode, log } = engine;
  return { ...parts, parser: tracing.parser(parser), encode: tracing.encode(encode), log: tracing.log(log) };
}
