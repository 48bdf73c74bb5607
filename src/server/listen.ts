// Listening: a request listener on a port, with or without TLS; every refusal a problem document; and a close that loses no request.
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Server as NetServer } from "node:net";
import { messageOf, SentinelError } from "../core/errors.ts";
import { problemOf } from "../online/problem.ts";
import { problemHeaders } from "./problem.ts";
import { endWithProblem, parserProblem, slowHead } from "./raw.ts";
import { REQUEST_ID, type RequestIds } from "./request-id.ts";
import { protect, safetyHeaders } from "./safety.ts";
import { type PlainRoad, type Wires, wiresOf } from "./wire.ts";

export interface Listening {
  readonly host: string;
  readonly port: number;
  /**
   * Goes on taking connections for `announceMs`, while every answer says `Connection: close`; then takes no more, lets requests in flight
   * end, and resolves when all connections are gone, or `msMax` later.
   */
  close(times: { readonly announceMs: number; readonly msMax: number }): Promise<void>;
}

/** A certificate and its key, PEM. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: Tls;
  /** A body announced as larger is refused before it is sent, where the client asks first. */
  readonly bodyMaxBytes: (route: string) => number;
  /** Answers plain requests without node:http; absent or null: nobody does. With TLS nobody does either. */
  readonly plain?: PlainRoad | null;
  /** Every answer names its request. */
  readonly requestIds: RequestIds;
  /** Told of each answer that no route gave. */
  readonly onRefused?: (status: number) => void;
}

/** A client that sends its head slower than this is cut off; bodies have a limit of their own, so that streams may be long. */
const HEAD_MS_MAX = 30_000;
/** How often slow heads are looked for. */
const HEAD_LOOK_MS = 5_000;
/** A connection on which nothing moves for so long, in a request or an answer, is cut off. */
const SILENCE_MS_MAX = 120_000;
/** Longer than the idle time of common load balancers (60 s), so that they, not we, end a connection. */
const KEEP_ALIVE_MS = 65_000;
const IDLE_LOOK_MS = 20;
/** A connection that was made just before the door closed still brings its request within this time. */
const LAST_REQUEST_MS = 250;
/** Further connections are refused by the system. */
const CONNECTIONS_MAX = 10_000;

/** Errors: server.port-in-use, config.invalid (the certificate). */
export async function listen(listener: RequestListener, options: ListenOptions): Promise<Listening> {
  const state = { closing: false };
  const pipelined: Pipelined = new WeakMap();
  const handle: RequestListener = (request, response) => {
    // Also for who is asked to come again: the next request of this connection would meet a closed door.
    if (state.closing) response.shouldKeepAlive = false;
    if (response.socket === null && isTooDeep(pipelined, { request, response })) {
      refuse({ request, response }, tooDeep(), options);
    } else if (request.headers.host === undefined && request.httpVersionMinor > 0) {
      refuse({ request, response }, unreadable("HTTP/1.1 needs a Host header"), options);
    } else if (hasTwoHosts(request)) {
      refuse({ request, response }, unreadable("it has more than one Host header"), options);
    } else listener(request, response);
  };
  const server = createServerOf(options.tls, handle);
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (wantsBody(request, options.bodyMaxBytes(request.url ?? "/"))) response.writeContinue();
    handle(request, response);
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    refuse({ request, response }, expectation(request.headers.expect ?? ""), options);
  });
  // Node would end the connection without a word.
  const safety = safetyHeaders(options.tls !== undefined);
  server.on("connect", (request: IncomingMessage, socket) => {
    const status = endWithProblem(socket, noTunnel(), { safety, id: idOf(request, options), allow: METHODS });
    if (status !== null) options.onRefused?.(status);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const problem = parserProblem(error);
    if (problem === null) return void socket.destroy();
    const status = endWithProblem(socket, problem, { safety, id: options.requestIds(undefined) });
    if (status !== null) options.onRefused?.(status);
  });
  // A client may close its half of the connection once it has sent its request, and wait for the answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.setTimeout(SILENCE_MS_MAX);
  server.maxConnections = CONNECTIONS_MAX;
  const wires = options.tls === undefined && options.plain ? wired(server, options.plain, options) : null;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : options.port;
  return {
    host: options.host,
    port,
    async close({ announceMs, msMax }) {
      state.closing = true;
      if (wires !== null) wires.closing = true;
      await new Promise((resolve) => setTimeout(resolve, announceMs));
      await close(server, wires, msMax);
    },
  };
}

function wired(server: Server, road: PlainRoad, { onRefused }: ListenOptions): Wires {
  return wiresOf({
    server,
    road,
    onRefused,
    headMsMax: HEAD_MS_MAX,
    keepAliveMs: KEEP_ALIVE_MS,
    silenceMsMax: SILENCE_MS_MAX,
    tooSlow: slowHead(),
  });
}

/** RFC 9112, 3.2: refused, because a proxy may have gone by the other one. Node keeps the first. */
function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name.length === HOST.length && name.toLowerCase() === HOST) count++;
  }
  return count > 1;
}

