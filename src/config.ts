// Configuration: environment and workspace become one frozen Config; nothing else reads process.env.
import { readFileSync } from "node:fs";
import { availableParallelism, userInfo } from "node:os";
import path from "node:path";
import { DAY_MS, parseDuration } from "./core/duration.ts";
import { SentinelError } from "./core/errors.ts";
import { sha256 } from "./core/hash.ts";
import { isKeyRecord, KEYS_MAX, type KeyRecord } from "./core/key.ts";
import { nearestName } from "./core/nearest.ts";
import { bucketPlace, isRemote } from "./core/remote.ts";
import { DEFAULT_TENANT, parseTenant, type Tenant } from "./core/tenant.ts";

/** Everything that is not in a pipeline file. Secrets are kept here and never logged. */
export interface Config {
  /** Absolute path of the folder with features/ pipelines/ data/ models/; of another tenant than the first it lies below `root`. */
  readonly workspace: string;
  /** Whose workspace it is. */
  readonly tenant: Tenant;
  /** Absolute path of the first tenant's workspace: the store of all lies there. */
  readonly root: string;
  readonly registryDir: string;
  /** The MLflow server that is the registry; null: the embedded one in `registryDir`. */
  readonly mlflow: MlflowConfig | null;
  /** Where several servers keep their feature state together; null: each in its own memory. */
  readonly redis: RedisConfig | null;
  /** Where streams are; null: in files of the workspace. */
  readonly kafka: KafkaConnection | null;
  /** Where Avro schemas are kept; null: nowhere. */
  readonly schemaRegistry: SchemaRegistryConfig | null;
  /** Where `sentinel serve` answers gRPC; null: nowhere, unless its option says so. */
  readonly grpcPort: number | null;
  /** For `--engine spark`: the Python that has PySpark, and the command of an executor's process; null: this package's, by this Node. */
  readonly spark: { readonly python: string; readonly worker: readonly string[] | null };
  /** Where pipelines archive, whatever their files say: a folder or s3://bucket/prefix; null: where each file says. */
  readonly archiveUrl: string | null;
  /** Who we are to an S3-compatible store; null where the environment names no key. */
  readonly s3: S3Config | null;
  /** The PostgreSQL that is the store of rules, pipelines, alerts and audit; null: a file in `stateDir`. */
  readonly database: DatabaseConfig | null;
  /** The PostgreSQL that holds the ledger of a gateway; where it is not said apart, the store's. */
  readonly ledger: DatabaseConfig | null;
  /** How long the store keeps alerts and audit entries, in milliseconds; null: for ever. */
  readonly keep: { readonly alertsMs: number | null; readonly auditMs: number | null };
  /** The brain of a gateway, as Kubernetes and other gateways name it; null: options say. */
  readonly brain: { readonly host: string; readonly port: string } | null;
  readonly stateDir: string;
  readonly reportsDir: string;
  /** Who acts, for runs and the journal. */
  readonly actor: string;
  /** Key of the admin routes; null disables them. */
  readonly adminKey: string | null;
  /** What the log's hashed fields are hashed with; null where nothing is. */
  readonly redactKey: string | null;
  /** What receipts of `sentinel forget` hash values with; null: a key of the workspace's own. */
  readonly forgetKey: string | null;
  /** Service keys that the environment gives, by their hashes; beside those of the workspace. */
  readonly keys: readonly KeyRecord[];
  /** Our own key, as a client of a running server. */
  readonly key: string | null;
  /** Worker threads of a training. */
  readonly threads: number;
  /** What the environment holds and nobody reads, as sentences to show. */
  readonly warnings: readonly string[];
}

/** An MLflow server and who we are to it. */
export interface MlflowConfig {
  /** http or https, without a trailing slash. */
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  readonly workspace?: string;
}

/** A Redis server, one database of it, and who we are to it. */
export interface RedisConfig {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
}

