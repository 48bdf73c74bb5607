// Several pipelines in one server: each as if it were alone, whatever becomes of the others; one that is broken comes up once repaired.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reporterIn } from "../../src/cli/serve/report.ts";
import { loadConfig } from "../../src/config.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { DEFAULT_TENANT } from "../../src/core/tenant.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { replay as replayTable } from "../../src/features/replay.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { fileSource } from "../../src/lifecycle/serve.ts";
import { reportSettings, reportShadows } from "../../src/lifecycle/shadow-report.ts";
import type { PipelineSource } from "../../src/online/pipelines.ts";
import { saveTrainingState } from "../../src/online/states.ts";
import { loadPipeline, pipelineNames } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { createServer, createSeveral, type SentinelServer } from "../../src/server/server.ts";
import { openWorkspacePorts } from "../../src/wiring.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  NOW,
  type Payment,
  payments,
  pipelineText,
  post,
  reply,
  SCHEMA,
  SPEC_A,
  silent,
  until,
} from "./world.ts";

const COLUMNS = { id: "transaction_id", time: "time", label: "is_fraud" };
const TRAINED_UP_TO = HISTORY[HISTORY.length - 1].time;
/** `fresh` has nothing but what its training left. */
const NAMES = ["card", "crypto", "shop"];
const CLOCK = { now: () => NOW, elapsed: () => performance.now() };
const REPORT = { line: () => {}, progress: () => {} };
const stream = (prefix: string, count = 30): Payment[] => payments(count, { seed: 31, from: NOW - 5 * DAY_MS, prefix });

let dir: string;
let workspace: ReturnType<typeof openWorkspacePorts>;
let server: SentinelServer;
let url: string;

/** A workspace's folder with three pipelines, each with a champion, another version and what its training left. */
async function makeWorkspace(): Promise<string> {
  const made = mkdtempSync(path.join(tmpdir(), "sentinel-several-"));
  mkdirSync(path.join(made, "pipelines"));
  const config = loadConfig({ workspace: made, environment: {} });
  const { portsOf, close } = openWorkspacePorts(config, { report: REPORT, clock: CLOCK });
  const plan = compileSpec(SPEC_A);
  const { state } = replayTable({ spec: plan, table: historyTable(), columns: COLUMNS, labelDelayMs: DAY_MS });
  for (const [index, name] of [...NAMES, "fresh"].entries()) {
    const { ports } = portsOf({ pipeline: name });
    const source = `${made}/data/history.parquet`;
    const origin = { dataHash: "d".repeat(64), dataPath: source, trainedUpTo: TRAINED_UP_TO };
    await saveTrainingState(ports, { pipeline: name, layout: plan.layoutHash, state, ...origin });
    if (!NAMES.includes(name)) continue;
    writeFileSync(path.join(made, "pipelines", `${name}.yaml`), pipelineText(name));
    const registry = await ports.registry();
    const runId = await registry.startRun({ experiment: name, name: "r", startedAt: NOW, user: "test", tags: {} });
    for (const seed of [index + 1, index + 11]) {
      const files = makeBundle(SPEC_A, seed);
      await registry.register({ model: `${name}-fraud`, runId, files, description: "", tags: {}, at: NOW });
    }
    await move(ports, { name, from: null, to: "1" });
  }
  writeFileSync(path.join(made, "pipelines", "card.schema.json"), JSON.stringify(SCHEMA));
  await close();
  return made;
}

async function move(ports: Ports, of: { readonly name: string; readonly from: string | null; readonly to: string }) {
  const { name, from, to } = of;
  const entry = { at: NOW, actor: "t", verb: "promote", verdict: "PROMOTE", evidence: "", reason: "t" } as const;
  await (await ports.registry()).moveAlias({ model: `${name}-fraud`, alias: "champion", from, to, entry });
}

function sourceOf(name: string): PipelineSource {
  return fileSource(dir, name, { portsOf: () => workspace.portsOf({ pipeline: name }), archiverOf: noArchiver });
}

/** No pipeline of these tests names an archive. */
function noArchiver(): never {
  throw new Error("nothing is to be archived");
}

/** What several pipelines of the workspace are opened by. */
function openServer(main: string | null = "card"): Promise<SentinelServer> {
  return createSeveral({
    sources: pipelineNames(dir).map(sourceOf),
    main,
    clock: CLOCK,
    discover: () => pipelineNames(dir).map(sourceOf),
    options: { logger: silent, retryMs: 50, announceMs: 0, lagMsMax: 60_000 },
  });
}

