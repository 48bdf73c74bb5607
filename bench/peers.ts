// Peers: Python libraries in a local environment, and fresh processes that measure one run each.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert } from "../src/core/errors.ts";
import { ROOT } from "./workspace.ts";

const VENV = path.join(ROOT, ".cache", "bench-venv");

/** Every library that could start threads of its own is told how many it may have. */
const THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/** What every measured process prints as its last line; more numbers may come along. */
export interface Measured {
  readonly seconds: number;
  /** User and system time of the whole process within the timed part. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the process when the timed part ended. */
  readonly rssBytes: number;
}

/** The interpreter that has the libraries. */
export const peerPython = path.join(VENV, "bin", "python");

/** Whether scripts/bench-setup has run to its end. */
export function peersInstalled(): boolean {
  return existsSync(path.join(VENV, "sentinel-stamp"));
}

/** The line to print when they are not. */
export const PEERS_MISSING = "no peers installed (run scripts/bench-setup): Sentinel alone, no ratios";

/**
 * The environment of `scripts/setup-python` with this name; it is installed where it is missing, which takes a minute. Null where that cannot be done, which is
 * printed with what to run.
 */
export function pythonEnvironment(name: string, print: (line: string) => void): string | null {
  const venv = path.join(ROOT, ".cache", name);
  if (existsSync(path.join(venv, "sentinel-stamp"))) return venv;
  print(`installing ${name} from PyPI: scripts/setup-python ${name}`);
  try {
    // stdout is the benchmark's own.
    execFileSync(path.join(ROOT, "scripts", "setup-python"), [name], { stdio: ["ignore", 2, 2] });
    return venv;
  } catch {
    print(`there is no ${name}: run scripts/setup-python ${name} and read what it says. Sentinel alone, no ratio`);
    return null;
  }
}

/** Runs bench/NAME.py on a task. */
export function runPeer<T>(name: string, task: object): Promise<T> {
  return runProcess<T>(peerPython, [path.join(ROOT, "bench", `${name}.py`)], task);
}

/** The same by the interpreter of another environment. */
export function runPython<T>(venv: string, name: string, task: object): Promise<T> {
  return runProcess<T>(path.join(venv, "bin", "python"), [path.join(ROOT, "bench", `${name}.py`)], task);
}

/** Runs bench/NAME.ts (or its compiled form) of this build on a task. */
export function runOwn<T>(name: string, task: object): Promise<T> {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return runProcess<T>(process.execPath, [fileURLToPath(new URL(`./${name}.${ending}`, import.meta.url))], task);
}

async function runProcess<T>(command: string, args: readonly string[], task: object): Promise<T> {
  // A task may say how many threads its process may have.
  const count = "threads" in task ? String(task.threads) : "1";
  const threads = Object.fromEntries(THREAD_VARIABLES.map((name) => [name, count]));
  const child = spawn(command, [...args, JSON.stringify(task)], {
    env: { ...process.env, ...threads },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  assert(code === 0, `${path.basename(args[0])} ends with code 0, not ${code}`);
  return JSON.parse(text.trimEnd().split("\n").at(-1)!) as T;
}

/** A server in a process of its own: where it listens, and how it ends. */
export interface Side {
  readonly port: number;
  stop(): Promise<void>;
}

/** How the image starts Node for a server (Dockerfile); every side of a bench that serves is started like it. */
export const SERVER_ARGS: readonly string[] = ["--max-semi-space-size=64"];

/** A child that prints `{"port": …}` once it listens. */
export async function startChild(command: string, args: readonly string[], task: object): Promise<Side> {
  const child = spawn(command, [...args, JSON.stringify(task)], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise<number>((resolve, reject) => {
    lines.once("line", (line) => resolve((JSON.parse(line) as { readonly port: number }).port));
    child.once("exit", (code) => reject(new Error(`${path.basename(args[0])} ended with code ${code}`)));
  });
  return { port, stop: () => stopChild(child) };
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
