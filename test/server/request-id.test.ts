// Request ids: the client's come back, others are made, on every road and every status; what could do tricks is not taken.
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRequestIds, REQUEST_ID } from "../../src/server/request-id.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, SPEC_A, serve, type World } from "./world.ts";

let world: World;
let stop: () => Promise<void>;
let url = "";
const warned: object[] = [];
const [first] = payments(1, { seed: 51, from: NOW - 3_600_000, prefix: "q" });

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const logger = { info() {}, warn: (facts: object) => void warned.push(facts), error() {} };
  const running = await serve(world, { logger });
  stop = running.stop;
  const at = await running.server.start({ host: "127.0.0.1", port: 0 });
  url = `http://${at.host}:${at.port}`;
});

afterAll(async () => {
  await stop();
  await world.remove();
});

test("an id is the client's where it can be taken, else the next of our own", () => {
  const ids = createRequestIds("s");
  expect([ids("0af7651916cd43dd8448eb211c80319c"), ids("a/b:c+d=_-.1")]).toEqual([
    "0af7651916cd43dd8448eb211c80319c",
    "a/b:c+d=_-.1",
  ]);
  expect([ids(null), ids(undefined), ids(""), ids("a b"), ids("x\u001b[31m"), ids("y".repeat(129))]).toEqual([
    "s-1",
    "s-2",
    "s-3",
    "s-4",
    "s-5",
    "s-6",
  ]);
  expect(createRequestIds()(null)).not.toBe(createRequestIds()(null));
});

const json = { "content-type": "application/json" };
const ROADS: readonly (readonly [string, string, RequestInit, number])[] = [
  ["the hot road", "/predict", { method: "POST", headers: json, body: JSON.stringify(bodyOf(first)) }, 200],
  ["a refusal on the hot road", "/predict", { method: "POST", headers: json, body: "{" }, 400],
  [
    "the cold road",
    "/predict?explain=true",
    { method: "POST", headers: json, body: JSON.stringify(bodyOf(first)) },
    200,
  ],
  ["a refusal on the cold road", "/predict", { method: "POST", body: "x" }, 415],
  ["a batch", "/predict/batch", { method: "POST", headers: json, body: JSON.stringify([bodyOf(first)]) }, 200],
  ["a probe", "/livez", {}, 200],
  ["an unknown route", "/nowhere", {}, 404],
  ["another method", "/predict", {}, 405],
];

test.each(ROADS)("%s names it", async (_, path, init, status) => {
  const headers = { ...(init.headers as Record<string, string>), [REQUEST_ID]: "mine-1" };
  const given = await fetch(url + path, { ...init, headers });
  expect([given.status, given.headers.get(REQUEST_ID)]).toEqual([status, "mine-1"]);
  const [a, b] = [await fetch(url + path, init), await fetch(url + path, init)].map((one) =>
    one.headers.get(REQUEST_ID),
  );
  expect(a).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
  expect(a).not.toBe(b);
});

test("the log of a failed request has its id", async () => {
  const empty = makeWorld();
  const logger = { info() {}, warn: (facts: object) => void warned.push(facts), error() {} };
  const running = await serve(empty, { logger });
  const init = { method: "POST", headers: { ...json, [REQUEST_ID]: "mine-2" }, body: JSON.stringify(bodyOf(first)) };
  expect((await running.server.app.request("/predict", init)).status).toBe(503);
  expect(warned).toContainEqual(expect.objectContaining({ code: "server.not-ready", requestId: "mine-2" }));
  await running.stop();
  await empty.remove();
});
