// What an MLflow server answers when it does not do what was asked, as an error that says what to do next.
import { createHash } from "node:crypto";
import { SentinelError } from "../../../core/errors.ts";

/** Much of an HTML page or a stack is no message. */
const MESSAGE_MAX = 500;
/** Answers that may be others in a moment. */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

const LOGIN_HINT =
  "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to what the server knows";
const TOKEN_HINT = "a server that asks for a name and a password may answer a token like this: ";
const ABSENT = /\[Errno 2\] No such file|NoSuchKey/;

/** The server understood and said no; the caller knows what its code means for what it asked. */
export interface MlflowRefusal extends Error {
  readonly name: "MlflowRefusal";
  readonly errorCode: string;
  readonly status: number;
}

export function isRefusal(error: unknown, ...codes: readonly string[]): error is MlflowRefusal {
  if (!(error instanceof Error) || error.name !== "MlflowRefusal") return false;
  return codes.length === 0 || codes.includes((error as MlflowRefusal).errorCode);
}

/** True when the same call may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  return error instanceof SentinelError && error.code === "registry.unreachable" && error.cause !== undefined;
}

const FORBIDS = "does not permit this:";

/** True when the server knows us and does not let us: what it says of things that are not there, too, when it has a login. */
export function isForbidden(error: unknown): boolean {
  return error instanceof SentinelError && error.code === "registry.unreachable" && error.message.includes(FORBIDS);
}

/** A refusal that no caller expected, for people. */
export function explained(error: unknown, where: string): unknown {
  if (!isRefusal(error)) return error;
  const unknown = error.status === 404;
  return new SentinelError(
    unknown ? "registry.missing" : "registry.invalid",
    `the MLflow server at ${where} refused: ${error.message}`,
    {
      hint: unknown ? "was it deleted in MLflow? `sentinel registry list` shows what is there" : "see the server's log",
    },
  );
}

export interface Body {
  readonly bytes: Uint8Array;
  /** Taken while the rest was still on its way. */
  readonly sha256: string;
}

/** Reads an answer, giving up beyond a limit. Throws registry.corrupt then. */
export async function bodyOf(
  response: Response,
  { url, bytesMax }: { readonly url: string; readonly bytesMax: number },
): Promise<Body> {
  const hash = createHash("sha256");
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    const bytes = part as Uint8Array;
    length += bytes.length;
    if (length > bytesMax) {
      throw new SentinelError("registry.corrupt", `${url} is longer than the ${bytesMax} bytes it should have`, {
        hint: "the stored file is not the one that was registered; register the model again",
      });
    }
    hash.update(bytes);
    parts.push(bytes);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return { bytes: whole, sha256: hash.digest("hex") };
}

/** The error for an answer that is no 2xx. */
export function answerError(answer: {
  readonly where: string;
  readonly method: string;
  readonly url: string;
  readonly response: Response;
  readonly text: string;
  /** Whether our login has nothing but ASCII in it. */
  readonly ascii: boolean;
  /** Whether it is a token. */
  readonly token: boolean;
}): SentinelError | MlflowRefusal {
  const { where, response, text, ascii, token } = answer;
  const { status } = response;
  const { code, message } = refusalIn(text);
  const words = `${message.trim() === "" ? "no text" : message.trim().slice(0, MESSAGE_MAX)} (HTTP ${status})`;
  const unreachable = (what: string, hint: string, cause?: unknown) =>
    new SentinelError("registry.unreachable", `the MLflow server at ${where} ${what}`, { hint, cause });
  if (status >= 300 && status < 400) {
    const to = response.headers.get("location") ?? "somewhere else";
    return unreachable(`sends us on to ${to}`, "put the address it leads to into MLFLOW_TRACKING_URI");
  }
  if (/Invalid Host header/i.test(text)) {
    return unreachable(
      `does not answer under the name ${new URL(where).host}`,
      `start it with --allowed-hosts "${new URL(where).host}" (or MLFLOW_SERVER_ALLOWED_HOSTS): since MLflow 3.5 it refuses names it was not told`,
    );
  }
  if (status === 401) {
    return unreachable(
      "wants to know who asks, or does not believe it",
      `${LOGIN_HINT}${ascii ? "" : "; when files are stored, MLflow 3.18 takes a login of ASCII signs alone"}`,
    );
  }
  if (status === 403 || code === "PERMISSION_DENIED") {
    return unreachable(`${FORBIDS} ${words}`, "ask its administrator for the right to edit this experiment and model");
  }
  if (code === "FEATURE_DISABLED") {
    return unreachable(
      `lacks a feature: ${words}`,
      "unset MLFLOW_WORKSPACE, or start the server with --enable-workspaces",
    );
  }
  if (status === 503 && /serve-artifacts|artifact/i.test(text)) {
    return unreachable("does not pass files through", "start it with --serve-artifacts, which is its default");
  }
  // MLflow before 3.1 and stores behind it say so in a fault of their own.
  if (status === 500 && ABSENT.test(text))
    return Object.assign(new Error(words), { name: "MlflowRefusal" as const, errorCode: "NOT_FOUND", status: 404 });
  if (PASSING.has(status) && code !== "INVALID_STATE") {
    // MLflow's basic-auth looks for a password in a token, and where it keeps known logins in memory (auth_cache_ttl_seconds) falls over.
    const hint =
      token && status === 500 && code === ""
        ? `${TOKEN_HINT}${LOGIN_HINT}`
        : "try again; when it stays, its log says why";
    return unreachable(`fails: ${words}`, hint, { status });
  }
  return Object.assign(new Error(words), { name: "MlflowRefusal" as const, errorCode: code, status });
}

/** MLflow's own form, or whatever a proxy in front of it says. */
function refusalIn(text: string): { readonly code: string; readonly message: string } {
  try {
    const { error_code: code, message } = JSON.parse(text) as {
      readonly error_code?: unknown;
      readonly message?: unknown;
    };
    return { code: String(code ?? ""), message: String(message ?? text) };
  } catch {
    return { code: "", message: text.replaceAll(/<[^>]*>|\s+/g, " ") };
  }
}