const fileOf = (name: string): string => path.join(dir, "pipelines", `${name}.yaml`);
const statusAt = async (route: string): Promise<number> => (await server.app.request(route)).status;
const at = (name: string, route: string): string => `/pipelines/${name}${route}`;

/** By a socket, so that the hot road answers. */
async function send(
  route: string,
  body: unknown,
  to = url,
): Promise<{ readonly status: number; readonly body: never }> {
  for (;;) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${to}${route}`, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = (await response.json()) as { readonly code?: string };
    // A machine that is busy with other tests may refuse some as overload, which says when to come again.
    if (answer.code !== "server.overloaded") return { status: response.status, body: answer as never };
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function sendAll(route: string, items: readonly Payment[], to = url): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const item of items) {
    const { status, body } = await send(route, bodyOf(item), to);
    expect(status, JSON.stringify(body)).toBe(200);
    answers.push(body);
  }
  return answers;
}

beforeAll(async () => {
  dir = await makeWorkspace();
  workspace = openWorkspacePorts(loadConfig({ workspace: dir, environment: {} }), { report: REPORT, clock: CLOCK });
  // One is broken from the beginning, one has a snapshot that is none.
  writeFileSync(fileOf("shop"), "name: [shop\n");
  server = await openServer();
  const { host, port } = await server.start({ host: "127.0.0.1", port: 0 });
  url = `http://${host}:${port}`;
});
afterAll(async () => {
  await server.stop();
  await workspace.close();
  rmSync(dir, { recursive: true, force: true });
});

