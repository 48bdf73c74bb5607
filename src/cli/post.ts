// Posting JSON to a running server, with a time limit and errors that say whom to look at.
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";

const TIMEOUT_MS = 60_000;
/** Characters of a refusal's text that are shown. */
const DETAIL_MAX = 500;

/** The answer's JSON. No answer is `server.not-ready`; a refusal is `refused`, with what the server said. */
export async function postJson(
  url: string,
  body: unknown,
  options: { readonly refused: ErrorCode; readonly key?: string | null },
): Promise<unknown> {
  const { key = null } = options;
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new SentinelError("server.not-ready", `no answer from ${url}: ${messageOf(error)}`, {
      hint: "is the server running? `sentinel serve`",
      cause: error,
    });
  }
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
