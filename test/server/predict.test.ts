// POST /predict: answers, repeats, and every refusal of a bad request.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SentinelServer } from "../../src/server/server.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, post, reply, SPEC_A, serve, type World } from "./world.ts";

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const [first, second, third] = payments(20, { seed: 3, from: NOW - 3_600_000, prefix: "p" });

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  const version = await world.register(makeBundle(SPEC_A, 1));
  await world.alias("champion", version);
  const running = await serve(world);
  server = running.server;
  stop = running.stop;
});

afterAll(async () => {
  await stop();
  await world.remove();
});

test("a transaction is answered with scores, a decision and the bundle that gave them", async () => {
  const response = await post(server, "/predict", bodyOf(first));
  expect(response.status).toBe(200);
  const answer = await reply(response);
  const scorer = await world.scorer("1");
  expect(answer).toEqual({
    transaction_id: first.transaction_id,
    score: expect.any(Number),
    anomaly_score: expect.any(Number),
    decision: expect.stringMatching(/^(approve|review|block)$/),
    model: { name: "card-fraud", version: "1", bundle: scorer.bundle },
  });
});

test("the same request again gets the same answer and counts once", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => post(server, "/predict", bodyOf(second))));
  const bodies = await Promise.all(answers.map((response) => response.text()));
  expect(new Set(bodies).size).toBe(1);
  const health = await reply(server.app.request("/health"));
  await post(server, "/predict", bodyOf(second));
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(health.log.predictions);
});

test("the same id with other content is refused", async () => {
  await post(server, "/predict", bodyOf(third));
  const response = await post(server, "/predict", { ...bodyOf(third), amount: third.amount + 1 });
  expect(response.status).toBe(409);
  expect(await reply(response)).toMatchObject({ code: "request.duplicate", status: 409 });
});

test("without a time the arrival counts, and a repeat of it is the same transaction", async () => {
  const { time: _, ...rest } = bodyOf(first);
  const untimed = { ...rest, transaction_id: "untimed" };
  const answer = await post(server, "/predict", untimed);
  expect(answer.status).toBe(200);
  expect(await (await post(server, "/predict", untimed)).text()).toBe(await answer.text());
  expect((await post(server, "/predict", { ...untimed, time: NOW - 1 })).status).toBe(409);
  expect((await post(server, "/predict", { ...untimed, time: NOW })).status).toBe(200);
});

test("aliases of the pipeline name the same fields", async () => {
  const { transaction_id, time, amount, customer_id, terminal_id } = bodyOf(first);
  const renamed = { tx_id: transaction_id, tx_datetime: new Date(time as number).toISOString(), tx_amount: amount };
  const response = await post(server, "/predict", { ...renamed, card_id: customer_id, merchant_id: terminal_id });
  expect(response.status).toBe(200);
  expect(await response.text()).toBe(await (await post(server, "/predict", bodyOf(first))).text());
});

test("fields that no pipeline knows are kept and do no harm, __proto__ among them", async () => {
  const text = JSON.stringify({ ...bodyOf(first), transaction_id: "odd" });
  const odd = `${text.slice(0, -1)},"__proto__":{"polluted":1},"constructor":"x","note":[1,"two"]}`;
  const response = await post(server, "/predict", odd);
  expect(response.status).toBe(200);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  const plain = await reply(post(server, "/predict", { ...bodyOf(first), transaction_id: "odd-not" }));
  expect((await reply(response)).decision).toBe(plain.decision);
});

