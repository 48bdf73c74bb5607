// Traces: with an SDK registered, a request's span continues the client's trace and holds its steps; without one nothing is wrapped.
import { writeFileSync } from "node:fs";
import { context, propagation, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { afterEach, beforeAll, expect, test } from "vitest";
import { addRule } from "../../src/lifecycle/rules.ts";
import { openTracing } from "../../src/server/tracing.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  SCHEMA,
  SPEC_A,
  SPEC_B,
  serve,
  until,
  type World,
} from "./world.ts";

const exporter = new InMemorySpanExporter();
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const headers = { "content-type": "application/json", traceparent: `00-${TRACE}-${PARENT}-01`, "x-request-id": "r-1" };
const rows = payments(6, { seed: 61, from: NOW - 3_600_000, prefix: "z" }).map(bodyOf);

function register(): void {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
}

beforeAll(() => exporter.reset());

afterEach(() => {
  exporter.reset();
  trace.disable();
  context.disable();
  propagation.disable();
});

/** Names of the finished spans, each behind its parent's. */
function tree(): string[] {
  const spans = exporter.getFinishedSpans();
  const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
  return spans
    .map((span) => {
      const parent = span.parentSpanContext?.spanId ?? "";
      return `${byId.get(parent)?.name ?? parent} > ${span.name}`;
    })
    .sort();
}

async function served(run: (url: string) => Promise<void>, on: { readonly ruled?: boolean } = {}): Promise<void> {
  const world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_B, 2)));
  if (on.ruled) await tagAll(world);
  const running = await serve(world);
  const { host, port } = await running.server.start({ host: "127.0.0.1", port: 0 });
  await run(`http://${host}:${port}`);
  await running.stop();
  await world.remove();
}

async function tagAll(world: World): Promise<void> {
  const kind = { action: "tag", severity: "info", stage: "live", share: 1, description: "", owner: "" } as const;
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  const { ports, close } = world.open();
  await addRule(ports, { pipeline: world.pipeline, actor: "ana", rule: { id: "any", when: "amount >= 0", ...kind } });
  await close();
}

test("without an SDK there is nothing to ask", async () => {
  expect(await openTracing("0")).toBeNull();
});

test("a request's span continues the client's trace, and its steps are its children, on both roads", async () => {
  register();
  await served(async (url) => {
    for (const path of ["/predict", "/predict?explain=false"]) {
      exporter.reset();
      const body = JSON.stringify(rows.shift());
      expect((await fetch(url + path, { method: "POST", headers, body })).status).toBe(200);
      await until(() => exporter.getFinishedSpans().some(({ name }) => name === "POST /predict"));
      expect(tree()).toEqual([
        "POST /predict > features",
        "POST /predict > log",
        "POST /predict > parse",
        "POST /predict > score",
        "POST /predict > shadow",
        `${PARENT} > POST /predict`,
      ]);
      const spans = exporter.getFinishedSpans();
      expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE]));
      expect(spans.find(({ name }) => name === "POST /predict")?.attributes).toEqual({
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "sentinel.request_id": "r-1",
      });
    }
  });
});

test("live rules are a step of their own, between the score and the log", async () => {
  register();
  await served(
    async (url) => {
      exporter.reset();
      const body = JSON.stringify(rows.shift());
      expect((await fetch(`${url}/predict`, { method: "POST", headers, body })).status).toBe(200);
      await until(() => exporter.getFinishedSpans().some(({ name }) => name === "POST /predict"));
      expect(tree()).toContain("POST /predict > rules");
      const steps = exporter.getFinishedSpans().map(({ name }) => name);
      expect(steps.slice(0, 5)).toEqual(["parse", "features", "score", "rules", "log"]);
    },
    { ruled: true },
  );
});

test("a refusal is told by its code, never in the client's words; a trace without a parent begins here", async () => {
  register();
  await served(async (url) => {
    exporter.reset();
    const body = JSON.stringify({ ...rows.shift(), amount: "4111 1111 1111 1111" });
    const plain = { "content-type": "application/json" };
    expect((await fetch(`${url}/predict`, { method: "POST", headers: plain, body })).status).toBe(422);
    await until(() => exporter.getFinishedSpans().length === 2);
    expect(tree()).toEqual([" > POST /predict", "POST /predict > parse"]);
    const [parse] = exporter.getFinishedSpans();
    expect(parse.status.message).toBe("request.invalid");
    const told = exporter
      .getFinishedSpans()
      .map(({ name, attributes, status, events }) => ({ name, attributes, status, events }));
    expect(JSON.stringify(told)).not.toContain("4111");
  });
});
