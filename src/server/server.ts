// The server: engines behind one HTTP door, started, and drained when it stops.
import { randomBytes, randomUUID } from "node:crypto";
import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { pino } from "pino";
import { DECISIONS } from "../core/decision.ts";
import { messageOf } from "../core/errors.ts";
import type { KeyRecord } from "../core/key.ts";
import { isLoopback } from "../core/loopback.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";
import { Desk, type Notices, Notifier } from "../lifecycle/desk.ts";
import type { KeyPorts } from "../lifecycle/keys.ts";
import { Platform, Retention, type TaskRunner } from "../lifecycle/platform.ts";
import type { StoreKept } from "../lifecycle/retention.ts";
import type { ShadowReporter } from "../lifecycle/shadow-report.ts";
import type { TenantPorts } from "../lifecycle/tenants.ts";
import type { Chaos } from "../online/chaos.ts";
import type { EngineLog } from "../online/counters.ts";
import { grownBy, openEngine } from "../online/engine.ts";
import { maskedLog } from "../online/masked-log.ts";
import { type OpenPipeline, type PipelineSource, Pipelines } from "../online/pipelines.ts";
import { isAnyReady } from "../online/readiness.ts";
import { loadScorer } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { personalMask } from "../pipeline/privacy.ts";
import type { KeyStore } from "../ports/keys.ts";
import type { Clock, Ports } from "../ports/ports.ts";
import type { Store, TenantRecord } from "../ports/store.ts";
import { Access, adminRecord } from "./access.ts";
import { type App, createApp } from "./app.ts";
import { PLATFORM_BODY_BYTES_MAX } from "./body.ts";
import { deskFigures } from "./desk-figures.ts";
import { Feed } from "./feed.ts";
import { Hall, type Room } from "./hall.ts";
import { hotRoad } from "./hot.ts";
import { Intake, type IntakeLimits } from "./intake.ts";
import { type Listening, listen, type Tls, unreadable } from "./listen.ts";
import { Logins, type ProviderLogin } from "./login.ts";
import { createMeasures, createProcessMeasures, type Measures } from "./measures.ts";
import { Overload } from "./overload.ts";
import { type Common, type Pages, type Server, type ServerParts, UNROUTED } from "./parts.ts";
import { Privacies } from "./privacies.ts";
import { problemResponse } from "./problem.ts";
import { Pulse, type Totals } from "./pulse.ts";
import { Quotas } from "./quotas.ts";
import { createRequestIds, REQUEST_ID } from "./request-id.ts";
import { protect, type SafetyHeaders, safetyHeaders } from "./safety.ts";
import { Sessions } from "./sessions.ts";
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
  /** Makes shadow reports elsewhere. Absent: in this thread, which suits tests. */
  readonly reporter?: ShadowReporter;
  /** How often pipelines that are not up are tried again, and new ones looked for. */
  readonly retryMs?: number;
  /** The provider that people log in by. Absent or null: keys alone. */
  readonly provider?: ProviderLogin | null;
  /** The dashboard's files; absent or null: there is none. */
  readonly pages?: Pages | null;
  /** Answers that are late or fail on purpose. Absent: none. */
  readonly chaos?: Chaos;
  /** What a candidate's worker runs, and how a bundle becomes a scorer; for tests of misbehaving ones. */
  readonly workerModule?: URL;
  readonly load?: typeof loadScorer;
}

/** A door that is not HTTP. */
export interface OtherDoor {
  /** As {@link Listening.close}. */
  close(times: { readonly announceMs: number; readonly msMax: number }): Promise<void>;
}

