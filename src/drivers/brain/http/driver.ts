// Brains by HTTP: `sentinel serve`, over connections that stay open.
import { Agent, type IncomingMessage, request } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { Brain, BrainReply } from "../../../ports/brain.ts";
import type { BrainPlace, BrainTls, MakeBrain } from "../named.ts";
import { REPLY_BYTES_MAX, replyOf } from "../reply.ts";

export interface HttpBrainOptions {
  /** Service key of the brains; null: none. */
  readonly key: string | null;
  readonly tls?: BrainTls | null;
}

/** Connections to one brain; a request beyond waits for one, within its deadline. */
const SOCKETS_MAX = 256;

/** Makes brains of places whose URLs are those of a route such as /predict. */
export function httpBrain(options: HttpBrainOptions): MakeBrain {
  return (place) => new HttpBrain(place, options);
}

class HttpBrain implements Brain {
  readonly where: string;
  private readonly place: BrainPlace;
  private readonly agent: Agent;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(place: BrainPlace, { key, tls }: HttpBrainOptions) {
    this.place = place;
    this.where = place.where;
    const { url } = place;
    const options = { keepAlive: true, maxSockets: SOCKETS_MAX, noDelay: true };
    this.agent = url.protocol === "https:" ? new TlsAgent({ ...options, ...pemsOf(tls ?? null) }) : new Agent(options);
    this.headers = {
      host: url.host,
      "content-type": "application/json",
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    };
  }

  score(
    body: string,
    { requestId, signal }: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<BrainReply> {
    const { agent, where } = this;
    const { url, address, port } = this.place;
    const ask = url.protocol === "https:" ? tlsRequest : request;
    return new Promise((resolve, reject) => {
      const asking = ask(
        {
          host: address,
          port,
          servername: url.hostname,
          path: url.pathname,
          method: "POST",
          agent,
          signal,
          headers: { ...this.headers, "content-length": Buffer.byteLength(body), "x-request-id": requestId },
        },
        (response) => collect(response, { where, resolve, reject }),
      );
      asking.on("error", reject);
      asking.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** Only what is given: the rest is the system's. */
function pemsOf(tls: BrainTls | null): Record<string, string> {
  return Object.fromEntries(Object.entries(tls ?? {}).filter((pair): pair is [string, string] => pair[1] !== null));
}

function collect(
  response: IncomingMessage,
  to: { readonly where: string; resolve(reply: BrainReply): void; reject(error: unknown): void },
): void {
  const status = response.statusCode ?? 0;
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (piece: string) => {
    text += piece;
    if (text.length > REPLY_BYTES_MAX) response.destroy(new Error(`the answer of ${to.where} is too long`));
  });
  response.on("error", to.reject);
  response.on("close", () => {
    if (!response.complete) to.reject(new Error(`${to.where} broke its answer off`));
  });
  response.on("end", () => {
    try {
      to.resolve(replyOf(to.where, { status, text }));
    } catch (error) {
      to.reject(error);
    }
  });
}
