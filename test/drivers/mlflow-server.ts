// A real MLflow server for tests: its own folder, a free port, and an end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { isInstalled, venvAt } from "../python.ts";

const START_TRIES_MAX = 600;

export const mlflowInstalled = isInstalled("venv-mlflow");

/** The oldest 3.x that has a server; see scripts/setup-python. */
export const OLDEST_SERVER = "venv-mlflow-server-oldest";
export const oldestServerInstalled = isInstalled(OLDEST_SERVER);

export const mlflowPython = path.join(venvAt("venv-mlflow"), "bin", "python");

export interface MlflowProcess {
  readonly uri: string;
  readonly dir: string;
  /** As a machine does that loses power: nothing is closed or flushed. */
  kill(): Promise<void>;
  /** Another process on the same port and the same folder. */
  restart(): Promise<void>;
  /** Nothing registered, no runs: as after the first start. */
  empty(): void;
  version(): Promise<string>;
  dispose(): Promise<void>;
}

/** Somebody whom a server with a login knows as its administrator. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

let borrowed: Promise<MlflowProcess> | null = null;

/**
 * The server that the files of this worker use one after the other, empty as after the first start: starting one costs nine seconds of a core.
 * Its end is the worker's, so `dispose` does nothing.
 */
export async function borrowMlflow(): Promise<MlflowProcess> {
  borrowed ??= startMlflow();
  const server = await borrowed;
  if (!(await fetch(`${server.uri}/health`).catch(() => null))?.ok) await server.restart();
  server.empty();
  for (const folder of ["files", "copies"]) await rm(path.join(server.dir, folder), { recursive: true, force: true });
  return { ...server, dispose: async () => {} };
}

