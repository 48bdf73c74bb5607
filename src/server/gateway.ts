// The gateway's HTTP door: POST /transaction, health, the state of the breakers, metrics.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { messageOf, SentinelError } from "../core/errors.ts";
import { bearerIn } from "../core/key.ts";
import type { Gateway, GatewayCounters } from "../gateway/gateway.ts";
import type { Pool } from "../gateway/pool.ts";
import type { LedgerWriter } from "../gateway/writer.ts";
import type { EngineLog } from "../online/counters.ts";
import { bugOf, problemOf } from "../online/problem.ts";
import type { Clock } from "../ports/ports.ts";
import type { Access } from "./access.ts";
import { decode } from "./body.ts";
import { type Listening, listen, type Tls } from "./listen.ts";
import { PROBLEM_TYPE, problemHeaders } from "./problem.ts";
import { createRequestIds, REQUEST_ID, type RequestIds } from "./request-id.ts";
import { type SafetyHeaders, safetyHeaders } from "./safety.ts";

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
const BODY_MS_MAX = 10_000;
/** Transactions under way at once. */
const IN_FLIGHT_MAX = 2000;
const JSON_TYPE = "application/json";

/** Takes requests until `close`. Errors: server.port-in-use, config.invalid. */
export async function serveGateway(
  options: GatewayDoorOptions,
  at: { readonly host: string; readonly port: number; readonly tls?: Tls },
): Promise<Listening> {
  const door = new Door(options, safetyHeaders(at.tls !== undefined));
  return listen((request, response) => void door.handle(request, response), {
    ...at,
    bodyMaxBytes: () => BODY_BYTES_MAX,
  });
}

class Door {
  private readonly options: GatewayDoorOptions;
  private readonly safety: SafetyHeaders;
  private readonly requestIds: RequestIds = createRequestIds();
  private inFlight = 0;

  constructor(options: GatewayDoorOptions, safety: SafetyHeaders) {
    this.options = options;
    this.safety = safety;
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers[REQUEST_ID];
    const id = this.requestIds(typeof given === "string" ? given : undefined);
    const path = (request.url ?? "").split("?")[0];
    try {
      if (path === "/transaction") await this.transaction(request, response, id);
      else await this.look(path, request, { response, id });
    } catch (error) {
      const bug = bugOf(error);
      if (bug !== null) this.options.logger.error({ request: id, ...bug }, "a request met a fault of the gateway");
      const problem = problemOf(error);
      this.send(response, {
        status: problem.status,
        headers: problemHeaders(error, problem),
        text: JSON.stringify(problem),
        id,
      });
    }
  }

  private async transaction(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    if (request.method !== "POST") throw wrongMethod("POST", "/transaction");
    const { access, gateway } = this.options;
    access.check("predict", bearerIn(request.headers["x-api-key"], request.headers.authorization));
    const type = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
    if (type !== JSON_TYPE) {
      throw new SentinelError("request.media-type", `the body is ${type === "" ? "of no named type" : type}`, {
        hint: `send Content-Type: ${JSON_TYPE}`,
      });
    }
    if (this.inFlight >= IN_FLIGHT_MAX) {
      throw new SentinelError("server.overloaded", `${this.inFlight} transactions are under way already`, {
        hint: "send the request again after Retry-After seconds, or add a gateway",
      });
    }
    this.inFlight++;
    try {
      const body = decode(await bytesOf(request));
      const { status, text } = await gateway.answer(body, id);
      const contentType = status === 200 ? JSON_TYPE : PROBLEM_TYPE;
      this.send(response, { status, headers: { "content-type": contentType }, text, id });
    } finally {
      this.inFlight--;
    }
  }

  private async look(
    path: string,
    request: IncomingMessage,
    { response, id }: { readonly response: ServerResponse; readonly id: string },
  ): Promise<void> {
    const { pool, writer, measures } = this.options;
    const known = ["/health", "/livez", "/readyz", "/circuit/status", "/metrics"];
    if (!known.includes(path)) {
      throw new SentinelError("request.not-found", `there is no ${path}`, {
        hint: `POST /transaction, or GET ${known.join(", ")}`,
      });
    }
    if (request.method !== "GET" && request.method !== "HEAD") throw wrongMethod("GET", path);
    if (path === "/metrics") {
      const text = await measures.page(this.options);
      this.send(response, { status: 200, headers: { "content-type": measures.contentType }, text, id });
      return;
    }
    const brains = pool.status();
    const circuit = circuitOf(brains.map(({ breaker }) => breaker));
    const ledger = writer.status();
    // Ready without a brain too: then the policy answers, and that is what a gateway is for.
    const body =
      path === "/livez" || path === "/readyz"
        ? { status: "ok" }
        : path === "/health"
          ? { status: circuit === "closed" && !ledger.spooling ? "ok" : "degraded", circuit, brains, ledger }
          : { state: circuit, circuit, brains };
    this.send(response, { status: 200, headers: { "content-type": JSON_TYPE }, text: JSON.stringify(body), id });
  }

