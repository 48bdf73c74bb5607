// A client of kafkajs that can be thrown away: its calls have time limits, and an end closes its sockets, whatever the library waits for.
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactoryArgs, Kafka, KafkaConfig } from "kafkajs";
import { SentinelError } from "../../../core/errors.ts";
import { kafkajs } from "./library.ts";

/** How long calls may take before the client counts as stuck, in milliseconds. */
export interface CallLimits {
  /** A question to the cluster, such as what a group has committed. */
  readonly askMs: number;
  /** A transaction, or the take-over of its id. */
  readonly commitMs: number;
  /** Joining a group, beyond the time that the group keeps a dead member. */
  readonly joinMs: number;
  /** No fetch and no heartbeat of a member for so long. */
  readonly silentMs: number;
  /** A goodbye; afterwards the sockets are closed. */
  readonly leaveMs: number;
}

/** Several times what a slow broker takes; a stuck call is rare, and what follows is a new client. */
export const CALL_LIMITS: CallLimits = {
  askMs: 20_000,
  commitMs: 30_000,
  joinMs: 30_000,
  silentMs: 15_000,
  leaveMs: 3_000,
};

const KEEP_ALIVE_MS = 60_000;

/**
 * kafkajs 2.2.4 has calls that never end: it takes requests on a connection that it is closing (`CONNECTED_STATUS` includes "disconnecting"),
 * and closing also stops the timer that would end them. Whoever waited for such a request waits for good, and so does everything behind it,
 * its `disconnect` included. So every call has a limit here, and a client that reached one is discarded.
 */
export class KafkaClient {
  readonly kafka: Kafka;
  private readonly sockets = new Set<Socket>();
  private readonly waiting = new Set<(error: Error) => void>();
  private discarded = false;

  constructor(config: Omit<KafkaConfig, "socketFactory">) {
    this.kafka = new kafkajs.Kafka({ ...config, socketFactory: (to) => this.open(to) });
  }

  /**
   * What the call says; errors of the library pass. Errors: stream.unreachable when it took longer than `limitMs`, or the client was
   * discarded meanwhile.
   */
  async within<T>(limitMs: number, what: string, call: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let giveUp: ((error: Error) => void) | undefined;
    const given = new Promise<never>((_, reject) => {
      giveUp = reject;
      this.waiting.add(reject);
      timer = setTimeout(() => reject(stuck(`cannot ${what}: no answer in ${limitMs / 1000} s`)), limitMs);
    });
    try {
      if (this.discarded) throw stuck(`cannot ${what}: the client is closed`);
      return await Promise.race([call(), given]);
    } finally {
      clearTimeout(timer);
      this.waiting.delete(giveUp!);
    }
  }

  /** Says goodbye by `leave`, for `limitMs` at most, and discards the client. Never rejects. */
  async end(limitMs: number, leave: () => Promise<unknown>): Promise<void> {
    if (!this.discarded) await this.within(limitMs, "leave", leave).catch(() => {});
    this.discard();
  }

  /** Ends every call that is under way and closes the sockets; the library opens no more. */
  discard(): void {
    this.discarded = true;
    for (const giveUp of this.waiting) giveUp(stuck("the client was closed"));
    this.waiting.clear();
    // With an error, of which the library hears: at a plain end it would go on waiting for its requests.
    for (const socket of this.sockets) socket.destroy(new Error("the client was closed"));
    this.sockets.clear();
  }

  private open({ host, port, ssl, onConnect }: ISocketFactoryArgs): Socket {
    if (this.discarded) throw new Error("the client is closed");
    // A name for TLS is none where it is an address.
    const named = isIP(host) === 0 ? { servername: host } : {};
    const socket = ssl
      ? connectTls({ host, port, ...named, ...ssl }, onConnect)
      : connectPlain({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    return socket;
  }
}

function stuck(what: string): SentinelError {
  return new SentinelError("stream.unreachable", what, {
    hint: "is the broker up and does SENTINEL_KAFKA_BROKERS name it? It is tried again with a new client",
  });
}
