// Brains by HTTP: `sentinel serve`, over connections that stay open.
import { type Dispatcher, Pool } from "undici";
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
/** A connection that was begun while the brain was cut off is begun anew, so that one that is back is found soon. */
const CONNECT_MS_MAX = 2000;

/** Makes brains of places whose URLs are those of a route such as /predict. */
export function httpBrain(options: HttpBrainOptions): MakeBrain {
  return (place) => new HttpBrain(place, options);
}

class HttpBrain implements Brain {
  readonly where: string;
  private readonly path: string;
  private readonly pool: Pool;
  /** Of every request: name, value, name, value. */
  private readonly headers: readonly string[];

  constructor({ where, url, address, port }: BrainPlace, { key, tls }: HttpBrainOptions) {
    this.where = where;
    this.path = url.pathname;
    const host = address.includes(":") ? `[${address}]` : address;
    this.pool = new Pool(`${url.protocol}//${host}:${port}`, {
      connections: SOCKETS_MAX,
      // Nobody waits behind a request that is slow.
      pipelining: 1,
      // Whoever asks gives up by a signal.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: REPLY_BYTES_MAX,
      connect: { timeout: CONNECT_MS_MAX, servername: url.hostname, ...pemsOf(tls ?? null) },
    });
    this.headers = [
      ...["host", url.host, "content-type", "application/json"],
      ...(key === null ? [] : ["authorization", `Bearer ${key}`]),
    ];
  }

  score(
    body: string,
    { requestId, signal }: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<BrainReply> {
    const { where, path } = this;
    if (signal.aborted) return Promise.reject(new Error(`${where} was not asked: nobody waits`));
    return new Promise((resolve, reject) => {
      const asked = new Asked({ where, signal, resolve, reject });
      const headers = [...this.headers, "x-request-id", requestId];
      this.pool.dispatch({ path, method: "POST", headers, body }, asked);
    });
  }

  close(): void {
    // What is under way ends with an error of its own.
    this.pool.destroy().catch(() => {});
  }
}

/** Only what is given: the rest is the system's. */
function pemsOf(tls: BrainTls | null): Record<string, string> {
  return Object.fromEntries(Object.entries(tls ?? {}).filter((pair): pair is [string, string] => pair[1] !== null));
}

interface Asking {
  readonly where: string;
  readonly signal: AbortSignal;
  resolve(reply: BrainReply): void;
  reject(error: unknown): void;
}

/** One request: what comes back, and its end when nobody waits any more. */
class Asked implements Dispatcher.DispatchHandlers {
  private readonly on: Asking;
  private status = 0;
  private pieces: Buffer[] = [];
  private abort: ((error?: Error) => void) | null = null;
  private over = false;

  constructor(on: Asking) {
    this.on = on;
    on.signal.addEventListener("abort", this.giveUp, { once: true });
  }

  /** Called when a connection takes it, which may be after its end. */
  onConnect(abort: (error?: Error) => void): void {
    if (this.over) abort();
    else this.abort = abort;
  }

  onHeaders(status: number): boolean {
    this.status = status;
    return true;
  }

  onData(piece: Buffer): boolean {
    this.pieces.push(piece);
    return true;
  }

  onComplete(): void {
    if (!this.end()) return;
    const { pieces, status, on } = this;
    const text = (pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)).toString("utf8");
    try {
      on.resolve(replyOf(on.where, { status, text }));
    } catch (error) {
      on.reject(error);
    }
  }

  onError(error: Error): void {
    if (this.end()) this.on.reject(error);
  }

  private readonly giveUp = (): void => {
    if (!this.end()) return;
    const { where, signal, reject } = this.on;
    const reason = signal.reason instanceof Error ? signal.reason : new Error(`${where} was given up`);
    this.abort?.(reason);
    reject(reason);
  };

  /** False where it had ended already. */
  private end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.on.signal.removeEventListener("abort", this.giveUp);
    return true;
  }
}