export interface SentinelServer {
  /** Answers without a socket: `app.request(…)`. */
  readonly app: App;
  /** The engines; pipelines may be added, replaced and removed while the server runs. */
  readonly pipelines: Pipelines<ServerParts>;
  /** Listens. Port 0 takes a free one. Errors: server.port-in-use, config.invalid (the certificate). */
  start(at: {
    readonly host: string;
    readonly port: number;
    readonly tls?: Tls;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Opens another door to the same engines, keys, limits and counts, on an address of this host; it is closed as the server stops. Before
   * {@link start}, so that whoever finds the server ready finds all of its doors. Errors: server.keys-needed, those of `open`.
   */
  attach<D extends OtherDoor>(host: string, open: (server: Server) => Promise<D>): Promise<D>;
  /** Drains: no new requests, those in flight end, shadows and log are written, the feature state is saved. Safe to call twice. */
  stop(): Promise<void>;
}

/** What a server needs to be a platform: pipelines that programs make, rules and alerts that people manage. */
export interface PlatformInput {
  readonly store: () => Promise<Store>;
  /** Absolute; the files of pipelines that the store has are written below it. */
  readonly workspace: string;
  /** A pipeline whose files are written as a source of an engine. */
  readonly sourceOf: (slug: string) => PipelineSource;
  /** The pipelines that the server shall open, whatever the store has; absent: all. */
  readonly only?: ReadonlySet<string>;
  /** Does what takes long elsewhere, in threads. Absent: only backtests are made, in this thread. */
  readonly tasks?: TaskRunner;
  /** Where keys are changed. Absent: nowhere. */
  readonly keyring?: KeyPorts;
  /** How often the store is looked at. */
  readonly pollMs?: number;
  /** How long the store keeps alerts, audit entries and the ledger; asked at each look. Absent: for ever. */
  readonly keep?: () => StoreKept;
  /** How often alerts are taken into cases, and messages go out. */
  readonly deskPollMs?: number;
  /** How often open cases and waiting messages are counted for those who measure. */
  readonly figuresMs?: number;
  /** Who hears of what. Absent: nobody. */
  readonly notices?: Notices | null;
}

const IN_FLIGHT_MAX = 1000;
const LAG_MS_MAX = 250;
const DRAIN_MS_MAX = 10_000;
/** Long enough for a kept-alive connection under load to hear of it; an orchestrator may want more. */
const ANNOUNCE_MS = 1000;
/** How often the log says that answers are late or fail on purpose. */
const CHAOS_TOLD_MS = 60_000;

/**
 * A server for one pipeline that is open already: aliases looked up, the champion loaded and warm before it answers its first request.
 * Without a champion it starts all the same and says so. Errors: pipeline.invalid (the schema), log.unwritable, log.unreadable,
 * state.unreachable, state.foreign.
 */
export function createServer(input: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly options?: ServerOptions;
}): Promise<SentinelServer> {
  const { ports, pipeline, schema, options } = input;
  const open = async (): Promise<OpenPipeline> => ({ ports, pipeline, schema, close: async () => {} });
  const sources: readonly PipelineSource[] = [{ name: pipeline.name, from: "file", open }];
  return createSeveral({ sources, main: pipeline.name, clock: ports.clock, keys: ports.keys, options });
}

/**
 * A server for several pipelines, each with an engine of its own. One that cannot be opened is tried again, and the others serve; where
 * none can, the default one's error is thrown, else the first.
 */
export async function createSeveral(input: SeveralInput): Promise<SentinelServer> {
  const { drainMsMax = DRAIN_MS_MAX, announceMs = ANNOUNCE_MS } = input.options ?? {};
  const hall = await assemble(input);
  const server = hall.first;
  const { logger, overload, intake, access, measures, pipelines } = server;
  const app = createApp(hall);
  let listening: Listening | null = null;
  const others: OtherDoor[] = [];
  const telling = tellOf(input.options?.chaos, logger);
  let stopping: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    clearInterval(telling);
    for (const { feed, pulse, pipelines: own } of hall.all()) {
      for (const { engine } of own.all()) if (engine !== null) engine.live.draining = true;
      feed.stop();
      pulse.stop();
    }
    overload.heldBack.stop();
    const times = { announceMs, msMax: drainMsMax };
    const closed = [listening?.close(times), ...others.map((door) => door.close(times))];
    if (listening !== null) await new Promise((resolve) => setTimeout(resolve, announceMs));
    await intake.drain(drainMsMax);
    await Promise.all([...closed, overload.settled(drainMsMax)]);
    await hall.stop(drainMsMax);
    await stopRoom(server, drainMsMax);
    overload.stop();
    intake.stop();
    access.stop();
    logger.info({}, "stopped");
  };
  /** Asks everybody for a key on an address that others reach. */
  const guard = (host: string): void => {
    if (!isLoopback(host) && input.options?.insecure !== true) access.close(host);
  };
  const stop = (): Promise<void> => {
    stopping ??= drain();
    return stopping;
  };
  try {
    await access.open();
    await openAll(pipelines, input);
    await startRoom(server);
    await hall.start();
  } catch (error) {
    await stop();
    throw error;
  }
  pipelines.follow();
  return {
    app,
    pipelines,
    async start(at) {
      guard(at.host);
      if (!access.asks)
        logger.warn({ host: at.host }, "no keys exist: whoever reaches this address may ask, and teach by labels");
      const safety = safetyHeaders(at.tls !== undefined);
      const { listener, plain } = hotRoad(hall, { cold: coldRoad(app, { safety, server }), safety });
      listening = await listen(listener, {
        ...at,
        plain,
        bodyMaxBytes: (route) =>
          Math.max(
            route.startsWith("/api/") ? PLATFORM_BODY_BYTES_MAX : 0,
            ...hall
              .all()
              .flatMap((room) => room.pipelines.all().map(({ engine }) => engine?.pipeline.serve.bodyMaxBytes ?? 0)),
          ),
        requestIds: server.requestIds,
        onRefused: (status) => measures.requested({ route: UNROUTED, status, ms: 0 }),
      });
      const { host, port } = listening;
      logger.info({ host, port, ready: isAnyReady(server.pipelines.all()) }, "listening");
      return { host, port };
    },
    async attach(host, open) {
      guard(host);
      const door = await open(server);
      others.push(door);
      return door;
    },
    stop,
  };
}

