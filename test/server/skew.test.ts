// Skew: what the server logged and what a replay of raw history computes are the same bits, restarts and labels included.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  type Payment,
  payments,
  post,
  reply,
  SPEC_A,
  SPEC_B,
  serve,
  type World,
} from "./world.ts";

let world: World;
afterEach(async () => world.remove());

/** Traffic after the history: some payments late, labels of earlier ones in between. */
const TRAFFIC = payments(240, { seed: 9, from: HISTORY[HISTORY.length - 1].time, prefix: "s" });

async function send(server: SentinelServer, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    // Every seventh comes five places late.
    const payment = TRAFFIC[i % 7 === 0 && i >= from + 5 ? i - 5 : i];
    const response = await post(server, "/predict", bodyOf(payment));
    expect(response.status).toBe(200);
    if (i % 3 === 0 && i > from + 10) await label(server, TRAFFIC[i - 10]);
  }
}

async function label(server: SentinelServer, payment: Payment): Promise<void> {
  const known = { transaction_id: payment.transaction_id, fraud: payment.is_fraud };
  await post(server, "/feedback", known);
}

function report(ports: Ports) {
  return replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
}

test("vectors and scores replay bit for bit, across a restart and a champion with other windows", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const first = await serve(world);
  await send(first.server, 0, 80);
  await first.stop();

  const second = await serve(world);
  await send(second.server, 80, 120);
  // The next champion reads other windows: its state is made from its own training snapshot and the log.
  await world.alias("champion", await world.register(makeBundle(SPEC_B, 2)));
  await post(second.server, "/admin/reload", "");
  while ((await reply(second.server.app.request("/model"))).champion.version !== "2") {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await send(second.server, 120, 180);
  await second.stop();

  const third = await serve(world);
  await send(third.server, 180, 240);
  const result = await report(third.ports);
  expect(result.mismatches).toEqual([]);
  expect(result).toMatchObject({ verdict: "pass", skipped: { degraded: 0, "no-origin": 0, "bundle-gone": 0 } });
  expect(result.compared).toBe(result.predictions);
  expect(result.scoresCompared).toBe(result.predictions);
  const { predictions, labels } = await (await third.ports.log()).counts();
  expect(result.predictions).toBe(predictions);
  expect(predictions).toBeGreaterThan(180);
  expect(labels).toBeGreaterThan(40);
  await third.stop();
});

test("a server that began without a state replays as well", async () => {
  world = makeWorld();
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const first = await serve(world);
  await send(first.server, 0, 40);
  await first.stop();
  const second = await serve(world);
  await send(second.server, 40, 80);
  // Training leaves a state while a cold one serves; the restart takes it, and a new era begins.
  await world.saveState(SPEC_A);
  await second.stop();
  const third = await serve(world);
  expect((await reply(third.server.app.request("/model"))).champion.state.warm).toBe(true);
  await send(third.server, 80, 120);
  const result = await report(third.ports);
  expect(result.mismatches).toEqual([]);
  expect(result.verdict).toBe("pass");
  await third.stop();
});

test("a skew is found and named", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  await send(running.server, 0, 40);
  const changed = historyTable();
  const amounts = changed.columns.get("amount");
  if (amounts?.kind !== "number") throw new Error("the table has amounts");
  for (let row = 0; row < changed.rows; row++) amounts.values[row] += 1;
  const result = await replay(running.ports, { pipeline: world.pipeline, history: async () => changed });
  expect(result.verdict).toBe("fail");
  expect(result.mismatches[0]).toMatchObject({
    feature: "customer_mean_7d",
    transactionId: expect.stringMatching(/^s/),
  });
  expect(result.mismatches[0].logged).not.toBe(result.mismatches[0].replayed);
  expect(result.reasons[0]).toContain("customer_mean_7d");
  await running.stop();
});

test("a killed server goes on where its log ends", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const child = fork(fileURLToPath(new URL("./killed-server.ts", import.meta.url)), [world.dir], {
    execArgv: ["--import", "jiti/register"],
  });
  const [port] = (await once(child, "message")) as [number];
  const url = `http://127.0.0.1:${port}`;
  const headers = { "content-type": "application/json" };
  for (const [i, payment] of TRAFFIC.slice(0, 60).entries()) {
    await fetch(`${url}/predict`, { method: "POST", headers, body: JSON.stringify(bodyOf(payment)) });
    if (i % 4 !== 0 || i < 10) continue;
    const known = { transaction_id: TRAFFIC[i - 10].transaction_id, fraud: TRAFFIC[i - 10].is_fraud };
    await fetch(`${url}/feedback`, { method: "POST", headers, body: JSON.stringify(known) });
  }
  child.kill("SIGKILL");
  await once(child, "exit");
  const after = await serve(world);
  await send(after.server, 60, 120);
  const result = await report(after.ports);
  expect(result.mismatches).toEqual([]);
  expect(result.verdict).toBe("pass");
  expect(result.predictions).toBeGreaterThan(100);
  await after.stop();
});

test("a payment dated 23 hours ahead does not make the others too late, not after a restart either", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  let running = await serve(world);
  const pay = async (id: string, time: number): Promise<void> => {
    const body = { transaction_id: id, time, amount: 5, customer_id: "c-ahead", terminal_id: "t3" };
    expect((await post(running.server, "/predict", body)).status).toBe(200);
  };
  const countOf = async (id: string): Promise<number> =>
    (await (await running.ports.log()).find(id))!.vector[
      SPEC_A.features.findIndex(({ name }) => name === "customer_count_1d")
    ];
  await pay("on-time-1", NOW - 60_000);
  await pay("ahead", NOW + 23 * HOUR_MS);
  await pay("on-time-2", NOW - 50_000);
  await running.stop();
  running = await serve(world);
  await pay("on-time-3", NOW - 40_000);
  await pay("late", NOW - 3 * HOUR_MS);
  // A label that comes now is not older than its payment.
  expect((await post(running.server, "/feedback", { transaction_id: "ahead", fraud: true })).status).toBe(200);
  const metrics = await (await running.server.app.request("/metrics")).text();
  await (await running.ports.log()).flush();
  expect(await Promise.all(["on-time-1", "on-time-2", "on-time-3"].map(countOf))).toEqual([1, 2, 3]);
  expect(metrics).toMatch(/^sentinel_too_late_total 1$/m);
  expect((await report(running.ports)).reasons).toEqual(["5 vectors and 5 scores are the same, bit for bit"]);
  await running.stop();
});
