// A real MLflow server for a benchmark: in a folder of its own, on a free port, gone with the bench.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../src/core/errors.ts";
import { ROOT } from "./workspace.ts";

const VENV = path.join(ROOT, ".cache", "venv-mlflow");
const LOOKS_MAX = 600;

export const mlflowPython = path.join(VENV, "bin", "python");

/** Whether scripts/setup-python has run to its end. */
export function mlflowInstalled(): boolean {
  return existsSync(path.join(VENV, "sentinel-stamp"));
}

export interface BenchServer {
  readonly uri: string;
  readonly version: string;
  stop(): void;
}

export async function startMlflow(folder: string): Promise<BenchServer> {
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const stores = ["--backend-store-uri", `sqlite:///${folder}/mlflow.db`, "--artifacts-destination", `${folder}/files`];
  const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1", ...stores];
  const child: ChildProcess = spawn(mlflowPython, args, {
    cwd: folder,
    detached: true,
    stdio: "ignore",
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" },
  });
  // The group: the server's workers are processes of their own.
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, "SIGKILL");
  };
  process.once("exit", stop);
  for (let look = 0; look < LOOKS_MAX && child.exitCode === null; look++) {
    if ((await fetch(`${uri}/health`).catch(() => null))?.ok)
      return { uri, version: await (await fetch(`${uri}/version`)).text(), stop };
    await sleep(100);
  }
  stop();
  assert(false, "the MLflow server answers");
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