/** What a server is made from: the first tenant's, and how the others' is found. */
export interface SeveralInput {
  readonly sources: readonly PipelineSource[];
  /** The name of the pipeline that answers requests which name none; null: no such requests are answered. */
  readonly main: string | null;
  readonly clock: Clock;
  readonly keys?: Ports["keys"];
  /** What the workspace has now: pipelines that are new are opened. */
  readonly discover?: () => readonly PipelineSource[];
  /** Absent: nothing is below /api. */
  readonly platform?: PlatformInput;
  readonly options?: ServerOptions;
  /** Other tenants; absent: there are none. */
  readonly tenants?: {
    readonly ports: TenantPorts;
    /** What is served of one. */
    open(tenant: Tenant): Promise<RoomInput>;
    readonly pollMs?: number;
  };
}

/** What is served of one tenant; `close` once it is served no more. */
export interface RoomInput extends Pick<SeveralInput, "sources" | "main" | "discover" | "platform"> {
  readonly keys: KeyStore;
  readonly reporter?: ShadowReporter;
  close(): Promise<void>;
}

/** Says that answers are late or fail on purpose, now and again and again. */
function tellOf(chaos: Chaos | undefined, logger: EngineLog): NodeJS.Timeout | undefined {
  if (chaos === undefined) return undefined;
  const tell = (): void => logger.warn(chaos.plan, chaos.words);
  tell();
  return setInterval(tell, CHAOS_TOLD_MS).unref();
}

/** Opens them one after the other. Throws where none could be. */
async function openAll(
  pipelines: Pipelines<ServerParts>,
  { sources, main }: { readonly sources: readonly PipelineSource[]; readonly main: string | null },
): Promise<void> {
  for (const source of sources) await pipelines.add(source);
  // A platform may begin with nothing.
  if (sources.length === 0) return;
  const slots = pipelines.all();
  if (slots.some(({ engine }) => engine !== null)) return;
  throw (slots.find(({ name }) => name === main) ?? slots[0]).fault!.cause;
}

async function assemble(input: SeveralInput): Promise<Hall> {
  const { clock, keys, tenants, options = {} } = input;
  const { inFlightMax = IN_FLIGHT_MAX, lagMsMax = LAG_MS_MAX, adminKey = null, packageVersion = "0" } = options;
  const { provider = null } = options;
  let rooms: Hall | null = null;
  const everybodys = (): readonly Pipeline[] => (rooms?.all() ?? []).flatMap(({ privacies }) => privacies.all());
  const logger = maskedLog(options.logger ?? pino(), () => personalMask(everybodys()));
  const measures = createProcessMeasures();
  const common: Common = {
    overload: new Overload({ clock, inFlightMax, lagMsMax, onLag: measures.lagged }),
    intake: new Intake(clock, options.intake),
    access: new Access({
      clock,
      logger,
      store: keys === undefined ? null : await keys(),
      fixed: options.keys ?? [],
      admin: adminKey === null ? null : adminRecord(adminKey),
      hasProvider: provider !== null,
    }),
    packageVersion,
    requestIds: createRequestIds(),
    tracing: await openTracing(packageVersion),
    reporter: options.reporter ?? null,
  };
  const shared: Shared = {
    ...common,
    clock,
    logger,
    measures,
    options,
    sessions: new Sessions(clock, randomBytes),
    provider,
    logins: new Logins(clock, randomBytes),
    roomOf: (caller) => hall.of(caller),
    tenants: tenants?.ports ?? null,
    everyRoom: () => hall.all(),
  };
  const first = roomOf(shared, { ...input, tenant: DEFAULT_TENANT, title: null });
  const lobby: Server = {
    ...roomOf(shared, { main: null, tenant: DEFAULT_TENANT, title: null }),
    readyElsewhere: () => {
      const slots = hall.all().flatMap((room) => room.pipelines.all());
      return slots.length === 0 || isAnyReady(slots);
    },
  };
  const hall: Hall = new Hall({
    first,
    lobby,
    input:
      tenants === undefined
        ? null
        : { list: async () => (await tenants.ports.tenants()).list(), open: (one) => openRoom(shared, tenants, one) },
    pollMs: tenants?.pollMs,
  });
  rooms = hall;
  return hall;
}

