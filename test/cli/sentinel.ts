// The built command line as a child process, a small workspace to run it in, and a server of its own.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { init } from "../../src/lifecycle/init.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const MAIN = path.join(ROOT, "dist", "src", "cli", "main.js");
const RESIDENT = fileURLToPath(new URL("./resident.mjs", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly uid?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** In a process of its own, from start to end. */
  readonly own?: boolean;
  /** For node itself. */
  readonly nodeArgs?: readonly string[];
  /** Called once the process runs. */
  readonly started?: (child: ChildProcess) => void;
}

/**
 * Runs `sentinel ARGS` to its end: in a process that has the command loaded already, where nothing but what it says and its exit code is asked
 * for; starting one takes longer than most commands do. Else, and with `own`, in a process of its own.
 */
export async function sentinel(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { uid, nodeArgs, started, own } = options;
  const needsOwn = own === true || uid !== undefined || (nodeArgs?.length ?? 0) > 0 || started !== undefined;
  return needsOwn ? runAlone(args, options) : runResident(args, options);
}

function runAlone(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), MAIN, ...args], {
    cwd: options.cwd,
    uid: options.uid,
    gid: options.uid,
    env: environmentOf(options),
    stdio: ["ignore", "pipe", "pipe"],
  });
  options.started?.(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

function environmentOf({ env }: RunOptions): NodeJS.ProcessEnv {
  return { ...process.env, NO_COLOR: "1", ...env };
}

/** What a command reads when it begins; the others, such as NODE_OPTIONS, count from the start of a process. */
const READ_BY_COMMANDS = /^(MLFLOW|SENTINEL)_/;

/** Processes that wait for their next command, by the environment they were started with; the one used last at the end. */
const idle: { readonly key: string; readonly child: ChildProcess }[] = [];
const IDLE_MAX = 2;

/** One command at a time in each process; of commands at once each has its own. */
async function runResident(args: readonly string[], options: RunOptions): Promise<Ran> {
  const variables = Object.entries(environmentOf(options)).sort();
  const [own, others] = [true, false].map((isOwn) =>
    variables.filter(([name]) => READ_BY_COMMANDS.test(name) === isOwn),
  );
  const env = Object.fromEntries(others);
  const key = JSON.stringify(others);
  const at = idle.findIndex((one) => one.key === key);
  const child = at < 0 ? fork(RESIDENT, { env, stdio: "inherit", execArgv: [] }) : idle.splice(at, 1)[0].child;
  const ran = await new Promise<Ran>((resolve, reject) => {
    const ended = (code: number | null, signal: NodeJS.Signals | null): void =>
      resolve({ code, signal, stdout: "", stderr: `the process of ${JSON.stringify(args)} ended` });
    child.once("error", reject).once("exit", ended);
    child.once("message", (message) => {
      child.off("error", reject).off("exit", ended);
      resolve(message as Ran);
    });
    child.ref();
    child.send({ args, cwd: options.cwd ?? process.cwd(), env: Object.fromEntries(own) });
  });
  child.unref();
  child.channel?.unref();
  if (child.connected) idle.push({ key, child });
  // Whoever lets go of the channel ends the process.
  if (idle.length > IDLE_MAX) idle.shift()?.child.disconnect();
  return ran;
}

/** Runs with --json and parses stdout, which must be one JSON document and nothing else. */
export async function sentinelJson(args: readonly string[], options: RunOptions = {}) {
  const ran = await sentinel([...args, "--json"], options);
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any verb, read field by field
  return { ...ran, json: JSON.parse(ran.stdout) as any };
}

/**
 * A workspace as `sentinel init` makes it, in a folder of its own; few trees, so that a training takes seconds. Isolation trees are scored, exported
 * and interpreted again by the logic gate: with as many as a user has they took longer than the trees that decide.
 */
export function makeWorkspace(): string {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-test-"));
  init({ dir, packageRoot: ROOT });
  edit(dir, "pipelines/card.yaml", (text) =>
    text
      .replace("trees: 300", "trees: 40")
      .replace("anomaly_trees: 100", "anomaly_trees: 20")
      .replace("poll: 1s", "poll: 200ms"),
  );
  return dir;
}

export function removeWorkspace(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/** Rewrites one file of a workspace. */
export function edit(dir: string, file: string, change: (text: string) => string): void {
  const target = path.join(dir, file);
  const before = readFileSync(target, "utf8");
  const after = change(before);
  if (after === before) throw new Error(`nothing changed in ${file}`);
  writeFileSync(target, after);
}

export interface Served {
  readonly url: string;
  /** Where it answers gRPC; 0: nowhere. */
  readonly grpcPort: number;
  readonly child: ChildProcess;
  /** Sends the signal and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

const READY_LOOKS_MAX = 600;

/**
 * `sentinel serve`, or another verb that answers HTTP, on a free port, ready to answer; with `isReady: false` as soon as it listens, for one that has no model
 * to answer with.
 */
export async function serve(
  cwd: string,
  options: {
    readonly nodeArgs?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly verb?: readonly string[];
    readonly isReady?: false;
  } = {},
): Promise<Served> {
  const verb = options.verb ?? ["serve"];
  const args = [...(options.nodeArgs ?? []), MAIN, ...verb, "--port", "0", "--announce", "0s"];
  const env = { ...process.env, ...options.env };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal })),
  );
  const said: string[] = [];
  let grpcPort = 0;
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      said.push(line);
      if (line.includes('"msg":"listening for gRPC"')) grpcPort = (JSON.parse(line) as { port: number }).port;
      if (line.includes('"msg":"listening"')) resolve((JSON.parse(line) as { port: number }).port);
    });
    ended.then(() => reject(new Error(`the server ended:\n${said.join("\n")}`)));
  });
  const url = `http://127.0.0.1:${port}`;
  for (let look = 0; options.isReady !== false && !(await fetch(`${url}/readyz`)).ok; look++) {
    // Waiting half a minute for a server that is never ready would go on unseen.
    if (look < READY_LOOKS_MAX) {
      await sleep(50);
      continue;
    }
    const why = await (await fetch(`${url}/readyz`)).text();
    child.kill("SIGKILL");
    throw new Error(`the server is not ready: ${why}`);
  }
  return {
    url,
    grpcPort,
    child,
    stop: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}
