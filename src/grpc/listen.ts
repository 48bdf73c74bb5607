// Listening: a gRPC server on a port, with or without TLS, that takes so many connections; and a close that loses no call.

import { createServer, type Socket } from "node:net";
import { type ConnectionInjector, type Server, ServerCredentials } from "@grpc/grpc-js";
import { messageOf, SentinelError } from "../core/errors.ts";

/** PEM. */
export interface GrpcTls {
  readonly cert: string;
  readonly key: string;
  /** Whose certificates clients must show; null: they need none. */
  readonly clientCa: string | null;
}

export interface GrpcAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: GrpcTls | null;
}

export interface GrpcListening {
  readonly host: string;
  readonly port: number;
  /** Takes no more connections, says so on those that are there (GOAWAY), and resolves when their calls have ended, or `msMax` later. */
  close(msMax: number): Promise<void>;
}

/** Further connections are refused by the system; one carries hundreds of calls at once. */
const CONNECTIONS_MAX = 2000;

/** Errors: server.port-in-use, config.invalid (the certificate). */
export async function listenGrpc(server: Server, at: GrpcAddress): Promise<GrpcListening> {
  const injector = injectorOf(server, at.tls);
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A connection that breaks before it has a session is nobody's fault.
    socket.on("error", () => {});
    injector.injectConnection(socket);
  });
  listener.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    listener.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, at)));
    listener.listen(at.port, at.host, resolve);
  });
  const address = listener.address();
  const port = address !== null && typeof address === "object" ? address.port : at.port;
  return {
    host: at.host,
    port,
    async close(msMax) {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, msMax);
      });
      await Promise.race([Promise.all([ended, closed]), late]);
      clearTimeout(timer);
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function injectorOf(server: Server, tls: GrpcTls | null): ConnectionInjector {
  if (tls === null) return server.createConnectionInjector(ServerCredentials.createInsecure());
  try {
    const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
    const ca = tls.clientCa === null ? null : Buffer.from(tls.clientCa);
    return server.createConnectionInjector(ServerCredentials.createSsl(ca, [pair], ca !== null));
  } catch (error) {
    throw new SentinelError("config.invalid", `the certificate cannot be used: ${messageOf(error)}`, {
      hint: "give --tls-cert the certificate (and its chain), --tls-key its private key and --grpc-client-ca the certificate of the clients' authority, all as PEM",
      cause: error,
    });
  }
}

function listenError(error: NodeJS.ErrnoException, { host, port }: GrpcAddress): SentinelError {
  const inUse = error.code === "EADDRINUSE";
  return new SentinelError(
    "server.port-in-use",
    inUse ? `port ${port} on ${host} is taken` : `cannot listen on ${host}:${port}: ${messageOf(error)}`,
    { hint: "choose another with --grpc-port (0 takes a free one), or end the program that has it", cause: error },
  );
}
