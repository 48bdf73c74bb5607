// Calls: how a method with one request and one answer is run, measured and ended; errors become statuses here.
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import { messageOf, SentinelError } from "../core/errors.ts";
import { batchBudgetMs, budgetMs } from "../online/answer.ts";
import { problemOf } from "../online/problem.ts";
import type { Admission, Admitted, Terms } from "./admission.ts";
import type { Message, MessageType } from "./contract.ts";
import type { GrpcEngine, GrpcParts } from "./parts.ts";
import { REQUEST_ID, type Statuses } from "./status.ts";
import { wellFormed } from "./text.ts";

/** What the methods of the door share. */
export interface Door {
  readonly parts: GrpcParts;
  readonly admission: Admission;
  readonly statuses: Statuses;
}

/** A method with one request and one answer. Throws or rejects with a SentinelError. */
export interface UnaryMethod {
  readonly terms: Terms;
  run(call: Call): object | Promise<object>;
}

/** One call of a method. */
export interface Call {
  readonly request: Message;
  /** Bytes of the request. */
  readonly length: number;
  readonly admitted: Admitted;
}

/** A method with one answer as grpc-js calls it. */
type Unary = (call: ServerUnaryCall<Buffer, object>, respond: sendUnaryData<object>) => void;

export const STATUS_OK = 200;

/** A method as grpc-js calls it. */
export function unary(door: Door, method: UnaryMethod, type: MessageType): Unary {
  const { parts, admission, statuses } = door;
  return (call, respond) => {
    const admitted = admission.of(call.metadata);
    const fail = (error: unknown): void => {
      admitted.ended(error);
      respond(statuses.of(error, admitted.id));
    };
    const succeed = (answer: object): void => {
      admitted.ended(null);
      const trailer = new Metadata();
      trailer.set(REQUEST_ID, admitted.id);
      respond(null, answer, trailer);
    };
    // Nobody waits any more: what was not judged need not be.
    if (call.cancelled) return;
    const run = (): object | Promise<object> => {
      const counted = method.terms.shed;
      if (counted) parts.overload.enterAdmitted();
      let later = false;
      try {
        const next = method.run({ request: decoded(type, call.request), length: call.request.length, admitted });
        if (!(next instanceof Promise)) return next;
        later = true;
        return next.finally(() => {
          if (counted) parts.overload.leave();
        });
      } finally {
        if (counted && !later) parts.overload.leave();
      }
    };
    try {
      const next = parts.tracing === null ? run() : traced(parts, admitted, run);
      // Mostly it is there already: no promise is made for it.
      if (next instanceof Promise) next.then(succeed, fail);
      else succeed(next);
    } catch (error) {
      fail(error);
    }
  };
}

/** Within the call's span, a child of the client's. */
function traced(
  { tracing }: GrpcParts,
  { id, path, header }: Admitted,
  run: () => object | Promise<object>,
): Promise<object> {
  type Outcome = { readonly answer: object } | { readonly error: unknown };
  const outcome = async (): Promise<Outcome> => {
    try {
      return { answer: await run() };
    } catch (error) {
      return { error };
    }
  };
  const statusOf = (of: Outcome): number => ("error" in of ? problemOf(of.error).status : STATUS_OK);
  return tracing!.request({ method: "POST", route: path, id, header }, outcome, statusOf).then((of) => {
    if ("error" in of) throw of.error;
    return of.answer;
  });
}

/** Throws `request.malformed` for bytes that are no message of the type. */
export function decoded(type: MessageType, bytes: Buffer): Message {
  try {
    return type.decode(bytes);
  } catch (error) {
    throw new SentinelError("request.malformed", `the message cannot be read: ${messageOf(error)}`, {
      hint: "send messages of proto/sentinel/v1/sentinel.proto or proto/open_inference_grpc.proto",
      cause: error,
    });
  }
}

/**
 * The pipeline that a request names, the default one for none, with the call counted there. Throws `request.not-found`, `server.not-ready`,
 * `server.key-role`, `request.body-too-large`.
 */
export function engineOf({ parts }: Pick<Door, "parts">, call: Call): GrpcEngine {
  const { pipeline } = call.request as { readonly pipeline?: string };
  const { pipelines } = parts.roomOf(call.admitted.caller);
  const engine = pipelines.find(pipeline === undefined || pipeline === "" ? null : pipeline);
  call.admitted.belongsTo(engine);
  checkLength(engine, call.length);
  return engine;
}

/** Throws `request.body-too-large`. */
export function checkLength({ pipeline }: GrpcEngine, length: number): void {
  const { bodyMaxBytes } = pipeline.serve;
  if (length <= bodyMaxBytes) return;
  throw new SentinelError("request.body-too-large", `the message has ${length} bytes`, {
    hint: `send at most ${bodyMaxBytes} at once; serve.body_max_bytes in the pipeline is the limit`,
  });
}

/** Waits for an answer no longer than every door does. */
export function within<T>(
  { parts }: Pick<Door, "parts">,
  { engine, answer }: { readonly engine: GrpcEngine; readonly answer: Promise<T> },
): Promise<T> {
  return parts.overload.within(answer, budgetMs(engine));
}

/** As {@link within}, for many answers of one call. */
export function withinBatch<T>(
  { parts }: Pick<Door, "parts">,
  { engine, answer }: { readonly engine: GrpcEngine; readonly answer: Promise<T> },
): Promise<T> {
  return parts.overload.within(answer, batchBudgetMs(engine));
}

/** Takes from the allowance of the call's key what the call itself did not pay. */
export function chargeOf(
  { parts }: Pick<Door, "parts">,
  { admitted }: Pick<Call, "admitted">,
): (count: number) => void {
  return (count) => parts.access.charge(admitted.caller, count);
}

/** JSON as a message: the fields have one name in both, and what is null is absent. */
export function messageOfJson(value: object): object {
  const entries = Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
    member === null || member === undefined ? [] : [[name, memberOf(member)] as const],
  );
  return Object.fromEntries(entries);
}

function memberOf(value: unknown): unknown {
  if (typeof value === "string") return wellFormed(value);
  if (Array.isArray(value)) return value.map(memberOf);
  return value !== null && typeof value === "object" ? messageOfJson(value) : value;
}
