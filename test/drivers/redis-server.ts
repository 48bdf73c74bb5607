// A real redis-server for tests: its own folder, a free port, and an end.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

const START_TRIES_MAX = 400;
/** For one command: a busy machine is not what these tests are about. */
export const PATIENT_MS = 20_000;

/** Whether `redis-server` is on the path; scripts/setup-redis puts it there. */
export const redisInstalled = ((): boolean => {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

export interface RedisProcess {
  readonly address: { readonly host: string; readonly port: number; readonly database: number; readonly tls: boolean };
  readonly url: string;
  /** As a machine does that loses power. */
  kill(): Promise<void>;
  /** Another process on the same port and folder: with `append` it finds what it had written, else it is empty. */
  restart(): Promise<void>;
  /** Everything goes. */
  flush(): Promise<void>;
  command(name: string, ...args: string[]): Promise<unknown>;
  dispose(): Promise<void>;
}

/** `append`: every change is on disk before it is answered; `databases`: how many it has. */
export async function startRedis(
  options: { readonly append?: boolean; readonly databases?: number } = {},
): Promise<RedisProcess> {
  const { append = false, databases = 16 } = options;
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-redis-"));
  const port = await freePort();
  const launch = (): Promise<ChildProcess> => launchServer({ dir, port, append, databases });
  let child = await launch();
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  };
  const command = async (name: string, ...args: string[]): Promise<unknown> => {
    const redis = new Redis(port, "127.0.0.1", { lazyConnect: true });
    try {
      await redis.connect();
      return await redis.call(name, args);
    } finally {
      redis.disconnect();
    }
  };
  return {
    address: { host: "127.0.0.1", port, database: 0, tls: false },
    url: `redis://127.0.0.1:${port}`,
    kill,
    async restart() {
      await kill();
      child = await launch();
    },
    flush: async () => void (await command("FLUSHALL")),
    command,
    async dispose() {
      await kill();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function launchServer(at: {
  readonly dir: string;
  readonly port: number;
  readonly append: boolean;
  readonly databases: number;
}): Promise<ChildProcess> {
  const { dir, port, append, databases } = at;
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", ""];
  args.push("--databases", String(databases));
  // A replica need not wait five seconds for others that may want the same copy.
  args.push("--repl-diskless-sync-delay", "0");
  const durable = append ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  const child = spawn("redis-server", [...args, ...durable], { stdio: ["ignore", "pipe", "pipe"] });
  // A test process that ends early must not leave a server behind.
  const abandon = (): void => void child.kill("SIGKILL");
  process.once("exit", abandon);
  child.once("exit", () => process.off("exit", abandon));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text: Buffer) => {
      said = `${said}${text}`.slice(-4_000);
    });
  }
  for (let turn = 0; turn < START_TRIES_MAX && child.exitCode === null; turn++) {
    if (said.includes("Ready to accept connections")) return child;
    await sleep(25);
  }
  child.kill("SIGKILL");
  throw new Error(`redis-server did not start: ${said}`);
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
