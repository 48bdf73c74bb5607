// Questions in JSON to a running server, with a time limit and errors that say whom to look at.
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";

const TIMEOUT_MS = 60_000;
const NO_CONTENT = 204;
/** Characters of a refusal's text that are shown. */
const DETAIL_MAX = 500;

/** The answer's JSON. No answer is `server.not-ready`; a refusal is `refused`, with what the server said. */
export async function postJson(
  url: string,
  body: unknown,
  options: { readonly refused: ErrorCode; readonly key?: string | null },
): Promise<unknown> {
  return askJson(url, { method: "POST", body, ...options });
}

/** The same of any question; null where the answer has no content. */
export async function askJson(
  url: string,
  options: {
    readonly method: "GET" | "POST";
    readonly body?: unknown;
    /** The version that is changed. */
    readonly etag?: string;
    readonly refused: ErrorCode;
    readonly key?: string | null;
  },
): Promise<unknown> {
  const { method, body, etag, key = null } = options;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(etag === undefined ? {} : { "if-match": `"${etag}"` }),
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new SentinelError("server.not-ready", `no answer from ${url}: ${messageOf(error)}`, {
      hint: "is the server running? `sentinel serve`",
      cause: error,
    });
  }
  if (response.status === NO_CONTENT) return null;
  if (response.ok) return response.json();
  const problem = (await response.json().catch(() => ({}))) as { readonly detail?: string; readonly hint?: string };
  throw new SentinelError(
    options.refused,
    `${url} answered ${response.status}: ${(problem.detail ?? "").slice(0, DETAIL_MAX)}`,
    {
      hint: problem.hint ?? "nothing of this request was taken; see the server's log",
    },
  );
}
