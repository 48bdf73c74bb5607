// Stages of a request inside the server, timed by what the server offers to tracing: each span's length, and what lies before and after them.
import { subscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";
import { type Span, type SpanContext, type Tracer, type TracerProvider, trace } from "@opentelemetry/api";
import { Latencies, type Percentiles } from "./latencies.ts";

/** As they follow each other: `wait` until the body is there and its turn has come, `answer` from the last step to the socket. */
export const STAGES = ["wait", "parse", "features", "score", "rules", "log", "answer", "whole"] as const;
export type Stage = (typeof STAGES)[number];

/** Requests between the end of their steps and their answer. */
const UNDER_WAY_MAX = 100_000;

/** From now on every request is timed, also in a server that was not made yet; gives what was seen so far. */
export function timeStages(): () => Readonly<Record<Stage, Percentiles>> {
  const stages = Object.fromEntries(STAGES.map((stage) => [stage, new Latencies()])) as Record<Stage, Latencies>;
  /** Head of the request that is being handled, by its socket's turn: the span of a request begins in another tick. */
  const arrived = new WeakMap<object, number>();
  const stepped = new Map<string, { begun: number; ended: number }>();
  let current: { begun: number; ended: number } | null = null;
  const tracer = {
    startSpan(name: string, options?: { readonly attributes?: Readonly<Record<string, unknown>> }): Span {
      const begun = performance.now();
      const id = options?.attributes?.["sentinel.request_id"];
      if (typeof id === "string") {
        current = { begun, ended: begun };
        if (stepped.size < UNDER_WAY_MAX) stepped.set(id, current);
        return spanOf(() => {});
      }
      const request = current;
      return spanOf(() => {
        const ended = performance.now();
        if (isStage(name)) stages[name].add(ended - begun);
        if (request !== null) request.ended = ended;
      });
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer } satisfies TracerProvider);
  subscribe("http.server.request.start", (message) => {
    const { response } = message as { readonly response: object };
    arrived.set(response, performance.now());
  });
  subscribe("http.server.response.finish", (message) => {
    const { response } = message as { readonly response: ServerResponse & { readonly _header?: string } };
    const id = /x-request-id: (\S+)/i.exec(response._header ?? "")?.[1] ?? "";
    const steps = stepped.get(id);
    const from = arrived.get(response);
    if (steps === undefined || from === undefined) return;
    stepped.delete(id);
    const now = performance.now();
    stages.wait.add(steps.begun - from);
    stages.answer.add(now - steps.ended);
    stages.whole.add(now - from);
  });
  return () =>
    Object.fromEntries(STAGES.map((stage) => [stage, stages[stage].percentiles()])) as Record<Stage, Percentiles>;
}

function isStage(name: string): name is Stage {
  return (STAGES as readonly string[]).includes(name);
}

/** A span that only ends. */
function spanOf(end: () => void): Span {
  const context: SpanContext = { traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 };
  const span: Span = {
    spanContext: () => context,
    setAttribute: () => span,
    setAttributes: () => span,
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: () => span,
    updateName: () => span,
    isRecording: () => true,
    recordException: () => {},
    end,
  };
  return span;
}
