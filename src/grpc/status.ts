// The status of a call that failed: the error's code, what happened and what to do, as gRPC's statuses, details and trailing metadata carry them.
import { Metadata, status } from "@grpc/grpc-js";
import { SentinelError } from "../core/errors.ts";
import { type Problem, problemOf, retryAfterOf } from "../online/problem.ts";
import type { Contract, MessageType } from "./contract.ts";
import { wellFormed } from "./text.ts";

export const REQUEST_ID = "x-request-id";
/** The code of an error, for clients that read no details. */
const CODE = "sentinel-code";
const DETAILS = "grpc-status-details-bin";
/** How long a client with a retry policy waits (https://github.com/grpc/proposal/blob/master/A6-client-retries.md). */
const PUSHBACK = "grpc-retry-pushback-ms";
const TYPES = "type.googleapis.com";
/**
 * Clients refuse a head of more than 8 kB, and would show their users that instead of the error: so many characters has a text on the wire,
 * and so many bytes have all details before base64.
 */
const TEXT_LENGTH_MAX = 1200;
const FIELD_LENGTH_MAX = 200;
const DETAILS_BYTES_MAX = 3500;

/** What ends a call, as grpc-js takes it. */
export interface FailedStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Makes the statuses of errors. */
export class Statuses {
  private readonly rpcStatus: MessageType;
  private readonly errorInfo: MessageType;
  private readonly retryInfo: MessageType;
  private readonly badRequest: MessageType;
  private readonly problem: MessageType;

  constructor(contract: Contract) {
    this.rpcStatus = contract.message("google.rpc.Status");
    this.errorInfo = contract.message("google.rpc.ErrorInfo");
    this.retryInfo = contract.message("google.rpc.RetryInfo");
    this.badRequest = contract.message("google.rpc.BadRequest");
    this.problem = contract.message("sentinel.v1.Problem");
  }

  /** The status of anything thrown; `id` is the call's. */
  of(error: unknown, id: string): FailedStatus {
    const problem = problemOf(error);
    const known = error instanceof SentinelError ? error.kind.grpc : "INTERNAL";
    const code = status[known];
    const details = onWire(problem.detail, TEXT_LENGTH_MAX);
    const retryAfterS = retryAfterOf(error);
    const metadata = new Metadata();
    metadata.set(REQUEST_ID, id);
    metadata.set(CODE, problem.code);
    if (retryAfterS !== null) metadata.set(PUSHBACK, String(retryAfterS * 1000));
    metadata.set(DETAILS, this.detailsOf({ ...problem, detail: details }, { code, retryAfterS }));
    return { code, details, metadata };
  }

  /** A google.rpc.Status with as many of the faults as there is room for. */
  private detailsOf(problem: Problem, of: { readonly code: status; readonly retryAfterS: number | null }): Buffer {
    const faults = (problem.errors ?? []).map(({ field, message }) => ({
      field: onWire(field, FIELD_LENGTH_MAX),
      message: onWire(message, FIELD_LENGTH_MAX),
    }));
    const short = { ...problem, hint: onWire(problem.hint, TEXT_LENGTH_MAX) };
    for (let count = faults.length; ; count--) {
      const encoded = this.encode({ ...short, errors: faults.slice(0, count) }, of);
      if (count === 0 || encoded.length <= DETAILS_BYTES_MAX) return encoded;
    }
  }

  private encode(problem: Problem, of: { readonly code: status; readonly retryAfterS: number | null }): Buffer {
    const { errors = [] } = problem;
    const violations = errors.map(({ field, message }) => ({ field, description: message }));
    const details = [
      any("sentinel.v1.Problem", this.problem.encode(problem)),
      any("google.rpc.ErrorInfo", this.errorInfo.encode(infoOf(problem))),
    ];
    if (violations.length > 0) {
      details.push(any("google.rpc.BadRequest", this.badRequest.encode({ field_violations: violations })));
    }
    if (of.retryAfterS !== null) {
      details.push(any("google.rpc.RetryInfo", this.retryInfo.encode({ retry_delay: { seconds: of.retryAfterS } })));
    }
    return this.rpcStatus.encode({ code: of.code, message: problem.detail, details });
  }
}

/** A reason is written in capitals and underscores (https://google.aip.dev/193); the code itself stands beside it. */
function infoOf({ code, hint }: Problem) {
  const reason = code.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
  return { reason, domain: "sentinel", metadata: { code, hint } };
}

function any(type: string, value: Buffer) {
  return { type_url: `${TYPES}/${type}`, value };
}

/**
 * A text that takes at most so many characters once it is percent-encoded, and that can be: half of a surrogate pair, which JSON may bring
 * into a message, cannot.
 */
function onWire(text: string, lengthMax: number): string {
  const whole = wellFormed(text);
  if (encodeURI(whole).length <= lengthMax) return whole;
  let length = 0;
  let cut = "";
  for (const sign of whole) {
    length += encodeURI(sign).length;
    if (length > lengthMax - 1) break;
    cut += sign;
  }
  return `${cut}…`;
}
