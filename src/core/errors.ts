// The one error type, and the one table from error code to HTTP status, gRPC status, exit code and whether a retry may help.

/** Statuses of gRPC that errors end in, by their names (https://grpc.io/docs/guides/status-codes/). */
export type GrpcStatus =
  | "ALREADY_EXISTS"
  | "DATA_LOSS"
  | "DEADLINE_EXCEEDED"
  | "FAILED_PRECONDITION"
  | "INTERNAL"
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "UNAUTHENTICATED"
  | "UNAVAILABLE"
  | "UNIMPLEMENTED";

/** What an error means to the outside: answer, exit and retry. */
export interface ErrorKind {
  readonly http: number;
  readonly grpc: GrpcStatus;
  readonly exit: 2 | 3 | 70;
  readonly retryable: boolean;
}

const INPUT: ErrorKind = { http: 400, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false };
const MISSING: ErrorKind = { http: 404, grpc: "NOT_FOUND", exit: 2, retryable: false };
const CONFLICT: ErrorKind = { http: 409, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false };
const TOO_LARGE: ErrorKind = { http: 413, grpc: "RESOURCE_EXHAUSTED", exit: 2, retryable: false };
const OUTSIDE: ErrorKind = { http: 503, grpc: "UNAVAILABLE", exit: 3, retryable: true };
const DENIED: ErrorKind = { http: 401, grpc: "UNAUTHENTICATED", exit: 2, retryable: false };
const FORBIDDEN: ErrorKind = { http: 403, grpc: "PERMISSION_DENIED", exit: 2, retryable: false };
const BUG: ErrorKind = { http: 500, grpc: "INTERNAL", exit: 70, retryable: false };

