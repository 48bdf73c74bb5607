// Wiring: Config becomes Ports; the only file that names concrete drivers, each loaded at its first use.
import { existsSync } from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { type Config, type MlflowConfig, registryName, s3Login, secretAt, tenantConfig } from "./config.ts";
import { CLOUD_EVENT_MEDIA_TYPE } from "./core/cloud-event.ts";
import { DAY_MS, formatDuration } from "./core/duration.ts";
import { messageOf } from "./core/errors.ts";
import { bucketPlace, isRemote, placeBelow } from "./core/remote.ts";
import { archiveFolder, DEFAULT_TENANT, nameAmongAll, type Tenant } from "./core/tenant.ts";
import type { BrainTls, MakeBrain } from "./drivers/brain/named.ts";
import { systemClock } from "./drivers/clock/system.ts";
import type { LogOptions } from "./drivers/log/sql/driver.ts";
import type { SqlStore, SqlStores } from "./drivers/store/sql/driver.ts";
import { tenantSchemas, tenantStreams } from "./drivers/stream/tenant.ts";
import type { Notices } from "./lifecycle/desk.ts";
import type { TenantPorts } from "./lifecycle/tenants.ts";
import { type LoginFile, readLogin } from "./pipeline/login.ts";
import { readNotifications } from "./pipeline/notifications.ts";
import type { Pipeline } from "./pipeline/pipeline.ts";
import { streamSettings } from "./pipeline/stream.ts";
import type { Archive } from "./ports/archive.ts";
import type { Brains } from "./ports/brain.ts";
import type { Dataset } from "./ports/dataset.ts";
import type { Engine } from "./ports/engine.ts";
import type { KeyStore } from "./ports/keys.ts";
import type { Ledger, LedgerSpool } from "./ports/ledger.ts";
import type { PredictionLog } from "./ports/log.ts";
import type { IdentityProvider } from "./ports/login.ts";
import type { ObjectStore } from "./ports/objects.ts";
import type { Clock, Lock, Ports, Reporter, SnapshotStore, SourceControl } from "./ports/ports.ts";
import type { Registry, RegistrySource, RegistryTarget } from "./ports/registry.ts";
import type { RuleStore } from "./ports/rules.ts";
import type { Schemas } from "./ports/schemas.ts";
import type { SharedStore } from "./ports/shared-store.ts";
import type { Store, Stores, StoreTables } from "./ports/store.ts";
import type { Streams } from "./ports/stream.ts";

/** Where nobody waits for single records: fewer and larger writes. */
const LARGE_WRITES = { flushMs: 50, handOverBytes: 262_144 };

/** What the log's driver receives of a pipeline. */
export type LogSettings = Pick<Pipeline, "log" | "columns" | "archive">;

export interface PipelinePortsOptions {
  readonly pipeline: string;
  /** Asked when the log is opened; null where the pipeline file cannot be read: then the defaults count. */
  readonly settings?: () => LogSettings | null;
  /** True where the log is flushed before anything of its records counts. */
  readonly flushes?: boolean;
}

/** Ports, and `close` that flushes and closes what was opened. */
export interface OpenPorts {
  readonly ports: Ports;
  close(): Promise<void>;
}

/** Ports of a workspace for one pipeline. */
export function openPorts(
  config: Config,
  options: PipelinePortsOptions & { readonly report: Reporter; readonly clock?: Clock },
): OpenPorts {
  const workspace = openWorkspacePorts(config, options);
  const own = workspace.portsOf(options);
  return {
    ports: own.ports,
    async close() {
      await own.close();
      await workspace.close();
    },
  };
}

