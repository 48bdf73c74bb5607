// A real MLflow server for tests: its own folder, a free port, and an end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { type Interpreter, isInstalled, openInterpreter, venvAt } from "../python.ts";

const START_TRIES_MAX = 600;
/** Of what a server that does not start has said. */
const WORDS_MAX = 4_000;

export const mlflowInstalled = isInstalled("venv-mlflow");

/** The oldest 3.x that has a server; see scripts/setup-python. */
export const OLDEST_SERVER = "venv-mlflow-server-oldest";
export const oldestServerInstalled = isInstalled(OLDEST_SERVER);

/** Of the server that is asked for where a test does not say which: the newest, or the one of `SENTINEL_MLFLOW_VERSION`. */
const SERVER = venvOfVersion(process.env.SENTINEL_MLFLOW_VERSION);

function venvOfVersion(version: string | undefined): string {
  if (version === undefined || version === "") return "venv-mlflow";
  const stamps = ["venv-mlflow", OLDEST_SERVER].map((venv) => {
    const stamp = path.join(venvAt(venv), "sentinel-stamp");
    return { venv, words: existsSync(stamp) ? readFileSync(stamp, "utf8").trim().split(" ") : [] };
  });
  // What stands last went over the others.
  const found = stamps.find(({ words }) => words.findLast((word) => word.startsWith("mlflow=="))?.slice(8) === version);
  if (found !== undefined) return found.venv;
  throw new Error(`there is no MLflow ${version} in .cache: scripts/setup-python installs what its lists name`);
}

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
  /** Keeps all that is registered and stored; the answer puts it back. Making it again would take hundreds of requests. */
  keep(): Promise<() => Promise<void>>;
  version(): Promise<string>;
  dispose(): Promise<void>;
}

/** Somebody whom a server with a login knows as its administrator. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Of a server's own folder: what it stores, and what tests keep beside. */
const FOLDERS = ["files", "copies"] as const;

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
  for (const folder of FOLDERS) await rm(path.join(server.dir, folder), { recursive: true, force: true });
  return { ...server, dispose: async () => {} };
}