  private send(
    response: ServerResponse,
    answer: {
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly text: string;
      readonly id: string;
    },
  ): void {
    if (response.headersSent || response.destroyed) return;
    const { status, headers, text, id } = answer;
    const head = Object.entries(headers).flat();
    response.writeHead(status, [
      ...head,
      "content-length",
      String(Buffer.byteLength(text)),
      REQUEST_ID,
      id,
      ...this.safety,
    ]);
    response.end(text);
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

/** Errors: request.body-too-large, request.too-slow, request.malformed (cut off). */
function bytesOf(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => {
      reject(
        new SentinelError("request.too-slow", "the body did not come in time", { hint: "send the request again" }),
      );
      request.destroy();
    }, BODY_MS_MAX);
    request.on("data", (piece: Buffer) => {
      length += piece.length;
      if (length <= BODY_BYTES_MAX) pieces.push(piece);
      else {
        clearTimeout(timer);
        reject(
          new SentinelError("request.body-too-large", `the body is larger than ${BODY_BYTES_MAX} bytes`, {
            hint: "send one transaction",
          }),
        );
      }
    });
    request.on("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(pieces));
    });
    request.on("close", () => {
      clearTimeout(timer);
      if (!request.complete) {
        reject(new SentinelError("request.malformed", "the body was cut off", { hint: "send the request again" }));
      }
    });
    request.on("error", (error) => {
      clearTimeout(timer);
      reject(
        new SentinelError("request.malformed", `the body was cut off: ${messageOf(error)}`, {
          hint: "send the request again",
        }),
      );
    });
  });
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What Prometheus reads of a gateway. */
export class GatewayMeasures {
  readonly counters: GatewayCounters;
  readonly contentType: string;
  private readonly registry = new Registry();
  private readonly failures: Counter<"brain">;
  private readonly hedges: Counter;
  private readonly conflicts: Counter;
  private readonly breakers: Gauge<"brain">;
  private readonly spooled: Gauge;
  private readonly waiting: Gauge;
  private readonly collecting: boolean;

  constructor({ process: ofProcess = true }: { readonly process?: boolean } = {}) {
    const registers = [this.registry];
    this.contentType = this.registry.contentType;
    this.collecting = ofProcess;
    if (this.collecting) collectDefaultMetrics({ register: this.registry });
    const answers = new Counter({
      name: "sentinel_gateway_answers_total",
      help: "Answers, by who gave them.",
      labelNames: ["by"],
      registers,
    });
    const policies = new Counter({
      name: "sentinel_gateway_policy_total",
      help: "Answers of the policy, by why no brain gave one.",
      labelNames: ["why"],
      registers,
    });
    const refusals = new Counter({
      name: "sentinel_gateway_refused_total",
      help: "Transactions that a brain refused, by status.",
      labelNames: ["status"],
      registers,
    });
    const settled = new Counter({
      name: "sentinel_gateway_settled_total",
      help: "Answers of the policy that a brain scored afterwards.",
      registers,
    });
    const lost = new Counter({
      name: "sentinel_gateway_ledger_lost_total",
      help: "Entries of an asynchronous ledger that could be kept nowhere.",
      registers,
    });
    const seconds = new Histogram({
      name: "sentinel_gateway_seconds",
      help: "Seconds from a transaction's arrival to its answer.",
      labelNames: ["by"],
      buckets: SECONDS,
      registers,
    });
    this.failures = new Counter({
      name: "sentinel_gateway_brain_failures_total",
      help: "Calls that a brain did not answer.",
      labelNames: ["brain"],
      registers,
    });
    this.hedges = new Counter({
      name: "sentinel_gateway_hedges_total",
      help: "Transactions that were sent to a second brain because the first was slow.",
      registers,
    });
    this.conflicts = new Counter({
      name: "sentinel_gateway_ledger_conflicts_total",
      help: "Entries from the spool whose id the ledger had with another answer.",
      registers,
    });
    this.breakers = new Gauge({
      name: "sentinel_gateway_brain_open",
      help: "1 while a brain is left alone after failures.",
      labelNames: ["brain"],
      registers,
    });
    this.spooled = new Gauge({
      name: "sentinel_gateway_spool_bytes",
      help: "Bytes of entries that wait on this machine for the ledger.",
      registers,
    });
    this.waiting = new Gauge({
      name: "sentinel_gateway_ledger_waiting",
      help: "Entries that wait for a batch.",
      registers,
    });
    this.counters = {
      answered: (by, ms) => {
        answers.inc({ by });
        seconds.observe({ by }, ms / 1000);
      },
      policy: (why) => policies.inc({ why }),
      refused: (status) => refusals.inc({ status: String(status) }),
      settled: () => settled.inc(),
      lost: () => lost.inc(),
    };
  }

  failed(where: string): void {
    this.failures.inc({ brain: where });
  }

  hedged(): void {
    this.hedges.inc();
  }

  conflicted(count: number): void {
    this.conflicts.inc(count);
  }

  page({ pool, writer }: Pick<GatewayDoorOptions, "pool" | "writer">): Promise<string> {
    const { spoolBytes, waiting } = writer.status();
    this.spooled.set(spoolBytes);
    this.waiting.set(waiting);
    // Brains come and go with their pods.
    this.breakers.reset();
    for (const { where, breaker } of pool.status()) this.breakers.set({ brain: where }, breaker === "closed" ? 0 : 1);
    return this.registry.metrics();
  }
}