/** Every code Sentinel can raise. The part before the dot names the folder or port that raised it. */
export const ERROR_KINDS = {
  "archive.foreign": CONFLICT,
  "archive.unreachable": OUTSIDE,
  "archive.unreadable": { http: 503, grpc: "DATA_LOSS", exit: 3, retryable: false },
  "archive.unwritable": { http: 503, grpc: "FAILED_PRECONDITION", exit: 3, retryable: false },
  "bug.unexpected": BUG,
  "bundle.corrupt": { http: 503, grpc: "DATA_LOSS", exit: 3, retryable: false },
  "bundle.unsupported": INPUT,
  "cases.claimed": CONFLICT,
  "cases.four-eyes": FORBIDDEN,
  "cases.state": CONFLICT,
  "cli.output-lost": { http: 500, grpc: "INTERNAL", exit: 3, retryable: false },
  "cli.usage": INPUT,
  "config.invalid": INPUT,
  "dataset.empty": INPUT,
  "dataset.format-unknown": INPUT,
  "dataset.missing": MISSING,
  "dataset.too-large": TOO_LARGE,
  "dataset.unreadable": INPUT,
  "dataset.unwritable": INPUT,
  "dataset.columns-missing": INPUT,
  "dataset.type-wrong": INPUT,
  "drift.reference-missing": INPUT,
  "engine.failed": OUTSIDE,
  "engine.unreachable": OUTSIDE,
  "evidence.input-invalid": INPUT,
  "expression.invalid": INPUT,
  "features.spec-invalid": INPUT,
  "features.spec-missing": MISSING,
  "features.limit": TOO_LARGE,
  "labels.invalid": { http: 422, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "lifecycle.cannot-continue": INPUT,
  "lifecycle.columns-unknown": INPUT,
  "lifecycle.locked": CONFLICT,
  "lifecycle.no-champion": MISSING,
  "lifecycle.no-candidate": MISSING,
  "lifecycle.not-enough-data": INPUT,
  "login.invalid": INPUT,
  "login.refused": FORBIDDEN,
  "login.unreachable": OUTSIDE,
  "log.unreadable": OUTSIDE,
  "log.unwritable": OUTSIDE,
  "ml.kernel-unusable": BUG,
  "ml.memory-short": INPUT,
  "ml.model-invalid": INPUT,
  "ml.model-unsupported": INPUT,
  "ml.runtime-missing": { http: 503, grpc: "UNAVAILABLE", exit: 2, retryable: true },
  "ml.not-explainable": { http: 422, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "ml.parameter-invalid": INPUT,
  "ml.one-class": INPUT,
  "pipeline.exists": { ...CONFLICT, grpc: "ALREADY_EXISTS" },
  "pipeline.invalid": INPUT,
  "pipeline.limit": CONFLICT,
  "pipeline.missing": MISSING,
  "pipeline.paused": OUTSIDE,
  "pipeline.schema": { http: 422, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "pipeline.stopped": CONFLICT,
  "quality.suite-invalid": INPUT,
  // Somebody else's version: retried, since `sentinel import` may give it its bundle any moment.
  "registry.no-bundle": { http: 503, grpc: "UNAVAILABLE", exit: 2, retryable: true },
  "registry.conflict": CONFLICT,
  "registry.corrupt": { http: 503, grpc: "DATA_LOSS", exit: 3, retryable: false },
  "registry.invalid": INPUT,
  "registry.missing": MISSING,
  "registry.unreachable": OUTSIDE,
  "registry.unwritable": { http: 503, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "registry.version-unknown": MISSING,
  "rules.invalid": INPUT,
  "rules.unknown": MISSING,
  "rules.conflict": CONFLICT,
  "rules.unreadable": OUTSIDE,
  "rules.four-eyes": FORBIDDEN,
  "request.body-too-large": TOO_LARGE,
  "request.changed": { http: 412, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "request.cross-site": FORBIDDEN,
  "request.unconditional": { http: 428, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "request.malformed": INPUT,
  "request.invalid": { http: 422, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "request.duplicate": { ...CONFLICT, grpc: "ALREADY_EXISTS" },
  "request.not-found": MISSING,
  "request.expectation": { http: 417, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "request.head-too-large": { http: 431, grpc: "RESOURCE_EXHAUSTED", exit: 2, retryable: false },
  "request.too-slow": { http: 408, grpc: "DEADLINE_EXCEEDED", exit: 2, retryable: true },
  "request.media-type": { http: 415, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "request.method": { http: 405, grpc: "UNIMPLEMENTED", exit: 2, retryable: false },
  "keys.unknown": MISSING,
  "keys.limit": CONFLICT,
  "keys.name": { http: 422, grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  "schemas.invalid": INPUT,
  "schemas.unreachable": OUTSIDE,
  "server.key-missing": DENIED,
  "server.key-role": FORBIDDEN,
  "server.keys-needed": INPUT,
  "server.chaos": OUTSIDE,
  "server.too-slow": OUTSIDE,
  "server.rate-limited": { http: 429, grpc: "RESOURCE_EXHAUSTED", exit: 3, retryable: true },
  "server.not-ready": OUTSIDE,
  "server.overloaded": OUTSIDE,
  "server.port-in-use": INPUT,
  "state.behind": OUTSIDE,
  "state.contended": OUTSIDE,
  "state.corrupt": { http: 503, grpc: "DATA_LOSS", exit: 3, retryable: false },
  "state.foreign": CONFLICT,
  "state.unreachable": OUTSIDE,
  "stream.invalid": INPUT,
  "stream.missing": MISSING,
  // Another process of the group writes now; an orchestrator's next try is a new member.
  "stream.taken-over": { http: 409, grpc: "FAILED_PRECONDITION", exit: 3, retryable: true },
  "stream.unreachable": OUTSIDE,
  "stream.unsupported": INPUT,
  "store.conflict": CONFLICT,
  "store.invalid": INPUT,
  "store.limit": CONFLICT,
  "store.schema-new": { http: 503, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "store.schema-old": { http: 503, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  // What the answer of HTTP is to an If-Match that no longer holds.
  "store.stale": { http: 412, grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  "store.unknown": MISSING,
  "store.unreachable": OUTSIDE,
  "store.unreadable": OUTSIDE,
  "store.unwritable": OUTSIDE,
  "tenant.exists": { ...CONFLICT, grpc: "ALREADY_EXISTS" },
  "tenant.invalid": INPUT,
  "tenant.limit": CONFLICT,
  "tenant.missing": MISSING,
  "workspace.not-empty": CONFLICT,
  "workspace.unwritable": INPUT,
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** An expected failure: what happened and to what (`message`), and what to do next (`hint`). */
export class SentinelError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { readonly hint: string; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = "SentinelError";
    this.code = code;
    this.hint = options.hint;
  }

  get kind(): ErrorKind {
    return ERROR_KINDS[this.code];
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Stops a bug where it stands; the world's faults raise {@link SentinelError} instead. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`);
}
