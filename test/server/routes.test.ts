// The other routes: batches, labels, probes, metrics, documents, admin; and a server without a champion.
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { ROUTES } from "../../src/server/routes.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  serve,
  until,
  type World,
} from "./world.ts";

const KEY = "a-long-admin-key-for-tests";
let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const stream = payments(300, { seed: 4, from: NOW - 5 * 86_400_000, prefix: "r" });
let next = 0;
function fresh(count: number) {
  next += count;
  return stream.slice(next - count, next).map(bodyOf);
}

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world, { adminKey: KEY, packageVersion: "1.2.3" }));
});

afterAll(async () => {
  await stop();
  await world.remove();
});

test("an array is answered in order", async () => {
  const items = fresh(70);
  const response = await post(server, "/predict/batch", items);
  expect(response.status).toBe(200);
  const answers = (await response.json()) as Reply[];
  expect(answers.map((answer) => answer.transaction_id)).toEqual(items.map((item) => item.transaction_id));
});

test("an array with one bad item is refused whole, and nothing of it is scored", async () => {
  const before = (await reply(server.app.request("/health"))).log.predictions;
  const [good, bad] = fresh(2);
  const response = await post(server, "/predict/batch", [good, { ...bad, amount: "x" }]);
  expect(response.status).toBe(422);
  expect((await reply(response)).errors[0].field).toBe("1/amount");
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(before);
});

test("an array that contradicts itself or an earlier answer is refused whole", async () => {
  const [a, b] = fresh(2);
  const twice = await post(server, "/predict/batch", [a, { ...a, amount: 1 }]);
  expect(twice.status).toBe(409);
  await post(server, "/predict", a);
  const before = (await reply(server.app.request("/health"))).log.predictions;
  const response = await post(server, "/predict/batch", [b, { ...a, amount: 1 }]);
  expect(response.status).toBe(409);
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(before);
});

test("an array longer than the limit is refused", async () => {
  const response = await post(
    server,
    "/predict/batch",
    Array.from({ length: 101 }, () => ({})),
  );
  expect([response.status, (await reply(response)).code]).toEqual([413, "request.body-too-large"]);
});

test("NDJSON is answered line by line, faults in their place", async () => {
  const [a, b] = fresh(2);
  const text = `${JSON.stringify(a)}\n\nnot json\r\n${JSON.stringify({ ...b, amount: null })}\n${JSON.stringify(b)}`;
  const response = await post(server, "/predict/batch", text, { "content-type": "application/x-ndjson" });
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const lines = (await response.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map((line) => line.transaction_id ?? `${line.line} ${line.code}`)).toEqual([
    a.transaction_id,
    "3 request.malformed",
    "4 request.invalid",
    b.transaction_id,
  ]);
  // One number for the line, the file's own, and none that counts within it.
  expect(lines[1].detail).toBe('line 3 is no JSON: fault at column 1, found "not json\\r"');
});

test("a stream is as long as it likes, a line is not", async () => {
  const items = fresh(150);
  const text = items.map((item) => `${JSON.stringify(item)}\n`).join("");
  const many = await post(server, "/predict/batch", text, { "content-type": "application/x-ndjson" });
  const pieces: string[] = [];
  for await (const piece of many.body!) pieces.push(Buffer.from(piece).toString());
  expect(pieces.join("").trimEnd().split("\n")).toHaveLength(150);
  // Lines that came together are answered together: 128 of them are whole portions, and what is left may wait for more.
  expect(pieces.length).toBeLessThanOrEqual(2);
  const long = await post(server, "/predict/batch", `{"x":"${"y".repeat(70_000)}"}`, {
    "content-type": "application/x-ndjson",
  });
  expect(JSON.parse(await long.text())).toMatchObject({ code: "request.body-too-large", line: 1 });
  const blank = await post(server, "/predict/batch", `${"\n".repeat(500)}{"x":"${"y".repeat(70_000)}"}\n`, {
    "content-type": "application/x-ndjson",
  });
  expect(JSON.parse(await blank.text())).toMatchObject({ code: "request.body-too-large", line: 501 });
});