const BAD: readonly (readonly [string, unknown, number, string, string?])[] = [
  ["an empty body", "", 400, "request.malformed"],
  ["a body cut short", '{"transaction_id":"a",', 400, "request.malformed"],
  ["NaN", '{"transaction_id":"a","amount":NaN}', 400, "request.malformed"],
  ["Infinity", '{"transaction_id":"a","amount":Infinity}', 400, "request.malformed"],
  ["a number no double holds", '{"transaction_id":"a","amount":1e999}', 400, "request.malformed"],
  [
    "a number no double holds in an unknown field",
    '{"transaction_id":"a","x":{"y":[-1e999]}}',
    400,
    "request.malformed",
  ],
  ["nesting without end", `${"[".repeat(5000)}${"]".repeat(5000)}`, 400, "request.malformed"],
  ["an array", [], 422, "request.invalid"],
  ["null", "null", 422, "request.invalid"],
  ["a missing field", { ...bodyOf(first), amount: undefined }, 422, "request.invalid", "amount"],
  ["a wrong type", { ...bodyOf(first), amount: "12" }, 422, "request.invalid", "amount"],
  ["an amount out of range", { ...bodyOf(first), amount: -1 }, 422, "request.invalid", "amount"],
  ["a time that is none", { ...bodyOf(first), time: "yesterday" }, 422, "request.invalid", "time"],
  ["a day that is none", { ...bodyOf(first), time: "2026-02-30T00:00:00Z" }, 422, "request.invalid", "time"],
  ["a fraction of a millisecond", { ...bodyOf(first), time: 1.5 }, 422, "request.invalid", "time"],
  ["a time far ahead", { ...bodyOf(first), time: NOW + 3 * 86_400_000 }, 422, "request.invalid", "time"],
  [
    "an id without end",
    { ...bodyOf(first), transaction_id: "x".repeat(201) },
    422,
    "request.invalid",
    "transaction_id",
  ],
  ["an empty id", { ...bodyOf(first), transaction_id: "" }, 422, "request.invalid", "transaction_id"],
  ["a text without end", { ...bodyOf(first), customer_id: "x".repeat(1001) }, 422, "request.invalid", "customer_id"],
  ["two names for one field", { ...bodyOf(first), tx_amount: 1 }, 422, "request.invalid", "tx_amount"],
  [
    "too much that is unknown",
    { ...bodyOf(first), transaction_id: "big", note: "x".repeat(20_000) },
    422,
    "request.invalid",
    "note",
  ],
  ["a body over the limit", { ...bodyOf(first), note: "x".repeat(70_000) }, 413, "request.body-too-large"],
];

test.each(BAD)("%s is refused", async (_, body, status, code, field) => {
  const response = await post(server, "/predict", body);
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = await reply(response);
  expect(problem).toMatchObject({ status, code, type: `urn:sentinel:error:${code}` });
  expect(problem.hint).not.toBe("");
  if (field !== undefined) expect(problem.errors.map((fault: { field: string }) => fault.field)).toContain(field);
});

test("faults name the field as the client spelled it", async () => {
  const { amount: _, ...rest } = bodyOf(first);
  const problem = await reply(post(server, "/predict", { ...rest, tx_amount: "12" }));
  expect(problem.errors).toEqual([{ field: "tx_amount", message: "must be number" }]);
});

test("malformed JSON is told with its place", async () => {
  const problem = await reply(post(server, "/predict", '{\n  "amount": NaN}'));
  expect(problem.detail).toContain("line 2, column 13");
});

test("another media type is refused", async () => {
  const response = await post(server, "/predict", "amount=1", { "content-type": "application/x-www-form-urlencoded" });
  expect(response.status).toBe(415);
  expect(await reply(response)).toMatchObject({ code: "request.media-type" });
});

test("a body over the limit is refused without Content-Length", async () => {
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(10_000).fill(32)),
  });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: endless, duplex: "half" };
  const response = await server.app.request(new Request("http://x/predict", init as RequestInit));
  expect(response.status).toBe(413);
});

test("an unknown route and a wrong method are told apart", async () => {
  const missing = await server.app.request("/nowhere");
  expect([missing.status, (await reply(missing)).code]).toEqual([404, "request.not-found"]);
  const wrong = await server.app.request("/predict");
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
  expect((await reply(wrong)).code).toBe("request.method");
});
