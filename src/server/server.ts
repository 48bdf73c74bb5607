// The server: its parts put together, started, and drained when it stops.
import { type Logger, pino } from "pino";
import { DAY_MS } from "../core/duration.ts";
import { messageOf } from "../core/errors.ts";
import type { Pipeline } from "../lifecycle/pipeline.ts";
import type { loadScorer } from "../lifecycle/score.ts";
import { Shadows } from "../lifecycle/shadow.ts";
import { SharedStates } from "../lifecycle/shared/states.ts";
import type { OnlineStates } from "../lifecycle/states.ts";
import { WarmStates } from "../lifecycle/warm.ts";
import type { Ports } from "../ports.ts";
import { type App, createApp } from "./app.ts";
import { Duplicates } from "./duplicates.ts";
import { type Listening, listen } from "./listen.ts";
import { Live } from "./live.ts";
import { createMeasures } from "./measures.ts";
import { Overload } from "./overload.ts";
import { createParser } from "./parse.ts";
import type { ServerParts } from "./parts.ts";

export interface ServerOptions {
  readonly logger?: Logger;
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
const PERSIST_MS = 300_000;
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
  const { options = {} } = input;
  const { persistMs = PERSIST_MS, drainMsMax = DRAIN_MS_MAX } = options;
  const parts = await assemble(input);
  const { live, states, shadows, log, logger, overload, measures } = parts;
  const app = createApp(parts);
  await live.poll();
  live.start();
  const persist = (): Promise<void> =>
    states.persist().catch((error) => {
      measures.persistFailures.inc();
      logger.error({ error: messageOf(error) }, "the feature state could not be saved");
    });
  const timer = setInterval(() => void persist(), persistMs).unref();
  let listening: Listening | null = null;
  let stopping: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    live.draining = true;
    clearInterval(timer);
    await Promise.all([listening?.close(drainMsMax), overload.settled(drainMsMax)]);
    await live.stop();
    await shadows.stop(drainMsMax);
    overload.stop();
    await persist();
    await log.flush();
    await states.close();
    logger.info("stopped");
  };
  return {
    app,
    async start(at) {
      listening = await listen(app, at);
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
  const { aheadMaxMs = DAY_MS, logger = pino() } = options;
  const parser = createParser({ pipeline, schema, aheadMaxMs });
  const log = await ports.log();
  const measures = createMeasures();
  const states = await openStates(ports, { pipeline: pipeline.name, logger });
  const shadows = new Shadows({
    log,
    sample: pipeline.shadow.sample,
    batchMsMax: pipeline.shadow.timeoutMs,
    queueMax: pipeline.shadow.queueMax,
    onFault: (version, error) => logger.warn({ version, error }, "a candidate failed in shadow"),
    ...(options.workerModule === undefined ? {} : { workerModule: options.workerModule }),
  });
  const live = new Live({
    ports,
    model: pipeline.model,
    states,
    shadows,
    pollMs: pipeline.serve.pollMs,
    logger,
    onSwap: () => measures.swaps.inc(),
    onBroken: (code) => measures.swapFailures.inc({ code }),
    ...(options.load === undefined ? {} : { load: options.load }),
  });
  const { inFlightMax = IN_FLIGHT_MAX, lagMsMax = LAG_MS_MAX } = options;
  const overload = new Overload({ clock: ports.clock, inFlightMax, lagMsMax });
  const duplicates = new Duplicates(log, { model: pipeline.model, others: states.sharing() !== null });
  await duplicates.open();
  const { adminKey = null, packageVersion = "0" } = options;
  const shared = { ports, pipeline, schema, log, states, shadows, live, parser, duplicates, measures, overload };
  return { ...shared, logger, adminKey, packageVersion, aheadMaxMs };
}

/** The process's own states, or those it shares with others. */
async function openStates(
  ports: Ports,
  options: { readonly pipeline: string; readonly logger: Logger },
): Promise<OnlineStates> {
  const { pipeline, logger } = options;
  if (ports.shared === undefined) return new WarmStates(ports, { pipeline });
  const onFault = (error: string): void => logger.warn({ error }, "the shared feature state");
  return SharedStates.open(ports, await ports.shared(), { pipeline, onFault });
}