/** What all rooms have. */
type Shared = Common &
  Pick<
    Server,
    "clock" | "logger" | "measures" | "sessions" | "provider" | "logins" | "roomOf" | "tenants" | "everyRoom"
  > & {
    readonly options: ServerOptions;
  };

async function openRoom(
  shared: Shared,
  { open }: NonNullable<SeveralInput["tenants"]>,
  { name, title, quotas }: TenantRecord,
): Promise<{ readonly room: Room; readonly keys: KeyStore }> {
  const input = await open(name);
  const { logger, measures, reporter } = shared;
  let stop = async (_drainMsMax: number): Promise<void> => input.close();
  try {
    // People log in by an identity provider as the first tenant's, and as nobody else's.
    const named = namedIn(logger, { tenant: name });
    const own = { ...shared, provider: null, logger: named, reporter: input.reporter ?? reporter };
    const server = roomOf({ ...own, measures }, { ...input, tenant: name, title });
    server.quotas.set(quotas);
    stop = async (drainMsMax) => {
      server.feed.stop();
      server.pulse.stop();
      await stopRoom(server, drainMsMax).finally(input.close);
    };
    await server.pipelines.addWhileRoom(input.sources);
    await startRoom(server);
    server.pipelines.follow();
    return { room: { server, stop }, keys: input.keys };
  } catch (error) {
    // Engines that go on would keep their locks from the next try.
    await stop(DRAIN_MS_MAX);
    throw error;
  }
}

async function startRoom({ platform }: Server): Promise<void> {
  await platform?.platform.start();
  await platform?.desk.start();
  platform?.retention?.start();
  platform?.notifier?.start();
  platform?.figures.start();
}

async function stopRoom({ platform, pipelines }: Server, drainMsMax: number): Promise<void> {
  await platform?.retention?.stop();
  await platform?.platform.stop();
  await platform?.desk.stop();
  await platform?.notifier?.stop();
  await platform?.figures.stop();
  await pipelines.stop(drainMsMax);
}

/** A tenant's part of the server. */
function roomOf(
  shared: Shared,
  of: Pick<SeveralInput, "main" | "discover" | "platform"> & Pick<Server, "tenant" | "title">,
): Server {
  const { clock, logger, options, ...common } = shared;
  const { main, discover, tenant, title } = of;
  const byName = new Map<string, Measures>();
  const measuresOf = (pipeline: string): Measures => {
    const known = byName.get(pipeline) ?? createMeasures(pipeline, tenant);
    byName.set(pipeline, known);
    return known;
  };
  const pipelines = new Pipelines<ServerParts>(main, {
    start: (source) =>
      startPipeline(source, {
        ...{ common, logger, options, measures: measuresOf(source.name) },
        onOpened: (pipeline) => privacies.learn(pipeline),
      }),
    clock,
    logger,
    ...(discover === undefined ? {} : { discover }),
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
  });
  const privacies = new Privacies(pipelines);
  const quotas = new Quotas(clock, (quota) => common.measures.quotaRefused(tenant, quota));
  const platform =
    of.platform === undefined
      ? null
      : platformOf(of.platform, { pipelines, clock, logger, measures: common.measures, measuresOf, quotas, tenant });
  return {
    ...common,
    clock,
    logger,
    tenant,
    title,
    quotas,
    readyElsewhere: null,
    pages: options.pages ?? null,
    pulse: new Pulse(clock, () => totalsOf(byName)),
    feed: new Feed(),
    pipelines,
    privacies,
    measuresOf,
    platform,
  };
}

function* totalsOf(measures: ReadonlyMap<string, Measures>): Iterable<readonly [string, Totals]> {
  for (const [name, { decided }] of measures) {
    const counts = decided();
    const totals = DECISIONS.map((decision) => [decision, counts.get(decision) ?? 0]);
    yield [name, Object.fromEntries(totals) as Totals];
  }
}

