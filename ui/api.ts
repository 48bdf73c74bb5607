// The API client: each route by its name in /openapi.json, with the types of its query, body and answer; every fault a Problem.
import type { Routes, Schemas } from "./api.gen.ts";

export type RouteName = keyof Routes;
export type Answer<R extends RouteName> = Routes[R]["answer"];
type Query<R extends RouteName> = Routes[R]["query"];
type Body<R extends RouteName> = Routes[R]["body"];
type Problem = Schemas["Problem"];

/** What the server demands of every change that a browser sends. */
const DESK_HEADER = "x-sentinel-desk";
/** How long an answer may take before the page says so, milliseconds. */
const WAIT_MS_MAX = 90_000;

/** A request that failed, in the words of the server. */
export class Fault extends Error {
  readonly problem: Pick<Problem, "status" | "code" | "hint" | "title" | "errors">;

  constructor(message: string, problem: Fault["problem"]) {
    super(message);
    this.problem = problem;
  }

  /** Nobody is logged in any more. */
  get isLogout(): boolean {
    return this.problem.status === 401;
  }
}

export interface Asked<R extends RouteName> {
  /** Values of `{names}` in the path. */
  readonly at?: Readonly<Record<string, string | number>>;
  readonly query?: Query<R>;
  readonly body?: Body<R>;
  /** The ETag of what is changed. */
  readonly match?: string;
  readonly signal?: AbortSignal;
}

export interface Reply<T> {
  readonly body: T;
  readonly next: string | null;
  readonly etag: string | null;
}

/** Who hears that a session ended. */
let onLogout: () => void = () => {};
export function whenLoggedOut(listen: () => void): void {
  onLogout = listen;
}

/** The address of a route, as a link or for `fetch`. */
export function urlOf<R extends RouteName>(route: R, { at = {}, query }: Pick<Asked<R>, "at" | "query"> = {}): string {
  const path = route
    .slice(route.indexOf(" ") + 1)
    .replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(at[name] ?? "")));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Asks, and gives the body with what stands in the head. Throws {@link Fault}. */
export async function ask<R extends RouteName>(route: R, asked: Asked<R> = {}): Promise<Reply<Answer<R>>> {
  const { body, match, signal } = asked;
  const method = route.slice(0, route.indexOf(" "));
  const headers: Record<string, string> = { accept: "application/json", [DESK_HEADER]: "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (match !== undefined) headers["if-match"] = match;
  const late = AbortSignal.timeout(WAIT_MS_MAX);
  let response: Response;
  try {
    response = await fetch(urlOf(route, asked), {
      method,
      headers,
      credentials: "same-origin",
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new Fault("The server does not answer.", {
      status: 0,
      code: "network",
      title: "No answer",
      hint: "Is `sentinel serve` still running, and this machine online? The page tries again by itself.",
    });
  }
  if (!response.ok) throw await faultOf(response, route);
  return {
    // 204: there is nothing.
    body: (response.status === 204 ? null : await response.json()) as Answer<R>,
    next: response.headers.get("x-next-cursor"),
    etag: response.headers.get("etag"),
  };
}

/** As {@link ask}, of which only the body matters. */
export async function get<R extends RouteName>(route: R, asked: Asked<R> = {}): Promise<Answer<R>> {
  return (await ask(route, asked)).body;
}

async function faultOf(response: Response, route: RouteName): Promise<Fault> {
  const problem = (await response.json().catch(() => null)) as Problem | null;
  const fault = new Fault(problem?.detail ?? `The server answers ${response.status}.`, {
    status: response.status,
    code: problem?.code ?? "unknown",
    title: problem?.title ?? "",
    hint: problem?.hint ?? "",
    ...(problem?.errors === undefined ? {} : { errors: problem.errors }),
  });
  if (fault.isLogout && route !== "POST /api/session") onLogout();
  return fault;
}