test("labels of one request wait for one commit; a fault after the first ones is told item by item, and nobody sends those again", async () => {
  const own = await serve(world);
  const { log, states } = own.server.pipelines.main!;
  const items = fresh(6);
  await post(own.server, "/predict/batch", items);
  const labels = items.map(({ transaction_id }) => ({ transaction_id, fraud: true }));
  let flushes = 0;
  const flush = log.flush.bind(log);
  const counting = (): Promise<void> => {
    flushes++;
    return flush();
  };
  Object.assign(log, { durability: "sync", flush: counting });
  expect(await reply(post(own.server, "/feedback", labels))).toMatchObject({ accepted: 6, rejected: 0 });
  expect(flushes).toBe(1);
  const take = states.takeLabel.bind(states);
  let left = 2;
  Object.assign(states, {
    takeLabel: (label: Parameters<typeof take>[0]) => {
      if (left-- > 0) return take(label);
      throw new SentinelError("state.unreachable", "away", { hint: "wait" });
    },
  });
  const half = await post(own.server, "/feedback", labels);
  expect([half.status, left]).toEqual([200, -1]);
  const outcome = (await half.json()) as { readonly items: readonly { readonly code?: string }[] };
  expect(outcome).toMatchObject({ accepted: 2, rejected: 4 });
  expect(outcome.items.map(({ code }) => code ?? "taken")).toEqual([
    ...["taken", "taken"],
    ...Array.from({ length: 4 }, () => "state.unreachable"),
  ]);
  const none = await post(own.server, "/feedback", labels);
  expect([none.status, (await reply(none)).code]).toEqual([503, "state.unreachable"]);
  await own.stop();
});

test("a label that contradicts itself is no request that cannot be read: 422, before its transaction or ahead of the clock", async () => {
  const [item] = fresh(1);
  await post(server, "/predict", item);
  for (const time of [Number(item.time) - 1, NOW + 3 * 86_400_000]) {
    const refused = await post(server, "/feedback", { transaction_id: item.transaction_id, fraud: true, time });
    expect(refused.status).toBe(422);
  }
});

test("where the disk hangs every route that answers transactions or takes labels gives up in time", async () => {
  const own = await serve(world);
  const { log } = own.server.pipelines.main!;
  const { clock } = own.ports;
  const items = fresh(6);
  await post(own.server, "/predict", items[0]);
  let goOn = (): void => {};
  const hanging = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { flush } = log;
  Object.assign(log, { durability: "sync", durable: () => hanging, flush: () => hanging });
  const { transaction_id } = items[0];
  const tensors = Object.entries({ ...items[3], time: new Date(Number(items[3].time)).toISOString() });
  const inputs = tensors.map(([name, value]) => ({
    name,
    datatype: typeof value === "number" ? "FP64" : "BYTES",
    shape: [1],
    data: [value],
  }));
  const sent = [
    post(own.server, "/predict/batch", [items[1]]),
    post(own.server, "/invocations", { instances: [items[2]] }),
    post(own.server, "/v2/models/card-fraud/infer", { inputs }),
    post(own.server, "/feedback", { transaction_id, fraud: true }),
    post(own.server, "/feedback", [{ transaction_id, fraud: true }]),
    post(own.server, "/predict/batch", JSON.stringify(items[4]), { "content-type": "application/x-ndjson" }),
  ].map(async (response) => JSON.parse((await (await response).text()).trim()));
  let ahead = 0;
  Object.assign(clock, { elapsed: () => performance.now() + ahead });
  const passing = setInterval(() => {
    ahead += 60_000;
  }, 20);
  for (const answered of sent) expect(await answered).toMatchObject({ status: 503, code: "server.too-slow" });
  clearInterval(passing);
  Object.assign(log, { durability: "interval", durable: () => null, flush });
  goOn();
  await own.stop();
});

test("a line that is not UTF-8 or too long is answered in its place, and the stream goes on; one without end is not waited for", async () => {
  const items = fresh(6).map((item) => `${JSON.stringify(item)}\n`);
  const ndjson = async (parts: readonly (string | Uint8Array)[], to = server): Promise<readonly string[]> => {
    const response = await to.app.request("/predict/batch", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: Buffer.concat(parts.map((part) => Buffer.from(part))),
    });
    const lines = (await response.text()).trimEnd().split("\n");
    return lines
      .map((line) => JSON.parse(line))
      .map(({ line, code, decision }) => (decision ? "ok" : `${line} ${code}`));
  };
  const bad = Uint8Array.of(0xff, 10);
  const long = `${"y".repeat(2 << 20)}\n`;
  expect(await ndjson([items[0], bad, items[1], long, items[2], long.trimEnd()])).toEqual([
    "ok",
    "2 request.malformed",
    "ok",
    "4 request.body-too-large",
    "ok",
    "6 request.body-too-large",
  ]);
  const endless = `${"y".repeat(17 << 20)}\n`;
  expect(await ndjson([items[3], endless, items[4]])).toEqual(["ok", "2 request.body-too-large"]);
  // The line that was one too many is named: a client that goes on from there loses none.
  const short = await serve(world, { intake: { linesMax: 3 } });
  expect(await ndjson(["\n", items[3], items[4], items[5]], short.server)).toEqual([
    "ok",
    "ok",
    "4 request.body-too-large",
  ]);
  expect(await ndjson(["\n", items[3], items[4]], short.server)).toEqual(["ok", "ok"]);
  await short.stop();
});