const HOST = "host";

/** Requests that wait for the answer to an earlier one, by connection. */
type Pipelined = WeakMap<object, number>;

/** Requests that a client may send ahead on one connection. Hardly any client does; one that never reads would fill the memory. */
const PIPELINED_MAX = 100;

/** Counts a request that was sent before the one ahead of it was answered. */
function isTooDeep(
  pipelined: Pipelined,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
): boolean {
  const { socket } = request;
  const depth = (pipelined.get(socket) ?? 0) + 1;
  pipelined.set(socket, depth);
  response.once("close", () => pipelined.set(socket, (pipelined.get(socket) ?? 1) - 1));
  return depth > PIPELINED_MAX;
}

function tooDeep(): SentinelError {
  return new SentinelError(
    "server.overloaded",
    `more than ${PIPELINED_MAX} requests were sent ahead on one connection`,
    {
      hint: "wait for answers, or use more connections",
    },
  );
}

const SERVER_OPTIONS: ServerOptions = {
  requestTimeout: 0,
  headersTimeout: HEAD_MS_MAX,
  connectionsCheckingInterval: HEAD_LOOK_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  // Node would answer a missing Host itself, without a word.
  requireHostHeader: false,
};

function createServerOf(tls: Tls | undefined, handle: RequestListener): Server {
  if (tls === undefined) return createServer(SERVER_OPTIONS, handle);
  try {
    return createTlsServer({ ...SERVER_OPTIONS, ...tls, minVersion: "TLSv1.2" }, handle) as unknown as Server;
  } catch (error) {
    throw new SentinelError("config.invalid", `the certificate cannot be used: ${messageOf(error)}`, {
      hint: "give --tls-cert the certificate (and its chain) and --tls-key its private key, both as PEM",
      cause: error,
    });
  }
}

/** Of some route or other. */
const METHODS = "GET, HEAD, POST, PATCH, DELETE";

/** The client's own id where it sent one that may be taken. */
function idOf({ headers }: IncomingMessage, { requestIds }: ListenOptions): string {
  const given = headers[REQUEST_ID];
  return requestIds(typeof given === "string" ? given : undefined);
}

function refuse(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  error: SentinelError,
  options: ListenOptions,
): void {
  const problem = problemOf(error);
  const body = JSON.stringify(problem);
  protect(response, safetyHeaders(options.tls !== undefined));
  response.shouldKeepAlive = false;
  response.writeHead(problem.status, {
    ...problemHeaders(error, problem),
    [REQUEST_ID]: idOf(request, options),
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
  options.onRefused?.(problem.status);
}

/** Whether a client that asks first should send its body. A stream may be of any length. */
function wantsBody({ headers }: IncomingMessage, bodyMaxBytes: number): boolean {
  return Number(headers["content-length"] ?? 0) <= bodyMaxBytes || /ndjson/i.test(headers["content-type"] ?? "");
}

/** A request that the parser took and that is none. */
export function unreadable(what: string): SentinelError {
  return new SentinelError("request.malformed", `the request cannot be read: ${what}`, {
    hint: "send a path and a Host header as RFC 9112 has them",
  });
}

function noTunnel(): SentinelError {
  return new SentinelError("request.method", "CONNECT asks for a tunnel, and this is no proxy", {
    hint: "send GET or POST to one of the routes; GET /docs shows them",
  });
}

function expectation(what: string): SentinelError {
  return new SentinelError("request.expectation", `Expect: ${what.slice(0, 100)} cannot be met`, {
    hint: "send Expect: 100-continue, or no Expect header",
  });
}

/** Takes no more connections, but lets those that are there bring the request that is on its way. */
async function close(server: Server, wires: Wires | null, msMax: number): Promise<void> {
  const timer = setTimeout(() => {
    server.closeAllConnections();
    wires?.closeAll();
  }, msMax);
  const closeIdle = (): void => {
    server.closeIdleConnections();
    wires?.closeIdle();
  };
  // The close of node:http would end idle connections at once, and with them requests that were just sent.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LAST_REQUEST_MS))]);
  // A kept-alive connection becomes idle when its request has ended; Node does not look again by itself.
  closeIdle();
  const idle = setInterval(closeIdle, IDLE_LOOK_MS);
  await closed;
  clearTimeout(timer);
  clearInterval(idle);
  wires?.stop();
  // Only now: it also ends the look for slow heads.
  server.close();
}

function listenError(
  error: NodeJS.ErrnoException,
  at: { readonly host: string; readonly port: number },
): SentinelError {
  const inUse = error.code === "EADDRINUSE";
  return new SentinelError(
    "server.port-in-use",
    inUse ? `port ${at.port} on ${at.host} is taken` : `cannot listen on ${at.host}:${at.port}: ${messageOf(error)}`,
    { hint: "choose another with --port (0 takes a free one), or end the program that has it", cause: error },
  );
}
