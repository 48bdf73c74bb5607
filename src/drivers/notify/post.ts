// One POST to a receiver, with a time limit, no redirects, and a reason that never names the address: it may be a secret.
import { messageOf } from "../../core/errors.ts";

const TIMEOUT_MS = 10_000;
/** Characters of a receiver's own words that a reason shows. */
const WORDS_MAX = 200;

/** The receiver's status, and the beginning of its answer. Rejects when there was no answer, in words without the address. */
export async function postText(
  url: string,
  given: {
    readonly body: string;
    readonly type: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly timeoutMs?: number;
  },
): Promise<{ readonly status: number; readonly words: string }> {
  const { body, type, headers = {}, timeoutMs = TIMEOUT_MS } = given;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": type, ...headers },
      body,
      redirect: "error",
      signal,
    });
    return { status: response.status, words: await beginningOf(response) };
  } catch (error) {
    throw new Error(signal.aborted ? `no answer within ${timeoutMs} ms` : `no answer: ${reasonOf(error)}`);
  }
}

/** A receiver that answers without an end is left at the first words. */
async function beginningOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const { value } = await reader.read();
  await reader.cancel().catch(() => {});
  return Buffer.from(value ?? new Uint8Array())
    .toString("utf8")
    .slice(0, WORDS_MAX)
    .replace(/\s+/g, " ")
    .trim();
}

/** `ECONNREFUSED`, as Node has it, where fetch itself says nothing but that it failed. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as { readonly code?: unknown } | undefined) : undefined;
  if (typeof cause?.code === "string") return cause.code;
  return error instanceof TypeError ? "the connection failed" : messageOf(error).slice(0, WORDS_MAX);
}
