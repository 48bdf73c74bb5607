// Held back: under overload a connection whose request was refused is read again a little later, so that refusing leaves time for answering.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Of the time, so much goes into requests of connections that were held back; a refusal costs about what an answer does. */
const SHARE = 0.25;
/** A longer turn reads no more of them, lest it be followed by one that is longer still. */
const TURN_MS_MAX = 10;

/**
 * Reading a request and refusing it costs half of answering it and more, so that four times the capacity would leave no time for answers. What
 * is not read costs nothing: TCP holds the sender back. What a connection has sent meanwhile may be old, and is refused without a look.
 */
export class HeldBack {
  /** Sockets in the order in which they were refused. */
  private readonly queue = new Set<Socket>();
  /** The turn in which a socket was read again. */
  private readonly resumed = new WeakMap<Socket, number>();
  private turns = 0;
  private stopped = false;

  get size(): number {
    return this.queue.size;
  }

  /** Holds the request's connection back, once the request has been read to its end. */
  add(incoming: IncomingMessage): void {
    const hold = (): void => this.hold(incoming.socket);
    if (incoming.readableEnded) hold();
    else incoming.once("end", hold);
  }

  /** Holds a connection back on which nothing of a request is left to be read. */
  hold(socket: Socket): void {
    if (this.stopped || socket.destroyed || this.queue.has(socket)) return;
    socket.pause();
    this.queue.add(socket);
  }

  /** Whether the request may have waited unread while its connection was held back. */
  isOld({ socket }: { readonly socket: Socket }): boolean {
    return this.resumed.get(socket) === this.turns;
  }

  /** A turn of the event loop ends that took `ms`, where an answer takes `answerMs`; called between timers and reading. */
  turn(ms: number, answerMs: number): void {
    this.turns++;
    if (this.queue.size > 0) this.release(Math.ceil((SHARE * Math.min(ms, TURN_MS_MAX)) / answerMs));
  }

  /** Reads so many connections again, those that have been held back longest. */
  release(count: number): void {
    let left = count;
    for (const socket of this.queue) {
      if (left-- <= 0) return;
      this.queue.delete(socket);
      this.resumed.set(socket, this.turns);
      socket.resume();
    }
  }

  /** Reads all of them again, and holds none back any more: a server that stops waits for what was sent. */
  stop(): void {
    this.stopped = true;
    this.release(this.queue.size);
  }
}
