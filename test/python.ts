// Python programs of the environments in .cache/, run by processes that have loaded their libraries: MLflow's take five seconds of a core to load.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const FORKING = fileURLToPath(new URL("./forking.py", import.meta.url));

/** What a program of each environment loads anyway. */
const LOADED: Readonly<Record<string, readonly string[]>> = {
  mlflow: [
    "mlflow",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "onnxruntime",
    "pandas",
  ],
  dvc: ["dvc.cli.parser", "dvc.repo", "dvc.repo.reproduce", "dvc.repo.plots", "dvc.scm", "dvc.stage.run", "dvc_render"],
};

export const venvAt = (name: string): string => fileURLToPath(new URL(`../.cache/${name}`, import.meta.url));

/** The stamp is written last: a half-installed environment counts as none. */
export const isInstalled = (venv: string): boolean => existsSync(path.join(venvAt(venv), "sentinel-stamp"));

interface Interpreter {
  /** The exit code of a program; null where the process ended instead. */
  ask(request: object): Promise<number | null>;
}

const interpreters = new Map<string, Interpreter>();

/** Standard output of `python ARGS` (a file or `-c TEXT`); what it ends with but 0 is thrown, with both outputs beside. */
export async function runPython(
  venv: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  const interpreter = interpreters.get(venv) ?? startInterpreter(venv);
  interpreters.set(venv, interpreter);
  const folder = await mkdtemp(path.join(tmpdir(), "sentinel-python-"));
  try {
    const outputs = { stdout: path.join(folder, "stdout"), stderr: path.join(folder, "stderr") };
    const code = await interpreter.ask({ args, cwd: options.cwd, env: options.env, ...outputs });
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

/** It ends when its standard input does, however this process ends. */
function startInterpreter(venv: string): Interpreter {
  const python = path.join(venvAt(venv), "bin", "python");
  const kind = Object.keys(LOADED).find((name) => venv.startsWith(`venv-${name}`)) ?? "";
  const child: ChildProcess = spawn(python, [FORKING, (LOADED[kind] ?? ["json"]).join(",")], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", OBJC_DISABLE_INITIALIZE_FORK_SAFETY: "YES" },
  });
  const waiting: ((code: number | null) => void)[] = [];
  createInterface({ input: child.stdout! }).on("line", (line) => waiting.shift()?.(Number(line)));
  child.once("close", () => {
    interpreters.delete(venv);
    for (const told of waiting.splice(0)) told(null);
  });
  // What waits for an answer holds the test, an idle interpreter nothing.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as Socket).unref();
  return {
    ask: (request) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        child.stdin!.write(`${JSON.stringify(request)}\n`);
      }),
  };
}
