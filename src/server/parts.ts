// The parts of a running server that routes share, and what a route is.

import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Logger } from "pino";
import type { Pipeline } from "../lifecycle/pipeline.ts";
import type { Shadows } from "../lifecycle/shadow.ts";
import type { OnlineStates } from "../lifecycle/states.ts";
import type { Ports, PredictionLog } from "../ports.ts";
import type { Duplicates } from "./duplicates.ts";
import type { Live } from "./live.ts";
import type { Measures } from "./measures.ts";
import type { Overload } from "./overload.ts";
import type { TransactionParser } from "./parse.ts";

export interface ServerParts {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly log: PredictionLog;
  readonly states: OnlineStates;
  readonly shadows: Shadows;
  readonly live: Live;
  readonly parser: TransactionParser;
  readonly duplicates: Duplicates;
  readonly measures: Measures;
  readonly overload: Overload;
  readonly logger: Logger;
  readonly adminKey: string | null;
  readonly packageVersion: string;
  readonly aheadMaxMs: number;
}

/** A request as a route sees it; `incoming` is missing where no socket is behind it (tests by app.request). */
export type RequestContext = Context<{ Bindings: Partial<HttpBindings> }>;

/** One route: what it does and how the OpenAPI document describes it. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  /** True for routes that are refused when the server is overloaded. */
  readonly shed?: boolean;
  /** Parameters of the query by name: what they do, and the schema of their value. */
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: object }>>;
  /** Media types of the body with their schemas. */
  readonly body?: Readonly<Record<string, object>>;
  /** Schema of the answer, by media type. */
  readonly answers: Readonly<Record<string, object>>;
  run(parts: ServerParts, context: RequestContext): Response | Promise<Response>;
}

/** A JSON answer. */
export function jsonResponse(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
}