/** With `admin` it asks who calls (`--app-name basic-auth`), and everybody it knows may edit. */
export async function startMlflow(venv = SERVER, admin?: Login): Promise<MlflowProcess> {
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-mlflow-server-"));
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const python = path.join(venvAt(venv), "bin", "python");
  if (admin !== undefined) await writeFile(path.join(dir, AUTH_FILE), authFile(dir, admin));
  const place = { dir, port, uri, python, asks: admin !== undefined };
  const launcher = venv === OLDEST_SERVER ? commandLine(place) : forked(place, venv);
  // The tables that it makes at its first start, one migration after the other, take it longer than all else: the next server gets a copy.
  const fresh = path.join(venvAt(venv), "sentinel-fresh.db");
  const isThere = existsSync(fresh);
  if (isThere) await cp(fresh, path.join(dir, "mlflow.db"));
  await launcher.start();
  if (!isThere) await keepFresh(path.join(dir, "mlflow.db"), fresh);
  return {
    uri,
    dir,
    kill: launcher.kill,
    async restart() {
      await launcher.kill();
      await launcher.start();
    },
    empty: () => emptyTables(path.join(dir, "mlflow.db")),
    async keep() {
      const rows = readTables(path.join(dir, "mlflow.db"));
      const kept = await mkdtemp(path.join(dir, "kept-"));
      const copy = async (from: string, to: string): Promise<void> => {
        for (const folder of FOLDERS) {
          await rm(path.join(to, folder), { recursive: true, force: true });
          if (existsSync(path.join(from, folder)))
            await cp(path.join(from, folder), path.join(to, folder), { recursive: true });
        }
      };
      await copy(dir, kept);
      return async () => {
        emptyTables(path.join(dir, "mlflow.db"), rows);
        await copy(kept, dir);
      };
    },
    version: async () => (await fetch(`${uri}/version`)).text(),
    async dispose() {
      await launcher.kill();
      launcher.close();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Several workers may do so at once: each writes a file of its own, and the last one stays. */
async function keepFresh(file: string, fresh: string): Promise<void> {
  const own = `${fresh}.${process.pid}`;
  await rm(own, { force: true });
  const database = new Database(file);
  try {
    database.exec(`PRAGMA busy_timeout = 5000; VACUUM INTO '${own}'`);
  } finally {
    database.close();
  }
  await rename(own, fresh);
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
      let words = "";
      started.stderr?.on("data", (text: Buffer) => {
        words = `${words}${text}`.slice(-WORDS_MAX);
      });
      await healthy(place, { isOver, giveUp: killGroup, said: async () => words });
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
 * The same command line in a fork of the process that has MLflow loaded: loading takes seven seconds of a core. It ends when the connection
 * to that process does, however this process ends.
 */
function forked(place: Place, venv: string): Launcher {
  let interpreter: Interpreter | null = null;
  let server: number | null = null;
  const stderr = path.join(place.dir, "stderr.txt");
  const kill = async (): Promise<void> => {
    if (server === null) return;
    try {
      process.kill(server, "SIGKILL");
    } catch {}
    server = null;
    // Its socket is closed with it, at once or a moment later.
    while (await fetch(`${place.uri}/health`).catch(() => null)) await sleep(10);
  };
  const isOver = (): boolean => server === null || !isRunning(server);
  return {
    async start() {
      interpreter ??= await openInterpreter(venv);
      server = await interpreter.ask({
        // A line for each request, which nobody reads, is a tenth of what a request costs.
        server: [...argumentsOf(place), "--uvicorn-opts", "--no-access-log"],
        stderr,
        cwd: place.dir,
        env: surroundings(place).env,
      });
      await healthy(place, { isOver, giveUp: () => void kill(), said: () => readFile(stderr, "utf8").catch(() => "") });
    },
    kill,
    close: () => interpreter?.close(),
  };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

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
  server: { readonly isOver: () => boolean; readonly giveUp: () => void; readonly said: () => Promise<string> },
): Promise<void> {
  for (let turn = 0; turn < START_TRIES_MAX && !server.isOver(); turn++) {
    const health = await fetch(`${uri}/health`).catch(() => null);
    if (health?.ok) return;
    await sleep(100);
  }
  if (!server.isOver()) server.giveUp();
  throw new Error(`mlflow server did not start: ${(await server.said()).slice(-WORDS_MAX)}`);
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

type Row = Readonly<Record<string, unknown>>;

/** The tables that hold what people have registered, with which of their rows are people's. */
function tablesOf(
  database: InstanceType<typeof Database>,
): readonly { readonly name: string; readonly rows: string }[] {
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as {
    readonly name: string;
  }[];
  return tables
    .filter(({ name }) => !/^(alembic_version|workspaces|sqlite_.*)$/.test(name))
    .map(({ name }) => ({ name, rows: name === "experiments" ? "WHERE experiment_id <> 0" : "" }));
}

function readTables(file: string): ReadonlyMap<string, readonly Row[]> {
  const database = new Database(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000");
    return new Map(
      tablesOf(database).map(({ name, rows }) => [
        name,
        database.prepare(`SELECT * FROM "${name}" ${rows}`).all() as readonly Row[],
      ]),
    );
  } finally {
    database.close();
  }
}

/** Starting a server takes seconds, emptying its tables none. With `kept` they have these rows afterwards. */
function emptyTables(file: string, kept: ReadonlyMap<string, readonly Row[]> = new Map()): void {
  const database = new Database(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
    for (const { name, rows } of tablesOf(database)) database.exec(`DELETE FROM "${name}" ${rows}`);
    for (const [name, rows] of kept) {
      if (rows.length === 0) continue;
      const columns = Object.keys(rows[0]);
      const insert = database.prepare(
        `INSERT INTO "${name}" (${columns.map((column) => `"${column}"`).join()}) VALUES (${columns.map(() => "?").join()})`,
      );
      for (const row of rows) insert.run(columns.map((column) => row[column]));
    }
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}