/** What pipelines have in common (registry, snapshots, locks, keys, data), and what each has to itself: its log and its shared state. */
export function openWorkspacePorts(
  config: Config,
  options: {
    readonly report: Reporter;
    readonly clock?: Clock;
    /** The store of another tenant's ports in this process, which closes it. Absent: one of its own. */
    readonly stores?: () => Promise<Stores>;
  },
): {
  /** Ports of one pipeline; close them before the workspace's. */
  portsOf(pipeline: PipelinePortsOptions): OpenPorts;
  readonly common: Omit<Ports, "log" | "rules" | "shared" | "archive">;
  /** The store of all tenants. */
  stores(): Promise<Stores>;
  close(): Promise<void>;
} {
  const open: Closing[] = [];
  const dataset = once(async (): Promise<Dataset> => {
    const { datasetDuckdb } = await import("./drivers/dataset/duckdb/driver.ts");
    const driver = datasetDuckdb({ remote: (place) => openObjects(config, place) });
    open.push(driver);
    return driver;
  });
  const registry = once(async (): Promise<Registry> => {
    if (config.mlflow !== null) {
      const { createMlflowRegistry } = await import("./drivers/registry/mlflow/driver.ts");
      return createMlflowRegistry({ server: config.mlflow, copyDir: copyDirOf(config, config.mlflow) });
    }
    const { createLocalRegistry } = await import("./drivers/registry/local/driver.ts");
    const driver = createLocalRegistry({ dir: config.registryDir });
    open.push(driver);
    return driver;
  });
  // What cannot be made is the driver's to say, with the file that it wanted.
  const stateFolder = once(async (): Promise<void> => {
    const { makePrivateFolder } = await import("./drivers/files/durable.ts");
    await makePrivateFolder(config.stateDir).catch(() => {});
  });
  const snapshots = once(async (): Promise<SnapshotStore> => {
    const { createFileSnapshots } = await import("./drivers/files/snapshots.ts");
    await stateFolder();
    return createFileSnapshots({ dir: path.join(config.stateDir, "snapshots") });
  });
  const lock = once(async (): Promise<Lock> => {
    const { createFileLock } = await import("./drivers/files/lock.ts");
    await stateFolder();
    const local = createFileLock({ dir: path.join(config.stateDir, "locks") });
    if (config.database === null) return local;
    const { createPostgresLocks } = await import("./drivers/lock/postgres.ts");
    const driver = createPostgresLocks({
      address: config.database,
      nameOf: (name) => nameAmongAll(config.tenant, name),
      local,
      onLost: (message) => options.report.line(message),
    });
    open.push(driver);
    return driver;
  });
  const clock = options.clock ?? systemClock;
  const stores = once(async (): Promise<SqlStores> => {
    // Whatever is given was made here, for another tenant.
    if (options.stores !== undefined) return (await options.stores()) as SqlStores;
    const driver = await openStores(config, clock);
    open.push(driver);
    return driver;
  });
  const store = async (): Promise<SqlStore> => (await stores()).of(config.tenant);
  const keys = once(async (): Promise<KeyStore> => {
    const { createFileKeys } = await import("./drivers/files/keys.ts");
    return createFileKeys({ file: path.join(config.stateDir, "keys.json") });
  });
  const sourceControl = once(async (): Promise<SourceControl> => {
    const { createGit } = await import("./drivers/source-control/git.ts");
    return createGit({ dir: config.workspace });
  });
  const common = {
    clock,
    report: options.report,
    dataset,
    registry,
    snapshots,
    lock,
    sourceControl,
    keys,
    store,
  };
  return {
    common,
    stores,
    portsOf: (pipeline) => pipelinePorts(config, pipeline, { common, stateFolder, store }),
    close: () => closeAll(open),
  };
}

function pipelinePorts(
  config: Config,
  options: PipelinePortsOptions,
  of: {
    readonly common: Omit<Ports, "log" | "shared" | "archive">;
    readonly stateFolder: () => Promise<void>;
    readonly store: () => Promise<SqlStore>;
  },
): OpenPorts {
  const open: Closing[] = [];
  const log = once(async (): Promise<PredictionLog> => {
    const settings = options.settings?.() ?? null;
    // Several servers write one log, one at a time: fewer and larger writes. What waits for them is safe in the shared state.
    const isShared = config.redis !== null || config.database !== null;
    const given = {
      ...(settings === null ? {} : logOptions(settings)),
      ...(isShared || options.flushes === true ? largeWrites(settings) : {}),
      archivedOnly: archivePlace(config, settings) !== null,
    };
    const { report } = of.common;
    const { pipeline } = options;
    const driver = await openLog(config, { pipeline, stateFolder: of.stateFolder, options: given, report });
    open.push(driver);
    return driver;
  });
  const shared = once(async (): Promise<SharedStore> => {
    const { createRedisState } = await import("./drivers/state/redis/driver.ts");
    const name = nameAmongAll(config.tenant, options.pipeline);
    const driver = createRedisState({ address: config.redis!, name });
    open.push(driver);
    return driver;
  });
  const archive = once(async (): Promise<Archive | null> => {
    const place = archivePlace(config, options.settings?.() ?? null);
    if (place === null) return null;
    const { archiveDuckDb } = await import("./drivers/archive/duckdb/driver.ts");
    const folder = archiveFolder(config.tenant, options.pipeline);
    return { objects: await openObjects(config, placeBelow(place, folder)), files: archiveDuckDb() };
  });
  const rules = once(async (): Promise<RuleStore> => {
    const { readFileRules } = await import("./drivers/rules/files/read.ts");
    const store = await of.store();
    // Where an earlier version kept them; what the store has already stays.
    const copy = await readFileRules({ dir: path.join(config.stateDir, "rules"), pipeline: options.pipeline });
    if (copy !== null) await store.adoptRules(options.pipeline, copy);
    return store.rules(options.pipeline);
  });
  return {
    ports: { ...of.common, log, rules, archive, ...(config.redis === null ? {} : { shared }) },
    close: () => closeAll(open),
  };
}

