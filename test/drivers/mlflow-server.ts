// A real MLflow server for tests: its own folder, a free port, and an end.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "libsql";

const venvAt = (name: string) => fileURLToPath(new URL(`../../.cache/${name}`, import.meta.url));
const VENV = venvAt("venv-mlflow");
const START_TRIES_MAX = 600;

/** The stamp is written last: a half-installed environment counts as none. */
export const mlflowInstalled = existsSync(path.join(VENV, "sentinel-stamp"));

/** The oldest 3.x that has a server; see scripts/setup-python. */
export const OLDEST_SERVER = "venv-mlflow-server-oldest";
export const oldestServerInstalled = existsSync(path.join(venvAt(OLDEST_SERVER), "sentinel-stamp"));

export const mlflowPython = path.join(VENV, "bin", "python");

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
  let child = await launch(place);
  const kill = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // The group: the server's workers are processes of their own.
    process.kill(-child.pid, "SIGKILL");
    await ended;
  };
  return {
    uri,
    dir,
    kill,
    async restart() {
      await kill();
      child = await launch(place);
    },
    empty: () => emptyTables(path.join(dir, "mlflow.db")),
    version: async () => (await fetch(`${uri}/version`)).text(),
    async dispose() {
      await kill();
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

async function launch({ dir, port, uri, python, asks }: Place): Promise<ChildProcess> {
  const { HOME } = process.env;
  // Older ones start gunicorn by its name.
  const PATH = `${path.dirname(python)}:${process.env.PATH}`;
  const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
  const stores = [
    "--backend-store-uri",
    `sqlite:///${path.join(dir, "mlflow.db")}`,
    "--artifacts-destination",
    path.join(dir, "files"),
  ];
  const login = asks ? ["--app-name", "basic-auth"] : [];
  const secrets = asks
    ? { MLFLOW_AUTH_CONFIG_PATH: path.join(dir, AUTH_FILE), MLFLOW_FLASK_SERVER_SECRET_KEY: "a test's own" }
    : {};
  const child = spawn(python, [...args, ...stores, ...login], {
    cwd: dir,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH, HOME, ...secrets, MLFLOW_DISABLE_TELEMETRY: "true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" },
  });
  // A test process that ends early must not leave a server behind.
  const abandon = () => child.pid !== undefined && process.kill(-child.pid, "SIGKILL");
  const ended = (signal: NodeJS.Signals): void => {
    abandon();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    process.kill(process.pid, signal);
  };
  process.once("exit", abandon);
  // The test runner ends its workers so.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, ended);
  child.once("exit", () => {
    process.off("exit", abandon);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.off(signal, ended);
  });
  let said = "";
  child.stderr?.on("data", (text: Buffer) => {
    said = `${said}${text}`.slice(-4_000);
  });
  for (let turn = 0; turn < START_TRIES_MAX && child.exitCode === null; turn++) {
    const health = await fetch(`${uri}/health`).catch(() => null);
    if (health?.ok) return child;
    await sleep(100);
  }
  if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
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
