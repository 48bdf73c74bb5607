// The gRPC door: the answers, refusals, keys, limits and counts of the door over HTTP, to calls instead of requests.
import { once } from "node:events";
import { createConnection } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { ERROR_KINDS } from "../../src/core/errors.ts";
import { type KeyRecord, newKey, type Role } from "../../src/core/key.ts";
import type { SqliteLogOptions } from "../../src/drivers/log/sqlite/driver.ts";
import type { GrpcDoor } from "../../src/grpc/door.ts";
import { SCHEMAS } from "../../src/server/schemas.ts";
import { createServer, type SentinelServer, type ServerOptions } from "../../src/server/server.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  reply,
  SCHEMA,
  SPEC_A,
  serve,
  silent,
  until,
  type World,
} from "../server/world.ts";
import {
  attach,
  clientOf,
  detailsOf,
  endOf,
  fieldsOf,
  jsonOf,
  type Outcome,
  structOf,
  type TestClient,
} from "./client.ts";

const SCORE = "sentinel.v1.Sentinel/Score";
const stream = payments(400, { seed: 41, from: NOW - 10 * DAY_MS, prefix: "g" }).map(bodyOf);
let next = 0;
const fresh = (count: number): Record<string, unknown>[] => {
  next += count;
  return stream.slice(next - count, next);
};

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
let door: GrpcDoor;
let client: TestClient;

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
  ({ server, stop } = await serve(world, { packageVersion: "1.2.3", announceMs: 0 }));
  await server.start({ host: "127.0.0.1", port: 0 });
  door = await attach(server);
  client = clientOf(door);
  await until(async () => (await reply(server.app.request("/model"))).shadows?.length === 1);
});

afterAll(async () => {
  client.close();
  await stop();
  await world.remove();
});

/** The answer of an HTTP door as a message has it: without what is null. */
function asMessage(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, member: unknown) => (member === null ? undefined : member));
}

/** A message without the marks of its oneofs and lists that are empty. */
function plain(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message), (name, member: unknown) => (name.startsWith("_") ? undefined : member));
}

test("a Struct and JSON are scored as /predict scores them, bit for bit, and count once", async () => {
  const rows = fresh(30);
  const before = (await reply(server.app.request("/health"))).log.predictions;
  const answers: Outcome[] = [];
  for (const [index, row] of rows.entries()) {
    answers.push(await client.call(SCORE, index % 2 === 0 ? { fields: structOf(row) } : { json: jsonOf(row) }));
  }
  const singles = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
  expect(answers.map(({ answer }) => plain(answer))).toEqual(singles.map(asMessage));
  expect(new Set(singles.map(({ score }) => score)).size).toBeGreaterThan(5);
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(before + 30);
});

test("another process over HTTP alone gives the same scores to the same transactions", async () => {
  const other = makeWorld();
  const own = makeWorld();
  const ends: (() => Promise<void>)[] = [];
  try {
    const servers: SentinelServer[] = [];
    for (const one of [other, own]) {
      await one.saveState(SPEC_A);
      await one.alias("champion", await one.register(makeBundle(SPEC_A, 1)));
      const made = await serve(one, { announceMs: 0 });
      ends.push(made.stop);
      servers.push(made.server);
    }
    const grpc = clientOf(await attach(servers[1]));
    for (const row of payments(40, { seed: 5, from: NOW - 9_000_000, prefix: "b" }).map(bodyOf)) {
      const expected = await reply(post(servers[0], "/predict", row));
      expect(plain((await grpc.call(SCORE, { fields: structOf(row) })).answer)).toEqual(asMessage(expected));
    }
    grpc.close();
  } finally {
    for (const end of ends) await end();
    await other.remove();
    await own.remove();
  }
});

test("whatever HTTP answers has a field over gRPC", () => {
  const properties = (name: keyof typeof SCHEMAS): string[] =>
    Object.keys((SCHEMAS[name] as { readonly properties: object }).properties);
  for (const [schema, message] of [
    ["Answer", "ScoreResponse"],
    ["Reason", "Reason"],
    ["Explanation", "ExplainResponse"],
    ["FeedbackResult", "LabelResponse"],
  ] as const) {
    expect([...fieldsOf(`sentinel.v1.${message}`)].sort(), message).toEqual(properties(schema).sort());
  }
});

test("reasons come where they are asked for", async () => {
  const [row] = fresh(1);
  const { answer } = await client.call(SCORE, { json: jsonOf(row), explain: true });
  const over = await reply(post(server, "/predict?explain=true", row));
  expect(plain(answer)).toEqual(asMessage(over));
  expect(over).toHaveProperty("reasons");
});

