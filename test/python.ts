// Python programs of the environments in .cache/, run by processes that have loaded their libraries: MLflow's take ten seconds of a core to load.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const FORKING = fileURLToPath(new URL("./forking.py", import.meta.url));
const CONNECT_TRIES_MAX = 600;
/** After so many more tries it is started again: who was there before may have ended just then. */
const TRIES_PER_START = 20;

/** What a program or a server of each environment loads anyway. */
const LOADED: Readonly<Record<string, readonly string[]>> = {
  mlflow: [
    "mlflow",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "onnxruntime",
    "pandas",
    "uvicorn",
    "mlflow.cli",
    "mlflow.server",
    "mlflow.server.handlers",
    "mlflow.store.db.utils",
    "alembic.command",
    "fastapi",
  ],
  dvc: ["dvc.cli.parser", "dvc.repo", "dvc.repo.reproduce", "dvc.repo.plots", "dvc.scm", "dvc.stage.run", "dvc_render"],
};

export const venvAt = (name: string): string => fileURLToPath(new URL(`../.cache/${name}`, import.meta.url));

/** The stamp is written last: a half-installed environment counts as none. */
export const isInstalled = (venv: string): boolean => existsSync(path.join(venvAt(venv), "sentinel-stamp"));

/** A connection to the process of an environment; what was started by it ends with it, however this process ends. */
export interface Interpreter {
  /** The exit code of a program, the process id of a server; null where the connection ended instead. */
  ask(request: object): Promise<number | null>;
  close(): void;
}

const interpreters = new Map<string, Promise<Interpreter>>();

/** Standard output of `python ARGS` (a file or `-c TEXT`); what it ends with but 0 is thrown, with both outputs beside. */
export async function runPython(
  venv: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  const interpreter = interpreters.get(venv) ?? openInterpreter(venv);
  interpreters.set(venv, interpreter);
  const folder = await mkdtemp(path.join(tmpdir(), "sentinel-python-"));
  try {
    const outputs = { stdout: path.join(folder, "stdout"), stderr: path.join(folder, "stderr") };
    const code = await (await interpreter).ask({ args, cwd: options.cwd, env: options.env, ...outputs });
    // Its connection has ended: the next program gets another.
    if (code === null) interpreters.delete(venv);
    const [stdout, stderr] = await Promise.all(
      Object.values(outputs).map((file) => readFile(file, "utf8").catch(() => "")),
    );
    if (code !== 0)
      throw Object.assign(new Error(`python ${args.join(" ").slice(0, 200)}: exit ${code}\n${stderr}`), {
        code,
        stdout,
        stderr,
      });
    return stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Connects to the process that has the environment's libraries loaded. The workers of a run share it: the first that asks starts it, and it
 * ends when the last of them has.
 */
export async function openInterpreter(venv: string): Promise<Interpreter> {
  const place = path.join(tmpdir(), `sentinel-${venv}-${process.ppid}.sock`);
  const socket = await connected(place, venv);
  const waiting: ((said: number | null) => void)[] = [];
  createInterface({ input: socket }).on("line", (line) => waiting.shift()?.(Number(line)));
  socket.once("close", () => {
    for (const resolve of waiting.splice(0)) resolve(null);
  });
  socket.on("error", () => socket.destroy());
  // An idle interpreter keeps no test process from ending.
  socket.unref();
  return {
    ask: (request) =>
      new Promise((resolve) => {
        if (socket.destroyed) {
          resolve(null);
          return;
        }
        waiting.push(resolve);
        socket.write(`${JSON.stringify(request)}\n`);
      }),
    close: () => void socket.end(),
  };
}

async function connected(place: string, venv: string): Promise<Socket> {
  for (let turn = 0; turn < CONNECT_TRIES_MAX; turn++) {
    const socket = connect(place);
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      // Of several that are started at once, the first stays.
      if (turn % TRIES_PER_START === 0) start(place, venv);
      await sleep(50);
    }
  }
  throw new Error(`no Python of ${venv} listens at ${place}`);
}

function start(place: string, venv: string): void {
  const kind = Object.keys(LOADED).find((name) => venv.startsWith(`venv-${name}`)) ?? "";
  const { PATH, HOME, TMPDIR } = process.env;
  const python = path.join(venvAt(venv), "bin", "python");
  const child = spawn(python, [FORKING, place, (LOADED[kind] ?? []).join(",")], {
    stdio: "ignore",
    // Other workers use it, too.
    detached: true,
    env: {
      ...{ PATH, HOME, TMPDIR },
      MLFLOW_DISABLE_TELEMETRY: "true",
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false",
      OBJC_DISABLE_INITIALIZE_FORK_SAFETY: "YES",
    },
  });
  child.once("error", () => {});
  child.unref();
}
