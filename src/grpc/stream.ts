// ScoreStream: transactions answered in order, one answer per message, as fast as the client reads and no faster.
import { Metadata, type ServerDuplexStream } from "@grpc/grpc-js";
import { SentinelError } from "../core/errors.ts";
import { breathe, logHasRoom, mayFollow, PORTION } from "../online/batch.ts";
import { problemOf } from "../online/problem.ts";
import type { Admitted, Terms } from "./admission.ts";
import { chargeOf, type Door, decoded, engineOf, messageOfJson, within } from "./calls.ts";
import type { MessageType } from "./contract.ts";
import type { OpenStream } from "./parts.ts";
import { answerOf } from "./score.ts";
import { REQUEST_ID } from "./status.ts";
import { transactionIn } from "./transaction.ts";

/** Messages of one stream; a longer one goes on in a new call. */
const MESSAGES_MAX = 1_000_000;

export const STREAM_TERMS: Terms = { need: "predict", shed: true, streams: true };

type Duplex = ServerDuplexStream<Buffer, object>;

/** The method as grpc-js calls it. */
export function scoreStream(door: Door, type: MessageType): (call: Duplex) => void {
  return (call) => {
    const admitted = door.admission.of(call.metadata);
    let stream: OpenStream;
    try {
      stream = door.parts.intake.stream();
    } catch (error) {
      fail(door, call, { admitted, error });
      return;
    }
    const run = new Run(door, { call, admitted, stream, type });
    run
      .all()
      .then(
        () => {
          if (call.cancelled) return;
          admitted.ended(null);
          const trailer = new Metadata();
          trailer.set(REQUEST_ID, admitted.id);
          call.end(trailer);
        },
        (error: unknown) => {
          if (!call.cancelled) fail(door, call, { admitted, error });
        },
      )
      .finally(() => stream.done());
  };
}

function fail(door: Door, call: Duplex, of: { readonly admitted: Admitted; readonly error: unknown }): void {
  of.admitted.ended(of.error);
  call.emit("error", door.statuses.of(of.error, of.admitted.id));
}

/** An answer that is there, or one that waits for the disk, as a function, so that awaiting it waits only until the next may be judged. */
type Pending = () => object | Promise<object>;

/** One stream from its first message to its last. */
class Run {
  private readonly door: Door;
  private readonly call: Duplex;
  private readonly admitted: Admitted;
  private readonly stream: OpenStream;
  private readonly type: MessageType;
  /** Place of the next message. */
  private next = 0;
  /** No message comes any more. */
  private ended = false;
  /** Nobody reads any more. */
  private gone = false;
  private wakeReader = (): void => {};
  private wakeWriter = (): void => {};

  constructor(
    door: Door,
    of: {
      readonly call: Duplex;
      readonly admitted: Admitted;
      readonly stream: OpenStream;
      readonly type: MessageType;
    },
  ) {
    this.door = door;
    this.call = of.call;
    this.admitted = of.admitted;
    this.stream = of.stream;
    this.type = of.type;
    const end = (): void => {
      this.ended = true;
      this.wakeReader();
    };
    const leave = (): void => {
      this.gone = true;
      this.wakeWriter();
      end();
    };
    this.call.on("readable", () => this.wakeReader()).on("end", end);
    this.call
      .on("drain", () => this.wakeWriter())
      .on("cancelled", leave)
      .on("close", leave)
      .on("error", leave);
  }

  /** Answers all of them. Rejects with what ends the stream: a fault of the stream, not of a message. */
  async all(): Promise<void> {
    while (!this.gone) {
      const pending: Pending[] = [];
      let fault: unknown = null;
      try {
        await this.portion(pending);
      } catch (error) {
        fault = error;
      }
      for (const one of pending) {
        const there = one();
        await this.write(there instanceof Promise ? await there : there);
      }
      if (fault !== null) throw fault;
      if (pending.length > 0) await breathe();
      else if (this.ended) {
        // A stream that its client resets seems to end well, a moment before it is known to be cancelled.
        await breathe();
        return;
      } else await this.more();
    }
  }

  /** Answers messages that are there already, a portion of them at most: so many are in flight. */
  private async portion(pending: Pending[]): Promise<void> {
    while (pending.length < PORTION && !this.gone) {
      const bytes = this.call.read() as Buffer | null;
      if (bytes === null) return;
      this.stream.line();
      if (this.next === MESSAGES_MAX) throw tooManyMessages();
      const index = this.next++;
      try {
        pending.push(await this.answer(bytes, index));
      } catch (error) {
        const problem = { index, problem: messageOfJson(problemOf(error)) };
        pending.push(() => problem);
      }
    }
  }

  private async answer(bytes: Buffer, index: number): Promise<Pending> {
    const { door, admitted } = this;
    // The call itself paid for its first message.
    if (index > 0) chargeOf(door, { admitted })(1);
    const request = decoded(this.type, bytes);
    const engine = engineOf(door, { request, length: bytes.length, admitted });
    await logHasRoom(engine);
    const parsed = engine.parser.parse(transactionIn(request), engine.ports.clock.now());
    const next = answerOf(engine, parsed, request.explain === true);
    const messageFor = (reply: object): object => ({ index, answer: messageOfJson(reply) });
    if (!(next instanceof Promise)) return () => messageFor(next);
    const reply = within(door, { engine, answer: next }).then(messageFor, (error: unknown) => ({
      index,
      problem: messageOfJson(problemOf(error)),
    }));
    if (mayFollow(engine, parsed)) return () => reply;
    const there = await door.parts.overload.during(() => reply);
    return () => there;
  }

  /** A client that does not read holds its own stream back, and nothing piles up. */
  private async write(message: object): Promise<void> {
    if (this.gone || this.call.write(message)) return;
    await new Promise<void>((resolve) => {
      this.wakeWriter = resolve;
      if (this.gone) resolve();
    });
  }

  /** Waits for the next message, or the end. */
  private async more(): Promise<void> {
    await this.stream.wait(
      new Promise((resolve) => {
        this.wakeReader = resolve;
        if (this.ended || this.call.readableLength > 0) resolve();
      }),
    );
  }
}

function tooManyMessages(): SentinelError {
  return new SentinelError("request.body-too-large", `the stream has more than ${MESSAGES_MAX} messages`, {
    hint: "go on in a new call",
  });
}