test("numbers that a double does not hold are refused where they are ids or keys, and text is exact", async () => {
  const [row] = fresh(1);
  for (const [field, value] of [
    ["transaction_id", 2 ** 53 + 2],
    ["customer_id", 2 ** 53],
    ["terminal_id", -(2 ** 60)],
  ] as const) {
    const outcome = await client.call(SCORE, { fields: structOf({ ...row, [field]: value }) });
    expect([field, outcome.status, detailsOf(outcome)["google.rpc.BadRequest"]]).toEqual([
      field,
      "INVALID_ARGUMENT",
      { field_violations: [{ field, description: expect.any(String) }] },
    ]);
  }
  const exact = await client.call(SCORE, { fields: structOf({ ...row, transaction_id: "9007199254740993" }) });
  expect(exact.answer?.transaction_id).toBe("9007199254740993");
  // An amount may be any number, however large.
  const large = await client.call(SCORE, { fields: structOf({ ...row, transaction_id: "large", amount: 1e8 + 0.1 }) });
  expect(large.status).toBe("OK");
});

const [ROW] = fresh(1);
const BAD: readonly (readonly [string, object, string, string])[] = [
  ["nothing", {}, "INVALID_ARGUMENT", "request.invalid"],
  ["an empty text", { json: Buffer.alloc(0) }, "INVALID_ARGUMENT", "request.malformed"],
  ["no JSON", { json: Buffer.from("{") }, "INVALID_ARGUMENT", "request.malformed"],
  ["no UTF-8", { json: Buffer.from([0x7b, 0xff, 0x7d]) }, "INVALID_ARGUMENT", "request.malformed"],
  ["an array", { json: Buffer.from("[]") }, "INVALID_ARGUMENT", "request.invalid"],
  ["no fields", { fields: structOf({}) }, "INVALID_ARGUMENT", "request.invalid"],
  ["NaN", { fields: structOf({ ...ROW, amount: Number.NaN }) }, "INVALID_ARGUMENT", "request.malformed"],
  [
    "infinity",
    { fields: structOf({ ...ROW, amount: Number.POSITIVE_INFINITY }) },
    "INVALID_ARGUMENT",
    "request.malformed",
  ],
  ["a Value without a kind", { fields: { fields: { amount: {} } } }, "INVALID_ARGUMENT", "request.malformed"],
  ["a negative amount", { json: jsonOf({ ...ROW, amount: -1 }) }, "INVALID_ARGUMENT", "request.invalid"],
  ["another pipeline", { pipeline: "nobody", json: jsonOf(ROW) }, "NOT_FOUND", "request.not-found"],
  [
    "too many bytes",
    { json: jsonOf({ ...ROW, more: "x".repeat(70_000) }) },
    "RESOURCE_EXHAUSTED",
    "request.body-too-large",
  ],
];

test.each(BAD)("%s is refused with the code of the error", async (_, request, grpcStatus, code) => {
  const outcome = await client.call(SCORE, request);
  expect([outcome.status, outcome.trailer.get("sentinel-code")]).toEqual([grpcStatus, [code]]);
  const details = detailsOf(outcome);
  const kind = ERROR_KINDS[code as keyof typeof ERROR_KINDS];
  expect(details["sentinel.v1.Problem"]).toMatchObject({
    code,
    status: kind.http,
    hint: expect.stringMatching(/.{10}/),
  });
  expect(details["google.rpc.ErrorInfo"]).toMatchObject({ domain: "sentinel", metadata: { code } });
  expect(outcome.details).toBe(details["sentinel.v1.Problem"].detail);
  expect(outcome.trailer.get("x-request-id")).toHaveLength(1);
});

/** A ScoreRequest whose Struct is nested so deep, by hand: fields, structValue and map entries are members 2, 5, 1, and 1 and 2 of those. */
function nested(depth: number): Buffer {
  const member = (tag: number, content: Buffer): Buffer => {
    const length = content.length < 128 ? [content.length] : [(content.length & 127) | 128, content.length >> 7];
    return Buffer.concat([Buffer.from([(tag << 3) | 2, ...length]), content]);
  };
  let value: Buffer = Buffer.from([0x20, 1]);
  for (let level = 0; level < depth; level++) {
    const entry = Buffer.concat([member(1, Buffer.from("deep")), member(2, value)]);
    value = member(5, member(1, entry));
  }
  return member(2, member(1, Buffer.concat([member(1, Buffer.from("deep")), member(2, value)])));
}

