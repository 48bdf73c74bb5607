// Problems: what every door says of an error, in the shape of RFC 9457, with a code and a hint.
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";
import { type FieldFault, faultsOf } from "./faults.ts";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly hint: string;
  readonly errors?: readonly FieldFault[];
  readonly error?: string;
}

/** When to ask again, in seconds: the alias poll and the shed both look again within it. */
const RETRY_AFTER_S = 1;

const TITLES: Readonly<Record<number, string>> = {
  400: "The request cannot be read",
  401: "A key is needed",
  403: "This key may not do that",
  404: "Not found",
  405: "This method is not allowed here",
  408: "The request came too slowly",
  409: "In conflict with what is known",
  412: "Changed meanwhile",
  413: "The request is too large",
  417: "This expectation is not met",
  429: "Too many requests with this key",
  428: "A condition is needed",
  431: "The head of the request is too large",
  415: "This media type is not taken",
  422: "The request is not valid",
  500: "A bug in Sentinel",
  503: "Not able to answer now",
};

/** Where the title of the status would say something else. */
const TITLES_OF_CODES: Partial<Readonly<Record<ErrorCode, string>>> = {
  "ml.not-explainable": "This model cannot be explained",
};

/** What problems of a status are called, but for some codes. */
export function titleOf(status: number): string {
  return TITLES[status] ?? "The request failed";
}

/** The problem of anything thrown; a bug shows nothing of the inside. */
export function problemOf(error: unknown): Problem {
  const known =
    error instanceof SentinelError
      ? error
      : new SentinelError("bug.unexpected", "the server met a fault of its own", {
          hint: "look at the server's log for the stack; report it with the request that caused it",
          cause: error,
        });
  const { http } = known.kind;
  const faults = faultsOf(known);
  return {
    type: `urn:sentinel:error:${known.code}`,
    title: TITLES_OF_CODES[known.code] ?? titleOf(http),
    status: http,
    detail: known.message,
    code: known.code,
    hint: known.hint,
    ...(faults.length > 0 ? { errors: faults } : {}),
  };
}

/** After how many seconds the same request may succeed: what the error knows, else when the server looks again; null: it will not. */
export function retryAfterOf(error: unknown): number | null {
  if (!(error instanceof SentinelError) || !error.kind.retryable) return null;
  const { retryAfterS } = (error.cause ?? {}) as { readonly retryAfterS?: unknown };
  return typeof retryAfterS === "number" ? retryAfterS : RETRY_AFTER_S;
}

/** What the log gets of a bug: name and message, never the request's content. */
export function bugOf(error: unknown): { readonly error: string; readonly stack?: string } | null {
  if (error instanceof SentinelError && error.code !== "bug.unexpected") return null;
  return { error: messageOf(error), ...(error instanceof Error ? { stack: error.stack } : {}) };
}
