// Brains by HTTP: `sentinel serve` on one or several addresses, also behind one name that DNS resolves to many.
import { lookup } from "node:dns/promises";
import { Agent, type IncomingMessage, request } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { isIP } from "node:net";
import { messageOf } from "../../../core/errors.ts";
import type { Brain, BrainReply, Brains } from "../../../ports/brain.ts";

export interface HttpBrainsOptions {
  /** Such as http://brains:8000/predict. */
  readonly urls: readonly URL[];
  /** Service key of the brains; null: none. */
  readonly key: string | null;
  readonly onFault?: (message: string) => void;
  /** How often names are looked up. */
  readonly lookMs?: number;
}

const LOOK_MS = 5000;
/** Connections to one brain; a request beyond waits for one, within its deadline. */
const SOCKETS_MAX = 256;
/** Addresses of one name. */
const ADDRESSES_MAX = 256;
const REPLY_BYTES_MAX = 1_048_576;
const TOO_MANY = 429;

/** What may be reached: nothing is asked before {@link Brains.open}. */
export function httpBrains(options: HttpBrainsOptions): Brains {
  const { urls, onFault = () => {}, lookMs = LOOK_MS } = options;
  let known = new Map<string, HttpBrain>();
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const next = new Map<string, HttpBrain>();
    for (const url of urls) {
      const before = [...known].filter(([, brain]) => brain.url === url);
      const addresses = await addressesOf(url).catch((error: unknown) => {
        onFault(`${url.hostname} cannot be looked up: ${messageOf(error)}`);
        return null;
      });
      // A name that cannot be looked up now still stands for where it was.
      if (addresses === null) for (const [key, brain] of before) next.set(key, brain);
      for (const address of addresses ?? []) {
        const key = `${url.href} ${address}`;
        next.set(key, known.get(key) ?? new HttpBrain(url, address, options.key));
      }
    }
    for (const [key, brain] of known) if (!next.has(key)) brain.close();
    known = next;
  };
  return {
    all: () => [...known.values()],
    async open() {
      await look();
      if (urls.every(({ hostname }) => isIP(hostname.replace(/^\[|\]$/g, "")) !== 0)) return;
      timer = setInterval(() => void look(), lookMs).unref();
    },
    close() {
      clearInterval(timer);
      for (const brain of known.values()) brain.close();
    },
  };
}

async function addressesOf({ hostname }: URL): Promise<readonly string[]> {
  const bare = hostname.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return [bare];
  const found = await lookup(bare, { all: true });
  // One machine often has an address of each kind, and only one of them is listened on.
  const wanted = found.some(({ family }) => family === 4) ? found.filter(({ family }) => family === 4) : found;
  return [...new Set(wanted.map(({ address }) => address))].sort().slice(0, ADDRESSES_MAX);
}

class HttpBrain implements Brain {
  readonly where: string;
  readonly url: URL;
  private readonly address: string;
  private readonly agent: Agent;
  private readonly headers: Readonly<Record<string, string>>;

  constructor(url: URL, address: string, key: string | null) {
    this.url = url;
    this.address = address;
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
    this.where = `${address.includes(":") ? `[${address}]` : address}:${port}`;
    const options = { keepAlive: true, maxSockets: SOCKETS_MAX, noDelay: true };
    this.agent = url.protocol === "https:" ? new TlsAgent(options) : new Agent(options);
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
    const { url, address, agent } = this;
    const ask = url.protocol === "https:" ? tlsRequest : request;
    return new Promise((resolve, reject) => {
      const asking = ask(
        {
          host: address,
          port: url.port,
          servername: url.hostname,
          path: url.pathname,
          method: "POST",
          agent,
          signal,
          headers: { ...this.headers, "content-length": Buffer.byteLength(body), "x-request-id": requestId },
        },
        (response) => collect(response, { where: this.where, resolve, reject }),
      );
      asking.on("error", reject);
      asking.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

function collect(
  response: IncomingMessage,
  to: { readonly where: string; resolve(reply: BrainReply): void; reject(error: Error): void },
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
    if (status === TOO_MANY || status >= 500 || status < 200) to.reject(new Error(`${to.where} answered ${status}`));
    else to.resolve({ status, text });
  });
}
