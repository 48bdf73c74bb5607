// What the benches of serving share: a trained workspace with a candidate, requests made of later transactions, a server process.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { assert } from "../src/core/errors.ts";
import { numberAt, textAt } from "../src/core/table.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import type { LoadResult, LoadTask } from "./load-own.ts";
import { runOwn, SERVER_ARGS } from "./peers.ts";
import { loadTransactions, ROOT, referenceFile, temporaryFolder } from "./workspace.ts";

/** The command as a user runs it. */
export const COMMAND = path.join(ROOT, "dist", "src", "cli", "main.js");
/** Requests are the table's last rows, moved behind its end. */
const BODIES = 20_000;
const SHUTDOWN_MS_MAX = 20_000;
/** The most that a log can be told to keep. */
const LOG_ROWS = 1_000_000_000;
/** Of /proc, per second. */
const CLOCK_TICKS = 100;

/** Twenty conditions that Spark SQL takes as they are. */
export const RULES: readonly string[] = [
  ...[150, 200, 220, 300, 500].map((amount) => `amount > ${amount}`),
  ...[10, 20, 30, 40, 50].map((low) => `amount BETWEEN ${low} AND ${low}.5 AND customer_id LIKE '%7'`),
  ...[1, 2, 3, 4, 5].map((part) => `terminal_id IN ('${part}01', '${part}02', '${part}03') AND amount > ${20 * part}`),
  ...[1, 2, 3, 4, 5].map((part) => `(amount > ${90 + part} AND customer_id LIKE '${part}%') OR terminal_id IS NULL`),
];

/** The card pipeline trained twice on the data: a champion and a candidate; `withoutShadow` is the same champion alone, `copy` the whole again. */
export async function preparedWorkspace(
  options: BenchOptions,
): Promise<{ readonly dir: string; readonly withoutShadow: string; copy(name: string): string }> {
  const dir = path.join(temporaryFolder(), "workspace");
  const run = (...args: string[]): void => {
    execFileSync(process.execPath, [COMMAND, ...args, "--workspace", dir], { stdio: ["ignore", "ignore", "inherit"] });
  };
  const data = options.data ?? (existsSync(referenceFile) ? referenceFile : path.join(dir, "simulated.parquet"));
  execFileSync(process.execPath, [COMMAND, "init", dir], { stdio: "ignore" });
  if (!existsSync(data)) run("simulate", "--out", data, "--seed", String(options.seed));
  options.print("training a champion and a candidate");
  run("train", "--data", data, "--quiet");
  run("promote", "--quiet");
  const withoutShadow = `${dir}-without`;
  cpSync(dir, withoutShadow, { recursive: true });
  run("train", "--data", data, "--seed", "2", "--quiet", "--force", "--reason", "a bench needs a candidate");
  const copy = (name: string): string => {
    cpSync(dir, `${dir}-${name}`, { recursive: true });
    return `${dir}-${name}`;
  };
  return { dir, withoutShadow, copy };
}

/** A file with the bodies of later transactions, each with `@` for the id. */
export async function writeBodies(options: BenchOptions): Promise<string> {
  const table = await loadTransactions(options);
  const column = (name: string) => table.columns.get(name)!;
  const from = Math.max(0, table.rows - BODIES);
  const shift = numberAt(column("time"), table.rows - 1) - numberAt(column("time"), from);
  const bodies = Array.from({ length: table.rows - from }, (_, i) => {
    const row = from + i;
    return JSON.stringify({
      transaction_id: "@",
      time: numberAt(column("time"), row) + shift,
      amount: numberAt(column("amount"), row),
      customer_id: textAt(column("customer_id"), row),
      terminal_id: textAt(column("terminal_id"), row),
    });
  });
  const file = path.join(temporaryFolder(), "bodies.json");
  writeFileSync(file, JSON.stringify(bodies));
  return file;
}

/** How a process of Sentinel is started. */
export interface ProcessOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
  /** Gets each line of the process's log, from `info` up; without it the log goes to stderr, from `error` up. */
  readonly onLog?: (line: string) => void;
}

