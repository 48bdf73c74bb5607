// The demo's server: `sentinel serve` as a process of its own, as in production.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { embeddedEnvironment } from "../../config.ts";
import { SentinelError } from "../../core/errors.ts";

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;

export interface DemoServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the command line this process was started with, as `serve`; ready when it prints its address. */
export async function startServer(given: {
  readonly workspace: string;
  readonly port: number;
  readonly main: string;
}): Promise<DemoServer> {
  const child = spawn(
    process.execPath,
    [
      given.main,
      "serve",
      "--workspace",
      given.workspace,
      "--pipeline",
      "card",
      "--port",
      String(given.port),
      "--log-level",
      "error",
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: embeddedEnvironment() },
  );
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4000);
  });
  const url = await addressOf(child).catch(() => null);
  if (url === null) {
    child.kill("SIGKILL");
    throw new SentinelError("server.not-ready", `the demo's server did not start: ${complaint.trim() || "no answer"}`, {
      hint: "if the port is taken, name another: npm run demo -- --port 8001",
    });
  }
  return { url, stop: () => stop(child) };
}

async function addressOf(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const signal = AbortSignal.timeout(START_MS_MAX);
  const found = new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const match = / on (http:\/\/\S+)/.exec(line);
      if (match !== null) resolve(match[1]);
    });
    child.once("exit", () => reject(new Error("it exited")));
    signal.addEventListener("abort", () => reject(new Error("it took too long")));
  });
  return found;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await once(child, "exit");
  clearTimeout(timer);
}