/** With `admin` it asks who calls (`--app-name basic-auth`), and everybody it knows may edit. */
export async function startMlflow(venv = "venv-mlflow", admin?: Login): Promise<MlflowProcess> {
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-mlflow-server-"));
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const python = path.join(venvAt(venv), "bin", "python");
  if (admin !== undefined) await writeFile(path.join(dir, AUTH_FILE), authFile(dir, admin));
  const place = { dir, port, uri, python, asks: admin !== undefined };
  const launcher = venv === OLDEST_SERVER ? commandLine(place) : forked(place);
  await launcher.start();
  return {
    uri,
    dir,
    kill: launcher.kill,
    async restart() {
      await launcher.kill();
      await launcher.start();
    },
    empty: () => emptyTables(path.join(dir, "mlflow.db")),
    version: async () => (await fetch(`${uri}/version`)).text(),
    async dispose() {
      await launcher.kill();
      launcher.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Place {
  readonly dir: string;
  readonly port: number;
  readonly uri: string;
  readonly python: string;
  readonly asks: boolean;
}

const AUTH_FILE = "basic_auth.ini";

function authFile(dir: string, { username, password }: Login): string {
  return [
    "[mlflow]",
    "default_permission = EDIT",
    `database_uri = sqlite:///${path.join(dir, "users.db")}`,
    `admin_username = ${username}`,
    `admin_password = ${password}`,
    // Without it every request computes a slow hash of the password.
    "auth_cache_ttl_seconds = 600",
    "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
    "",
  ].join("\n");
}

/** How a server is started and killed; `close` lets go of what starts it. */
interface Launcher {
  start(): Promise<void>;
  kill(): Promise<void>;
  close(): void;
}

/** `mlflow server` as a user starts it. */
function commandLine(place: Place): Launcher {
  let child: ChildProcess | null = null;
  const isOver = (): boolean => child === null || child.exitCode !== null || child.signalCode !== null;
  // The group: the server's workers are processes of their own.
  const killGroup = (): void => void (child?.pid !== undefined && process.kill(-child.pid, "SIGKILL"));
  return {
    async start() {
      const started = spawn(place.python, ["-m", "mlflow", "server", ...argumentsOf(place)], {
        ...surroundings(place),
        stdio: ["ignore", "ignore", "pipe"],
      });
      child = started;
      // A test process that ends early must not leave a server behind.
      process.once("exit", killGroup);
      started.once("exit", () => process.off("exit", killGroup));
      await healthy(place, { of: started, isOver, giveUp: killGroup });
    },
    async kill() {
      if (child === null || isOver()) return;
      const ended = once(child, "exit");
      killGroup();
      await ended;
    },
    close: () => {},
  };
}

/**
 * The same command line in a process that has MLflow loaded, which forks a server for each start: loading takes seven seconds of a core. It
 * ends, with its server, when its standard input does, however this process ends.
 */
function forked(place: Place): Launcher {
  let parent: ChildProcess | null = null;
  let server: number | null = null;
  const isOver = (): boolean => parent === null || parent.exitCode !== null || parent.signalCode !== null;
  const kill = async (): Promise<void> => {
    if (server === null) return;
    try {
      process.kill(server, "SIGKILL");
    } catch {}
    server = null;
    // Its socket is closed with it, at once or a moment later.
    while (await fetch(`${place.uri}/health`).catch(() => null)) await sleep(10);
  };
  return {
    async start() {
      parent ??= spawn(place.python, [FORKING, ...argumentsOf(place)], {
        ...surroundings(place),
        stdio: ["pipe", "pipe", "pipe"],
      });
      const { stdin, stdout } = parent;
      const told = once(stdout!, "data") as Promise<[Buffer]>;
      stdin!.write("\n");
      const ready = healthy(place, { of: parent, isOver, giveUp: () => parent?.kill("SIGKILL") });
      server = Number(await Promise.race([told.then(([text]) => `${text}`), ready.then(() => told.then(String))]));
      await ready;
      // An idle server keeps no test process from ending.
      parent.unref();
      for (const stream of [stdin, stdout, parent.stderr]) (stream as Socket).unref();
    },
    kill,
    close: () => void parent?.stdin?.end(),
  };
}

const FORKING = fileURLToPath(new URL("./mlflow_server.py", import.meta.url));

function argumentsOf({ dir, port, asks }: Place): string[] {
  return [
    ...["--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
    ...["--backend-store-uri", `sqlite:///${path.join(dir, "mlflow.db")}`],
    ...["--artifacts-destination", path.join(dir, "files")],
    ...(asks ? ["--app-name", "basic-auth"] : []),
  ];
}

function surroundings({ dir, python, asks }: Place) {
  const { HOME } = process.env;
  // Older ones start gunicorn by its name.
  const PATH = `${path.dirname(python)}:${process.env.PATH}`;
  const secrets = asks
    ? { MLFLOW_AUTH_CONFIG_PATH: path.join(dir, AUTH_FILE), MLFLOW_FLASK_SERVER_SECRET_KEY: "a test's own" }
    : {};
  const env = { PATH, HOME, ...secrets, MLFLOW_DISABLE_TELEMETRY: "true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" };
  return { cwd: dir, detached: true, env };
}

/** Waits for the server's first answer; throws with its last words when it ends before, or is not there in a minute. */
async function healthy(
  { uri }: Place,
  { of, isOver, giveUp }: { readonly of: ChildProcess; readonly isOver: () => boolean; readonly giveUp: () => void },
): Promise<void> {
  let said = "";
  const hear = (text: Buffer): void => {
    said = `${said}${text}`.slice(-4_000);
  };
  of.stderr?.on("data", hear);
  for (let turn = 0; turn < START_TRIES_MAX && !isOver(); turn++) {
    const health = await fetch(`${uri}/health`).catch(() => null);
    if (health?.ok) return;
    await sleep(100);
  }
  if (!isOver()) giveUp();
  throw new Error(`mlflow server did not start: ${said}`);
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

/** Starting a server takes seconds, emptying its tables none. */
function emptyTables(file: string): void {
  const database = new Database(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as {
      readonly name: string;
    }[];
    for (const { name } of tables) {
      if (/^(alembic_version|workspaces|sqlite_.*)$/.test(name)) continue;
      database.exec(`DELETE FROM "${name}" ${name === "experiments" ? "WHERE experiment_id <> 0" : ""}`);
    }
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}