function platformOf(
  { tasks, keyring, only, keep, ...input }: PlatformInput,
  about: Pick<Server, "pipelines" | "clock" | "logger" | "measures" | "measuresOf" | "quotas" | "tenant">,
): NonNullable<Server["platform"]> {
  const { measures, measuresOf, quotas, tenant, ...of } = about;
  const grow = (
    { pipeline: _, ...before }: ServerParts,
    { schema, pipeline }: { readonly schema: object; readonly pipeline: Pipeline },
  ): ServerParts => {
    const parts = { ...before, pipeline };
    const { parser, ...grown } = grownBy(schema, parts, makeId);
    return { ...parts, ...grown, parser: parts.tracing?.parser(parser) ?? parser };
  };
  const platform = new Platform<ServerParts>({ ...input, ...of, only: only ?? null, grow });
  const { clock, logger } = of;
  const alerts = { max: () => quotas.now.alerts, removed: (count: number) => measures.alertsTrimmed(tenant, count) };
  const retention = keep === undefined ? null : new Retention({ store: input.store, keep, alerts, clock, logger });
  const { store, deskPollMs: pollMs, notices = null } = input;
  const desk = new Desk<ServerParts>({ ...of, store, notices, pollMs });
  const onSettled = measures.outboxOf(tenant).settled;
  const notifier = notices === null ? null : new Notifier<ServerParts>({ ...of, store, notices, pollMs, onSettled });
  return {
    store,
    platform,
    desk,
    retention,
    notices,
    notifier,
    figures: deskFigures({ store, notices }, { ...of, tenant, measures, measuresOf }, input.figuresMs),
    chance: Math.random,
    tasks: tasks ?? null,
    keyring: keyring ?? null,
  };
}

/** The id of a transaction that brings none. */
const makeId = (): string => randomUUID();

/** Opens a pipeline's engine, with its first look at the aliases done. */
async function startPipeline(
  source: PipelineSource,
  given: {
    readonly common: Common;
    readonly logger: EngineLog;
    readonly measures: Measures;
    readonly options: ServerOptions;
    readonly onOpened: (pipeline: Pipeline) => void;
  },
): Promise<ServerParts> {
  const { common, measures, options, onOpened } = given;
  const logger = namedIn(given.logger, { pipeline: source.name });
  const { tracing } = common;
  const { aheadMaxMs, persistMs, redactKey, chaos, workerModule, load } = options;
  const opened = await source.open();
  const { ports, pipeline, schema } = opened;
  // Before its engine is: what is stored of it is shown also where that fails.
  onOpened(pipeline);
  try {
    const engine = await openEngine({
      ports,
      pipeline,
      schema,
      options: {
        counters: measures.counters,
        logger,
        aheadMaxMs,
        persistMs,
        redactKey,
        chaos,
        ...(opened.made ? { makeId } : {}),
        workerModule,
        load: tracing?.load(load ?? loadScorer) ?? load,
      },
    });
    tracing?.rules(engine.rules);
    tracing?.shadows(engine.shadows);
    await engine.start();
    const stop = async (drainMsMax: number): Promise<void> => {
      try {
        await engine.stop(drainMsMax);
      } finally {
        // What a stream or a batch still holds must be refused: the log would lose its record.
        engine.live.current = { champion: null, shadows: [], fault: STOPPED };
        await opened.close();
      }
    };
    const parts = { ...engine, ...common, measures, archive: opened.archive ?? null, stop };
    if (tracing === null) return parts;
    const { parser, encode, log } = engine;
    return { ...parts, parser: tracing.parser(parser), encode: tracing.encode(encode), log: tracing.log(log) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

const STOPPED = { version: null, message: "the pipeline was stopped" };

/** Names in each line whose it is. */
function namedIn(logger: EngineLog, names: Readonly<Record<string, string>>): EngineLog {
  return {
    info: (facts, text) => logger.info({ ...names, ...facts }, text),
    warn: (facts, text) => logger.warn({ ...names, ...facts }, text),
    error: (facts, text) => logger.error({ ...names, ...facts }, text),
  };
}

/** Stands for the host where HTTP/1.0 names none. */
const NO_HOST = "localhost";
/** The package's name for who answers a request that it cannot read. */
const ON_UNREADABLE = "errorHandler";

/** Every route by the app. */
function coldRoad(
  app: App,
  { safety, server }: { readonly safety: SafetyHeaders; readonly server: Pick<Server, "requestIds" | "measures"> },
): RequestListener {
  const listener = getRequestListener(app.fetch, {
    hostname: NO_HOST,
    [ON_UNREADABLE]: (error: unknown) => {
      const response = problemResponse(unreadable(messageOf(error)));
      server.measures.requested({ route: UNROUTED, status: response.status, ms: 0 });
      return response;
    },
  });
  return (incoming, response) => {
    protect(response, safety);
    // The app names the request itself; this is for what never reaches it.
    const given = incoming.headers[REQUEST_ID];
    response.setHeader(REQUEST_ID, server.requestIds(typeof given === "string" ? given : undefined));
    listener(incoming, response);
  };
}
