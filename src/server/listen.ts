// Listening: a request listener on a port, and a close that lets requests in flight end.
import { createServer, type RequestListener, type Server } from "node:http";
import { messageOf, SentinelError } from "../core/errors.ts";

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Takes no new connections; ends idle ones; resolves when all are gone, or after msMax. */
  close(msMax: number): Promise<void>;
}

/** A client that sends its head slower than this is cut off; bodies have a limit of their own, so that streams may be long. */
const HEAD_MS_MAX = 30_000;
/** A connection on which nothing moves for so long, in a request or an answer, is cut off. */
const SILENCE_MS_MAX = 120_000;
/** Longer than the idle time of common load balancers (60 s), so that they, not we, end a connection. */
const KEEP_ALIVE_MS = 65_000;
const IDLE_LOOK_MS = 20;
/** Further connections are refused by the system. */
const CONNECTIONS_MAX = 10_000;

/** Errors: server.port-in-use. */
export async function listen(
  listener: RequestListener,
  at: { readonly host: string; readonly port: number },
): Promise<Listening> {
  const limits = { requestTimeout: 0, headersTimeout: HEAD_MS_MAX, keepAliveTimeout: KEEP_ALIVE_MS };
  const server = createServer(limits, listener);
  server.setTimeout(SILENCE_MS_MAX);
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, at)));
    server.listen(at.port, at.host, resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : at.port;
  return { host: at.host, port, close: (msMax) => close(server, msMax) };
}

function close(server: Server, msMax: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), msMax);
    // A kept-alive connection becomes idle when its request has ended; Node does not look again by itself.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
    server.close(() => {
      clearTimeout(timer);
      clearInterval(idle);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function listenError(
  error: NodeJS.ErrnoException,
  at: { readonly host: string; readonly port: number },
): SentinelError {
  const taken = error.code === "EADDRINUSE";
  return new SentinelError(
    "server.port-in-use",
    taken ? `port ${at.port} on ${at.host} is taken` : `cannot listen on ${at.host}:${at.port}: ${messageOf(error)}`,
    { hint: "choose another with --port (0 takes a free one), or end the program that has it", cause: error },
  );
}