test("labels are taken for transactions that were answered, under any of their names", async () => {
  const [a, b, c] = fresh(3);
  for (const item of [a, b, c]) await post(server, "/predict", item);
  const one = await post(server, "/feedback", { transaction_id: a.transaction_id, fraud: true, source: "chargeback" });
  expect([one.status, (await reply(one)).accepted]).toEqual([200, 1]);
  const many = await post(server, "/feedback", [
    { tx_id: b.transaction_id, is_fraud: 0, time: new Date(NOW).toISOString() },
    { id: c.transaction_id, label: 1 },
    { transaction_id: "never-seen", fraud: false },
  ]);
  expect(many.status).toBe(200);
  expect(await reply(many)).toMatchObject({ accepted: 2, rejected: 1, items: [{}, {}, { code: "request.not-found" }] });
});

test("a single label of an unknown transaction is not found; a bad one names its field", async () => {
  expect((await post(server, "/feedback", { transaction_id: "never-seen", fraud: true })).status).toBe(404);
  for (const [label, field] of [
    [{ transaction_id: "x" }, "fraud"],
    [{ transaction_id: "x", fraud: 2 }, "fraud"],
    [{ transaction_id: "x", fraud: "yes" }, "fraud"],
    [{ fraud: true }, "transaction_id"],
    [{ transaction_id: "x", fraud: true, time: "soon" }, "time"],
    [{ transaction_id: "x", fraud: true, time: NOW * 2 }, "time"],
    [{ transaction_id: "x", fraud: true, source: "" }, "source"],
  ] as const) {
    const response = await post(server, "/feedback", label);
    expect(response.status).toBe(422);
    expect((await reply(response)).errors[0].field).toBe(field);
  }
});

test("probes, model and breakers tell what serves", async () => {
  for (const probe of ["/livez", "/readyz", "/health"]) expect((await server.app.request(probe)).status).toBe(200);
  const model = await reply(server.app.request("/model"));
  expect(model).toMatchObject({
    name: "card-fraud",
    champion: { version: "1", state: { warm: true } },
    registry: { reachable: true, fault: null },
    broken: [],
  });
  const circuits = await reply(server.app.request("/circuit/status"));
  expect(circuits).toEqual({ champion: { version: "1", breaker: "closed", lastFault: null }, candidates: [] });
});

test("metrics are Prometheus text", async () => {
  await post(server, "/predict", "not json");
  const text = await (await server.app.request("/metrics")).text();
  expect(text).toMatch(/^sentinel_requests_total\{route="\/predict",status="400",pipeline="card"\} [1-9]/m);
  expect(text).toMatch(
    /^sentinel_request_seconds_bucket\{le="0.001",pipeline="card",route="\/predict",outcome="ok",version="1"\} \d+$/m,
  );
  expect(text).toMatch(/^sentinel_model_info\{role="champion",version="1",bundle="[0-9a-f]{64}",pipeline="card"\} 1$/m);
});

test("every route is in the OpenAPI document and on the page", async () => {
  const document = await reply(server.app.request("/openapi.json"));
  expect(document.openapi).toBe("3.1.0");
  const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(ROUTES.map((route) => `${route.method} ${route.path}`).sort());
  expect(document.components.schemas.Transaction.required).toContain("amount");
  const refs = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g);
  for (const [, name] of refs) expect(Object.keys(document.components.schemas)).toContain(name);
  const page = await (await server.app.request("/docs")).text();
  for (const route of ROUTES) expect(page).toContain(`${route.method} ${route.path}`);
  // Nothing is loaded, and the one link stays on this server.
  expect(page.match(/src=|href="[^"]*"/g)).toEqual(['href="/#/api"']);
});

test("reload needs the key", async () => {
  const reload = (headers: Record<string, string>) => post(server, "/admin/reload", "", headers);
  expect((await reload({})).status).toBe(401);
  expect((await reload({ authorization: `Bearer ${KEY}x` })).status).toBe(401);
  expect((await reload({ authorization: `Bearer ${KEY}` })).status).toBe(200);
  expect((await reload({ "x-api-key": KEY })).status).toBe(200);
});

test("without a configured key no key opens the admin routes", async () => {
  const other = await serve(world);
  expect((await post(other.server, "/admin/reload", "", { authorization: "Bearer " })).status).toBe(401);
  await other.stop();
});

