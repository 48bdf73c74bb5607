// The parts of a running server that routes share, and what a route is.
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { Tenant } from "../core/tenant.ts";
import type { Desk, Notices, Notifier } from "../lifecycle/desk.ts";
import type { KeyPorts } from "../lifecycle/keys.ts";
import type { Platform, Retention, TaskRunner } from "../lifecycle/platform.ts";
import type { Rounds } from "../lifecycle/rounds.ts";
import type { ShadowReporter } from "../lifecycle/shadow-report.ts";
import type { TenantPorts } from "../lifecycle/tenants.ts";
import type { EngineLog } from "../online/counters.ts";
import type { Engine } from "../online/engine.ts";
import type { Pipelines } from "../online/pipelines.ts";
import type { ArchiveStatus } from "../ports/archive.ts";
import type { Clock } from "../ports/ports.ts";
import type { Store } from "../ports/store.ts";
import type { Access, Caller, Need } from "./access.ts";
import type { Feed } from "./feed.ts";
import type { Intake } from "./intake.ts";
import type { Logins, ProviderLogin } from "./login.ts";
import type { Measures, ProcessMeasures } from "./measures.ts";
import type { Overload } from "./overload.ts";
import type { Privacies } from "./privacies.ts";
import type { Pulse } from "./pulse.ts";
import type { Quotas } from "./quotas.ts";
import type { RequestIds } from "./request-id.ts";
import type { Sessions } from "./sessions.ts";
import type { Tracing } from "./tracing.ts";

/** What the pipelines of a server have in common. */
export interface Common {
  readonly overload: Overload;
  readonly intake: Intake;
  readonly access: Access;
  readonly packageVersion: string;
  readonly requestIds: RequestIds;
  /** null: nobody traces. */
  readonly tracing: Tracing | null;
  /** Makes shadow reports elsewhere; null: they are made beside the traffic. */
  readonly reporter: ShadowReporter | null;
}

/** The engine of one pipeline, and what only a door over HTTP needs. */
export interface ServerParts extends Engine, Common {
  readonly measures: Measures;
  /** How the archive of what is decided stands; null where nothing is archived. */
  readonly archive: (() => ArchiveStatus) | null;
}

/** What the routes below /api work on. */
export interface PlatformParts {
  readonly store: () => Promise<Store>;
  readonly platform: Platform<ServerParts>;
  /** Null: the store keeps everything. */
  readonly retention: Retention | null;
  readonly desk: Desk<ServerParts>;
  /** Who hears of what; null: nobody. */
  readonly notices: Notices | null;
  readonly notifier: Notifier<ServerParts> | null;
  /** Counts open cases and waiting messages for those who measure. */
  readonly figures: Rounds;
  /** Draws what the queue gives: uniform in [0, 1). */
  readonly chance: () => number;
  /** Does what takes long elsewhere, in threads; null: only backtests are made, beside the traffic. */
  readonly tasks: TaskRunner | null;
  /** Where the workspace's keys are changed; null: they come from the environment alone. */
  readonly keyring: KeyPorts | null;
}

/** One file of the dashboard, as a browser receives it. */
export interface Page {
  /** Media type. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** By file name; `index.html` is what GET / answers, and every other name changes with its content. */
export type Pages = ReadonlyMap<string, Page>;

/** All of a server that is one tenant's, and what all tenants share. */
export interface Server extends Common {
  readonly tenant: Tenant;
  /** What the tenant is called; null: it is the first one, which nobody calls anything. */
  readonly title: string | null;
  /** The part of the server that is a caller's. */
  roomOf(caller: Caller): Server;
  /** Whether transactions can be answered, where it has no pipelines because who is here shows no key; null: its own pipelines say so. */
  readonly readyElsewhere: (() => boolean) | null;
  /** What the tenant may have and ask. */
  readonly quotas: Quotas;
  /** Makes and removes tenants; null: this server keeps none. */
  readonly tenants: TenantPorts | null;
  /** The parts of all tenants: for limits of the whole process, and for who runs it. */
  everyRoom(): readonly Server[];
  /** null: the server has no store, and nothing below /api. */
  readonly platform: PlatformParts | null;
  readonly pipelines: Pipelines<ServerParts>;
  /** Which of their columns say who somebody is. */
  readonly privacies: Privacies;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly measures: ProcessMeasures;
  readonly sessions: Sessions;
  /** The provider that people log in by; null: keys alone. */
  readonly provider: ProviderLogin | null;
  /** Logins there that have begun. */
  readonly logins: Logins;
  /** The dashboard's files; null: there is none. */
  readonly pages: Pages | null;
  /** Decisions by minute. */
  readonly pulse: Pulse;
  /** Who watches live. */
  readonly feed: Feed;
  /** What is measured of a pipeline, whether or not it is up. */
  measuresOf(pipeline: string): Measures;
}

/** A request as a route sees it; `incoming` is missing where no socket is behind it (tests by app.request). */
export type RequestContext = Context<DoorEnv>;

export interface DoorEnv {
  Bindings: Partial<HttpBindings>;
  /** `parts`: of the pipeline that a server's route found, so that the request is counted there. */
  Variables: { caller: Caller; parts?: ServerParts };
}

/** How the OpenAPI document describes a route, and what it asks for. */
interface Described {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** As OpenAPI has it: `{name}` stands for one segment. */
  readonly path: string;
  /** What it asks for, once keys exist. */
  readonly access: Need;
  readonly summary: string;
  /** True for routes that are refused when the server is overloaded. */
  readonly shed?: boolean;
  /** True where a problem says its detail as `error` too, which clients of the Open Inference Protocol read. */
  readonly errorMember?: boolean;
  /** Parameters of the query by name: what they do, and the schema of their value. */
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: object }>>;
  /** Media types of the body with their schemas. */
  readonly body?: Readonly<Record<string, object>>;
  /** True where a request without a body, and without its type, is one with an empty object. */
  readonly bodyIsOptional?: true;
  /** Schema of the answer, by media type. */
  readonly answers: Readonly<Record<string, object>>;
  /** The status of an answer that is no problem; 200 when absent. */
  readonly done?: 201 | 303;
  /** True where 204 without a body says that there is nothing. */
  readonly mayBeEmpty?: true;
  /** True for a route that answers 503 with the same body while the server is not ready, not with a problem. */
  readonly tellsUnready?: boolean;
}

/** A route of a pipeline: at its path for the default pipeline, and below {@link PREFIX} for the one that is named there. */
export interface Route extends Described {
  run(parts: ServerParts, context: RequestContext): Response | Promise<Response>;
}

/** A route of the whole server. */
export interface ServerRoute extends Described {
  /** True where the route finds a pipeline by itself, and asks whether the caller's key is for it. */
  readonly findsPipeline?: boolean;
  runServer(server: Server, context: RequestContext): Response | Promise<Response>;
}

/** What stands before the path of a pipeline's route to name the pipeline. */
export const PREFIX = "/pipelines/{pipeline}";

/** What stands for the route where no route takes a request. */
export const UNROUTED = "(none)";

/** A JSON answer. */
export function jsonResponse(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json", ...headers } });
}

/** Takes from the allowance of a request's key, for what the request itself did not pay. */
export function chargeOf({ access }: Common, context: RequestContext): (count: number) => void {
  return (count) => access.charge(context.get("caller"), count);
}
