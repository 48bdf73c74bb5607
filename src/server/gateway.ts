// The gateway's HTTP door: POST /transaction, health, the state of the breakers, metrics.
import type { IncomingMessage, ServerResponse } from "node:http";
import { SentinelError } from "../core/errors.ts";
import { bearerIn } from "../core/key.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Pool } from "../gateway/pool.ts";
import type { LedgerWriter } from "../gateway/writer.ts";
import type { EngineLog } from "../online/counters.ts";
import { bugOf, problemOf } from "../online/problem.ts";
import type { Clock } from "../ports/ports.ts";
import type { Access } from "./access.ts";
import { decode, incomingText } from "./body.ts";
import { type Exchange, httpExchange } from "./exchange.ts";
import type { GatewayMeasures } from "./gateway-measures.ts";
import { Intake } from "./intake.ts";
import { type Listening, listen, type Tls } from "./listen.ts";
import { PROBLEM_TYPE, problemHeaders } from "./problem.ts";
import { createRequestIds, REQUEST_ID, type RequestIds } from "./request-id.ts";
import { type SafetyHeaders, safetyHeaders } from "./safety.ts";
import type { PlainRoad } from "./wire.ts";

export interface GatewayDoorOptions {
  readonly gateway: Gateway;
  readonly pool: Pool;
  readonly writer: LedgerWriter;
  readonly measures: GatewayMeasures;
  readonly clock: Clock;
  readonly access: Access;
  readonly logger: EngineLog;
}

const BODY_BYTES_MAX = 65_536;
/** Transactions under way at once. */
const IN_FLIGHT_MAX = 2000;
const PATH = "/transaction";
const JSON_TYPE = "application/json";
const JSON_HEAD: readonly string[] = ["content-type", JSON_TYPE];
const PROBLEM_HEAD: readonly string[] = ["content-type", PROBLEM_TYPE];

/** Takes requests until `close`. Errors: server.port-in-use, config.invalid. */
export async function serveGateway(
  options: GatewayDoorOptions,
  at: { readonly host: string; readonly port: number; readonly tls?: Tls },
): Promise<Listening> {
  const door = new Door(options, safetyHeaders(at.tls !== undefined));
  const listening = await listen((request, response) => void door.handle(request, response), {
    ...at,
    plain: door.plain,
    requestIds: door.requestIds,
    bodyMaxBytes: () => BODY_BYTES_MAX,
  });
  const { host, port } = listening;
  options.logger.info({ host, port }, "listening");
  return {
    ...listening,
    async close(times) {
      door.draining = true;
      await listening.close(times);
      door.stop();
    },
  };
}

class Door {
  /** Transactions whose head and body are plain: without node:http. */
  readonly plain: PlainRoad;
  private readonly options: GatewayDoorOptions;
  private readonly safety: SafetyHeaders;
  readonly requestIds: RequestIds = createRequestIds();
  private readonly intake: Intake;
  private inFlight = 0;
  /** Says so to whoever sends traffic, while transactions are still taken. */
  draining = false;

  constructor(options: GatewayDoorOptions, safety: SafetyHeaders) {
    this.options = options;
    this.safety = safety;
    this.intake = new Intake(options.clock);
    this.plain = {
      safety,
      clock: options.clock,
      requestId: this.requestIds,
      takes: (path, { bytes }) => path === PATH && bytes <= BODY_BYTES_MAX,
      take: (on, { body, key }) => void this.guarded(on, () => this.answer(on, key(), () => decode(body))),
    };
  }

  stop(): void {
    this.intake.stop();
  }

  /** Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers[REQUEST_ID];
    const id = this.requestIds(typeof given === "string" ? given : undefined);
    const path = (request.url ?? "").split("?")[0];
    const on = httpExchange(response, { id, safety: this.safety });
    return this.guarded(on, () => (path === PATH ? this.transaction(request, on) : this.look(path, request, on)));
  }

  /** What goes wrong is answered as a problem. Never rejects. */
  private async guarded(on: Exchange, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const bug = bugOf(error);
      if (bug !== null) this.options.logger.error({ request: on.id, ...bug }, "a request met a fault of the gateway");
      const problem = problemOf(error);
      on.respond(problem.status, Object.entries(problemHeaders(error, problem)).flat(), JSON.stringify(problem));
    }
  }

  private async transaction(request: IncomingMessage, on: Exchange): Promise<void> {
    if (request.method !== "POST") throw wrongMethod("POST", PATH);
    const type = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
    if (type !== JSON_TYPE) {
      throw new SentinelError("request.media-type", `the body is ${type === "" ? "of no named type" : type}`, {
        hint: `send Content-Type: ${JSON_TYPE}`,
      });
    }
    const key = bearerIn(request.headers["x-api-key"], request.headers.authorization);
    const body = { bytesMax: BODY_BYTES_MAX, intake: this.intake, hint: "send one transaction" };
    await this.answer(on, key, () => incomingText(request, body));
  }

  /** While a body comes it is not among those under way: who sends slowly keeps nobody else out. */
  private async answer(on: Exchange, key: string | null, text: () => string | Promise<string>): Promise<void> {
    const { access, gateway } = this.options;
    access.check("predict", key);
    const given = text();
    const body = typeof given === "string" ? given : await given;
    if (this.inFlight >= IN_FLIGHT_MAX) {
      throw new SentinelError("server.overloaded", `${this.inFlight} transactions are under way already`, {
        hint: "send the request again after Retry-After seconds, or add a gateway",
      });
    }
    this.inFlight++;
    try {
      const { status, text } = await gateway.answer(body, on.id);
      on.respond(status, status === 200 ? JSON_HEAD : PROBLEM_HEAD, text);
    } finally {
      this.inFlight--;
    }
  }

  private async look(path: string, request: IncomingMessage, on: Exchange): Promise<void> {
    const { pool, writer, measures } = this.options;
    const known = ["/health", "/livez", "/readyz", "/circuit/status", "/metrics"];
    if (!known.includes(path)) {
      throw new SentinelError("request.not-found", `there is no ${path}`, {
        hint: `POST ${PATH}, or GET ${known.join(", ")}`,
      });
    }
    if (request.method !== "GET" && request.method !== "HEAD") throw wrongMethod("GET", path);
    if (path === "/metrics") {
      on.respond(200, ["content-type", measures.contentType], await measures.page(this.options));
      return;
    }
    const brains = pool.status();
    const circuit = circuitOf(brains.map(({ breaker }) => breaker));
    const ledger = writer.status();
    if (path === "/readyz" && this.draining) {
      throw new SentinelError("server.not-ready", "the gateway is stopping", { hint: "ask another one" });
    }
    // Ready without a brain too: then the policy answers, and that is what a gateway is for.
    const body =
      path === "/livez" || path === "/readyz"
        ? { status: "ok" }
        : path === "/health"
          ? { status: circuit === "closed" && !ledger.spooling ? "ok" : "degraded", circuit, brains, ledger }
          : { state: circuit, circuit, brains };
    on.respond(200, JSON_HEAD, JSON.stringify(body));
  }
}

/** Closed as long as one brain is asked. */
function circuitOf(states: readonly ("closed" | "half-open" | "open")[]): "closed" | "half-open" | "open" {
  if (states.includes("closed")) return "closed";
  return states.includes("half-open") ? "half-open" : "open";
}

function wrongMethod(allowed: string, path: string): SentinelError {
  return new SentinelError("request.method", `${path} is not asked like this`, { hint: `send ${allowed} ${path}` });
}
