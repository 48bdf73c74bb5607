// The stream's small HTTP port: whether it lives, whether every pipeline works, and what Prometheus reads.
import { createServer, type Server } from "node:http";
import { SentinelError } from "../core/errors.ts";

export interface ProbeParts {
  /** Why a pipeline does not work; an empty list: all do. */
  readonly faults: () => readonly { readonly pipeline: string; readonly fault: string }[];
  readonly metrics: () => Promise<string>;
  readonly contentType: string;
}

export interface Probes {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 100;
const REQUEST_MS_MAX = 10_000;

/** Throws `server.port-in-use`. */
export async function openProbes(
  parts: ProbeParts,
  at: { readonly host: string; readonly port: number },
): Promise<Probes> {
  const server = createServer(
    { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX },
    (request, response) => {
      const say = (status: number, body: string, type = "application/json"): void => {
        response.writeHead(status, { "content-type": type }).end(body);
      };
      const path = (request.url ?? "").split("?")[0];
      if (request.method !== "GET" && request.method !== "HEAD") say(405, '{"status":"only GET"}');
      else if (path === "/livez") say(200, '{"status":"alive"}');
      else if (path === "/readyz") {
        const faults = parts.faults();
        say(
          faults.length === 0 ? 200 : 503,
          JSON.stringify({ status: faults.length === 0 ? "ready" : "not ready", faults }),
        );
      } else if (path === "/metrics") {
        void parts.metrics().then(
          (text) => say(200, text, parts.contentType),
          () => say(500, '{"status":"the measures could not be written"}'),
        );
      } else say(404, '{"status":"there are /livez, /readyz and /metrics"}');
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  await listening(server, at);
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : at.port;
  return {
    host: at.host,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        new SentinelError("server.port-in-use", `cannot listen on ${host}:${port}: ${error.message}`, {
          hint: "choose another --port, or 0 for a free one",
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}