test("one broken pipeline answers 503 with what is wrong and is seen everywhere; the others serve; repaired, it comes up by itself", async () => {
  const [item] = stream("broken");
  const refused = await send(at("shop", "/predict"), bodyOf(item));
  expect(refused).toMatchObject({ status: 503, body: { code: "server.not-ready" } });
  const { detail } = refused.body as { readonly detail: string };
  expect(detail).toMatch(/pipeline shop is not up: pipelines\/shop\.yaml.*pipeline\.invalid/s);
  expect(detail).not.toContain(dir);
  for (const name of ["card", "crypto"]) expect((await send(at(name, "/predict"), bodyOf(item))).status).toBe(200);
  const ready = await server.app.request("/readyz");
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({
    status: "degraded",
    state: "warm",
    pipelines: {
      card: { status: "ready" },
      shop: { status: "not ready", reason: "the pipeline is not up", fault: { code: "pipeline.invalid" } },
    },
  });
  expect(await statusAt(at("shop", "/readyz"))).toBe(503);
  expect(await statusAt(at("crypto", "/readyz"))).toBe(200);
  expect(await statusAt(at("shop", "/health"))).toBe(503);
  const health = await (await server.app.request("/health")).json();
  expect(health).toMatchObject({
    pipelines: { shop: { fault: { code: "pipeline.invalid" } }, card: { status: "ready" } },
  });
  const metrics = await (await server.app.request("/metrics")).text();
  expect(metrics).toContain('sentinel_pipeline_up{pipeline="shop"} 0');
  expect(metrics).toContain('sentinel_ready{pipeline="shop"} 0');
  expect(metrics).toContain('sentinel_ready{pipeline="crypto"} 1');
  expect(metrics).toContain('sentinel_requests_total{route="/predict",status="503",pipeline="shop"} 1');
  // Each metric has its HELP once, or Prometheus takes nothing of the page.
  const helps = metrics.match(/^# HELP \S+/gm)!;
  expect(new Set(helps).size).toBe(helps.length);

  writeFileSync(fileOf("shop"), pipelineText("shop").replace("card.schema.json", "shop.schema.json"));
  await until(async () => {
    const { body } = await send(at("shop", "/predict"), bodyOf(item));
    return /names a schema that is not there/.test((body as { readonly detail: string }).detail);
  });
  writeFileSync(path.join(dir, "pipelines", "shop.schema.json"), JSON.stringify(SCHEMA));
  await until(async () => (await statusAt(at("shop", "/readyz"))) === 200);
  expect((await send(at("shop", "/predict"), bodyOf(item))).status).toBe(200);
  const list = (await (await server.app.request("/pipelines")).json()) as { readonly pipelines: readonly object[] };
  expect(list).toMatchObject({ default: "card" });
  expect(list.pipelines).toMatchObject(
    NAMES.map((name) => ({ name, model: `${name}-fraud`, status: "ready", version: "1", default: name === "card" })),
  );
});

test("a pipeline by its name answers as a server that holds it alone, bit for bit, and no other pipeline's traffic moves it", async () => {
  const traffic = stream("same", 60);
  const other = payments(60, { seed: 5, from: NOW - 5 * DAY_MS, prefix: "same" });
  const labels = traffic.slice(0, 20).map((item) => ({ transaction_id: item.transaction_id, fraud: true }));
  const twice = async (predict: string, feedback: string, to: string): Promise<unknown[]> => {
    const first = await sendAll(predict, traffic.slice(0, 40), to);
    expect(await send(feedback, labels, to)).toMatchObject({ status: 200, body: { accepted: 20 } });
    return [...first, ...(await sendAll(predict, traffic.slice(40), to))];
  };
  const [answers] = await Promise.all([
    twice(at("crypto", "/predict"), at("crypto", "/feedback"), url),
    // The same ids, customers and terminals with other content, at the same time.
    sendAll(at("shop", "/predict"), other),
  ]);
  const alone = await makeWorkspace();
  const single = openWorkspacePorts(loadConfig({ workspace: alone, environment: {} }), {
    report: REPORT,
    clock: CLOCK,
  });
  const own = single.portsOf({ pipeline: "crypto" });
  const only = await createServer({
    ports: own.ports,
    pipeline: loadPipeline(alone, "crypto"),
    schema: SCHEMA,
    options: { logger: silent, announceMs: 0 },
  });
  const { host, port } = await only.start({ host: "127.0.0.1", port: 0 });
  // The first of the journey's transactions was this pipeline's too.
  await sendAll("/predict", stream("broken").slice(0, 1), `http://${host}:${port}`);
  expect(await twice("/predict", "/feedback", `http://${host}:${port}`)).toEqual(answers);
  await only.stop();
  await own.close();
  await single.close();
  rmSync(alone, { recursive: true, force: true });
});

test("one id in two pipelines is two transactions, each with its own log and labels", async () => {
  const [a, b] = [stream("twin")[0], { ...stream("twin")[0], amount: 7.5, customer_id: "c-other" }];
  expect((await send("/predict", bodyOf(a))).status).toBe(200);
  expect((await send(at("shop", "/predict"), bodyOf(b))).status).toBe(200);
  expect((await send("/predict", bodyOf(b))).status).toBe(409);
  expect((await send(at("card", "/predict"), bodyOf(a))).status).toBe(200);
  const unknown = await send(at("crypto", "/feedback"), { transaction_id: a.transaction_id, fraud: true });
  expect(unknown.status).toBe(404);
  const fieldsOf = async (name: string) =>
    (await server.pipelines.engine(name)!.log.find(a.transaction_id))?.fields.customer_id ?? null;
  expect(await Promise.all(NAMES.map(fieldsOf))).toEqual([a.customer_id, null, "c-other"]);
});

test("a promotion in one changes no other", async () => {
  const ports = workspace.portsOf({ pipeline: "shop" });
  const versions = new Map<string, Set<string>>(NAMES.map((name) => [name, new Set()]));
  let moved = false;
  const client = async (name: string): Promise<void> => {
    for (const [index, item] of stream(`p-${name}`, 400).entries()) {
      const { status, body } = await send(at(name, "/predict"), bodyOf(item));
      expect(status, JSON.stringify(body)).toBe(200);
      versions.get(name)!.add((body as { readonly model: { readonly version: string } }).model.version);
      if (name === "shop" && index === 20) await move(ports.ports, { name, from: "1", to: "2" });
      moved ||= versions.get("shop")!.has("2");
      if (moved && index > 60) return;
    }
  };
  await Promise.all(NAMES.map(client));
  await until(async () => (await reply(server.app.request(at("shop", "/model")))).champion.version === "2");
  expect([...versions.get("shop")!].sort()).toEqual(["1", "2"]);
  expect([...versions.get("card")!, ...versions.get("crypto")!]).toEqual(["1", "1"]);
  await ports.close();
});

test("every route of a pipeline is there below its name, with its own schema; models have their pipelines' names", async () => {
  const body = bodyOf(stream("routes")[0]);
  expect((await post(server, at("crypto", "/predict/batch"), [body])).status).toBe(200);
  expect((await post(server, at("crypto", "/explain"), { transaction_id: body.transaction_id })).status).toBe(200);
  expect((await post(server, "/explain", { transaction_id: body.transaction_id })).status).toBe(404);
  expect((await post(server, at("crypto", "/invocations"), { inputs: [body] })).status).toBe(200);
  for (const route of ["/model", "/circuit/status", "/ping", "/docs", "/openapi.json", "/shadow/report"]) {
    expect(await statusAt(at("crypto", route)), route).toBe(200);
  }
  const tensors = Object.entries(body).map(([name, value]) => {
    const datatype = typeof value === "number" ? (name === "time" ? "INT64" : "FP64") : "BYTES";
    return { name, datatype, shape: [1], data: [value] };
  });
  const inferred = await post(server, "/v2/models/crypto-fraud/infer", { inputs: tensors });
  expect(await inferred.json()).toMatchObject({ model_name: "crypto-fraud", model_version: "1" });
  expect((await post(server, "/v2/models/nobody/infer", { inputs: tensors })).status).toBe(404);
  const whole = await reply(server.app.request("/openapi.json"));
  expect(Object.keys(whole.paths)).toEqual(
    expect.arrayContaining([
      "/predict",
      "/pipelines/crypto/predict",
      "/pipelines/shop/feedback",
      "/livez",
      "/pipelines",
    ]),
  );
  expect(JSON.stringify(whole.paths["/pipelines/shop/predict"])).toContain("#/components/schemas/shop.Transaction");
  const refs = [...JSON.stringify(whole).matchAll(/"#\/components\/schemas\/([\w.]+)"/g)].map(([, name]) => name);
  for (const name of refs) expect(Object.keys(whole.components.schemas)).toContain(name);
  const unknown = await send(at("nobody", "/predict"), body);
  expect(unknown).toMatchObject({ status: 404, body: { code: "request.not-found" } });
  expect((unknown.body as { readonly hint: string }).hint).toContain("/pipelines/crypto");
});

test("a log that cannot be opened, a snapshot that is none: the pipeline alone is touched, and comes back", async () => {
  const log = path.join(dir, "models", "state", "fresh-log.db");
  writeFileSync(log, "this is no database, however long one looks at it".repeat(100));
  const { snapshotName } = await import("../../src/online/states/saved.ts");
  const name = snapshotName("serve", { pipeline: "fresh", layout: compileSpec(SPEC_A).layoutHash });
  await (await workspace.common.snapshots()).save(name, new Uint8Array([1, 2, 3]));
  writeFileSync(fileOf("fresh"), pipelineText("fresh").replace("fresh-fraud", "card-fraud"));
  await until(() => server.pipelines.get("fresh")?.fault?.code === "log.unreadable");
  await expect(server.pipelines.add(sourceOf("fresh"))).rejects.toMatchObject({ code: "pipeline.exists" });
  expect((await send(at("fresh", "/predict"), {})).body).toMatchObject({ status: 503, code: "server.not-ready" });
  expect((await send("/predict", bodyOf(stream("log")[0]))).status).toBe(200);
  rmSync(log);
  await until(async () => (await statusAt(at("fresh", "/readyz"))) === 200);
  expect(await (await server.app.request(at("fresh", "/readyz"))).json()).toMatchObject({ state: "warm" });
  expect((await send(at("fresh", "/predict"), bodyOf(stream("log")[0]))).status).toBe(200);
  // Removed by a call it stays away, though its file is there.
  await server.pipelines.remove("fresh");
  await server.pipelines.retry();
  expect((await send(at("fresh", "/predict"), {})).status).toBe(404);
  rmSync(fileOf("fresh"));
});

test("pipelines come and go while the server runs: by a new file, and by a call", async () => {
  const { transaction_id: idSchema, ...others } = SCHEMA.properties;
  const schema = {
    ...SCHEMA,
    required: SCHEMA.required.map((name) => (name === "transaction_id" ? "order_id" : name)),
    properties: { order_id: idSchema, ...others },
  };
  writeFileSync(path.join(dir, "pipelines", "night.schema.json"), JSON.stringify(schema));
  const text = pipelineText("night").replace("night-fraud", "card-fraud").replace("card.schema", "night.schema");
  const named = text.replace("id: transaction_id", "id: order_id").replace("transaction_id: [", "order_id: [");
  writeFileSync(fileOf("night"), named);
  await until(async () => (await statusAt(at("night", "/readyz"))) === 200);
  const { transaction_id: id, ...rest } = bodyOf(stream("night")[0]);
  expect((await send(at("night", "/predict"), { order_id: id, ...rest })).status).toBe(200);
  // The id as answers call it, which is what `sentinel label` sends.
  expect((await send(at("night", "/feedback"), { transaction_id: id, fraud: true })).status).toBe(200);
  // Two pipelines have one model now: its name alone would be a guess.
  const guess = await server.app.request("/v2/models/card-fraud");
  expect([guess.status, (await reply(guess)).hint]).toEqual([404, expect.stringContaining("night")]);
  expect((await server.app.request("/v2/models/night")).status).toBe(200);
  rmSync(fileOf("night"));
  const again = await server.pipelines.replace({
    ...sourceOf("card"),
    name: "night",
    from: "api",
    open: sourceOf("card").open,
  });
  // The lock: nobody may write the log of a pipeline that is served already.
  expect(again).toMatchObject({ engine: null, fault: { code: "lifecycle.locked" } });
  await server.pipelines.remove("night");
  expect(await statusAt(at("night", "/readyz"))).toBe(404);
  await expect(server.pipelines.remove("night")).rejects.toMatchObject({ code: "pipeline.missing" });
});

test("a report made in a thread is the one made beside the traffic", async () => {
  const { ports, close } = workspace.portsOf({ pipeline: "shop" });
  const registry = await ports.registry();
  const entry = { at: NOW, actor: "t", verb: "train", verdict: "pass", evidence: "", reason: "t" } as const;
  await registry.moveAlias({ model: "shop-fraud", alias: "candidate", from: null, to: "1", entry });
  await until(async () => (await reply(server.app.request(at("shop", "/model")))).shadows[0]?.state.warm === true);
  await sendAll(at("shop", "/predict"), stream("report"));
  const { live, shadows, log } = server.pipelines.engine("shop")!;
  await until(() => (shadows.coverage().find(({ version }) => version === "1")?.scored ?? 0) >= 30);
  shadows.flush();
  await log.flush();
  const [{ scorer }] = live.current.shadows;
  const request = {
    champion: "2",
    candidates: [{ version: scorer.version, bundle: scorer.bundle, vectors: shadows.vectors(scorer) }],
    now: NOW,
    at: NOW,
    settings: reportSettings(loadPipeline(dir, "shop")),
  };
  const here = await reportShadows(ports, request);
  expect(here).toMatchObject({ champion: "2", candidates: [{ version: "1", disagreements: { explained: 20 } }] });
  expect(await reporterIn({ root: dir, tenant: DEFAULT_TENANT })("shop", request)).toEqual(here);
  const beyond = { ...request, champion: "2", candidates: [{ ...request.candidates[0], version: "1" }] };
  await expect(
    reporterIn({ root: path.join(dir, "pipelines", "card.yaml"), tenant: DEFAULT_TENANT })("shop", beyond),
  ).rejects.toMatchObject({
    code: expect.stringMatching(/^log\./),
  });
  await close();
});

test("each pipeline's log replays to the bit, and a server without a default asks for a name", async () => {
  await server.stop();
  for (const name of NAMES) {
    const { ports, close } = workspace.portsOf({ pipeline: name });
    const report = await replay(ports, { pipeline: loadPipeline(dir, name), history: async () => historyTable() });
    expect(report, name).toMatchObject({ verdict: "pass", mismatches: [] });
    expect(report.compared).toBeGreaterThan(30);
    await close();
  }
  const nameless = await openServer(null);
  const refused = await post(nameless, "/predict", bodyOf(stream("last")[0]));
  expect(await refused.json()).toMatchObject({ status: 404, hint: expect.stringContaining("/pipelines/shop") });
  expect((await post(nameless, at("shop", "/predict"), bodyOf(stream("last")[0]))).status).toBe(200);
  await nameless.stop();
});

test("where no pipeline comes up there is no server", async () => {
  const none = mkdtempSync(path.join(tmpdir(), "sentinel-several-"));
  mkdirSync(path.join(none, "pipelines"));
  for (const name of ["a", "b"]) writeFileSync(path.join(none, "pipelines", `${name}.yaml`), `name: ${name}x\n`);
  const sources = ["a", "b"].map((name) =>
    fileSource(none, name, { portsOf: () => workspace.portsOf({ pipeline: name }), archiverOf: noArchiver }),
  );
  await expect(createSeveral({ sources, main: "b", clock: CLOCK, options: { logger: silent } })).rejects.toMatchObject({
    code: "pipeline.invalid",
    message: expect.stringContaining("pipelines/b.yaml"),
  });
  rmSync(none, { recursive: true, force: true });
});
