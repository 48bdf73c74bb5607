// HTTP to an MLflow server: time limits, repeats of what is safe to repeat, and errors that say what to do.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { answerError, type Body, bodyOf, isPassing, type MlflowRefusal } from "./errors.ts";

/** How to reach a server and who asks. */
export interface MlflowServer {
  /** http or https, without a trailing slash; a path in front of /api is kept. */
  readonly uri: string;
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  /** Sent only when given: a server without workspaces refuses the header. */
  readonly workspace?: string;
}

/** Milliseconds. A call with all its repeats ends after `call`; one attempt after `attempt`; a file after `file`. */
export interface MlflowLimits {
  readonly attempt: number;
  readonly call: number;
  readonly file: number;
}

export const MLFLOW_LIMITS: MlflowLimits = { attempt: 10_000, call: 20_000, file: 300_000 };

/** Fields of a query string; undefined ones are left out. */
type Query = Readonly<Record<string, string | number | undefined>>;

/** First pause before a repeat; doubled each time. */
const PAUSE_MS = 100;
const ATTEMPTS_MAX = 5;
/** An answer in JSON beyond this is a mistake: 10,000 runs with all they logged stay under it. */
const ANSWER_BYTES_MAX = 2 ** 28;
const API = "/api/2.0/mlflow";
const FILES = "/api/2.0/mlflow-artifacts/artifacts";

interface Ask {
  readonly method: string;
  readonly url: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitMs: number;
  /** Whole call, repeats included. */
  readonly callMs: number;
  readonly bytesMax: number;
  /** False: one attempt, because a repeat could do it twice. */
  readonly repeat: boolean;
}

/** A client of one server. Every method throws a SentinelError (registry.unreachable, …) or a {@link MlflowRefusal}. */
export interface MlflowClient {
  readonly where: string;
  get(path: string, query: Query): Promise<unknown>;
  /** For calls that may be made twice with the same result: repeated like a GET. */
  send(method: "POST" | "PATCH" | "DELETE", path: string, body: object): Promise<unknown>;
  /**
   * For calls that make something new each time. When no answer came, `find` says whether it was made after all; only when it
   * was not is the call made again.
   */
  create<T>(path: string, body: object, options: { read(answer: unknown): T; find(): Promise<T | null> }): Promise<T>;
  upload(location: string, bytes: Uint8Array): Promise<void>;
  /** A file, or a folder with all that is in it; nothing there is fine. */
  remove(location: string): Promise<void>;
  /** What is in a folder of files, folders left out; null for a length that the store does not tell. */
  list(location: string): Promise<readonly { readonly name: string; readonly bytes: number | null }[]>;
  /** Throws registry.corrupt when the file is longer than `bytesMax`. */
  download(location: string, options: { readonly bytesMax: number }): Promise<Body>;
}

export function createMlflowClient(server: MlflowServer, limits: MlflowLimits = MLFLOW_LIMITS): MlflowClient {
  const headers = headersOf(server);
  const json = { headers: { "content-type": "application/json" }, bytesMax: ANSWER_BYTES_MAX };
  const small = { ...json, limitMs: limits.attempt, callMs: limits.call };
  const large = { limitMs: limits.file, callMs: limits.file, repeat: true };
  const ask = (request: Ask) => repeated(server, { ...request, headers: { ...headers, ...request.headers } });
  const post = async (method: string, path: string, options: { readonly body: object; readonly repeat: boolean }) => {
    const url = `${server.uri}${API}${path}`;
    return parsed(
      await ask({ ...small, method, url, body: JSON.stringify(options.body), repeat: options.repeat }),
      url,
    );
  };
  return {
    where: server.uri,
    async get(path, query) {
      const url = `${server.uri}${API}${path}${queryOf(query)}`;
      return parsed(await ask({ ...small, headers: {}, method: "GET", url, repeat: true }), url);
    },
    send: (method, path, body) => post(method, path, { body, repeat: true }),
    async create(path, body, { read, find }) {
      for (let attempt = 1; ; attempt++) {
        try {
          return read(await post("POST", path, { body, repeat: false }));
        } catch (error) {
          if (!isPassing(error)) throw error;
          const made = await find();
          if (made !== null) return made;
          if (attempt === ATTEMPTS_MAX) throw error;
        }
        await sleep(PAUSE_MS * 2 ** attempt);
      }
    },
    async upload(location, bytes) {
      const url = fileUrl(server, location);
      const type = { "content-type": "application/octet-stream" };
      await ask({ ...large, method: "PUT", url, body: bytes, headers: type, bytesMax: ANSWER_BYTES_MAX });
    },
    async remove(location) {
      await ask({ ...small, headers: {}, method: "DELETE", url: fileUrl(server, location), repeat: true });
    },
    async list(location) {
      const url = `${server.uri}${FILES}?path=${encodeURIComponent(pathOf(server, location))}`;
      const answer = parsed(await ask({ ...small, headers: {}, method: "GET", url, repeat: true }), url) as {
        readonly files?: readonly {
          readonly path: string;
          readonly is_dir?: boolean;
          readonly file_size?: number | string;
        }[];
      };
      return (answer.files ?? [])
        .filter(({ is_dir: folder }) => folder !== true)
        .map(({ path, file_size: size }) => ({ name: path, bytes: size === undefined ? null : Number(size) }));
    },
    async download(location, { bytesMax }) {
      return ask({ ...large, method: "GET", url: fileUrl(server, location), bytesMax });
    },
  };
}

