// A connection to Redis with limits on everything: waiting, retrying, queueing; and its faults in Sentinel's words.
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { messageOf, SentinelError } from "../../../core/errors.ts";

/** Where Redis is. Kept apart from the URL, so that no message can hold its password. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
}

export type RedisArgument = string | Uint8Array | number;

export interface RedisClient {
  readonly where: string;
  /** Times a connection became ready. */
  readonly connections: number;
  /** Opens the connection at the first call. */
  open(): Promise<void>;
  command(name: string, ...args: RedisArgument[]): Promise<unknown>;
  script(lua: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  /** Several commands in one round trip. */
  together(commands: readonly (readonly [name: string, ...args: RedisArgument[]])[]): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

/** One command, its wait in Redis included. An answer waits for two of them; a policy's answer in time is better than a score too late. */
const COMMAND_MS_MAX = 500;
const CONNECT_MS_MAX = 2_000;
/** So many commands in a row without an answer, and the connection is taken for dead: the system would need minutes to notice. */
const SILENT_COMMANDS_MAX = 3;
/**
 * What a server says that is no primary (any more), or not yet; NOREPLICAS says one whose replicas have left it, for another primary perhaps. After
 * a failover the name leads to another one, while this connection stays with the old: only a new connection finds out. Within a script the
 * word stands behind Redis' own.
 */
const NOT_PRIMARY = /(?:^|-)(READONLY|LOADING|MASTERDOWN|NOREPLICAS)\b/;
/** Between attempts to connect again; they never end, because a server waits for Redis to come back. */
const RECONNECT_MS_MAX = 500;

/** What ioredis says of a command that had no answer in time. */
const TIMED_OUT = "Command timed out";

export function createRedisClient(
  address: RedisAddress,
  { commandMsMax = COMMAND_MS_MAX }: { readonly commandMsMax?: number } = {},
): RedisClient {
  const { host, port, database, tls, username, password } = address;
  const where = `redis://${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
  let connections = 0;
  let fault = "";
  let silent = 0;
  const redis = new Redis({
    host,
    port,
    db: database,
    username,
    password,
    tls: tls ? {} : undefined,
    lazyConnect: true,
    connectTimeout: CONNECT_MS_MAX,
    commandTimeout: commandMsMax,
    // A dead server is an error now, not a queue that grows; and a change is never sent twice behind the caller's back.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectionName: "sentinel",
    reconnectOnError: (error) => NOT_PRIMARY.test(messageOf(error)),
    retryStrategy: (attempt) => Math.min(RECONNECT_MS_MAX, 20 * 2 ** Math.min(attempt, 10)),
  });
  redis.on("ready", () => {
    connections++;
    fault = "";
  });
  redis.on("error", (error: Error) => {
    fault = messageOf(error);
  });
  let opening: Promise<void> | null = null;
  /** The connection in which the named database was chosen last. */
  let chosenIn = 0;
  // Whoever takes over may have fewer databases: the client would go on in database 0 of a new connection, without a word.
  const chosen = async (): Promise<void> => {
    const connection = connections;
    if (database === 0 || connection === chosenIn) return;
    await redis.select(database);
    chosenIn = connection;
  };
  const run = async <T>(ask: () => Promise<T>): Promise<T> => {
    // The client goes on in database 0 when the named one is not there; to Sentinel that is an error.
    opening ??= redis
      .connect()
      .then(() => redis.select(database))
      .then(() => {})
      .catch((error: unknown) => {
        throw unreachable(where, fault === "" ? messageOf(error) : fault, error);
      });
    await opening;
    try {
      await chosen();
      const answer = await ask();
      silent = 0;
      return answer;
    } catch (error) {
      silent = messageOf(error) === TIMED_OUT ? silent + 1 : 0;
      if (silent >= SILENT_COMMANDS_MAX && redis.status === "ready") {
        silent = 0;
        redis.disconnect(true);
      }
      throw unreachable(where, fault === "" ? messageOf(error) : fault, error);
    }
  };
  const hashes = new Map<string, string>();
  return {
    where,
    get connections() {
      return connections;
    },
    open: () => run(async () => {}),
    command: (name, ...args) => run(() => redis.callBuffer(name, args.map(argumentOf))),
    script: (lua, keys, args) =>
      run(async () => {
        let hash = hashes.get(lua);
        if (hash === undefined) {
          hash = createHash("sha1").update(lua).digest("hex");
          hashes.set(lua, hash);
        }
        const rest = [keys.length, ...keys, ...args.map(argumentOf)];
        try {
          return await redis.callBuffer("EVALSHA", [hash, ...rest]);
        } catch (error) {
          // Redis forgets its scripts when it starts.
          if (!messageOf(error).startsWith("NOSCRIPT")) throw error;
          return redis.callBuffer("EVAL", [lua, ...rest]);
        }
      }),
    together: (commands) =>
      run(async () => {
        const answers = await redis
          .pipeline(commands.map(([name, ...args]) => ["callBuffer", name, ...args.map(argumentOf)]))
          .exec();
        for (const [error] of answers ?? []) if (error !== null) throw error;
        return (answers ?? []).map(([, answer]) => answer);
      }),
    async close() {
      redis.disconnect();
    },
  };
}

function argumentOf(value: RedisArgument): string | Buffer | number {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
}

/** What to do, by the first word of what Redis said. */
const HINTS: Readonly<Record<string, string>> = {
  NOAUTH: "put the password into SENTINEL_REDIS_URL: redis://:password@host:port",
  WRONGPASS: "correct user and password in SENTINEL_REDIS_URL",
  NOPERM: "give that user the rights to all commands on keys sentinel:*",
  OOM: "give Redis more memory (maxmemory); it must not evict keys (maxmemory-policy noeviction)",
  READONLY: "SENTINEL_REDIS_URL leads to a replica; it must lead to the primary, also after a failover",
  MASTERDOWN: "SENTINEL_REDIS_URL leads to a replica that has lost its primary; it must lead to the primary",
  MOVED: "SENTINEL_REDIS_URL leads to a node of a cluster, which is not supported; name a Redis with one primary",
  CLUSTERDOWN: "SENTINEL_REDIS_URL leads to a node of a cluster, which is not supported; name a Redis with one primary",
  ERR: "does SENTINEL_REDIS_URL lead to a Redis of version 5 or newer, and not to a Redis Sentinel?",
  NOREPLICAS:
    "SENTINEL_REDIS_URL leads to a primary without the replicas that it must have (min-replicas-to-write); it must lead to the one that has them",
  LOADING: "Redis is reading its data from disk; wait, it is tried again",
  MISCONF: "Redis cannot write its data to disk; see its own log",
};

/** The word that says what is the matter: the first, or of a fault within a script the one behind Redis' own. */
function wordIn(message: string): string {
  const within = /^ERR .*?-([A-Z]{2,}) /.exec(message)?.[1];
  return within !== undefined && Object.hasOwn(HINTS, within) ? within : message.split(" ")[0];
}

function unreachable(where: string, message: string, cause: unknown): SentinelError {
  const hint =
    HINTS[wordIn(message)] ?? "is it running, and does SENTINEL_REDIS_URL name it? `redis-cli -u … ping` tells";
  return new SentinelError("state.unreachable", `the feature state in ${where} does not answer: ${message}`, {
    hint,
    cause,
  });
}
