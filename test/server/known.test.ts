// What is known of a key: its features as a transaction sees them, and the score of an entity alone, neither logged nor learned.
import { afterAll, beforeAll, expect, test } from "vitest";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, reply, SPEC_A, serve, type World } from "./world.ts";

const PAYMENTS = payments(60, { seed: 5, from: HISTORY.at(-1)!.time + 60_000, prefix: "k" });
const LAST = PAYMENTS.at(-1)!;
let world: World;
let running: Awaited<ReturnType<typeof serve>>;
let url: string;
beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  running = await serve(world);
  const { port } = await running.server.start({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${port}`;
  for (const payment of PAYMENTS.slice(0, -1)) await reply(ask("/predict", bodyOf(payment)));
});
afterAll(async () => {
  await running.stop();
  await world.remove();
});

const ask = (route: string, body?: object): Promise<Response> =>
  fetch(`${url}${route}`, {
    ...(body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
const newest = PAYMENTS.at(-2)!.time;

test("the features of a key are what the next transaction of it sees", async () => {
  const { customer_id: customer } = LAST;
  const known = (await (await ask(`/features/customer_id/${customer}`)).json()) as Record<string, unknown>;
  expect(known).toMatchObject({ key: "customer_id", value: customer, as_of: new Date(newest).toISOString() });
  expect(Object.keys(known.features as object)).toEqual(["customer_count_1d", "customer_mean_7d"]);
  const { customer_count_1d: count } = known.features as { readonly customer_count_1d: number };
  // As this very transaction would find it, at the same time.
  await reply(ask("/predict", { ...bodyOf(LAST), time: newest }));
  const log = await running.ports.log();
  await log.flush();
  const { vector } = (await log.find(LAST.transaction_id))!;
  expect(vector[2]).toBe(count);
  const more = (await (await ask(`/pipelines/card/features/customer_id/${customer}`)).json()) as typeof known;
  expect((more.features as { readonly customer_count_1d: number }).customer_count_1d).toBe(count + 1);
  const nobody = (await (await ask("/features/customer_id/nobody%20knows")).json()) as typeof known;
  expect(nobody).toMatchObject({ value: "nobody knows", features: { customer_count_1d: 1, customer_mean_7d: null } });
});

test("what no feature is kept by is not found, with what there is", async () => {
  const answer = await ask("/features/amount/7");
  expect([answer.status, await answer.json()]).toMatchObject([
    404,
    { code: "request.not-found", hint: expect.stringContaining("customer_id, terminal_id") },
  ]);
});

test("an entity alone is scored with what is known of it, and nothing is logged or learned", async () => {
  const entity = { customer_id: PAYMENTS[3].customer_id };
  const log = await running.ports.log();
  await log.flush();
  const before = await log.last();
  const first = (await (await ask("/predict", entity)).json()) as Record<string, unknown>;
  expect(first).toMatchObject({ entity, decision: expect.stringMatching(/approve|review|block/) });
  expect(first.score).toBeTypeOf("number");
  expect(await (await ask("/predict", entity)).json()).toEqual(first);
  // By the router too, which the hot road passes by.
  expect(await (await ask("/predict?", entity)).json()).toEqual(first);
  await log.flush();
  expect(await log.last()).toEqual(before);
});

test("a field that is no key, or more than the entity, is an incomplete transaction", async () => {
  for (const body of [
    { amount: 5 },
    { customer_id: "c1", terminal_id: "t1" },
    { customer_id: null },
    { customer_id: "" },
  ]) {
    expect([(await ask("/predict", body)).status, body]).toEqual([422, body]);
  }
});

test("where the champion itself fails, an entity alone and an explanation are refused as not possible now", async () => {
  const champion = running.server.pipelines.main!.live.current.champion!;
  const { score } = champion.scorer;
  const entity = { customer_id: PAYMENTS[3].customer_id };
  Object.assign(champion.scorer, {
    score: () => {
      throw new Error("no luck");
    },
  });
  const transaction = { ...bodyOf(LAST), transaction_id: "never answered" };
  for (const [route, body] of [
    ["/predict", entity],
    ["/predict?", entity],
    ["/explain", transaction],
  ] as const) {
    const refused = await ask(route, body);
    expect([route, refused.status, (await reply(refused)).code]).toEqual([route, 503, "server.not-ready"]);
    expect(refused.headers.get("retry-after")).toBe("1");
  }
  Object.assign(champion.scorer, { score });
  for (const [route, body] of [
    ["/predict", entity],
    ["/explain", transaction],
  ] as const)
    expect((await ask(route, body)).status).toBe(200);
});