/** Where the proxy keeps a file of `mlflow-artifacts:/…`, as §2 of MLflow's artifact protocol has it: the server's own store. */
function pathOf({ uri }: MlflowServer, location: string): string {
  const [, path] = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.+)$/.exec(location) ?? [];
  if (path === undefined) {
    throw new SentinelError(
      "registry.unreachable",
      `${uri} keeps its files at ${location}, out of this client's reach`,
      {
        hint: "start the server with --serve-artifacts (its default), so that files go through it; then make a new experiment",
      },
    );
  }
  return path;
}

function fileUrl(server: MlflowServer, location: string): string {
  return `${server.uri}${FILES}/${pathOf(server, location).split("/").map(encodeURIComponent).join("/")}`;
}

async function repeated(server: MlflowServer, ask: Ask): Promise<Body> {
  // A signal, not a clock: the time limit holds whatever happens to the machine's time.
  const whole = AbortSignal.timeout(ask.callMs);
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(server, ask, whole);
    } catch (error) {
      if (!ask.repeat || attempt === ATTEMPTS_MAX || whole.aborted || !isPassing(error)) throw error;
    }
    await sleep(PAUSE_MS * 2 ** (attempt - 1));
  }
}

async function once(server: MlflowServer, ask: Ask, whole: AbortSignal): Promise<Body> {
  const { method, url, body, headers, limitMs, bytesMax } = ask;
  const signal = AbortSignal.any([whole, AbortSignal.timeout(limitMs)]);
  let response: Response;
  try {
    // A redirect would turn a POST into a GET and could carry the credentials elsewhere: the answer names it instead.
    response = await fetch(url, { method, headers, body, signal, redirect: "manual" });
  } catch (cause) {
    throw unreachable(server, cause);
  }
  try {
    const answer = await bodyOf(response, { url, bytesMax });
    if (response.ok) return answer;
    const text = new TextDecoder().decode(answer.bytes);
    const login = { ascii: isAscii(server), token: usesToken(server) };
    throw answerError({ where: server.uri, method, url, response, text, ...login });
  } catch (cause) {
    throw cause instanceof Error && /^(SentinelError|MlflowRefusal)$/.test(cause.name)
      ? cause
      : unreachable(server, cause);
  }
}

function unreachable({ uri }: MlflowServer, cause: unknown): SentinelError {
  const late = cause instanceof Error && cause.name === "TimeoutError";
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = (inner as NodeJS.ErrnoException | undefined)?.code ?? "";
  const why = late ? "it does not answer in time" : messageOf(inner) || code || messageOf(cause);
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code);
  return new SentinelError("registry.unreachable", `cannot reach the MLflow server at ${uri}: ${why}`, {
    hint: certificate
      ? "name the file with the certificate of your authority in NODE_EXTRA_CA_CERTS"
      : "is the server running, and MLFLOW_TRACKING_URI its address? `sentinel doctor` asks it",
    cause,
  });
}

function isAscii({ username = "", password = "" }: MlflowServer): boolean {
  return /^[ -~]*$/.test(username + password);
}

/** Name and password win when both are there, as in MLflow's own client. */
function usesToken({ username, password, token }: MlflowServer): boolean {
  return token !== undefined && (username === undefined || password === undefined);
}

function headersOf(server: MlflowServer): Record<string, string> {
  const { username, password, token, workspace } = server;
  const basic = username !== undefined && password !== undefined;
  const pair = basic ? Buffer.from(`${username}:${password}`, "utf8").toString("base64") : "";
  const authorization = basic ? `Basic ${pair}` : usesToken(server) ? `Bearer ${token}` : undefined;
  return {
    "user-agent": "sentinel",
    ...(authorization === undefined ? {} : { authorization }),
    ...(workspace === undefined ? {} : { "x-mlflow-workspace": workspace }),
  };
}

function queryOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  return search.size === 0 ? "" : `?${search}`;
}

function parsed({ bytes }: Body, url: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch (cause) {
    throw new SentinelError("registry.unreachable", `${url} answered with something that is no JSON`, {
      hint: "is MLFLOW_TRACKING_URI the address of an MLflow server? A login page in front of it answers like this, too",
      cause,
    });
  }
}
