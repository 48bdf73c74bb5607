// Admission: a call is let in or refused by its head, before its message is read; and every call is counted once, however it ends.
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { messageOf, SentinelError } from "../core/errors.ts";
import { bearerIn } from "../core/key.ts";
import { bugOf, problemOf } from "../online/problem.ts";
import type { Caller, GrpcEngine, GrpcParts, Need } from "./parts.ts";
import { REQUEST_ID, type Statuses } from "./status.ts";

/** What is asked of the calls of a method. */
export interface Terms {
  readonly need: Need;
  /** True where an overloaded server refuses it. */
  readonly shed: boolean;
  /** True where the messages of a call are counted as a stream, not as one body. */
  readonly streams: boolean;
}

/** A call that was let in. */
export interface Admitted {
  readonly id: string;
  readonly caller: Caller;
  readonly path: string;
  /** Of the client. */
  header(name: string): string | undefined;
  /** Counts the call with this pipeline. Throws `server.key-role` for a key of others. */
  belongsTo(engine: GrpcEngine): void;
  /** Counts the call; only the first count stands. */
  ended(error: unknown): void;
}

/** Who went away, and whose deadline came before the answer, as nginx and gRPC's gateways count them. */
const CLOSED = 499;
const LATE = 504;
/** Counted, and not told one by one: there are thousands of them when there are any. */
const COUNTED: ReadonlySet<string> = new Set(["server.overloaded", "server.rate-limited"]);

/** Calls that were let in, by the metadata that their methods are given. */
export class Admission {
  private readonly parts: GrpcParts;
  private readonly statuses: Statuses;
  /** By path. */
  private readonly terms: ReadonlyMap<string, Terms>;
  private readonly admitted = new WeakMap<Metadata, Admitted>();

  constructor(parts: GrpcParts, statuses: Statuses, terms: ReadonlyMap<string, Terms>) {
    this.parts = parts;
    this.statuses = statuses;
    this.terms = terms;
  }

  /** What was let in with this metadata. */
  of(metadata: Metadata): Admitted {
    return this.admitted.get(metadata)!;
  }

  get interceptor(): ServerInterceptor {
    return ({ path }, call) => new ServerInterceptingCall(call, { start: (next) => next(this.listener(path, call)) });
  }

  private listener(path: string, call: ServerInterceptingCallInterface) {
    let one: Admitted | null = null;
    let coming: { done(): void } | null = null;
    const arrived = (): void => {
      coming?.done();
      coming = null;
    };
    const refuse = (error: unknown, id: string): void => {
      one?.ended(error);
      call.sendStatus(this.statuses.of(error, id));
    };
    return {
      onReceiveMetadata: (metadata: Metadata, next: (metadata: Metadata) => void): void => {
        const id = this.parts.requestIds(textIn(metadata, REQUEST_ID));
        try {
          one = this.admit(path, { metadata, id, deadline: () => call.getDeadline() });
          if (this.terms.get(path)?.streams === false) coming = this.parts.intake.body((error) => refuse(error, id));
          this.admitted.set(metadata, one);
        } catch (error) {
          refuse(error, id);
          return;
        }
        next(metadata);
      },
      onReceiveMessage: (message: unknown, next: (message: unknown) => void): void => {
        arrived();
        next(message);
      },
      // Told at the end of every call, those that were answered among them.
      onCancel: (): void => {
        arrived();
        one?.ended(GONE);
      },
    };
  }

  /** Throws what the call is refused with, and counts it then. */
  private admit(
    path: string,
    of: { readonly metadata: Metadata; readonly id: string; deadline(): Date | number },
  ): Admitted {
    const { parts } = this;
    const { metadata, id } = of;
    const { need, shed } = this.terms.get(path)!;
    const begun = parts.clock.elapsed();
    let engine: GrpcEngine | null = null;
    let counted = false;
    const ended = (error: unknown): void => {
      if (counted) return;
      counted = true;
      const gone = error === GONE;
      if (error !== null && !gone) noteFailure(parts, error, id);
      const status = error === null ? 200 : gone ? goneStatus(of.deadline()) : problemOf(error).status;
      const version = shed ? engine?.live.current.champion?.scorer.version : undefined;
      const ms = parts.clock.elapsed() - begun;
      (engine?.measures ?? parts.measures).requested({ route: path, status, ms, version });
    };
    try {
      // First, because it costs least.
      if (shed) parts.overload.admit();
      const key = bearerIn(textIn(metadata, "x-api-key"), textIn(metadata, "authorization"));
      const caller = parts.access.check(need, key);
      return {
        id,
        caller,
        path,
        header: (name) => textIn(metadata, name),
        belongsTo(found) {
          engine = found;
          parts.access.checkPipeline(caller, found.pipeline.name);
        },
        ended,
      };
    } catch (error) {
      ended(error);
      throw error;
    }
  }
}

/** Stands for the error of a call whose client did not wait for its end. */
const GONE = Symbol("gone");

function goneStatus(deadline: Date | number): number {
  return Number(deadline) <= Date.now() ? LATE : CLOSED;
}

/** Bugs and outside faults go to the log. */
function noteFailure({ logger, measures }: GrpcParts, error: unknown, requestId: string): void {
  const bug = bugOf(error);
  if (bug !== null) logger.error({ ...bug, requestId }, "a call met a bug");
  if (!(error instanceof SentinelError)) return;
  if (error.code === "server.overloaded") measures.overloaded.inc();
  if (error.kind.exit === 3 && !COUNTED.has(error.code)) {
    logger.warn({ code: error.code, error: messageOf(error), requestId }, "a call failed");
  }
}

/** The text of a name, several joined as HTTP joins headers; undefined where there is none. */
function textIn(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 0 ? undefined : values.join(", ");
}
