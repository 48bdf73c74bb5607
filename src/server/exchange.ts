// An exchange: one request whose body is there or coming, and where its answer goes.
import type { ServerResponse } from "node:http";
import { REQUEST_ID } from "./request-id.ts";
import type { SafetyHeaders } from "./safety.ts";

export interface Exchange {
  /** The request's, which the answer names. */
  readonly id: string;
  /** A header of the request that came once. */
  header(name: string): string | undefined;
  /** Answers, where somebody still waits. `head`: names and values by turns, besides those that every answer has. */
  respond(status: number, head: readonly string[], text: string): void;
}

/** An exchange by node:http. */
export function httpExchange(
  response: ServerResponse,
  { id, safety }: { readonly id: string; readonly safety: SafetyHeaders },
): Exchange {
  return {
    id,
    header: (name) => {
      const value = response.req.headers[name];
      return typeof value === "string" ? value : undefined;
    },
    respond(status, head, text) {
      if (response.headersSent || response.destroyed) return;
      const length = String(Buffer.byteLength(text));
      response.writeHead(status, [...head, "content-length", length, REQUEST_ID, id, ...safety]);
      response.end(text);
    },
  };
}