/** A Kafka cluster, and who we are to it. */
export interface KafkaConnection {
  /** host:port of some of its brokers. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  readonly sasl: {
    readonly mechanism: (typeof SASL)[number];
    readonly username: string;
    readonly password: string;
  } | null;
}

/** A schema registry with Confluent's routes, and who we are to it. */
export interface SchemaRegistryConfig {
  /** Without credentials and without a slash at its end. */
  readonly url: string;
  readonly login: { readonly user: string; readonly password: string } | null;
}

const SASL = ["plain", "scram-sha-256", "scram-sha-512"] as const;

/** An S3-compatible store and who we are to it; the names are those of Amazon's own clients. */
export interface S3Config {
  /** null: Amazon's own, by region. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A PostgreSQL server, one database of it, and who we are to it. */
export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user?: string;
  readonly password?: string;
  /** encrypted: whoever answers is believed; verified: only with a certificate of a known authority, for this host. */
  readonly tls: "off" | "encrypted" | "verified";
  /** The PostgreSQL schema that holds the tables: workspaces of one database each have their own. */
  readonly schema: string;
}

/** The variables that this version reads. */
const READ = [
  "SENTINEL_WORKSPACE",
  "SENTINEL_ACTOR",
  "SENTINEL_THREADS",
  "SENTINEL_ADMIN_KEY",
  "SENTINEL_REDACT_KEY",
  "SENTINEL_FORGET_KEY",
  "SENTINEL_KEYS",
  "SENTINEL_CLIENT_KEY",
  "SENTINEL_REDIS_URL",
  "SENTINEL_KAFKA_BROKERS",
  "SENTINEL_KAFKA_TLS",
  "SENTINEL_KAFKA_SASL",
  "SENTINEL_KAFKA_USERNAME",
  "SENTINEL_KAFKA_PASSWORD",
  "SENTINEL_SCHEMA_REGISTRY_URL",
  "SENTINEL_GRPC_PORT",
  "SENTINEL_SPARK_PYTHON",
  "SENTINEL_SPARK_WORKER",
  "SENTINEL_ARCHIVE_URL",
  "SENTINEL_DATABASE_URL",
  "SENTINEL_ALERTS_KEEP",
  "SENTINEL_AUDIT_KEEP",
] as const;

/**
 * What Kubernetes sets in every container beside a service named `sentinel` or `sentinel-…`: addresses, not settings
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
const OF_KUBERNETES = /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const ADDRESS_OF_KUBERNETES = /^(tcp|udp|sctp):\/\//;

/** Reads the environment once. Errors: config.invalid. */
export function loadConfig(options: {
  readonly workspace?: string;
  /** Whose configuration; the workspace is that of the first tenant. Absent: the first tenant's. */
  readonly tenant?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}): Config {
  const environment = options.environment ?? process.env;
  const warnings = unknownVariables(environment);
  const workspace = path.resolve(options.workspace ?? environment.SENTINEL_WORKSPACE ?? ".");
  const adminKey = environment.SENTINEL_ADMIN_KEY ?? "";
  if (adminKey !== "" && adminKey.length < 16) {
    throw new SentinelError("config.invalid", "SENTINEL_ADMIN_KEY is shorter than 16 characters", {
      hint: "use a long random key, for example from `openssl rand -hex 24`",
    });
  }
  const redactKey = environment.SENTINEL_REDACT_KEY ?? "";
  if (redactKey !== "" && redactKey.length < 16) {
    throw new SentinelError("config.invalid", "SENTINEL_REDACT_KEY is shorter than 16 characters", {
      hint: "use a long random key, for example from `openssl rand -hex 24`, and keep it: with another one equal values get other hashes",
    });
  }
  const forgetKey = environment.SENTINEL_FORGET_KEY ?? "";
  if (forgetKey !== "" && forgetKey.length < 16) {
    throw new SentinelError("config.invalid", "SENTINEL_FORGET_KEY is shorter than 16 characters", {
      hint: "use a long random key, for example from `openssl rand -hex 24`, and keep it apart from the receipts: with it they are checked",
    });
  }
  const config: Config = Object.freeze({
    workspace,
    tenant: DEFAULT_TENANT,
    root: workspace,
    registryDir: path.join(workspace, "models"),
    mlflow: mlflowOf(environment),
    redis: redisOf(environment.SENTINEL_REDIS_URL ?? ""),
    kafka: kafkaOf(environment),
    schemaRegistry: schemaRegistryOf(environment.SENTINEL_SCHEMA_REGISTRY_URL ?? ""),
    grpcPort: grpcPortOf(environment.SENTINEL_GRPC_PORT ?? ""),
    spark: {
      python: environment.SENTINEL_SPARK_PYTHON?.trim() || "python3",
      worker: environment.SENTINEL_SPARK_WORKER?.trim().split(/\s+/) ?? null,
    },
    archiveUrl: archiveUrlOf(environment.SENTINEL_ARCHIVE_URL ?? ""),
    s3: s3Of(environment),
    database: databaseOf(environment.SENTINEL_DATABASE_URL ?? ""),
    ledger: databaseOf(environment.LEDGER_DATABASE_URL || environment.SENTINEL_DATABASE_URL || ""),
    keep: {
      alertsMs: keptMs("SENTINEL_ALERTS_KEEP", environment.SENTINEL_ALERTS_KEEP || ALERTS_KEPT),
      auditMs: keptMs("SENTINEL_AUDIT_KEEP", environment.SENTINEL_AUDIT_KEEP || "off"),
    },
    brain: brainOf(environment),
    stateDir: path.join(workspace, "models", "state"),
    reportsDir: path.join(workspace, "models", "reports"),
    actor: environment.SENTINEL_ACTOR ?? environment.USER ?? userName(),
    threads: threadsOf(environment.SENTINEL_THREADS),
    adminKey: adminKey === "" ? null : adminKey,
    redactKey: redactKey === "" ? null : redactKey,
    forgetKey: forgetKey === "" ? null : forgetKey,
    keys: keysOf(environment.SENTINEL_KEYS ?? ""),
    key: (environment.SENTINEL_CLIENT_KEY ?? "") === "" ? null : environment.SENTINEL_CLIENT_KEY!,
    warnings,
  });
  return options.tenant === undefined ? config : tenantConfig(config, parseTenant(options.tenant));
}

/** The folder below the first tenant's workspace that holds those of all others. */
export const TENANTS_FOLDER = "tenants";

/**
 * The configuration of another tenant, beside that of the first one: servers are shared, and everything that lies somewhere lies in a place of
 * its own. Keys of the environment and an MLflow server are the first tenant's: the others have their own keys, and the embedded registry.
 */
export function tenantConfig(config: Config, tenant: Tenant): Config {
  if (tenant === config.tenant) return config;
  const { root } = config;
  const workspace = path.join(root, TENANTS_FOLDER, tenant);
  return Object.freeze({
    ...config,
    tenant,
    workspace,
    registryDir: path.join(workspace, "models"),
    mlflow: null,
    stateDir: path.join(workspace, "models", "state"),
    reportsDir: path.join(workspace, "models", "reports"),
    adminKey: null,
    keys: [],
  });
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A misspelt name is refused: its setting would silently not hold. A name like no other may belong to another program,
 * so it is only reported.
 */
function unknownVariables(environment: Environment): string[] {
  const prefix = "SENTINEL_";
  const known = READ.map((name) => name.slice(prefix.length));
  const warnings: string[] = [];
  for (const name of Object.keys(environment).sort()) {
    const value = environment[name] ?? "";
    if (!name.startsWith(prefix) || value === "") continue;
    const rest = name.slice(prefix.length);
    const ofKubernetes = OF_KUBERNETES.test(name) || (/_PORT$/.test(name) && ADDRESS_OF_KUBERNETES.test(value));
    if (known.includes(rest) || ofKubernetes) continue;
    const near = nearestName(rest, known);
    if (near !== null) {
      throw new SentinelError("config.invalid", `${name} is set, and no such variable is known`, {
        hint: `did you mean ${prefix}${near}? Rename it, or unset it (see docs/configuration.md)`,
      });
    }
    warnings.push(`${name} is set, and Sentinel does not read it (see docs/configuration.md)`);
  }
  return warnings;
}

/** The environment without the servers it names: for a tour that must leave nothing on them. */
export function embeddedEnvironment(): Readonly<Record<string, string | undefined>> {
  return {
    ...process.env,
    MLFLOW_TRACKING_URI: undefined,
    SENTINEL_REDIS_URL: undefined,
    SENTINEL_KAFKA_BROKERS: undefined,
    SENTINEL_SCHEMA_REGISTRY_URL: undefined,
    SENTINEL_ARCHIVE_URL: undefined,
    SENTINEL_DATABASE_URL: undefined,
  };
}

/** Two years: longer than a dispute may take, shorter than a table that nobody can search. */
const ALERTS_KEPT = "730d";

/** Null: for ever. Errors: config.invalid. */
function keptMs(name: (typeof READ)[number], text: string): number | null {
  if (text === "off") return null;
  const ms = parseDuration(text);
  if (ms >= DAY_MS && Number.isSafeInteger(ms)) return ms;
  throw new SentinelError("config.invalid", `${name} is ${JSON.stringify(text)}, and that is no number of days`, {
    hint: "write days such as 90d or 730d, at least 1d, or off to keep everything",
  });
}

/** Characters of a secret. */
const SECRET_LENGTH_MAX = 10_000;

/**
 * What `env:NAME` or `file:PATH` (from the workspace on) names, without the blanks around it. Errors: config.invalid, which never shows the
 * secret.
 */
export function secretAt(
  place: string,
  { workspace }: Pick<Config, "workspace">,
  environment: Environment = process.env,
): string {
  const [kind, name] = [place.slice(0, place.indexOf(":")), place.slice(place.indexOf(":") + 1)];
  const wrong = (what: string): SentinelError =>
    new SentinelError("config.invalid", `the secret ${place} ${what}`, {
      hint:
        kind === "env"
          ? "set the variable where Sentinel runs"
          : "put the secret alone into a file that Sentinel may read",
    });
  let secret: string;
  if (kind === "env") secret = environment[name] ?? "";
  else {
    try {
      secret = readFileSync(path.resolve(workspace, name), "utf8");
    } catch (error) {
      throw wrong(`cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
    }
  }
  secret = secret.trim();
  if (secret === "") throw wrong("is empty");
  if (secret.length > SECRET_LENGTH_MAX) throw wrong(`has ${secret.length} characters`);
  return secret;
}

/** Errors: config.invalid. */
function archiveUrlOf(text: string): string | null {
  const place = text.trim();
  if (place === "") return null;
  if (isRemote(place)) bucketPlace(place);
  else if (/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) {
    throw new SentinelError("config.invalid", "SENTINEL_ARCHIVE_URL is neither s3://bucket/prefix nor a folder", {
      hint: "write s3://bucket/prefix and name the store in AWS_ENDPOINT_URL_S3, or name a folder",
    });
  }
  return place;
}

const REGION_DEFAULT = "us-east-1";

/** Null when no key is named. Values are not shown when they are refused: they may be secrets. */
function s3Of(environment: Environment): S3Config | null {
  const filled = (text: string | undefined): string | undefined =>
    (text ?? "").trim() === "" ? undefined : text!.trim();
  const accessKeyId = filled(environment.AWS_ACCESS_KEY_ID);
  const secretAccessKey = filled(environment.AWS_SECRET_ACCESS_KEY);
  if (accessKeyId === undefined || secretAccessKey === undefined) return null;
  return Object.freeze({
    endpoint: filled(environment.AWS_ENDPOINT_URL_S3) ?? filled(environment.AWS_ENDPOINT_URL) ?? null,
    region: filled(environment.AWS_REGION) ?? filled(environment.AWS_DEFAULT_REGION) ?? REGION_DEFAULT,
    accessKeyId,
    secretAccessKey,
    sessionToken: filled(environment.AWS_SESSION_TOKEN),
  });
}

/** The login of an S3-compatible store. Errors: config.invalid, where the environment lacks it. */
export function s3Login({ s3 }: Pick<Config, "s3">): S3Config {
  if (s3 === null) {
    throw new SentinelError("config.invalid", "an s3:// place is named, and the environment has no key for it", {
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN with keys that expire); AWS_ENDPOINT_URL_S3 names a store that is not Amazon's",
    });
  }
  const { endpoint } = s3;
  if (endpoint === null) return s3;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === "" &&
    url.password === "" &&
    url.search === ""
  ) {
    return { ...s3, endpoint: `${url.origin}${url.pathname}`.replace(/\/+$/, "") };
  }
  throw new SentinelError("config.invalid", "AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) is not the address of a store", {
    hint: "write http:// or https:// with a host, such as http://127.0.0.1:8333",
  });
}

/** `role:sha256,…`: hashes, so that a container's definition holds no key. */
function keysOf(text: string): readonly KeyRecord[] {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  const records: readonly unknown[] = entries.map((entry, index) => {
    const [role = "", hash = ""] = entry.split(":");
    const id = `environment-${index + 1}`;
    const times = { createdAt: 0, expiresAt: null, revokedAt: null };
    return { id, name: id, role, hash: hash.toLowerCase(), createdBy: "environment", rate: null, ...times };
  });
  if (records.length <= KEYS_MAX && records.every(isKeyRecord)) return records;
  throw new SentinelError("config.invalid", "SENTINEL_KEYS is no list of role:hash", {
    hint: `write role:SHA-256, separated by commas, at most ${KEYS_MAX}; roles are predict, label, admin; \`printf %s KEY | sha256sum\` gives the hash`,
  });
}

/** Every core, unless told otherwise; more threads than this stop helping. */
const THREADS_MAX = 16;

function threadsOf(text: string | undefined): number {
  if (text === undefined || text === "") return Math.min(availableParallelism(), THREADS_MAX);
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
    throw new SentinelError("config.invalid", `SENTINEL_THREADS is ${JSON.stringify(text)}`, {
      hint: `use a whole number from 1 to ${THREADS_MAX}, or leave it out to use every core`,
    });
  }
  return threads;
}

/** A server that an option names, with the login of the environment. Errors: config.invalid. */
export function mlflowAt(
  uri: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): MlflowConfig {
  return readMlflow(uri, { environment, named: "--to" });
}

/** Null when no server is named. The names are those of MLflow's own clients. */
function mlflowOf(environment: Readonly<Record<string, string | undefined>>): MlflowConfig | null {
  const uri = (environment.MLFLOW_TRACKING_URI ?? "").trim();
  return uri === "" ? null : readMlflow(uri, { environment, named: "MLFLOW_TRACKING_URI" });
}

function readMlflow(
  uri: string,
  {
    environment,
    named,
  }: { readonly environment: Readonly<Record<string, string | undefined>>; readonly named: string },
): MlflowConfig {
  if (!["", "false", "0"].includes((environment.MLFLOW_TRACKING_INSECURE_TLS ?? "").toLowerCase())) {
    throw new SentinelError(
      "config.invalid",
      "MLFLOW_TRACKING_INSECURE_TLS is set, and Sentinel does not trust just any server",
      {
        hint: "name the file with the certificate of your authority in NODE_EXTRA_CA_CERTS instead",
      },
    );
  }
  const filled = (value: string | undefined) => (value === undefined || value === "" ? undefined : value);
  const username = filled(environment.MLFLOW_TRACKING_USERNAME);
  const password = filled(environment.MLFLOW_TRACKING_PASSWORD);
  const token = filled(environment.MLFLOW_TRACKING_TOKEN);
  const workspace = filled(environment.MLFLOW_WORKSPACE);
  if ((username === undefined) !== (password === undefined)) {
    throw new SentinelError(
      "config.invalid",
      "of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD only one is set",
      {
        hint: "set both, or MLFLOW_TRACKING_TOKEN alone",
      },
    );
  }
  for (const secret of [token, workspace]) {
    if (secret !== undefined && !/^[\x21-\x7e]+$/.test(secret)) {
      throw new SentinelError(
        "config.invalid",
        "MLFLOW_TRACKING_TOKEN or MLFLOW_WORKSPACE holds a space or a sign that no header takes",
        {
          hint: "was a line break copied with it?",
        },
      );
    }
  }
  return Object.freeze({ uri: serverAddress(uri, named), username, password, token, workspace });
}

/** Names files about a server's registry on this machine: those of one host may differ by path or workspace. */
export function registryName({ uri, workspace = "" }: MlflowConfig): string {
  const { host, pathname } = new URL(uri);
  const name = host.replaceAll(/[^a-z0-9.-]/g, "_");
  const plain = pathname === "/" && workspace === "";
  return plain ? name : `${name}_${sha256(JSON.stringify([pathname, workspace])).slice(0, 12)}`;
}

/** Not shown when it is refused: it may hold a password. */
function serverAddress(uri: string, named: string): string {
  const url = URL.canParse(uri) ? new URL(uri) : null;
  const wrong = (what: string, hint: string) => new SentinelError("config.invalid", `${named} ${what}`, { hint });
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw wrong(
      "is not the address of a server (http:// or https://)",
      "start one (`mlflow server`), or unset it: the embedded registry writes a file that MLflow opens",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw wrong("holds a password", "put it into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
  }
  if (url.search !== "" || url.hash !== "") throw wrong("has a ? or # part", "give the address alone");
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

const PORT_MAX = 65_535;

/** Beside a service named `sentinel-grpc` Kubernetes sets the variable to that service's address, which is no setting of ours. */
function grpcPortOf(text: string): number | null {
  const given = text.trim();
  if (given === "" || ADDRESS_OF_KUBERNETES.test(given)) return null;
  if (/^\d{1,5}$/.test(given) && Number(given) <= PORT_MAX) return Number(given);
  throw new SentinelError("config.invalid", `SENTINEL_GRPC_PORT is ${JSON.stringify(given)}`, {
    hint: `use a port from 0 (takes a free one) to ${PORT_MAX}, such as 50051, or unset it to answer no gRPC`,
  });
}

const REDIS_PORT = 6379;

/** Null when none is named. Not shown when it is refused: it may hold a password. */
function redisOf(text: string): RedisConfig | null {
  if (text.trim() === "") return null;
  const wrong = (what: string): SentinelError =>
    new SentinelError("config.invalid", `SENTINEL_REDIS_URL ${what}`, {
      hint: "write it as redis://user:password@host:6379/0 (rediss:// for TLS); only the host must be there",
    });
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url !== null && /^redis(s)?[+-]/.test(url.protocol)) {
    throw wrong("names Sentinels or a cluster, which are not supported: name the address that leads to the primary");
  }
  if (url === null || !/^rediss?:$/.test(url.protocol)) throw wrong("is not the address of a Redis server");
  if (url.hostname === "") throw wrong("names no host");
  if (url.search !== "" || url.hash !== "") throw wrong("has a ? or # part");
  const database = /^\/?(\d{0,4})$/.exec(url.pathname)?.[1];
  if (database === undefined) throw wrong("names a database that is no number");
  return Object.freeze({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? REDIS_PORT : Number(url.port),
    database: Number(database),
    tls: url.protocol === "rediss:",
    username: decoded(url.username, wrong),
    password: decoded(url.password, wrong),
  });
}

/** A part of an address without its escapes; undefined where it is empty. */
function decoded(part: string, wrong: (what: string) => SentinelError): string | undefined {
  try {
    return part === "" ? undefined : decodeURIComponent(part);
  } catch {
    throw wrong("has a % that begins no escape; write % itself as %25");
  }
}

const POSTGRES_PORT = 5432;
const POSTGRES_SCHEMA = "sentinel";
/** As PostgreSQL writes a name without quotes; its own begin with pg_. */
const SCHEMA_NAME = /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/;
/** By libpq's words, of which two mean "perhaps", and one asks for files. */
const TLS_MODES: Readonly<Record<string, DatabaseConfig["tls"]>> = {
  disable: "off",
  require: "encrypted",
  "verify-full": "verified",
};

/** Null when none is named. Not shown when it is refused: it may hold a password. */
const BRAIN_PORT = "8000";

/** As Kubernetes names the address of a brain. */
const BRAIN = { host: "BRAIN_SERVICE_HOST", port: "BRAIN_SERVICE_PORT" };

function brainOf(environment: Environment): Config["brain"] {
  const [host = "", port = ""] = [environment[BRAIN.host], environment[BRAIN.port]];
  if (host === "") return null;
  if (port === "" || (/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) return { host, port: port || BRAIN_PORT };
  throw new SentinelError("config.invalid", `BRAIN_SERVICE_PORT is ${JSON.stringify(port)}, and that is no port`, {
    hint: "set it to 50051 where the brain answers gRPC, to the port on which it answers HTTP, or unset it for 8000",
  });
}

function databaseOf(text: string): DatabaseConfig | null {
  if (text.trim() === "") return null;
  const wrong = (what: string): SentinelError =>
    new SentinelError("config.invalid", `SENTINEL_DATABASE_URL ${what}`, {
      hint: "write it as postgres://user:password@host:5432/database?sslmode=verify-full&schema=sentinel; host and database must be there",
    });
  // Only the protocols of the web say that a name is a host; others may leave it out.
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) throw wrong("is not the address of a PostgreSQL server");
  if (url.hostname === "") throw wrong("names no host");
  if (url.hash !== "") throw wrong("has a # part; write # itself as %23");
  const database = decoded(url.pathname.replace(/^\//, ""), wrong);
  if (database === undefined || database.includes("/")) throw wrong("names no database");
  const settings = new Map(url.searchParams);
  const mode = settings.get("sslmode") ?? "disable";
  const schema = settings.get("schema") ?? POSTGRES_SCHEMA;
  const unknown = [...settings.keys()].find((name) => name !== "sslmode" && name !== "schema");
  if (unknown !== undefined) throw wrong("has a setting other than sslmode and schema");
  if (!Object.hasOwn(TLS_MODES, mode))
    throw wrong(`has an sslmode that is none of ${Object.keys(TLS_MODES).join(", ")}`);
  if (!SCHEMA_NAME.test(schema)) throw wrong("names a schema that is not of lower-case letters, digits and _");
  return Object.freeze({
    host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, ""),
    port: url.port === "" ? POSTGRES_PORT : Number(url.port),
    database,
    user: decoded(url.username, wrong),
    password: decoded(url.password, wrong),
    tls: TLS_MODES[mode],
    schema,
  });
}

const KAFKA_PORT = 9092;
const BROKERS_MAX = 100;

/** Null when no broker is named. */
function kafkaOf(environment: Environment): KafkaConnection | null {
  const wrong = (name: string, what: string, hint: string): SentinelError =>
    new SentinelError("config.invalid", `${name} ${what}`, { hint });
  const brokers = (environment.SENTINEL_KAFKA_BROKERS ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [, host = "", port = String(KAFKA_PORT)] = /^(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?$/.exec(entry) ?? [];
      if (host !== "" && Number(port) >= 1 && Number(port) <= 65_535) return `${host}:${port}`;
      throw wrong(
        "SENTINEL_KAFKA_BROKERS",
        "has an entry that is no host:port",
        "write host:9092,other:9092, without a scheme or a password; those are SENTINEL_KAFKA_TLS, _USERNAME and _PASSWORD",
      );
    });
  if (brokers.length === 0) return null;
  if (brokers.length > BROKERS_MAX) {
    throw wrong(
      "SENTINEL_KAFKA_BROKERS",
      `names more than ${BROKERS_MAX} brokers`,
      "name three of them: they know the others",
    );
  }
  const tls = (environment.SENTINEL_KAFKA_TLS ?? "").toLowerCase();
  if (!["", "true", "false", "1", "0"].includes(tls)) {
    throw wrong("SENTINEL_KAFKA_TLS", `is ${JSON.stringify(tls)}`, "use true or false");
  }
  return Object.freeze({ brokers, tls: tls === "true" || tls === "1", sasl: saslOf(environment) });
}

/** Null when none is named. */
function schemaRegistryOf(text: string): SchemaRegistryConfig | null {
  if (text === "") return null;
  const wrong = (what: string): SentinelError =>
    new SentinelError("config.invalid", `SENTINEL_SCHEMA_REGISTRY_URL ${what}`, {
      hint: "write http://host:8081 or https://user:password@host, with its path where it has one",
    });
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw wrong("is no http address");
  if (url.search !== "" || url.hash !== "") throw wrong("has a query or a fragment");
  const user = decoded(url.username, wrong);
  const login = user === undefined ? null : { user, password: decoded(url.password, wrong) ?? "" };
  return Object.freeze({ url: `${url.origin}${url.pathname.replace(/\/+$/, "")}`, login });
}

function saslOf(environment: Environment): KafkaConnection["sasl"] {
  const named = (environment.SENTINEL_KAFKA_SASL ?? "").toLowerCase();
  const username = environment.SENTINEL_KAFKA_USERNAME ?? "";
  const password = environment.SENTINEL_KAFKA_PASSWORD ?? "";
  if (named === "" && username === "" && password === "") return null;
  const mechanism = SASL.find((one) => one === (named === "" ? "plain" : named));
  if (mechanism === undefined) {
    throw new SentinelError("config.invalid", `SENTINEL_KAFKA_SASL is none of ${SASL.join(", ")}`, {
      hint: "use scram-sha-512 where the cluster has it",
    });
  }
  if (username !== "" && password !== "") return { mechanism, username, password };
  throw new SentinelError("config.invalid", "of SENTINEL_KAFKA_USERNAME and SENTINEL_KAFKA_PASSWORD one is missing", {
    hint: "set both, or none of SENTINEL_KAFKA_SASL, _USERNAME and _PASSWORD",
  });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown";
  }
}
