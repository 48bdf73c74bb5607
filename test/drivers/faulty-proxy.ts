// A network between a client and a server that loses requests and answers, or answers something else, as it is told.
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

/**
 * "lose-request": the server never sees it. "lose-answer": the server does it, and nobody hears. "hang": no answer, ever.
 * "cut-body": the server gets the first half, and says that all is well.
 */
export type Fault =
  | "cut-body"
  | "lose-request"
  | "lose-answer"
  | "hang"
  | { readonly status: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> };

export interface FaultyProxy {
  readonly uri: string;
  /** "POST /api/2.0/…" of every request, in order. */
  readonly seen: { readonly line: string; readonly headers: IncomingMessage["headers"] }[];
  /** What happens to a request; null: it passes. */
  fault: (line: string) => Fault | null;
  /** A request goes on once this has settled. */
  hold: (line: string) => Promise<void>;
  /** The name under which the server is asked. */
  host: string | null;
  close(): Promise<void>;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const proxy: { -readonly [K in keyof FaultyProxy]: FaultyProxy[K] } = {
    uri: "",
    seen: [],
    fault: () => null,
    hold: async () => {},
    host: null,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer(async (incoming, outgoing) => {
    const line = `${incoming.method} ${incoming.url}`;
    proxy.seen.push({ line, headers: incoming.headers });
    await proxy.hold(line);
    const fault = proxy.fault(line);
    if (fault === "hang") return;
    if (fault === "lose-request") incoming.destroy();
    else if (fault === "cut-body") forwardHalf(incoming, outgoing, target);
    else if (fault === null || fault === "lose-answer") {
      const headers = { ...incoming.headers, host: proxy.host ?? new URL(target).host };
      forward(incoming, outgoing, { target, headers, lose: fault !== null });
    } else outgoing.writeHead(fault.status, fault.headers).end(fault.text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  proxy.uri = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return proxy;
}

function forwardHalf(incoming: IncomingMessage, outgoing: ServerResponse, target: string): void {
  const parts: Buffer[] = [];
  incoming.on("data", (part: Buffer) => parts.push(part));
  incoming.once("end", () => {
    const body = Buffer.concat(parts);
    const half = body.subarray(0, body.length >> 1);
    const headers = { ...incoming.headers, host: new URL(target).host, "content-length": String(half.length) };
    const onward = request(`${target}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.once("error", () => outgoing.destroy());
    onward.end(half);
  });
}

interface Passage {
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly lose: boolean;
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, { target, headers, lose }: Passage): void {
  const onward = request(`${target}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
    if (lose) {
      answer.resume();
      answer.once("end", () => outgoing.destroy());
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  onward.once("error", () => outgoing.destroy());
  incoming.pipe(onward);
}