test("a server without a champion starts, says so, and picks one up", async () => {
  const empty = makeWorld();
  const running = await serve(empty);
  const [item] = fresh(1);
  expect((await running.server.app.request("/livez")).status).toBe(200);
  expect((await running.server.app.request("/readyz")).status).toBe(503);
  const refused = await post(running.server, "/predict", item);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await reply(refused)).toMatchObject({ code: "server.not-ready", hint: expect.stringContaining("promote") });
  const batch = await post(running.server, "/predict/batch", JSON.stringify(item), {
    "content-type": "application/x-ndjson",
  });
  expect(batch.status).toBe(503);
  await empty.alias("champion", await empty.register(makeBundle(SPEC_A, 1)));
  await until(async () => (await running.server.app.request("/readyz")).status === 200);
  expect((await post(running.server, "/predict", item)).status).toBe(200);
  // Training left no state here, so the windows began empty, and that is told.
  expect((await reply(running.server.app.request("/model"))).champion.state.warm).toBe(false);
  await running.stop();
  await empty.remove();
});

test("a port in use is told with what to do", async () => {
  const { port } = await server.start({ host: "127.0.0.1", port: 0 });
  const other = await serve(world);
  await expect(other.server.start({ host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "server.port-in-use",
    hint: expect.stringContaining("--port"),
  });
  await other.stop();
});

test("over a socket: answers, limits without Content-Length, and a drain that lets requests end", async () => {
  const running = await serve(world);
  const { port } = await running.server.start({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${port}`;
  const headers = { "content-type": "application/json" };
  const [a, b] = fresh(2);
  const answer = await fetch(`${url}/predict`, { method: "POST", headers, body: JSON.stringify(a) });
  expect(answer.status).toBe(200);
  let sent = 0;
  const long = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ > 100) controller.close();
      else controller.enqueue(new Uint8Array(10_000).fill(32));
    },
  });
  const refused = await fetch(`${url}/predict`, {
    method: "POST",
    headers,
    body: long,
    duplex: "half",
  } as RequestInit).catch((error: Error) => error);
  // The connection ends with the answer; a client that is still sending may see only that.
  if (refused instanceof Response) expect(refused.status).toBe(413);
  let finish = (): void => {};
  const slow = new ReadableStream<Uint8Array>({
    start(controller) {
      const bytes = new TextEncoder().encode(JSON.stringify(b));
      controller.enqueue(bytes.subarray(0, 10));
      finish = () => {
        controller.enqueue(bytes.subarray(10));
        controller.close();
      };
    },
  });
  const inFlight = fetch(`${url}/predict`, { method: "POST", headers, body: slow, duplex: "half" } as RequestInit);
  await until(async () => /^sentinel_in_flight 1$/m.test(await (await fetch(`${url}/metrics`)).text()));
  const stopped = running.stop();
  finish();
  expect((await inFlight).status).toBe(200);
  await stopped;
  await expect(fetch(`${url}/livez`)).rejects.toThrow();
});

test("over a socket, a stream is answered while it is still being sent", async () => {
  const running = await serve(world);
  const { port } = await running.server.start({ host: "127.0.0.1", port: 0 });
  const items = fresh(40);
  let send = (_: readonly object[]): void => {};
  let end = (): void => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      send = (some) =>
        controller.enqueue(new TextEncoder().encode(some.map((item) => `${JSON.stringify(item)}\n`).join("")));
      end = () => controller.close();
    },
  });
  const init = { method: "POST", headers: { "content-type": "application/x-ndjson" }, body, duplex: "half" };
  send(items.slice(0, 35));
  const response = await fetch(`http://127.0.0.1:${port}/predict/batch`, init as RequestInit);
  const reader = response.body!.getReader();
  let text = new TextDecoder().decode((await reader.read()).value);
  expect(JSON.parse(text.split("\n")[0]).transaction_id).toBe(items[0].transaction_id);
  send(items.slice(35));
  end();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    text += new TextDecoder().decode(next.value);
  }
  const ids = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).transaction_id);
  expect(ids).toEqual(items.map((item) => item.transaction_id));
  await running.stop();
});

test("beyond the limit of requests in flight, requests are shed", async () => {
  const running = await serve(world, { inFlightMax: 1 });
  let finish = (): void => {};
  const slow = new ReadableStream<Uint8Array>({
    start(controller) {
      finish = () => controller.close();
    },
  });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: slow, duplex: "half" };
  const first = running.server.app.request(new Request("http://x/predict", init as RequestInit));
  const shed = await post(running.server, "/predict", fresh(1)[0]);
  expect([shed.status, shed.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await reply(shed)).code).toBe("server.overloaded");
  expect((await running.server.app.request("/livez")).status).toBe(200);
  finish();
  expect((await first).status).toBe(400);
  expect((await post(running.server, "/predict", fresh(1)[0])).status).toBe(200);
  await running.stop();
});