test("the same id with other content is refused, as is a Struct that is nested too deep", async () => {
  const [row] = fresh(1);
  await client.call(SCORE, { json: jsonOf(row) });
  const other = await client.call(SCORE, { json: jsonOf({ ...row, amount: 7 }) });
  expect([other.status, other.trailer.get("sentinel-code")]).toEqual(["ALREADY_EXISTS", ["request.duplicate"]]);
  // As other clients may send it: protobufjs itself refuses to.
  const outcome = await client.raw(SCORE, nested(70));
  expect([outcome.status, outcome.trailer.get("sentinel-code")]).toEqual(["INVALID_ARGUMENT", ["request.malformed"]]);
});

test("a field called __proto__ is one like any other, over both doors", async () => {
  const [a, b] = fresh(2);
  const text = (row: object): string => JSON.stringify(row).replace("{", '{"__proto__":{"amount":1e9},');
  expect((await client.call(SCORE, { json: Buffer.from(text(a)) })).answer?.score).toBe(
    (await reply(post(server, "/predict", text(a)))).score,
  );
  const polluted = { fields: Object.assign(Object.create(null), (structOf(b) as { fields: object }).fields) };
  Object.defineProperty(polluted.fields, "__proto__", { value: { numberValue: 1 }, enumerable: true });
  expect((await client.call(SCORE, { fields: polluted })).status).toBe("OK");
});

test("an error that would not fit a client's head is cut, and texts that no header holds are repaired", async () => {
  const wild = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`é${at}${"ü".repeat(300)}`, "x".repeat(100)]));
  const names = Object.fromEntries(
    ["amount", "customer_id", "terminal_id"].map((name) => [name, { a: "\ud800".repeat(50) }]),
  );
  for (const body of [
    { ...ROW, ...names, ...wild },
    { ...ROW, transaction_id: "a\ud800b", amount: "\udfff" },
  ]) {
    const outcome = await client.call(SCORE, { json: jsonOf(body) });
    expect([outcome.status, outcome.trailer.get("sentinel-code")]).toEqual(["INVALID_ARGUMENT", ["request.invalid"]]);
    expect((outcome.trailer.get("grpc-status-details-bin")[0] as Buffer).length).toBeLessThan(4000);
    expect(encodeURI(outcome.details).length).toBeLessThan(1300);
  }
});

test("half of a surrogate pair, which JSON may hold and UTF-8 may not, is U+FFFD in answers and problems", async () => {
  const [row, other] = fresh(2);
  const score = await client.call(SCORE, { json: jsonOf({ ...row, transaction_id: "a\ud800b" }) });
  expect(score.answer?.transaction_id).toBe("a\ufffdb");
  const call = client.stream("sentinel.v1.Sentinel/ScoreStream");
  const told: unknown[] = [];
  call.on("data", (one) => told.push(one));
  const done = endOf(call);
  call.write({ json: jsonOf({ ...other, transaction_id: "c\udfff", amount: "\ud83d" }) });
  call.end();
  await done;
  expect(told).toMatchObject([{ problem: { code: "request.invalid" } }]);
  expect(JSON.stringify(told)).not.toMatch(/\\ud[89a-f]/);
});

test("an explanation is that of /explain, of a transaction, of an id, and against a version in shadow", async () => {
  const [row] = fresh(1);
  const explain = async (request: object): Promise<unknown> =>
    plain((await client.call("sentinel.v1.Sentinel/Explain", request)).answer);
  const over = async (body: object): Promise<unknown> => {
    return asMessage(await reply(post(server, "/explain", body)));
  };
  expect(await explain({ json: jsonOf(row) })).toEqual(await over(row));
  await client.call(SCORE, { fields: structOf(row) });
  expect(await explain({ transaction_id: row.transaction_id })).toEqual(
    await over({ transaction_id: row.transaction_id }),
  );
  expect(await explain({ fields: structOf(row), against: "candidate" })).toEqual(
    await over({ ...row, against: "candidate" }),
  );
  const refused = await client.call("sentinel.v1.Sentinel/Explain", { transaction_id: "nobody" });
  expect([refused.status, refused.trailer.get("sentinel-code")]).toEqual(["NOT_FOUND", ["request.not-found"]]);
});

