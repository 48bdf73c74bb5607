// Safety headers: what browsers and proxies must not do with any answer.
import type { ServerResponse } from "node:http";

/** Names and values by turns, as `writeHead` takes them. */
export type SafetyHeaders = readonly string[];

const ALWAYS: SafetyHeaders = [
  "x-content-type-options",
  "nosniff",
  "cache-control",
  "no-store",
  "x-frame-options",
  "DENY",
  "referrer-policy",
  "no-referrer",
];
const YEAR_S = 31_536_000;

export function safetyHeaders(tls: boolean): SafetyHeaders {
  return tls ? [...ALWAYS, "strict-transport-security", `max-age=${YEAR_S}`] : ALWAYS;
}

/** Sets them on an answer that somebody else writes. */
export function protect(response: ServerResponse, headers: SafetyHeaders): void {
  for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i], headers[i + 1]);
}
