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
/** Between attempts to connect again; they never end, because a server waits for Redis to come back. */
const RECONNECT_MS_MAX = 500;

export function createRedisClient(
  address: RedisAddress,
  { commandMsMax = COMMAND_MS_MAX }: { readonly commandMsMax?: number } = {},
): RedisClient {
  const { host, port, database, tls, username, password } = address;
  const where = `redis://${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
  let connections = 0;
  let fault = "";
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
      return await ask();
    } catch (error) {
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
  READONLY: "SENTINEL_REDIS_URL names a replica; name the primary",
  LOADING: "Redis is reading its data from disk; wait, it is tried again",
  MISCONF: "Redis cannot write its data to disk; see its own log",
};

function unreachable(where: string, message: string, cause: unknown): SentinelError {
  const hint =
    HINTS[message.split(" ")[0]] ?? "is it running, and does SENTINEL_REDIS_URL name it? `redis-cli -u … ping` tells";
  return new SentinelError("state.unreachable", `the feature state in ${where} does not answer: ${message}`, {
    hint,
    cause,
  });
}
