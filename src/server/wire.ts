// Wires: connections whose requests are all plain are read and answered without node:http, which takes over, bytes and all, at the first other one.
import { type Server, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { SentinelError } from "../core/errors.ts";
import { bearerIn } from "../core/key.ts";
import type { Clock } from "../ports/ports.ts";
import type { Exchange } from "./exchange.ts";
import { PLAIN_HEAD_BYTES_MAX, type PlainHead, readPlainHead } from "./plain-head.ts";
import { endWithProblem } from "./raw.ts";
import { REQUEST_ID } from "./request-id.ts";
import type { SafetyHeaders } from "./safety.ts";

/** Who answers plain requests. */
export interface PlainRoad {
  readonly safety: SafetyHeaders;
  readonly clock: Clock;
  requestId(given: string | undefined): string;
  /** Whether it takes a request of such a path and so many bytes. */
  takes(path: string, bytes: number): boolean;
  /** Takes a request that is there whole; answers by the exchange, once, and never throws. */
  take(exchange: Exchange, request: PlainRequest): void;
}

export interface PlainRequest {
  readonly path: string;
  readonly body: Uint8Array;
  /** As the client sent it. */
  readonly key: string | null;
  readonly socket: Socket;
}

export interface WireOptions {
  readonly server: Server;
  readonly road: PlainRoad;
  /** How long a new connection may say nothing, what it receives then, and how long one may be idle that had an answer. */
  readonly headMsMax: number;
  readonly tooSlow: SentinelError;
  readonly keepAliveMs: number;
  /** How long an answer may wait for its client to read. */
  readonly silenceMsMax: number;
  /** Told of each answer that no route gave. */
  readonly onRefused?: (status: number) => void;
}

export interface Wires {
  /** True: every answer says that the connection ends, and ends it. */
  closing: boolean;
  /** Ends connections on which nothing is being answered. */
  closeIdle(): void;
  closeAll(): void;
  stop(): void;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LOOK_MS = 1000;
/** Heads that are kept; where each has an id of its own, all are forgotten now and then. */
const HEADS_MAX = 256;

/** Takes the server's new connections from node:http, and gives each back when it brings what is not plain. */
export function wiresOf(options: WireOptions): Wires {
  const { server, headMsMax, keepAliveMs, silenceMsMax, tooSlow, onRefused } = options;
  const listeners = server.listeners("connection") as ((this: Server, socket: Socket) => void)[];
  const shared: Shared = {
    road: options.road,
    wires: new Set<Wire>(),
    keepAliveMs,
    closing: false,
    heads: new Map(),
    tail: "",
    tailOf: Number.NaN,
    toHttp: (socket) => {
      for (const listener of listeners) listener.call(server, socket);
    },
  };
  const { wires } = shared;
  server.removeAllListeners("connection");
  server.on("connection", (socket) => void wires.add(new Wire(socket, shared)));
  const timer = setInterval(() => {
    const now = options.road.clock.elapsed();
    for (const wire of wires) {
      const ms = now - wire.since;
      if (wire.busy || ms < Math.min(headMsMax, keepAliveMs, silenceMsMax)) continue;
      if (wire.socket.writableLength > 0) {
        if (ms >= silenceMsMax) wire.socket.destroy();
      } else if (wire.answered ? ms >= keepAliveMs : ms >= headMsMax) {
        const status = wire.answered ? null : endWithProblem(wire.socket, tooSlow);
        if (status !== null) onRefused?.(status);
        wire.socket.destroySoon();
      }
    }
  }, LOOK_MS).unref();
  return {
    get closing() {
      return shared.closing;
    },
    set closing(closing) {
      shared.closing = closing;
      shared.tailOf = Number.NaN;
    },
    closeIdle() {
      for (const wire of wires) if (!wire.busy && wire.socket.writableLength === 0) wire.socket.destroy();
    },
    closeAll() {
      for (const wire of wires) wire.socket.destroy();
    },
    stop: () => clearInterval(timer),
  };
}

interface Shared {
  readonly road: PlainRoad;
  readonly wires: Set<Wire>;
  readonly keepAliveMs: number;
  readonly toHttp: (socket: Socket) => void;
  closing: boolean;
  /** Plain heads by their text: a client's are mostly alike. */
  readonly heads: Map<string, PlainHead>;
  /** The last lines of every head, and the second that they name. */
  tail: string;
  tailOf: number;
}

/** One connection, and the request that it has under way; there is one at a time. */
class Wire implements Exchange {
  readonly socket: Socket;
  id = "";
  /** A request is being answered. */
  busy = false;
  /** One was. */
  answered = false;
  /** When something last moved, by the clock's elapsed time. */
  since: number;
  private readonly shared: Shared;
  /** Of the request under way. */
  private head: PlainHead | null = null;
  /** What came while a request was being answered. */
  private later: Buffer[] = [];
  private ended = false;
  /** The last answer was given, and said so. */
  private over = false;

  constructor(socket: Socket, shared: Shared) {
    this.socket = socket;
    this.shared = shared;
    this.since = shared.road.clock.elapsed();
    socket.on("data", this.onData).on("end", this.onEnd).on("drain", this.onDrain);
    socket.on("error", this.onError).on("close", this.onClose);
  }

  header(name: string): string | undefined {
    return this.head?.headers.get(name);
  }

  respond(status: number, head: readonly string[], text: string): void {
    const { socket, shared } = this;
    this.busy = false;
    this.answered = true;
    this.since = shared.road.clock.elapsed();
    if (socket.destroyed) return;
    let lines = "";
    let isLast = shared.closing || this.ended;
    for (let i = 0; i < head.length; i += 2) {
      // Who says that the connection ends says it instead of the tail.
      if (head[i] === "connection") isLast = true;
      else lines += `${head[i]}: ${head[i + 1]}\r\n`;
    }
    const bytes = Buffer.byteLength(text);
    const start = `HTTP/1.1 ${status === 200 ? "200 OK" : `${status} ${STATUS_CODES[status] ?? "Error"}`}\r\n`;
    const tail = tailOf(shared, isLast);
    // As many bytes as characters: then both are ASCII, which is written fastest as Latin-1.
    socket.write(
      `${start}${lines}content-length: ${bytes}\r\n${REQUEST_ID}: ${this.id}\r\n${tail}${text}`,
      bytes === text.length ? "latin1" : "utf8",
    );
    this.over = isLast;
    if (isLast) socket.end();
    else if (this.later.length > 0) this.handOver(this.later);
    // Who does not read gets no more answers.
    else if (socket.writableNeedDrain) socket.pause();
  }

  private readonly onData = (chunk: Buffer): void => {
    // What comes after an answer that ends the connection must not be answered (RFC 9112, 9.6), nor judged: nobody would hear of it.
    if (this.over) return;
    const { road } = this.shared;
    this.since = road.clock.elapsed();
    if (this.busy) {
      this.later.push(chunk);
      this.socket.pause();
      return;
    }
    const body = this.bodyIn(chunk);
    if (body === null) {
      this.handOver([chunk]);
      return;
    }
    const { headers, path } = this.head!;
    this.busy = true;
    this.id = road.requestId(headers.get(REQUEST_ID));
    const key = bearerIn(headers.get("x-api-key"), headers.get("authorization"));
    road.take(this, { path, body, key, socket: this.socket });
  };

  /** The body of a chunk that is one plain request, whole and nothing else; null for every other chunk. */
  private bodyIn(chunk: Buffer): Uint8Array | null {
    const end = chunk.indexOf(HEAD_END);
    if (end < 0 || end > PLAIN_HEAD_BYTES_MAX) return null;
    const text = chunk.toString("latin1", 0, end + 2);
    this.head = headOf(this.shared, text);
    if (this.head === null) return null;
    const { length, path } = this.head;
    if (length === 0 || chunk.length !== end + HEAD_END.length + length) return null;
    if (!this.shared.road.takes(path, length)) return null;
    return chunk.subarray(end + HEAD_END.length);
  }

  private readonly onEnd = (): void => {
    this.ended = true;
    if (!this.busy) this.socket.end();
  };

  private readonly onDrain = (): void => {
    if (!this.busy || this.later.length === 0) this.socket.resume();
  };

  /** The connection closes with it. */
  private readonly onError = (): void => {};

  private readonly onClose = (): void => void this.shared.wires.delete(this);

  /** From here on the connection is node:http's, which reads these bytes first. */
  private handOver(chunks: readonly Buffer[]): void {
    const { socket } = this;
    this.shared.wires.delete(this);
    socket.off("data", this.onData).off("end", this.onEnd).off("drain", this.onDrain);
    socket.off("error", this.onError).off("close", this.onClose);
    this.shared.toHttp(socket);
    for (const chunk of chunks) if (!socket.destroyed) socket.emit("data", chunk);
    if (this.ended) socket.emit("end");
    else socket.resume();
  }
}

function headOf({ heads }: Shared, text: string): PlainHead | null {
  const known = heads.get(text);
  if (known !== undefined) return known;
  const head = readPlainHead(text);
  if (head === null) return null;
  if (heads.size >= HEADS_MAX) heads.clear();
  heads.set(text, head);
  return head;
}

/** The lines that every answer ends its head with. */
function tailOf(shared: Shared, isLast: boolean): string {
  const second = Math.floor(shared.road.clock.now() / 1000);
  if (isLast) return `${alwaysOf(shared, second)}Connection: close\r\n\r\n`;
  if (shared.tailOf !== second) {
    const timeout = Math.floor(shared.keepAliveMs / 1000);
    shared.tail = `${alwaysOf(shared, second)}Connection: keep-alive\r\nKeep-Alive: timeout=${timeout}\r\n\r\n`;
    shared.tailOf = second;
  }
  return shared.tail;
}

function alwaysOf({ road: { safety } }: Shared, second: number): string {
  let lines = "";
  for (let i = 0; i < safety.length; i += 2) lines += `${safety[i]}: ${safety[i + 1]}\r\n`;
  return `${lines}Date: ${new Date(second * 1000).toUTCString()}\r\n`;
}