test("labels are taken once their transaction is known, one by one with their outcome", async () => {
  const rows = fresh(3);
  for (const row of rows) await client.call(SCORE, { json: jsonOf(row) });
  const label = (request: object): Promise<Outcome> => client.call("sentinel.v1.Sentinel/Label", request);
  const [a, b, c] = rows.map(({ transaction_id: id }) => id as string);
  const several = await label({
    labels: [
      { transaction_id: a, fraud: true, source: "chargeback", known_at: { seconds: Math.floor(NOW / 1000) } },
      { transaction_id: b, fraud: false, known_after_delay: true },
      { transaction_id: "nobody", fraud: true },
    ],
  });
  expect(several.answer).toMatchObject({ accepted: 2, rejected: 1 });
  expect(several.answer?.items[2]).toMatchObject({ transaction_id: "nobody", code: "request.not-found" });
  for (const [request, grpcStatus, code] of [
    [{ labels: [{ transaction_id: "nobody", fraud: true }] }, "NOT_FOUND", "request.not-found"],
    [{ labels: [] }, "INVALID_ARGUMENT", "request.invalid"],
    [{ labels: [{ transaction_id: c }] }, "INVALID_ARGUMENT", "request.invalid"],
    [{ labels: [{ fraud: true }] }, "INVALID_ARGUMENT", "request.invalid"],
    [
      { labels: [{ transaction_id: c, fraud: true, known_at: { seconds: 1e12 } }] },
      "INVALID_ARGUMENT",
      "request.invalid",
    ],
    [
      { labels: [{ transaction_id: c, fraud: true, known_at: { seconds: 9e9 } }] },
      "INVALID_ARGUMENT",
      "labels.invalid",
    ],
    [
      { labels: Array.from({ length: 101 }, () => ({ transaction_id: c, fraud: true })) },
      "RESOURCE_EXHAUSTED",
      "request.body-too-large",
    ],
  ] as const) {
    const outcome = await label(request);
    expect([outcome.status, outcome.trailer.get("sentinel-code")], JSON.stringify(request).slice(0, 80)).toEqual([
      grpcStatus,
      [code],
    ]);
  }
  const page = await (await server.app.request("/metrics")).text();
  expect(page).toMatch(/sentinel_labels_total\{outcome="accepted",pipeline="card"\} 2/);
});

test("calls are counted by method, with the status that HTTP has for the same error", async () => {
  const page = await (await server.app.request("/metrics")).text();
  for (const status of [200, 400, 404, 409, 413, 422]) {
    expect(page).toMatch(
      new RegExp(`sentinel_requests_total\\{route="/${SCORE}",status="${status}"(,pipeline="card")?\\} \\d+`),
    );
  }
  expect(page).toMatch(
    new RegExp(`sentinel_request_seconds_count\\{pipeline="card",route="/${SCORE}",outcome="ok",version="1"\\}`),
  );
});

test("a request's id comes back, and a strange one is replaced", async () => {
  const [row] = fresh(1);
  const named = await client.call(SCORE, { json: jsonOf(row) }, { headers: { "x-request-id": "abc-1" } });
  const strange = await client.call(SCORE, { json: jsonOf(row) }, { headers: { "x-request-id": "a b" } });
  expect(named.trailer.get("x-request-id")).toEqual(["abc-1"]);
  expect(strange.trailer.get("x-request-id")[0]).toMatch(/^[0-9a-f]{12}-/);
});