/** Where the pipeline's transactions are archived: where the environment says, else where its file does; null: nowhere. */
function archivePlace(config: Config, settings: Pick<Pipeline, "archive"> | null): string | null {
  const place = config.archiveUrl ?? settings?.archive.to ?? null;
  return place === null || isRemote(place) ? place : path.resolve(config.workspace, place);
}

/** Objects of a folder, or of a bucket (s3://…). */
async function openObjects(config: Config, place: string): Promise<ObjectStore> {
  if (!isRemote(place)) {
    const { createFolderObjects } = await import("./drivers/objects/folder/driver.ts");
    return createFolderObjects({ root: place, now: Date.now });
  }
  const { createS3Objects } = await import("./drivers/objects/s3/driver.ts");
  return createS3Objects({ place: bucketPlace(place), login: s3Login(config) });
}

interface Closing {
  close(): Promise<void>;
}

async function closeAll(open: readonly Closing[]): Promise<void> {
  for (const driver of [...open].reverse()) await driver.close();
}

/** Where streams are: Kafka where the environment names it, else files below `folder`, read from `input` where that is given. */
export async function openStreams(
  config: Config,
  options: {
    readonly folder: string;
    readonly input?: string | Readable;
    /** What the Kafka client says of its troubles. */
    readonly onLine: (text: string) => void;
  },
): Promise<Streams> {
  if (config.kafka !== null && options.input === undefined) {
    const { createKafkaStreams } = await import("./drivers/stream/kafka/driver.ts");
    return tenantStreams(createKafkaStreams(config.kafka, { onLine: options.onLine }), config.tenant);
  }
  const { createNdjsonStreams } = await import("./drivers/stream/ndjson/driver.ts");
  return createNdjsonStreams(options);
}

/** Where Avro schemas are kept; null where the environment names no registry. */
export async function openSchemas(config: Config): Promise<Schemas | null> {
  if (config.schemaRegistry === null) return null;
  const { createRegistrySchemas } = await import("./drivers/schemas/registry/driver.ts");
  return tenantSchemas(createRegistrySchemas(config.schemaRegistry), config.tenant);
}

/** Spark at a master; `worker` is the command of an executor's process where the environment names none. */
export async function openEngine(
  config: Config,
  given: {
    readonly master: string;
    readonly conf: Readonly<Record<string, string>>;
    readonly worker: readonly string[];
  },
): Promise<Engine> {
  const { createSparkEngine } = await import("./drivers/engine/spark/driver.ts");
  const { python, worker } = config.spark;
  return createSparkEngine({ master: given.master, conf: given.conf, python, command: worker ?? given.worker });
}

/** In PostgreSQL where the environment names one, else in a file of the workspace. */
async function openLog(
  config: Config,
  given: {
    readonly pipeline: string;
    readonly stateFolder: () => Promise<void>;
    readonly options: LogOptions;
    readonly report: Reporter;
  },
): Promise<PredictionLog> {
  const { pipeline, options } = given;
  const file = path.join(config.stateDir, `${pipeline}-log.db`);
  if (config.database !== null) {
    const { openPostgresLog } = await import("./drivers/log/postgres/driver.ts");
    const name = nameAmongAll(config.tenant, pipeline);
    const log = await openPostgresLog({ address: config.database, name, options });
    if (existsSync(file) && (await log.last()).sequence === 0) {
      given.report.line(
        `${file} is the log of before, and is read no more: the log in PostgreSQL begins empty (docs/prediction-log.md)`,
      );
    }
    return log;
  }
  const { createSqliteLog } = await import("./drivers/log/sqlite/driver.ts");
  await given.stateFolder();
  return createSqliteLog({ file, options });
}

