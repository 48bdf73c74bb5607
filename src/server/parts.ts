// The parts of a running server that routes share, and what a route is.
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Engine } from "../online/engine.ts";
import type { Access, Caller, Need } from "./access.ts";
import type { Intake } from "./intake.ts";
import type { Measures } from "./measures.ts";
import type { Overload } from "./overload.ts";

/** The engine, and what only a door over HTTP needs. */
export interface ServerParts extends Engine {
  readonly measures: Measures;
  readonly overload: Overload;
  readonly intake: Intake;
  readonly access: Access;
  readonly packageVersion: string;
}

/** A request as a route sees it; `incoming` is missing where no socket is behind it (tests by app.request). */
export type RequestContext = Context<DoorEnv>;

export interface DoorEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { caller: Caller };
}

/** An answer is waited for no longer, from when the body is there, in milliseconds; it is more than the waits for a shared state and a log that answers late come to. */
export const BUDGET_MS = 2000;

/** One route: what it does and how the OpenAPI document describes it. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** What it asks for, once keys exist. */
  readonly access: Need;
  readonly summary: string;
  /** True for routes that are refused when the server is overloaded. */
  readonly shed?: boolean;
  /** Parameters of the query by name: what they do, and the schema of their value. */
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: object }>>;
  /** Media types of the body with their schemas. */
  readonly body?: Readonly<Record<string, object>>;
  /** Schema of the answer, by media type. */
  readonly answers: Readonly<Record<string, object>>;
  /** True for a route that answers 503 with the same body while the server is not ready, not with a problem. */
  readonly tellsUnready?: boolean;
  run(parts: ServerParts, context: RequestContext): Response | Promise<Response>;
}

/** A JSON answer. */
export function jsonResponse(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
}
