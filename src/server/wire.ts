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
  takes(path: string, of: { readonly bytes: number; readonly key: () => string | null }): boolean;
  /** Takes a request that is there whole; answers by the exchange, once, and never throws. */
  take(exchange: Exchange, request: PlainRequest): void;
}

export interface PlainRequest {
  readonly path: string;
  readonly body: Uint8Array;
  /** As the client sent it. */
  readonly key: () => string | null;
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
    okStart: "",
    okOf: null,
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
        const of = { safety: options.road.safety, id: options.road.requestId(undefined) };
        const status = wire.answered ? null : endWithProblem(wire.socket, tooSlow, of);
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
  /** The first lines of an answer with 200, and what its head is made of. */
  okStart: string;
  okOf: readonly string[] | null;
}

/** Requests of one connection that are under way at once; what is sent further ahead stays in its socket. */
const AHEAD_MAX = 64;
/** What is kept of a request that has come in part, while an earlier one is being answered. */
const PART_BYTES_MAX = 2 ** 17;

/** One request under way. */
class Asked implements Exchange {
  readonly id: string;
  /** What it was answered with, until that can be written: answers leave in the order of their requests (RFC 9112, 9.3.2). */
  answer: { readonly status: number; readonly head: readonly string[]; readonly text: string } | null = null;
  private readonly wire: Wire;
  private readonly head: PlainHead;

  constructor(wire: Wire, head: PlainHead, id: string) {
    this.wire = wire;
    this.head = head;
    this.id = id;
  }

  header(name: string): string | undefined {
    return this.head.headers.get(name);
  }

  respond(status: number, head: readonly string[], text: string): void {
    this.answer = { status, head, text };
    this.wire.settle();
  }
}

/** A request found in bytes; `part`: its beginning; null: something that is not plain. */
type Found = { readonly head: PlainHead; readonly body: Uint8Array; readonly end: number } | "part" | null;

/** One connection, and the requests that it has under way, in their order. */
class Wire {
  readonly socket: Socket;
  /** A request was answered. */
  answered = false;
  /** When something last moved, by the clock's elapsed time. */
  since: number;
  private readonly shared: Shared;
  private readonly asked: Asked[] = [];
  /** What came behind the requests under way and is none of them yet. */
  private rest: Buffer | null = null;
  /** No more is read until some are answered, or read by the client. */
  private paused = false;
  /** Requests are being taken in, whose refusals may come at once. */
  private taking = false;
  private ended = false;
  /** An answer said that the connection is to end; it ends when what is under way is answered. */
  private ending = false;
  /** The last answer was given, and said so. */
  private over = false;

  constructor(socket: Socket, shared: Shared) {
    this.socket = socket;
    this.shared = shared;
    this.since = shared.road.clock.elapsed();
    socket.on("data", this.onData).on("end", this.onEnd).on("drain", this.goOn);
    socket.on("error", this.onError).on("close", this.onClose);
  }

  get busy(): boolean {
    return this.asked.length > 0;
  }

  /** Writes the answers that are there, as far as none is missing before them. */
  settle(): void {
    const { asked, socket, shared } = this;
    let count = 0;
    while (count < asked.length && asked[count].answer !== null) count++;
    if (count === 0) return;
    this.answered = true;
    this.since = shared.road.clock.elapsed();
    const several = count > 1;
    if (several) socket.cork();
    for (let i = 0; i < count; i++) this.write(asked.shift()!);
    if (several) socket.uncork();
    if (!this.taking && !this.over) this.goOn();
  }

  private write({ id, answer }: Asked): void {
    const { socket, shared } = this;
    if (socket.destroyed || this.over) return;
    const { status, head, text } = answer!;
    for (let i = 0; i < head.length; i += 2) if (head[i] === "connection") this.ending = true;
    if (shared.closing || (this.ended && this.rest === null)) this.ending = true;
    const isLast = this.ending && this.asked.length === 0;
    const bytes = Buffer.byteLength(text);
    const start = status === 200 ? startOfOk(shared, head) : startOf(status, head);
    const tail = tailOf(shared, isLast);
    // As many bytes as characters: then both are ASCII, which is written fastest as Latin-1.
    socket.write(
      `${start}content-length: ${bytes}\r\n${REQUEST_ID}: ${id}\r\n${tail}${text}`,
      bytes === text.length ? "latin1" : "utf8",
    );
    this.over = isLast;
    if (isLast) socket.end();
  }