async function openStores(config: Config, clock: Clock): Promise<SqlStores> {
  if (config.database !== null) {
    const { openPostgresStore } = await import("./drivers/store/postgres/driver.ts");
    return openPostgresStore({ address: config.database, clock });
  }
  const { openLibsqlStore } = await import("./drivers/store/libsql/driver.ts");
  const file = storeFile(config);
  const { makePrivateFolder } = await import("./drivers/files/durable.ts");
  // What cannot be made is the driver's to say, with the file that it wanted.
  await makePrivateFolder(path.dirname(file)).catch(() => {});
  return openLibsqlStore({ file, clock });
}

/** Tenants and their keys, for whoever runs the server. */
export function openTenants(
  config: Config,
  options: {
    readonly report: Reporter;
    readonly clock?: Clock;
    /** As of {@link openWorkspacePorts}. */
    readonly stores?: () => Promise<Stores>;
  },
): { readonly ports: TenantPorts; close(): Promise<void> } {
  const first = openWorkspacePorts(config, options);
  const open: Closing[] = [first];
  const { clock } = first.common;
  return {
    ports: {
      clock,
      tenants: async () => (await first.stores()).tenants,
      keysOf(tenant) {
        const one = openWorkspacePorts(tenantConfig(config, tenant), { ...options, stores: first.stores });
        open.push(one);
        return one.common;
      },
    },
    close: () => closeAll(open),
  };
}

/** The tables of the workspace's store, to look at and to bring forward. */
export async function storeTables(config: Config, clock: Clock = systemClock): Promise<StoreTables> {
  if (config.database !== null) {
    const { postgresTables } = await import("./drivers/store/postgres/driver.ts");
    return postgresTables(config.database);
  }
  const { libsqlTables } = await import("./drivers/store/libsql/driver.ts");
  return libsqlTables({ file: storeFile(config), clock });
}

/** Everything of a workspace, of all its pipelines: what a person may be in. */
export interface Everywhere {
  readonly clock: Clock;
  readonly pipelines: readonly { readonly pipeline: Pipeline; readonly ports: Ports }[];
  /** The store, and the ledger's own where it is in another database. */
  readonly stores: readonly Store[];
  /** Other tenants whose rows are in the file of the store; none where it is a server. */
  readonly neighbours: readonly { readonly tenant: Tenant; readonly store: Store }[];
  /** As of drivers/files/durable.ts. */
  readonly writeFile: (file: string, content: string | Uint8Array, mode: number) => Promise<void>;
  /** Topics on brokers, each with how long they keep what they have. */
  readonly topics: readonly { readonly where: string; readonly why: string; readonly todo: string }[];
  close(): Promise<void>;
}