test("a deadline that has passed and a call that is cancelled are not answered, and the door goes on", async () => {
  const [row, other] = fresh(2);
  const late = await client.call(SCORE, { json: jsonOf(row) }, { deadline: Date.now() - 1 });
  expect(late.status).toBe("DEADLINE_EXCEEDED");
  const counted = async (): Promise<number> => {
    const page = await (await server.app.request("/metrics")).text();
    const counts = [...page.matchAll(/ScoreStream",status="(?:200|499|504)"[^}]*\} (\d+)/g)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const before = await counted();
  const silent = client.stream("sentinel.v1.Sentinel/ScoreStream", {}, { deadline: Date.now() + 100 });
  expect((await endOf(silent)).code).toBe(4);
  const open = client.stream("sentinel.v1.Sentinel/ScoreStream");
  const ended = endOf(open);
  open.write({ json: jsonOf(other) });
  await once(open, "data");
  open.cancel();
  expect((await ended).code).toBe(1);
  // Which of both ended it first is the network's to say: 499 or 504, or 200 where its end was seen before its reset.
  await until(async () => (await counted()) === before + 2);
  expect((await client.call(SCORE, { json: jsonOf(other) })).status).toBe("OK");
});

test("what is no gRPC at all gets no answer and harms nobody", async () => {
  for (const text of [
    "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0",
    "\x16\x03\x01\0",
  ]) {
    const socket = createConnection({ host: door.host, port: door.port });
    socket.on("error", () => {});
    socket.end(text);
    socket.resume();
    await once(socket, "close");
  }
  expect((await client.call("inference.GRPCInferenceService/ServerLive", {})).answer).toEqual({ live: true });
});

interface StreamAnswer {
  readonly index?: string;
  readonly problem?: { readonly code: string };
  readonly answer?: { readonly transaction_id: string };
}

test("10,000 messages of a stream are answered in order, and those that are wrong in their place", async () => {
  const rows = payments(100, { seed: 77, from: NOW - 80_000_000, prefix: "s" }).map(bodyOf);
  const call = client.stream("sentinel.v1.Sentinel/ScoreStream");
  const indices: number[] = [];
  const problems: unknown[] = [];
  call.on("data", ({ index = "0", problem, answer }: StreamAnswer) => {
    indices.push(Number(index));
    if (problem !== undefined) problems.push([Number(index), problem.code]);
    else expect(answer?.transaction_id).toBe(rows[Number(index) % 100].transaction_id);
  });
  const done = endOf(call);
  for (let index = 0; index < 10_000; index++) {
    const row = rows[index % 100];
    const message = index === 17 ? { json: Buffer.from("{") } : index === 4711 ? {} : { json: jsonOf(row) };
    if (!call.write(message)) await once(call, "drain");
  }
  call.end();
  expect((await done).code).toBe(0);
  expect(indices).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
  expect(problems).toEqual([
    [17, "request.malformed"],
    [4711, "request.invalid"],
  ]);
});

test("a client that does not read is not read, until it does", async () => {
  const rows = payments(100, { seed: 78, from: NOW - 80_000_000, prefix: "p" }).map(bodyOf);
  const call = client.stream("sentinel.v1.Sentinel/ScoreStream");
  call.pause();
  let taken = 0;
  const page = async (): Promise<number> =>
    Number(
      /sentinel_repeated_total\{pipeline="card"\} (\d+)/.exec(await (await server.app.request("/metrics")).text())![1],
    );
  const before = await page();
  for (; taken < 100_000; taken++) {
    if (call.write({ json: jsonOf(rows[taken % 100]) })) continue;
    // Held back for good where nothing moves for a while.
    const moved = await Promise.race([
      once(call, "drain").then(() => true),
      new Promise((resolve) => setTimeout(resolve, 500)),
    ]);
    if (moved !== true) break;
  }
  expect(taken).toBeLessThan(50_000);
  expect((await page()) - before).toBeLessThan(50_000);
  let answers = 0;
  call.on("data", () => answers++);
  call.resume();
  call.end();
  await once(call, "end");
  expect(answers).toBe(taken + 1);
});

test("health tells the server, its services and its pipelines, and NOT_FOUND of others", async () => {
  const check = (service: string): Promise<Outcome> => client.call("grpc.health.v1.Health/Check", { service });
  for (const name of ["", "sentinel.v1.Sentinel", "inference.GRPCInferenceService", "pipelines/card"]) {
    expect((await check(name)).answer, name).toEqual({ status: "SERVING" });
  }
  expect((await check("pipelines/nobody")).status).toBe("NOT_FOUND");
  const { answer } = await client.call("grpc.health.v1.Health/List", {});
  expect(answer?.statuses["pipelines/card"]).toEqual({ status: "SERVING" });
});

const INFER = "inference.GRPCInferenceService/ModelInfer";

/** Transactions as typed contents. */
function tensorsOf(rows: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  return Object.keys(rows[0]).map((name) => {
    const values = rows.map((row) => row[name]);
    const head = { name, shape: [rows.length] };
    if (typeof values[0] === "string")
      return {
        ...head,
        datatype: "BYTES",
        contents: { bytes_contents: values.map((value) => Buffer.from(String(value))) },
      };
    if (name === "time") return { ...head, datatype: "INT64", contents: { int64_contents: values } };
    return { ...head, datatype: "FP64", contents: { fp64_contents: values } };
  });
}

test("tensors as typed contents are answered as typed contents, with every digit of an integer", async () => {
  const rows = fresh(5);
  const singles = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
  const { answer } = await client.call(INFER, { model_name: "card-fraud", id: "x", inputs: tensorsOf(rows) });
  expect(answer).toMatchObject({ model_name: "card-fraud", model_version: "1", id: "x" });
  const outputs = Object.fromEntries(answer?.outputs.map((one: { readonly name: string }) => [one.name, one]));
  expect(outputs.score).toMatchObject({ datatype: "FP64", shape: ["5"] });
  expect(outputs.score.contents.fp64_contents).toEqual(singles.map(({ score }) => score));
  expect(outputs.decision.contents.bytes_contents.map(String)).toEqual(singles.map(({ decision }) => decision));
  const ids = ["9007199254740995", "18014398509481985"];
  const [one, two] = fresh(2);
  const inputs = tensorsOf([one, two]).map((tensor) =>
    tensor.name === "transaction_id" ? { ...tensor, datatype: "INT64", contents: { int64_contents: ids } } : tensor,
  );
  const wide = await client.call(INFER, { model_name: "card", inputs, outputs: [{ name: "transaction_id" }] });
  expect([wide.status, wide.details]).toEqual(["OK", "OK"]);
  expect(wide.answer?.outputs[0].contents.bytes_contents.map(String)).toEqual(ids);
});

const BAD_TENSORS: readonly (readonly [string, (inputs: Record<string, unknown>[]) => object, string, string])[] = [
  [
    "a missing amount",
    (all) => ({
      inputs: all.map((one) =>
        one.name === "amount" ? { ...one, contents: { fp64_contents: [1, Number.NaN] } } : one,
      ),
    }),
    "INVALID_ARGUMENT",
    "1/amount",
  ],
  [
    "infinity",
    (all) => ({
      inputs: all.map((one) =>
        one.name === "amount" ? { ...one, contents: { fp64_contents: [1, Number.POSITIVE_INFINITY] } } : one,
      ),
    }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "too few values",
    (all) => ({
      inputs: all.map((one) => (one.name === "amount" ? { ...one, contents: { fp64_contents: [1] } } : one)),
    }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "values in another field",
    (all) => ({
      inputs: all.map((one) => (one.name === "amount" ? { ...one, contents: { fp32_contents: [1, 2] } } : one)),
    }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "a value beyond its type",
    (all) => ({
      inputs: all.map((one) =>
        one.name === "amount" ? { ...one, datatype: "UINT8", contents: { uint_contents: [1, 256] } } : one,
      ),
    }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "an unknown datatype",
    (all) => ({ inputs: all.map((one) => (one.name === "amount" ? { ...one, datatype: "FP16" } : one)) }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "two columns in one",
    (all) => ({ inputs: all.map((one) => (one.name === "amount" ? { ...one, shape: [1, 2] } : one)) }),
    "INVALID_ARGUMENT",
    "amount",
  ],
  [
    "raw and typed values",
    (all) => ({ inputs: all, raw_input_contents: [Buffer.alloc(8)] }),
    "INVALID_ARGUMENT",
    "raw_input_contents",
  ],
  [
    "an unknown output",
    (all) => ({ inputs: all, outputs: [{ name: "probability" }] }),
    "INVALID_ARGUMENT",
    "probability",
  ],
  ["nothing", () => ({}), "INVALID_ARGUMENT", "inputs"],
];

test.each(BAD_TENSORS)("tensors with %s are refused", async (_, change, grpcStatus, field) => {
  const outcome = await client.call(INFER, { model_name: "card-fraud", ...change(tensorsOf(stream.slice(0, 2))) });
  expect([outcome.status, outcome.trailer.get("sentinel-code")]).toEqual([grpcStatus, ["request.invalid"]]);
  const { field_violations: violations } = detailsOf(outcome)["google.rpc.BadRequest"];
  expect((violations as readonly { readonly field: string }[]).map((one) => one.field)).toContain(field);
});

test("a model that is not here is not found, and a version that is not the champion's neither", async () => {
  const call = async (method: string, request: object): Promise<unknown> => {
    const { status, answer } = await client.call(`inference.GRPCInferenceService/${method}`, request);
    return answer ?? status;
  };
  expect(await call("ModelInfer", { model_name: "nobody" })).toBe("NOT_FOUND");
  expect(await call("ModelMetadata", { name: "card-fraud", version: "2" })).toBe("NOT_FOUND");
  expect(await call("ModelReady", { name: "card-fraud", version: "2" })).toBe("NOT_FOUND");
  expect(await call("ModelReady", { name: "card-fraud", version: "1" })).toEqual({ ready: true });
  expect(await call("ServerReady", {})).toEqual({ ready: true });
});

/** A server of its own over a world with or without a champion. */
async function withServer(
  of: { readonly options?: ServerOptions; readonly champion?: boolean; readonly log?: SqliteLogOptions },
  run: (client: TestClient, server: SentinelServer) => Promise<void>,
): Promise<void> {
  const place = makeWorld(of.log === undefined ? {} : { log: of.log });
  await place.saveState(SPEC_A);
  if (of.champion !== false) await place.alias("champion", await place.register(makeBundle(SPEC_A, 1)));
  const made = await serve(place, { announceMs: 0, ...of.options });
  const own = clientOf(await attach(made.server));
  try {
    await run(own, made.server);
  } finally {
    own.close();
    await made.stop();
    await place.remove();
  }
}

test("without a champion calls are refused as over HTTP, and health says so", async () => {
  await withServer({ champion: false }, async (own) => {
    const refused = await own.call(SCORE, { json: jsonOf(ROW) });
    expect([refused.status, refused.trailer.get("sentinel-code")]).toEqual(["UNAVAILABLE", ["server.not-ready"]]);
    expect((await own.call("grpc.health.v1.Health/Check", {})).answer).toEqual({ status: "NOT_SERVING" });
    expect((await own.call("inference.GRPCInferenceService/ServerReady", {})).answer).toEqual({ ready: false });
    expect((await own.call("inference.GRPCInferenceService/ModelReady", { name: "card" })).answer).toEqual({
      ready: false,
    });
  });
});

test("an overloaded server refuses, says when to come again, and counts it", async () => {
  await withServer({ options: { inFlightMax: 0 } }, async (own, made) => {
    const refused = await own.call(SCORE, { json: jsonOf(ROW) });
    expect([refused.status, refused.trailer.get("sentinel-code")]).toEqual(["UNAVAILABLE", ["server.overloaded"]]);
    expect(detailsOf(refused)).toHaveProperty(["google.rpc.RetryInfo"]);
    expect(await (await made.app.request("/metrics")).text()).toMatch(/sentinel_overloaded_total 1/);
    expect((await own.call("grpc.health.v1.Health/Check", {})).status).toBe("OK");
  });
});

test("a message beyond all limits ends its call alone", async () => {
  const outcome = await client.call(SCORE, { json: Buffer.alloc(2_000_000, 0x20) });
  expect(outcome.status).toBe("RESOURCE_EXHAUSTED");
  expect((await client.call("inference.GRPCInferenceService/ServerLive", {})).status).toBe("OK");
});

test("where answers wait for the disk, those of a stream wait together, and in order", async () => {
  await withServer({ log: { durability: "sync" } }, async (own) => {
    const rows = payments(200, { seed: 91, from: NOW - 5 * DAY_MS, prefix: "d" }).map(bodyOf);
    const call = own.stream("sentinel.v1.Sentinel/ScoreStream");
    const ids: unknown[] = [];
    call.on("data", ({ answer }: StreamAnswer) => ids.push(answer?.transaction_id));
    const done = endOf(call);
    for (const row of rows) call.write({ json: jsonOf(row), pipeline: "card" });
    call.end();
    expect((await done).code).toBe(0);
    expect(ids).toEqual(rows.map(({ transaction_id: id }) => id));
  });
});

/** A server that asks for keys, and a key of each kind. */
async function withKeys(
  run: (of: {
    readonly client: TestClient;
    readonly keys: Readonly<Record<string, string>>;
    readonly server: SentinelServer;
  }) => Promise<void>,
) {
  const keys: Record<string, string> = {};
  const records = (["predict", "label", "slow", "other"] as const).map((name): KeyRecord => {
    const { id, key, hash } = newKey((bytes) => Buffer.alloc(bytes, name.charCodeAt(0)));
    keys[name] = key;
    const role: Role = name === "label" ? "label" : "predict";
    const rate = name === "slow" ? { perSecond: 1, burst: 2 } : name === "label" ? { perSecond: 1, burst: 10 } : null;
    const pipelines = name === "other" ? ["crypto"] : null;
    return { id, name, role, hash, createdAt: 0, createdBy: "t", expiresAt: null, revokedAt: null, rate, pipelines };
  });
  const place = makeWorld();
  await place.saveState(SPEC_A);
  await place.alias("champion", await place.register(makeBundle(SPEC_A, 1)));
  const { ports, close } = place.open();
  const made = await createServer({
    ports: { ...ports, clock: { now: () => NOW, elapsed: () => 1000 } },
    pipeline: place.pipeline,
    schema: SCHEMA,
    options: { logger: silent, keys: records, announceMs: 0, adminKey: "a-long-admin-key-for-tests" },
  });
  const own = clientOf(await attach(made));
  try {
    await run({ client: own, keys, server: made });
  } finally {
    own.close();
    await made.stop();
    await close();
    await place.remove();
  }
}

test("keys, roles, pipelines and rates hold as over HTTP, before a message is read", async () => {
  await withKeys(async ({ client: own, keys }) => {
    const [row] = fresh(1);
    const call = async (
      method: string,
      headers: Record<string, string>,
      request: object = { json: jsonOf(row) },
    ): Promise<unknown> => {
      const outcome = await own.call(method, request, { headers });
      return [outcome.status, outcome.trailer.get("sentinel-code")[0]];
    };
    const ok = ["OK", undefined];
    const missing = ["UNAUTHENTICATED", "server.key-missing"];
    const role = ["PERMISSION_DENIED", "server.key-role"];
    expect(await call(SCORE, {})).toEqual(missing);
    expect(await call(SCORE, { "x-api-key": "sentinel_wrong" })).toEqual(missing);
    expect(await call(SCORE, { authorization: `Basic ${keys.predict}` })).toEqual(missing);
    expect(await call(SCORE, { authorization: `Bearer ${keys.predict}` })).toEqual(ok);
    expect(await call(SCORE, { authorization: `bearer ${keys.predict}` })).toEqual(ok);
    expect(await call(SCORE, { "x-api-key": keys.predict })).toEqual(ok);
    expect(await call(SCORE, { "x-api-key": "a-long-admin-key-for-tests" })).toEqual(ok);
    expect(await call(SCORE, { "x-api-key": keys.label })).toEqual(role);
    expect(await call(SCORE, { "x-api-key": keys.other })).toEqual(role);
    const label = { labels: [{ transaction_id: row.transaction_id, fraud: true }] };
    expect(await call("sentinel.v1.Sentinel/Label", { "x-api-key": keys.predict }, label)).toEqual(role);
    expect(await call("sentinel.v1.Sentinel/Label", { "x-api-key": keys.label }, label)).toEqual(ok);
    expect(await call("sentinel.v1.Sentinel/Explain", {})).toEqual(missing);
    expect(await call("inference.GRPCInferenceService/ModelMetadata", {}, { name: "card-fraud" })).toEqual(missing);
    expect(
      await call("inference.GRPCInferenceService/ModelMetadata", { "x-api-key": keys.label }, { name: "card-fraud" }),
    ).toEqual(ok);
    expect(await call("inference.GRPCInferenceService/ModelReady", {}, { name: "card-fraud" })).toEqual(ok);
    expect(await call("grpc.health.v1.Health/Check", {}, {})).toEqual(ok);
    expect(await call(SCORE, { "x-api-key": keys.slow })).toEqual(ok);
    expect(await call(SCORE, { "x-api-key": keys.slow })).toEqual(ok);
    const limited = await own.call(SCORE, { json: jsonOf(row) }, { headers: { "x-api-key": keys.slow } });
    expect([limited.status, limited.trailer.get("sentinel-code")]).toEqual([
      "RESOURCE_EXHAUSTED",
      ["server.rate-limited"],
    ]);
    expect(limited.trailer.get("grpc-retry-pushback-ms")).toEqual(["1000"]);
    expect(detailsOf(limited)["google.rpc.RetryInfo"]).toMatchObject({ retry_delay: { seconds: "1" } });
    // Each label of a call counts.
    const seven = { labels: Array.from({ length: 7 }, () => label.labels[0]) };
    const labelled = (): Promise<unknown> => call("sentinel.v1.Sentinel/Label", { "x-api-key": keys.label }, seven);
    expect(await labelled()).toEqual(ok);
    expect(await labelled()).toEqual(["RESOURCE_EXHAUSTED", "server.rate-limited"]);
    const refused = own.stream("sentinel.v1.Sentinel/ScoreStream");
    expect((await endOf(refused)).code).toBe(16);
  });
});

test("a server that stops says so at once, ends what is open, and answers what came before", async () => {
  await withKeys(async ({ client: own, keys, server: made }) => {
    const headers = { "x-api-key": keys.predict };
    const told: string[] = [];
    const watch = own.watch("grpc.health.v1.Health/Watch", { service: "" });
    watch.on("data", ({ status }: { readonly status: string }) => told.push(status));
    const watched = endOf(watch);
    const open = own.stream("sentinel.v1.Sentinel/ScoreStream", headers);
    const ended = endOf(open);
    const [row, ...rows] = fresh(6);
    open.write({ json: jsonOf(row) });
    await once(open, "data");
    await until(async () => told.length === 1);
    const stopping = made.stop();
    const during = await Promise.all(rows.map((one) => own.call(SCORE, { json: jsonOf(one) }, { headers })));
    for (const { status } of during) expect(["OK", "UNAVAILABLE"]).toContain(status);
    await stopping;
    expect(told).toEqual(["SERVING", "NOT_SERVING"]);
    expect((await watched).code).toBe(14);
    const { code, metadata } = await ended;
    expect([code, metadata.get("sentinel-code")]).toEqual([14, ["server.not-ready"]]);
    expect((await own.call(SCORE, { json: jsonOf(row) }, { headers, deadline: Date.now() + 2000 })).status).not.toBe(
      "OK",
    );
  });
});
