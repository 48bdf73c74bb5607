// Configuration: environment and workspace become one frozen Config; nothing else reads process.env.
import { availableParallelism, userInfo } from "node:os";
import path from "node:path";
import { SentinelError } from "./core/errors.ts";

/** Everything that is not in a pipeline file. Secrets are kept here and never logged. */
export interface Config {
  /** Absolute path of the folder with features/ pipelines/ data/ models/. */
  readonly workspace: string;
  readonly registryDir: string;
  readonly stateDir: string;
  readonly reportsDir: string;
  /** Who acts, for runs and the journal. */
  readonly actor: string;
  /** Key of the admin routes; null disables them. */
  readonly adminKey: string | null;
  /** Worker threads of a training. */
  readonly threads: number;
}

/** Drivers that a variable asks for and this version does not have: refused, so that nothing is written elsewhere than meant. */
const NOT_BUILT_YET: Readonly<Record<string, string>> = {
  MLFLOW_TRACKING_URI: "an MLflow server as registry",
  SENTINEL_REDIS_URL: "Redis as feature state",
  SENTINEL_DATABASE_URL: "PostgreSQL as prediction log",
};

/** Reads the environment once. Errors: config.invalid. */
export function loadConfig(options: {
  readonly workspace?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}): Config {
  const environment = options.environment ?? process.env;
  for (const [name, what] of Object.entries(NOT_BUILT_YET)) {
    if ((environment[name] ?? "") !== "") {
      throw new SentinelError("config.invalid", `${name} is set, but this version has no driver for ${what}`, {
        hint: `unset ${name} to use the embedded one (see docs/configuration.md)`,
      });
    }
  }
  const workspace = path.resolve(options.workspace ?? environment.SENTINEL_WORKSPACE ?? ".");
  const adminKey = environment.SENTINEL_ADMIN_KEY ?? "";
  if (adminKey !== "" && adminKey.length < 16) {
    throw new SentinelError("config.invalid", "SENTINEL_ADMIN_KEY is shorter than 16 characters", {
      hint: "use a long random key, for example from `openssl rand -hex 24`",
    });
  }
  return Object.freeze({
    workspace,
    registryDir: path.join(workspace, "models"),
    stateDir: path.join(workspace, "models", "state"),
    reportsDir: path.join(workspace, "models", "reports"),
    actor: environment.SENTINEL_ACTOR ?? environment.USER ?? userName(),
    threads: threadsOf(environment.SENTINEL_THREADS),
    adminKey: adminKey === "" ? null : adminKey,
  });
}

/** Every core, unless told otherwise; more threads than this stop helping. */
const THREADS_MAX = 16;

function threadsOf(text: string | undefined): number {
  if (text === undefined || text === "") return Math.min(availableParallelism(), THREADS_MAX);
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
    throw new SentinelError("config.invalid", `SENTINEL_THREADS is ${JSON.stringify(text)}`, {
      hint: `use a whole number from 1 to ${THREADS_MAX}, or leave it out to use every core`,
    });
  }
  return threads;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown";
  }
}