/** A process of Sentinel that answers. */
export interface SentinelProcess {
  readonly port: number;
  /** Where it answers gRPC; NaN: nowhere. */
  readonly grpcPort: number;
  readonly pid: number;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** `sentinel serve` of a workspace in a process of its own, ready to answer. */
export function sentinelServer(workspace: string, options: ProcessOptions = {}): Promise<SentinelProcess> {
  return sentinelProcess(["serve", "--workspace", workspace], options);
}

/** A verb that answers HTTP, in a process of its own, ready. */
export async function sentinelProcess(verb: readonly string[], options: ProcessOptions = {}): Promise<SentinelProcess> {
  const { environment = {}, nodeArgs = SERVER_ARGS, onLog } = options;
  const level = onLog === undefined ? "error" : "info";
  const args = [...nodeArgs, COMMAND, ...verb, "--port", "0", "--log-level", level];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", onLog === undefined ? "inherit" : "pipe"],
  });
  if (child.stderr !== null && onLog !== undefined) createInterface({ input: child.stderr }).on("line", onLog);
  const lines = createInterface({ input: child.stdout! });
  const [port, grpcPort] = await new Promise<readonly [number, number]>((resolve, reject) => {
    lines.on("line", (line) => {
      const found = / on http:\/\/[^:]+:(\d+)(?: and gRPC on [^:]+:(\d+))?/.exec(line);
      if (found !== null) resolve([Number(found[1]), Number(found[2])]);
    });
    child.once("exit", (code) => reject(new Error(`the server ended with code ${code}`)));
  });
  for (let ready = false; !ready; ) {
    ready = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (!ready) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    port,
    grpcPort,
    pid: child.pid!,
    stop: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => child.kill("SIGKILL"), SHUTDOWN_MS_MAX);
        child.once("exit", () => {
          clearTimeout(timer);
          resolve();
        });
        child.kill("SIGTERM");
      }),
    kill: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  };
}

/** Seconds of processor time that a process has used. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** Resident memory of a process in megabytes, now or at its most; NaN where the system does not say. */
export function residentMb(pid: number, which: "VmRSS" | "VmHWM" = "VmRSS"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${which}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

/** A load on one server from a process of its own: what a task leaves out is in `common`, and no two loads have an id in common. */
export function loader(
  common: Omit<LoadTask, "path" | "prefix">,
  prefix: string,
): (task: Partial<LoadTask>) => Promise<LoadResult> {
  let loads = 0;
  return (task) =>
    runOwn<LoadResult>("load-own", { path: "/predict", prefix: `${prefix}-${loads++}-`, ...common, ...task });
}

/** A server of the prepared workspace, with its candidate in shadow, for as long as `measure` takes. */
export async function withServer(
  options: BenchOptions,
  measure: (on: ServerSide) => Promise<Figures>,
): Promise<Figures> {
  const workspace = await preparedWorkspace(options);
  const bodiesFile = await writeBodies(options);
  keepAll(workspace.dir);
  const server = await sentinelServer(workspace.dir);
  try {
    return await measure({ server, bodiesFile });
  } finally {
    await server.stop();
  }
}

/** Lets the log keep whatever a run writes, so that what was answered can be counted in it. */
function keepAll(workspace: string): void {
  const file = path.join(workspace, "pipelines", "card.yaml");
  const text = readFileSync(file, "utf8");
  assert(!/^log:/m.test(text), "the pipeline of the benches has no section log");
  writeFileSync(file, `${text}\nlog:\n  retention:\n    rows: ${LOG_ROWS}\n`);
}

/** A server and a file with bodies for it. */
export interface ServerSide {
  readonly server: { readonly port: number; readonly pid: number };
  readonly bodiesFile: string;
}

/** {@link RULES} of the card pipeline's columns, all live; they decide nothing but tags, so that every record costs the same work, with them or without. */
export function applyRules(dir: string): void {
  const rules = RULES.map((when, at) => `  - { id: r${at}, when: ${JSON.stringify(when)}, action: tag, stage: live }`);
  writeFileSync(path.join(dir, "pipelines", "card.rules.yaml"), `rules:\n${rules.join("\n")}\n`);
  execFileSync(process.execPath, [COMMAND, "rules", "apply", "--workspace", dir], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}
