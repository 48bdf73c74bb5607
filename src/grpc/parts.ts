// The parts that the gRPC door needs of the process it stands in, as interfaces: the same keys, limits, counts and engines as every other door's.

import type { SentinelError } from "../core/errors.ts";
import type { KeyRecord, Role } from "../core/key.ts";
import type { Tenant } from "../core/tenant.ts";
import type { EngineLog } from "../online/counters.ts";
import type { Engine } from "../online/engine.ts";
import type { Pipelines } from "../online/pipelines.ts";
import type { Clock } from "../ports/ports.ts";

/** What a method asks for once keys exist: nothing, a key of any role, or one of this role (admin may do everything). */
export type Need = "open" | "any" | Role;

/** Who asks; a null key: without a valid one. */
export interface Caller {
  readonly key: KeyRecord | null;
  readonly tenant: Tenant;
}

/** A call that ended. `status`: of HTTP, by which all doors' requests are counted together. */
export interface CountedCall {
  readonly route: string;
  readonly status: number;
  readonly ms: number;
  /** Of the champion, where the method asks it. */
  readonly version?: string;
}

interface Counting {
  requested(call: CountedCall): void;
}

/** One pipeline. */
export interface GrpcEngine extends Engine {
  readonly measures: Counting;
  stop(drainMsMax: number): Promise<void>;
}

/** What is one tenant's. */
export interface GrpcRoom {
  readonly pipelines: Pipelines<GrpcEngine>;
  /** Whether transactions can be answered, where who asks shows no key and so has no pipelines; null: the pipelines say so. */
  readonly readyElsewhere: (() => boolean) | null;
}

/** The process. */
export interface GrpcParts {
  /** What there is for a caller: the pipelines of their tenant. */
  roomOf(caller: Caller): GrpcRoom;
  /** Of all tenants. */
  everyRoom(): readonly GrpcRoom[];
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly packageVersion: string;
  readonly access: {
    /** Throws `server.key-missing`, `server.key-role`, `server.rate-limited`. The method asks {@link checkPipeline} itself. */
    check(need: Need, key: string | null): Caller;
    checkPipeline(caller: Caller, pipeline: string | null): void;
    charge(caller: Caller, count: number): void;
  };
  readonly overload: {
    /** Throws `server.overloaded`. */
    admit(): void;
    enterAdmitted(): void;
    leave(): void;
    within<T>(answer: Promise<T>, budgetMs: number): Promise<T>;
    during<T>(work: () => Promise<T>): Promise<T>;
  };
  readonly intake: {
    body(cut: (error: SentinelError) => void): { done(): void };
    stream(): OpenStream;
  };
  /** Gives a call its id; `given` is the client's own. */
  requestIds(given: string | null | undefined): string;
  /** null: nobody traces. */
  readonly tracing: {
    request<T>(request: TracedCall, run: () => Promise<T>, statusOf: (result: T) => number): Promise<T>;
  } | null;
  readonly measures: Counting & { readonly overloaded: { inc(): void } };
}

/** A stream of the intake: it ends when it is silent for too long, and when the server stops. */
export interface OpenStream {
  wait(arrived: Promise<void>): Promise<void>;
  line(): void;
  done(): void;
}

export interface TracedCall {
  readonly method: string;
  readonly route: string;
  readonly id: string;
  header(name: string): string | undefined;
}