  private readonly onData = (chunk: Buffer): void => {
    // What comes after an answer that ends the connection must not be answered (RFC 9112, 9.6), nor judged: nobody would hear of it.
    if (this.over || this.ending) return;
    this.since = this.shared.road.clock.elapsed();
    const data = this.rest === null ? chunk : Buffer.concat([this.rest, chunk]);
    this.rest = null;
    this.takeIn(data);
  };

  /** Takes the requests that are there whole; what is left waits for those under way, or is node:http's. */
  private takeIn(data: Buffer): void {
    const { road } = this.shared;
    let at = 0;
    let found: Found = null;
    this.taking = true;
    while (at < data.length && this.hasRoom()) {
      found = this.find(data, at);
      if (found === null || found === "part") break;
      const { head, body } = found;
      at = found.end;
      const asked = new Asked(this, head, road.requestId(head.headers.get(REQUEST_ID)));
      this.asked.push(asked);
      const key = keyOf(head);
      road.take(asked, { path: head.path, body, key, socket: this.socket });
    }
    this.taking = false;
    if (this.over) return;
    const rest = at < data.length ? data.subarray(at) : null;
    if (rest !== null && !this.busy && !this.socket.writableNeedDrain && !this.ending) {
      this.handOver(rest);
      return;
    }
    this.rest = rest;
    // Who does not read gets no more answers.
    const isFull = rest !== null && (found !== "part" || rest.length > PART_BYTES_MAX);
    if (isFull || this.socket.writableNeedDrain) this.pause();
    else this.resume();
  }

  /** Whether one more request is taken in. */
  private hasRoom(): boolean {
    if (!this.busy) return !this.ending && !this.socket.writableNeedDrain;
    // The answers under way are the last ones.
    const isLast = this.shared.closing || this.ending;
    return !isLast && this.asked.length < AHEAD_MAX && !this.socket.writableNeedDrain;
  }

  private find(data: Buffer, at: number): Found {
    const end = data.indexOf(HEAD_END, at);
    if (end < 0) return data.length - at > PLAIN_HEAD_BYTES_MAX ? null : "part";
    if (end - at > PLAIN_HEAD_BYTES_MAX) return null;
    const head = headOf(this.shared, data.toString("latin1", at, end + 2));
    if (head === null) return null;
    const { length, path } = head;
    if (length === 0 || !this.shared.road.takes(path, { bytes: length, key: keyOf(head) })) return null;
    const from = end + HEAD_END.length;
    return data.length < from + length
      ? "part"
      : { head, body: data.subarray(from, from + length), end: from + length };
  }

  private pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  /** Others pause connections too, and go on with them themselves. */
  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  /** Takes in more, where answers have left or were read. */
  private readonly goOn = (): void => {
    if (this.over || this.socket.destroyed) return;
    const { rest } = this;
    if (this.socket.writableNeedDrain) this.pause();
    else if (rest === null) this.resume();
    else {
      this.rest = null;
      this.takeIn(rest);
    }
  };

  private readonly onEnd = (): void => {
    this.ended = true;
    if (!this.busy) this.socket.end();
  };

  /** The connection closes with it. */
  private readonly onError = (): void => {};

  private readonly onClose = (): void => void this.shared.wires.delete(this);

  /** From here on the connection is node:http's, which reads these bytes first. */
  private handOver(bytes: Buffer): void {
    const { socket } = this;
    this.over = true;
    this.shared.wires.delete(this);
    socket.off("data", this.onData).off("end", this.onEnd).off("drain", this.goOn);
    socket.off("error", this.onError).off("close", this.onClose);
    this.shared.toHttp(socket);
    if (!socket.destroyed) socket.emit("data", bytes);
    if (this.ended) socket.emit("end");
    else socket.resume();
  }
}

/** The key that a request brings, read where somebody asks for it. */
function keyOf({ headers }: PlainHead): () => string | null {
  return () => bearerIn(headers.get("x-api-key"), headers.get("authorization"));
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

/** The lines that an answer begins with, but for its length and id. */
function startOf(status: number, head: readonly string[]): string {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n`;
  for (let i = 0; i < head.length; i += 2) {
    // Who says that the connection ends says it instead of the tail.
    if (head[i] !== "connection") lines += `${head[i]}: ${head[i + 1]}\r\n`;
  }
  return lines;
}

/** Mostly the same one. */
function startOfOk(shared: Shared, head: readonly string[]): string {
  if (shared.okOf !== head) {
    shared.okStart = startOf(200, head);
    shared.okOf = head;
  }
  return shared.okStart;
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
