// A real PostgreSQL for tests: its own folder and port, a schema of its own for each place, and an end.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { PostgresAddress } from "../../src/drivers/store/postgres/pool.ts";

const DEBIAN = "/usr/lib/postgresql";
const START_TRIES_MAX = 600;

/** Where `initdb` and `postgres` are; scripts/setup-postgres puts them there. Null: nowhere. */
export const postgresPrograms = ((): string | null => {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort().reverse() : [];
  const debian = versions
    .map((version) => path.join(DEBIAN, version, "bin"))
    .find((bin) => existsSync(path.join(bin, "initdb")));
  if (debian !== undefined) return debian;
  try {
    return path.dirname(execFileSync("which", ["initdb"], { encoding: "utf8" }).trim());
  } catch {
    return null;
  }
})();

/**
 * Runs the server until its own standard input ends, then ends it as a loss of power would. Vitest ends its workers without a word: then nobody said
 * to keep the folder, and it goes too.
 */
const WATCH = `"$@" </dev/null & pid=$!; word=$(cat); kill -QUIT $pid; wait $pid; [ "$word" = keep ] || rm -rf "$0"`;

export interface PostgresServer {
  /** A schema that nobody else has. */
  address(): PostgresAddress;
  url(address: PostgresAddress): string;
  query(text: string): Promise<readonly Record<string, unknown>[]>;
  /** As a machine does that loses power; ends all connections. */
  kill(): Promise<void>;
  /** On the same port, with what was committed. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

let borrowed: Promise<PostgresServer> | undefined;

/** One server for all files of a worker, running; whoever wants tables takes a schema of its own. It ends with the process. */
export async function borrowPostgres(): Promise<PostgresServer> {
  borrowed ??= startPostgres();
  const server = await borrowed;
  await server.query("select 1").catch(() => server.restart());
  return { ...server, dispose: async () => {} };
}

async function startPostgres(): Promise<PostgresServer> {
  if (postgresPrograms === null) throw new Error("PostgreSQL is not installed: scripts/setup-postgres");
  const bin = postgresPrograms;
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-postgres-"));
  const data = path.join(dir, "data");
  // PostgreSQL refuses to run as root: then it runs as the user that its package made.
  const asRoot = userInfo().uid === 0;
  if (asRoot) {
    execFileSync("chown", ["postgres", dir]);
    await chmod(dir, 0o711);
  }
  const command = (name: string, args: readonly string[]): readonly [string, readonly string[]] => {
    const program = path.join(bin, name);
    return asRoot
      ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", program, ...args]]
      : [program, args];
  };
  const init = command("initdb", [
    "-D",
    data,
    "-A",
    "trust",
    "-U",
    "sentinel",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
  ]);
  execFileSync(init[0], init[1], { stdio: "pipe", cwd: dir });
  const port = await freePort();
  let child = launch();

  function launch(): ChildProcess {
    const settings = [
      "fsync=off",
      "shared_buffers=16MB",
      "max_connections=50",
      `unix_socket_directories=${dir}`,
      "listen_addresses=127.0.0.1",
    ];
    const [program, args] = command("postgres", [
      "-D",
      data,
      "-p",
      String(port),
      ...settings.flatMap((one) => ["-c", one]),
    ]);
    return spawn("sh", ["-c", WATCH, dir, program, ...args], {
      stdio: ["pipe", "ignore", "ignore"],
      cwd: dir,
      detached: true,
    });
  }
  const query = async (text: string): Promise<readonly Record<string, unknown>[]> => {
    const client = new pg.Client({ host: "127.0.0.1", port, user: "sentinel", database: "postgres" });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  const ready = async (): Promise<void> => {
    for (let turn = 0; turn < START_TRIES_MAX && child.exitCode === null; turn++) {
      try {
        await query("select 1");
        return;
      } catch {
        await sleep(25);
      }
    }
    throw new Error("PostgreSQL did not start");
  };
  /** At once, without a checkpoint: the next start recovers. */
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.stdin?.end("keep");
    await ended;
  };
  await ready();
  let schemas = 0;
  return {
    address() {
      schemas++;
      return { host: "127.0.0.1", port, database: "postgres", user: "sentinel", tls: "off", schema: `test_${schemas}` };
    },
    url: (address) => `postgres://${address.user}@127.0.0.1:${port}/postgres?schema=${address.schema}`,
    query,
    kill,
    async restart() {
      await kill();
      child = launch();
      await ready();
    },
    async dispose() {
      await kill();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