/** Errors: those of every store. */
export async function openEverywhere(
  config: Config,
  given: { readonly report: Reporter; readonly pipelines: readonly Pipeline[]; readonly clock?: Clock },
): Promise<Everywhere> {
  const { clock = systemClock } = given;
  const workspace = openWorkspacePorts(config, given);
  const opened = given.pipelines.map((pipeline) => ({
    pipeline,
    open: workspace.portsOf({ pipeline: pipeline.name, settings: () => pipeline }),
  }));
  const ledger =
    config.ledger === null || JSON.stringify(config.ledger) === JSON.stringify(config.database)
      ? []
      : [await openStores({ ...config, database: config.ledger }, clock)];
  const close = async (): Promise<void> => {
    await closeAll(ledger);
    for (const { open } of opened) await open.close();
    await workspace.close();
  };
  try {
    const topics = config.kafka === null ? [] : await topicsOf(config, given.pipelines);
    const stores = [await workspace.common.store!(), ...ledger.map((one) => one.of(config.tenant))];
    const pipelines = opened.map(({ pipeline, open }) => ({ pipeline, ports: open.ports }));
    const { replaceDurably: writeFile } = await import("./drivers/files/durable.ts");
    const all = await workspace.stores();
    const tenants =
      all.kind === "postgres" ? [] : [DEFAULT_TENANT, ...(await all.tenants.list()).map(({ name }) => name)];
    const neighbours = [...new Set(tenants)]
      .filter((tenant) => tenant !== config.tenant)
      .map((tenant) => ({ tenant, store: all.of(tenant) }));
    return { clock, pipelines, stores, neighbours, writeFile, topics, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function topicsOf(config: Config, pipelines: readonly Pipeline[]): Promise<Everywhere["topics"]> {
  const streams = await openStreams(config, { folder: config.workspace, onLine: () => {} });
  const names = pipelines.map(streamSettings).flatMap((stream) => {
    const { topic, decisions, alerts, deadLetters, labels } = stream;
    return [topic, decisions, alerts, deadLetters, ...(labels === null ? [] : [labels])];
  });
  try {
    return (await streams.kept([...new Set(names)])).map(({ topic, retentionMs, compacted }) => ({
      where: `${streams.where}: topic ${topic}`,
      why: `records of a topic cannot be changed; it keeps them ${retentionMs === null ? "for ever" : `for ${formatDuration(retentionMs)}`}`,
      todo: compacted
        ? "it is compacted: write a record without a value for each of the person's keys, and the broker drops the others"
        : retentionMs === null
          ? "give the topic a retention, or delete its oldest records with kafka-delete-records"
          : "wait for that time, or delete the oldest records with kafka-delete-records",
    }));
  } catch (error) {
    // What is here is erased all the same.
    const todo = `look at the retention of ${names.join(", ")} once it answers`;
    return [{ where: streams.where, why: `topics cannot be looked at: ${messageOf(error)}`, todo }];
  } finally {
    await streams.close();
  }
}

/** The key of receipts: the environment's, else one of the workspace, made when absent, that no backup takes along. */
export async function forgetKey(config: Config): Promise<string> {
  if (config.forgetKey !== null) return config.forgetKey;
  const { keptKey } = await import("./drivers/files/kept-key.ts");
  return keptKey(path.join(config.stateDir, "forget.key"));
}

/** Copies a SQLite file while others write it. */
export async function databaseCopier(): Promise<(file: string, to: string) => Promise<void>> {
  const { copyDatabase } = await import("./drivers/files/database-copy.ts");
  return copyDatabase;
}

/** Whom a workspace's notifications.yaml names; null where there is none. Errors: pipeline.invalid, with the line. */
export async function openNotices(config: Config): Promise<Notices | null> {
  const file = readNotifications(config.workspace);
  if (file === null) return null;
  const { createTarget } = await import("./drivers/notify/target.ts");
  const secret = (place: string): string => secretAt(place, config);
  const targets = Object.entries(file.targets).map(([name, keys]) => createTarget({ name, keys, secret }));
  return { file, targets };
}

/** The provider that people log in by, with its file; null where the workspace names none. Errors: pipeline.invalid, config.invalid. */
export async function openLogin(
  config: Config,
  clock: Clock = systemClock,
): Promise<{ readonly file: LoginFile; readonly provider: IdentityProvider } | null> {
  const file = readLogin(config.workspace);
  if (file === null) return null;
  const { clientSecretFrom, url, ...more } = file;
  const secret = clientSecretFrom === undefined ? null : secretAt(clientSecretFrom, config);
  const { createOpenIdProvider } = await import("./drivers/login/openid/driver.ts");
  const redirectUrl = `${url}/api/session/oidc/callback`;
  return { file, provider: createOpenIdProvider({ ...more, secret, redirectUrl, leftUrl: `${url}/`, clock }) };
}

/** Posts a CloudEvent; gives the receiver's status. Rejects when there was no answer. */
export async function postEvent(url: string, body: string): Promise<number> {
  const { postText } = await import("./drivers/notify/post.ts");
  return (await postText(url, { body, type: CLOUD_EVENT_MEDIA_TYPE })).status;
}

/** What a gateway needs of the world. */
export interface GatewayParts {
  /** Opened at its first use, and again while that fails: a gateway begins also where its ledger is away. */
  readonly ledger: Ledger;
  readonly spool: LedgerSpool;
  readonly brains: Brains;
  readonly keys: () => Promise<KeyStore>;
  readonly clock: Clock;
  close(): Promise<void>;
}

/** The brains that a gateway is to ask. */
export interface BrainsAsked {
  readonly urls: readonly URL[];
  readonly tls: BrainTls | null;
  /** The package's folder `proto/`. */
  readonly protoFolder: string;
}

/** By the protocol of each URL; gRPC's code is loaded only where one asks for it. */
async function brainMaker(config: Config, { urls, tls, protoFolder }: BrainsAsked): Promise<MakeBrain> {
  const isGrpc = ({ protocol }: URL): boolean => protocol.startsWith("grpc");
  const { key } = config;
  const { httpBrain } = await import("./drivers/brain/http/driver.ts");
  const byHttp = httpBrain({ key, tls });
  if (!urls.some(isGrpc)) return byHttp;
  const { grpcBrain } = await import("./drivers/brain/grpc/driver.ts");
  const byGrpc = grpcBrain({ key, tls, protoFolder });
  return (place) => (isGrpc(place.url) ? byGrpc(place) : byHttp(place));
}

/** Errors: store.unwritable (the spool), config.invalid (a certificate). */
export async function openGateway(
  config: Config,
  given: BrainsAsked & { readonly onFault: (message: string) => void; readonly clock?: Clock },
): Promise<GatewayParts> {
  const { urls, onFault, clock = systemClock } = given;
  const { namedBrains } = await import("./drivers/brain/named.ts");
  const { makePrivateFolder } = await import("./drivers/files/durable.ts");
  await makePrivateFolder(config.stateDir).catch(() => {});
  const { openSpool } = await import("./drivers/ledger/spool.ts");
  const { laterLedger } = await import("./drivers/ledger/later.ts");
  const spool = await openSpool(path.join(config.stateDir, "ledger-spool.ndjson"));
  const store = laterLedger(async () => {
    const stores = await openStores({ ...config, database: config.ledger }, clock);
    return { ledger: stores.of(config.tenant).ledger, close: () => stores.close() };
  });
  return {
    ledger: store.ledger,
    spool,
    brains: namedBrains({ urls, make: await brainMaker(config, given), onFault }),
    keys: async () => {
      const { createFileKeys } = await import("./drivers/files/keys.ts");
      return createFileKeys({ file: path.join(config.stateDir, "keys.json") });
    },
    clock,
    async close() {
      await store.close();
      await spool.close();
    },
  };
}

/** One for all tenants, where the first one's state is. */
function storeFile({ root }: Config): string {
  return path.join(root, "models", "state", "store.db");
}

/** The two ends of a push: the embedded registry, a server, and a place for what became of each id. */
export async function openPush(
  config: Config,
  server: MlflowConfig,
): Promise<{
  readonly source: RegistrySource;
  readonly target: RegistryTarget;
  readonly mappings: SnapshotStore;
  close(): Promise<void>;
}> {
  const { createLocalRegistry } = await import("./drivers/registry/local/driver.ts");
  const { createMlflowRegistry } = await import("./drivers/registry/mlflow/driver.ts");
  const { createFileSnapshots } = await import("./drivers/files/snapshots.ts");
  const source = createLocalRegistry({ dir: config.registryDir });
  return {
    source,
    target: createMlflowRegistry({ server, copyDir: copyDirOf(config, server) }),
    mappings: createFileSnapshots({ dir: path.join(config.registryDir, "pushed") }),
    close: () => source.close(),
  };
}

/** A log that refuses early gets its records early. */
function largeWrites(settings: LogSettings | null) {
  const { flushMs } = LARGE_WRITES;
  return { ...LARGE_WRITES, flushMs: settings === null ? flushMs : Math.min(flushMs, settings.log.lagMsMax / 2) };
}

function logOptions({ log, columns }: LogSettings) {
  const { durability, flushMs, lagMsMax, retention } = log;
  const kept = { rowsMax: retention.rows, keptMsMax: retention.days * DAY_MS };
  return { durability, flushMs, lagMsMax, ...kept, card: columns.card, amount: columns.amount };
}

function copyDirOf(config: Config, server: MlflowConfig): string {
  return path.join(config.registryDir, "mlflow", registryName(server));
}

/** One driver for all; what could not be made is tried again at the next call. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
