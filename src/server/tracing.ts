// Traces: spans of a request and of its parse, features, score, rules, log and shadow, where a program registered an OpenTelemetry SDK.
import type { Context, Span, Tracer } from "@opentelemetry/api";
import { SentinelError } from "../core/errors.ts";
import type { encode } from "../features/encode.ts";
import type { TransactionParser } from "../online/parse.ts";
import type { Rules } from "../online/rules.ts";
import type { loadScorer } from "../online/score.ts";
import type { Shadows } from "../online/shadow.ts";
import type { PredictionLog } from "../ports/log.ts";

type Api = typeof import("@opentelemetry/api");

/** What the span of a request says of it. */
export interface TracedRequest {
  readonly method: string;
  readonly route: string;
  readonly id: string;
  /** The client's traceparent and tracestate are taken from these. */
  header(name: string): string | undefined;
}

/** What the server asks for spans; where nothing is traced there is no Tracing at all, and nothing is wrapped. */
export interface Tracing {
  /** Runs within the request's span, a child of the client's; `run` gives the status. */
  request<T>(request: TracedRequest, run: () => Promise<T>, statusOf: (result: T) => number): Promise<T>;
  parser(parser: TransactionParser): TransactionParser;
  encode(plain: typeof encode): typeof encode;
  load(plain: typeof loadScorer): typeof loadScorer;
  log(log: PredictionLog): PredictionLog;
  /** Wraps them in place. */
  rules(rules: Rules): void;
  shadows(shadows: Shadows): void;
}

/** Where every copy of @opentelemetry/api keeps what an SDK registered: its public contract between versions. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");
const HTTP_FAILED = 500;

/**
 * Null unless an SDK registered a tracer provider in this process (`node --import ./tracing.mjs`) before the server was made; then
 * @opentelemetry/api is there as well, since the SDK needs it.
 */
export async function openTracing(packageVersion: string): Promise<Tracing | null> {
  const registered = (globalThis as { readonly [REGISTERED]?: { readonly trace?: unknown } })[REGISTERED];
  if (registered?.trace === undefined) return null;
  const api = await import("@opentelemetry/api").catch(() => null);
  return api === null ? null : tracingOf(api, api.trace.getTracer("sentinel", packageVersion));
}

function tracingOf(api: Api, tracer: Tracer): Tracing {
  const within = <T>(name: string, run: () => T): T => {
    const span = tracer.startSpan(name);
    try {
      return api.context.with(api.trace.setSpan(api.context.active(), span), run);
    } catch (error) {
      failed(api, span, error);
      throw error;
    } finally {
      span.end();
    }
  };
  return {
    async request(request, run, statusOf) {
      const span = tracer.startSpan(
        `${request.method} ${request.route}`,
        {
          kind: api.SpanKind.SERVER,
          attributes: {
            "http.request.method": request.method,
            "http.route": request.route,
            "sentinel.request_id": request.id,
          },
        },
        parentOf(api, request),
      );
      try {
        const result = await api.context.with(api.trace.setSpan(api.context.active(), span), run);
        const status = statusOf(result);
        span.setAttribute("http.response.status_code", status);
        if (status >= HTTP_FAILED) span.setStatus({ code: api.SpanStatusCode.ERROR });
        return result;
      } catch (error) {
        failed(api, span, error);
        throw error;
      } finally {
        span.end();
      }
    },
    parser: (parser) => ({ parse: (value, now) => within("parse", () => parser.parse(value, now)) }),
    encode:
      (plain) =>
      (...args) =>
        within("features", () => plain(...args)),
    load(plain) {
      return (files, name) => {
        const scorer = plain(files, name);
        return { ...scorer, score: (vector) => within("score", () => scorer.score(vector)) };
      };
    },
    log(log) {
      const append: PredictionLog["appendPrediction"] = (record) => within("log", () => log.appendPrediction(record));
      // A driver may be a class: everything else goes to it, as itself.
      return new Proxy(log, {
        get(target, name) {
          if (name === "appendPrediction") return append;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
    rules(rules) {
      const judge = rules.judge.bind(rules);
      // Without a live set there is nothing to time.
      rules.judge = (serving, question) =>
        serving.live === null ? judge(serving, question) : within("rules", () => judge(serving, question));
    },
    shadows(shadows) {
      const offer = shadows.offer.bind(shadows);
      shadows.offer = (jobs) => (jobs.length === 0 ? offer(jobs) : within("shadow", () => offer(jobs)));
    },
  };
}

/** An instrumentation of node:http may have made a span already; else the client's traceparent is the parent. */
function parentOf(api: Api, request: TracedRequest): Context {
  const active = api.context.active();
  if (api.trace.getSpan(active) !== undefined) return active;
  return api.propagation.extract(active, request, {
    get: ({ header }, name) => header(name),
    keys: () => ["traceparent", "tracestate", "baggage"],
  });
}

/** The error's code alone: its message may quote what the client sent. */
function failed(api: Api, span: Span, error: unknown): void {
  const message = error instanceof SentinelError ? error.code : "bug.unexpected";
  span.setStatus({ code: api.SpanStatusCode.ERROR, message });
}
